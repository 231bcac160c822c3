package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A strangerSession is a stranger's session as the room sees it: with the flows
// that a device has. What is not overridden is the endpoint's own.
type strangerSession struct {
	transport.RoQSession
	st *stranger
}

// An outTrack is a track of the room on its way to the endpoint.
type outTrack struct {
	id     uint64
	inner  uint64 // the device's flow
	userID string
	video  bool
	mix    bool
	ssrc   uint32
	// flow and pt are the endpoint's; flow is 0 while it has none for the track.
	flow uint64
	pt   uint8
}

// HandleFlow is for what the endpoint sends; see publish.
func (s *strangerSession) HandleFlow(flow uint64, h transport.PacketHandler) error {
	st := s.st
	st.mu.Lock()
	defer st.mu.Unlock()
	if flow == rtcpFlow {
		st.onRTCP = h
	} else {
		st.handlers[flow] = h
	}
	return nil
}

// RemoveFlow waits for the handler, as any session's.
func (s *strangerSession) RemoveFlow(flow uint64) {
	st := s.st
	st.mu.Lock()
	delete(st.handlers, flow)
	st.mu.Unlock()
	for _, in := range st.ins {
		in.unbind(flow)
	}
}

// Send puts a packet on the endpoint's flow and in its payload type.
func (s *strangerSession) Send(p transport.Packet) error {
	st := s.st
	if p.Flow == rtcpFlow {
		st.forwardRTCP(p)
		return nil
	}
	o := (*st.outs.Load())[p.Flow]
	if o == nil || o.flow == 0 {
		st.counters.unsent.Add(1)
		return nil
	}
	b := packetBuffers.Get().(*packetBuffer)
	defer packetBuffers.Put(b)
	p.Flow, p.Payload = o.flow, b.translate(p.Payload, o.pt)
	if len(p.Payload) == 0 {
		return transport.ErrPacketSize
	}
	err := s.RoQSession.Send(p)
	if err == nil {
		st.counters.sent.Add(1)
	}
	return err
}

// SendBatch sends one by one: plain RTP over QUIC has no bundles.
func (s *strangerSession) SendBatch(packets []transport.Packet) error {
	for _, p := range packets {
		if err := s.Send(p); err != nil {
			return err
		}
	}
	return nil
}

// OpenFlowStream opens a stream on the endpoint's flow.
func (s *strangerSession) OpenFlowStream(ctx context.Context, flow uint64) (transport.FlowStream, error) {
	o := (*s.st.outs.Load())[flow]
	if o == nil || o.flow == 0 {
		return nil, transport.ErrFlowID
	}
	fs, err := s.RoQSession.OpenFlowStream(ctx, o.flow)
	if err != nil {
		return nil, err
	}
	return &strangerStream{FlowStream: fs, st: s.st, pt: o.pt}, nil
}

// A strangerStream translates the packets of a stream.
type strangerStream struct {
	transport.FlowStream
	st *stranger
	pt uint8
	b  packetBuffer
}

func (s *strangerStream) WritePacket(packet []byte) error {
	out := s.b.translate(packet, s.pt)
	if len(out) == 0 {
		return transport.ErrPacketSize
	}
	err := s.FlowStream.WritePacket(out)
	if err == nil {
		s.st.counters.sent.Add(1)
	}
	return err
}

// A packetBuffer holds a packet while it is translated: those of the room are
// shared by all who receive them.
type packetBuffer struct{ b []byte }

var packetBuffers = sync.Pool{New: func() any { return &packetBuffer{make([]byte, 0, transport.MaxPacketSize)} }}

// translate copies an RTP packet with another payload type and without header
// extensions: they are ours, and nobody has told the endpoint of them. It
// returns nothing if the packet is not RTP. The result is valid until the next
// call.
func (b *packetBuffer) translate(packet []byte, pt uint8) []byte {
	n := 12 + 4*int(at(packet, 0)&0x0f) // with the contributing sources
	end := n
	if at(packet, 0)&0x10 != 0 { // RFC 3550 section 5.3.1
		end += 4 + 4*(int(at(packet, n+2))<<8|int(at(packet, n+3)))
	}
	if len(packet) < end {
		return nil
	}
	b.b = append(append(b.b[:0], packet[:n]...), packet[end:]...)
	b.b[0] &^= 0x10
	b.b[1] = b.b[1]&0x80 | pt
	return b.b
}

// at is a byte of a packet, 0 beyond its end.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// addTrack gives a track of the room a flow of the endpoint's, if one is free.
// Server.mu is held.
func (st *stranger) addTrack(t *signal.Track) {
	o := &outTrack{id: t.TrackID, inner: t.Flow, userID: t.UserID, video: t.Kind == signal.KindVideo, mix: t.Mix, ssrc: t.SSRC}
	st.mu.Lock()
	st.tracks[o.id] = o
	if !o.video && st.answer.Audio == nil {
		st.todo = append(st.todo, signal.Subscribe{TrackID: o.id})
	}
	st.place(o)
	st.spread()
	st.mu.Unlock()
	st.signal()
}

// endTrack forgets a track; another may have its flow now.
func (st *stranger) endTrack(id uint64) {
	st.mu.Lock()
	delete(st.tracks, id)
	ids := make([]uint64, 0, len(st.tracks))
	for id, o := range st.tracks {
		if o.flow == 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	for _, id := range ids {
		o := *st.tracks[id] // the media path has the old one
		st.tracks[id] = &o
		st.place(&o)
	}
	st.spread()
	st.mu.Unlock()
	st.signal()
}

// place finds a flow for a track. mu is held.
func (st *stranger) place(o *outTrack) {
	r := st.answer.Audio
	if o.video {
		r = st.answer.Video
	}
	if r == nil {
		return
	}
	o.pt = r.RTPType(o.video)
	o.flow = st.freeFlow(r, o)
	if o.flow != 0 && o.video {
		st.todo = append(st.todo, signal.Subscribe{TrackID: o.id, On: true})
	}
}

func (st *stranger) freeFlow(r *hooks.RoQReceive, o *outTrack) uint64 {
	if o.mix || r.Flows == 0 && r.Users[o.userID] == 0 {
		return r.Flow
	}
	if flow := r.Users[o.userID]; flow != 0 {
		return flow
	}
	used := make(map[uint64]bool)
	for _, other := range st.tracks {
		if other.video == o.video && !other.mix {
			used[other.flow] = true
		}
	}
	for flow := r.Flow; flow < r.Flow+uint64(r.Flows); flow++ {
		if !used[flow] {
			return flow
		}
	}
	return 0
}

// spread makes the tracks known to the media path. mu is held.
func (st *stranger) spread() {
	outs := make(map[uint64]*outTrack, len(st.tracks))
	for _, o := range st.tracks {
		outs[o.inner] = o
	}
	st.outs.Store(&outs)
}
