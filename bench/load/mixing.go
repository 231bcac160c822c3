package load

import (
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer/bridge"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// A Mixing is the mixing of one room alone, in this process and without a
// network: what a tick costs beside the packets' way in and out.
type Mixing struct {
	br      *bridge.Bridge
	voices  []voice
	sources []*bridge.Source
	n       uint64
	now     time.Time
	// Sent is how many packets there were so far.
	Sent int

	enc codec.Encoder
	pcm []int16
	buf []byte
	at  int
}

// NewMixing makes a room of users, of whom the first talk all the time.
func NewMixing(users, talkers int) (*Mixing, error) {
	voices, err := record(20 * time.Millisecond)
	if err != nil {
		return nil, err
	}
	br, err := bridge.New(bridge.Config{Driver: libopus.Driver{}})
	if err != nil {
		return nil, err
	}
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{Complexity: 4, Bitrate: 32000})
	if err != nil {
		return nil, err
	}
	m := &Mixing{br: br, voices: voices, now: time.Unix(1000, 0), enc: enc, pcm: speech.PCM("alice"), buf: make([]byte, codec.MaxPacketSize)}
	for i := range talkers {
		m.sources = append(m.sources, br.AddSource(bridge.SourceConfig{Owner: uint64(i), SSRC: uint32(i)}))
	}
	for i := range users {
		br.AddReceiver(bridge.ReceiverConfig{Owner: uint64(i), Send: func([]byte) { m.Sent++ }})
	}
	for range 50 {
		m.Tick()
	}
	return m, nil
}

// Tick pushes the packets of 20 ms and mixes them.
func (m *Mixing) Tick() {
	for i, s := range m.sources {
		v := m.voices[i%len(m.voices)]
		s.Push(jitter.Packet{
			SequenceNumber: uint16(m.n), Timestamp: uint32(m.n * 960), Marker: m.n == 0,
			Payload: v.packets[(int(m.n)+i*13)%len(v.packets)], Arrival: m.now.Add(-3 * time.Millisecond),
		})
	}
	m.n++
	m.br.Tick(m.n, m.now)
	m.now = m.now.Add(20 * time.Millisecond)
}

// EncodeTimes ticks n times and returns the cost in encode-times a second,
// measured in turn with as many encodes.
func (m *Mixing) EncodeTimes(n int) float64 {
	var ticking, encoding time.Duration
	for range n {
		t0 := time.Now()
		m.Tick()
		t1 := time.Now()
		m.enc.Encode(m.pcm[m.at:m.at+960], m.buf)
		encoding += time.Since(t1)
		ticking += t1.Sub(t0)
		m.at = (m.at + 960) % (len(m.pcm) - 960)
	}
	return 50 * float64(ticking) / float64(encoding)
}
