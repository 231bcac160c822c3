package bridge_test

import (
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer/bridge"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// A rig drives a bridge by hand, in virtual time.
type rig struct {
	t    testing.TB
	br   *bridge.Bridge
	n    uint64
	now  time.Time
	mics []*mic
	ears []*ear
	more bool
}

func newRig(t testing.TB, cfg bridge.Config) *rig {
	t.Helper()
	if cfg.Driver == nil {
		cfg.Driver = libopus.Driver{}
	}
	cfg.SSRC = 99
	br, err := bridge.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{t: t, br: br, now: time.Unix(1000, 0)}
}

// tick sends what the microphones have and mixes, n times.
func (g *rig) tick(n int) {
	for range n {
		for _, m := range g.mics {
			m.send(g.now.Add(-3 * time.Millisecond))
		}
		g.n++
		g.more = g.br.Tick(g.n, g.now)
		g.now = g.now.Add(g.br.FrameDuration())
	}
}

// A mic is a talker whose packets come evenly.
type mic struct {
	src   *bridge.Source
	enc   codec.Encoder
	pcm   []int16
	at    int
	frame int
	on    bool
	marks bool // the next packet follows silence
	seq   uint16
	ts    uint32
	buf   [codec.MaxPacketSize]byte

	packet jitter.Packet
	// change may alter a packet on its way, or drop it.
	change func(p *jitter.Packet) bool
}

func (g *rig) mic(owner uint64, pcm []int16) *mic {
	d := g.br.FrameDuration()
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{FrameDuration: d})
	if err != nil {
		g.t.Fatal(err)
	}
	m := &mic{enc: enc, pcm: pcm, frame: int(d * 48000 / time.Second), on: true, marks: true, seq: uint16(owner * 1000), ts: uint32(owner * 123456)}
	m.src = g.br.AddSource(bridge.SourceConfig{Owner: owner, SSRC: uint32(owner)})
	g.mics = append(g.mics, m)
	return m
}

func voice(g testing.TB, name string) []int16 {
	g.Helper()
	return speech.PCM(name)
}

func (m *mic) send(at time.Time) {
	if m.at+m.frame > len(m.pcm) {
		m.at = 0
	}
	pcm := m.pcm[m.at : m.at+m.frame]
	m.at += m.frame
	m.ts += uint32(m.frame)
	if !m.on {
		m.marks = true
		return
	}
	n, err := m.enc.Encode(pcm, m.buf[:])
	if err != nil {
		panic(err)
	}
	m.seq++
	m.packet = jitter.Packet{SequenceNumber: m.seq, Timestamp: m.ts, Marker: m.marks, Payload: m.buf[:n], Arrival: at}
	m.marks = false
	if m.change == nil || m.change(&m.packet) {
		m.src.Push(m.packet)
	}
}

// An ear is a receiver that decodes what it is sent, at once.
type ear struct {
	t        testing.TB
	rcv      *bridge.Receiver
	dec      codec.Decoder
	channels int
	headers  []rtp.Header
	payloads [][]byte
	pcm      []int16
	at       []int // where in pcm each packet's sound begins
	ticks    []uint64
	quiet    bool // packets are only counted
	count    int
}

func (g *rig) ear(owner uint64, channels int) *ear {
	dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{Channels: channels})
	if err != nil {
		g.t.Fatal(err)
	}
	e := &ear{t: g.t, dec: dec, channels: channels}
	e.rcv = g.br.AddReceiver(bridge.ReceiverConfig{Owner: owner, Send: func(packet []byte) {
		e.count++
		if !e.quiet {
			e.take(packet, g.n)
		}
	}})
	g.ears = append(g.ears, e)
	return e
}

func (e *ear) take(packet []byte, tick uint64) {
	var h rtp.Header
	n, err := h.Unmarshal(packet)
	if err != nil {
		e.t.Fatal(err)
	}
	payload := append([]byte(nil), packet[n:]...)
	e.headers, e.payloads, e.ticks = append(e.headers, h), append(e.payloads, payload), append(e.ticks, tick)
	out := make([]int16, codec.MaxFrameSamples*e.channels)
	k, err := e.dec.Decode(payload, out)
	if err != nil {
		e.t.Fatal(err)
	}
	e.at = append(e.at, len(e.pcm))
	e.pcm = append(e.pcm, out[:k*e.channels]...)
}

// continuous fails unless the packets follow one another in number, and each
// begins where its forerunner ended or carries the marker.
func (e *ear) continuous() {
	e.t.Helper()
	for i := 1; i < len(e.headers); i++ {
		a, b := e.headers[i-1], e.headers[i]
		if b.SequenceNumber != a.SequenceNumber+1 {
			e.t.Fatalf("packet %d has number %d after %d", i, b.SequenceNumber, a.SequenceNumber)
		}
		samples, err := codec.PacketSamples(e.payloads[i-1])
		if err != nil {
			e.t.Fatal(err)
		}
		gap := int32(b.Timestamp - a.Timestamp - uint32(samples))
		if gap < 0 || gap > 0 && !b.Marker || gap == 0 && b.Marker {
			e.t.Fatalf("packet %d begins %d samples after the end of its forerunner, marker %v", i, gap, b.Marker)
		}
	}
}
