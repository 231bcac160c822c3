// Package bridge is the mixing heart of a room: RTP packets of talkers in, one
// RTP stream of everybody else's voices out to each receiver.
//
//	br, err := bridge.New(bridge.Config{Driver: libopus.Driver{}, SSRC: 1})
//	src := br.AddSource(bridge.SourceConfig{Owner: 7, SSRC: 2})     // a microphone
//	rcv := br.AddReceiver(bridge.ReceiverConfig{Owner: 9, Send: f}) // who listens
//	...
//	src.Push(jitter.Packet{ ... })   // the network's goroutine
//	...
//	br.Tick(n, time.Now())           // a clock's, every 20 ms
//
// A tick pulls a frame from each active talker's jitter buffer, measures it,
// chooses the loudest talkers, sums them once, takes each talker's own voice
// out of what they hear, limits and encodes. What several receivers hear alike
// is encoded once, and its packet is built once: the cost of a room is that of
// its distinct mixes and of the packets sent, not of receivers times talkers.
//
// # Streams
//
// An encoder, and the receivers whose decoders follow it, is a stream. When
// receivers of one stream come to hear different things (one of them begins to
// talk) it forks: the new encoder begins as a copy of the old one's state, so
// that no decoder notices. When two streams carry the same sound again they run
// side by side until it can be changed from one to the other unheard, and merge.
//
// Nothing here has a goroutine, a socket, or a clock but the one it is given.
package bridge
