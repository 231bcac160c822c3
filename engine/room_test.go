package engine

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/transport"
)

// sink is a session that only takes packets.
type sink struct {
	transport.Session
	mu      sync.Mutex
	sent    int
	batches int
	kept    [][]byte // while keep is set
	keep    bool
	last    []byte
}

func (s *sink) Send(p transport.Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if s.keep {
		s.kept = append(s.kept, bytes.Clone(p.Payload))
	}
	s.last = append(s.last[:0], p.Payload...)
	return nil
}

func (s *sink) SendBatch(packets []transport.Packet) error {
	s.mu.Lock()
	s.batches++
	s.mu.Unlock()
	for _, p := range packets {
		s.Send(p)
	}
	return nil
}

func (s *sink) Stats() transport.Stats                   { return transport.Stats{} }
func (s *sink) Waiting(transport.Class) (int, time.Time) { return 0, time.Time{} }

func (s *sink) all() [][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept
}

func (s *sink) count() (packets, batches int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent, s.batches
}

func (s *sink) HandleFlow(uint64, transport.PacketHandler) error { return nil }
func (s *sink) RemoveFlow(uint64)                                {}

// fanOut makes a room with one talker and n receivers.
func fanOut(tb testing.TB, n int) (*track, []*sink) {
	t, sinks := fanOutWith(tb, n, ServerConfig{BundleWindow: -1})
	return t[0], sinks
}

// fanOutWith makes a room with as many talkers as cfg.Voices and one more, or
// one, and n receivers.
func fanOutWith(tb testing.TB, n int, cfg ServerConfig) ([]*track, []*sink) {
	cfg.InProcess, cfg.SDKAppID, cfg.Key = true, 1, "k"
	s, err := NewServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	c := &call{state: callstate.Call{ID: "c"}, room: newRoom(s)}
	device := func(name string) (*device, *sink) {
		d := s.newDevice(name)
		d.call = c
		k := &sink{}
		var sess transport.Session = k
		d.session.Store(&sess)
		c.room.join(d)
		return d, k
	}
	tb.Cleanup(s.clock.close)
	var tracks []*track
	for i := range cfg.Voices + 1 {
		talker, _ := device("talker")
		t := &track{id: uint64(i + 1), owner: talker, call: c, kind: signal.KindAudio, flow: 1, ssrc: uint32(7 + i), pt: audioPayloadType, lifetime: audioLifetime}
		talker.published = append(talker.published, t)
		c.room.add(t)
		tracks = append(tracks, t)
	}
	var sinks []*sink
	for range n {
		_, k := device("receiver")
		sinks = append(sinks, k)
	}
	return tracks, sinks
}

// voicePacket is an RTP packet as a client sends it, with extensions that the
// server knows and does not.
func voicePacket(tb testing.TB, ssrc uint32, payload []byte) []byte {
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: audioPayloadType, SequenceNumber: 9, Timestamp: 960, SSRC: ssrc, Marker: true, CSRC: []uint32{1, 2}}, Payload: payload}
	for id, ext := range map[uint8][]byte{levelExtension: {0x9A}, 5: {1, 2, 3}} {
		if err := p.SetExtension(id, ext); err != nil {
			tb.Fatal(err)
		}
	}
	b, err := p.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestForwardKeepsOnlyWhatItKnows(t *testing.T) {
	tr, sinks := fanOut(t, 3)
	payload := []byte{0x78, 1, 2, 3}
	tr.forward(voicePacket(t, 7, payload), time.Now())
	for _, s := range sinks {
		var p rtp.Packet
		if err := p.Unmarshal(s.last); err != nil {
			t.Fatal(err)
		}
		if s.sent != 1 || !bytes.Equal(p.Payload, payload) || p.SequenceNumber != 9 || p.Timestamp != 960 || p.SSRC != 7 || !p.Marker {
			t.Errorf("%d packets, the last %v", s.sent, p)
		}
		if len(p.CSRC) != 0 || len(p.Extensions) != 1 || !bytes.Equal(p.GetExtension(levelExtension), []byte{0x9A}) {
			t.Errorf("CSRCs %v, extensions %v; want the level alone", p.CSRC, p.Extensions)
		}
	}
}

func TestForwardAllocatesNothing(t *testing.T) {
	tr, sinks := fanOut(t, 20)
	pkt := voicePacket(t, 7, bytes.Repeat([]byte{0x78}, 80))
	now := time.Now()
	if n := testing.AllocsPerRun(200, func() { tr.forward(pkt, now) }); n != 0 {
		t.Errorf("%v allocations per packet forwarded to 20", n)
	}
	if sinks[19].sent == 0 {
		t.Error("nothing was forwarded")
	}
}

func TestForwardDropsWhatIsTooLarge(t *testing.T) {
	tr, sinks := fanOut(t, 1)
	tr.forward(voicePacket(t, 7, make([]byte, transport.MaxPacketSize)), time.Now())
	if sinks[0].sent != 0 || tr.refused.Load() != 1 {
		t.Errorf("sent %d, refused %d", sinks[0].sent, tr.refused.Load())
	}
}

func FuzzForward(f *testing.F) {
	f.Add(voicePacket(f, 7, []byte{0x78, 1, 2, 3}))
	f.Add([]byte{0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xF8})
	f.Add([]byte{0xB0, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0xBE, 0xDE, 0, 1, 0x10, 5, 0, 0, 0xF8, 1})
	f.Fuzz(func(t *testing.T, pkt []byte) {
		tr, sinks := fanOut(t, 1)
		tr.forward(pkt, time.Now())
		if sinks[0].sent == 0 {
			return
		}
		var p rtp.Packet
		if err := p.Unmarshal(sinks[0].last); err != nil {
			t.Fatalf("forwarded %x, which is no RTP packet: %v", sinks[0].last, err)
		}
		if p.SSRC != 7 || p.PayloadType != audioPayloadType || p.Padding || len(p.CSRC) != 0 || len(p.Payload) == 0 || len(sinks[0].last) > transport.MaxPacketSize {
			t.Fatalf("forwarded %+v", p)
		}
		for _, id := range p.GetExtensionIDs() {
			if id != levelExtension {
				t.Fatalf("forwarded extension %d", id)
			}
		}
	})
}

// BenchmarkForward is the engine's own cost of one packet to 50 receivers,
// without the transport's.
func BenchmarkForward(b *testing.B) {
	tr, _ := fanOut(b, 50)
	pkt := voicePacket(b, 7, bytes.Repeat([]byte{0x78}, 80))
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		tr.forward(pkt, now)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/50, "ns/receiver")
}

// A tap costs no allocation, and none costs a nil check.
func TestTapAllocatesNothing(t *testing.T) {
	tr, _ := fanOut(t, 5)
	tp := newTap(tr.call.room, "test", "")
	tr.taps.Store(&[]*tap{tp})
	pkt := voicePacket(t, 7, bytes.Repeat([]byte{0x78}, 80))
	now := time.Now()
	round := func() {
		tr.forward(pkt, now)
		tp.recycle(<-tp.queue)
	}
	round()
	if n := testing.AllocsPerRun(200, round); n != 0 {
		t.Errorf("%v allocations per packet tapped", n)
	}
	for range maxTapQueue {
		tr.forward(pkt, now)
	}
	if n := testing.AllocsPerRun(200, func() { tr.forward(pkt, now) }); n != 0 || tp.Dropped() < 200 {
		t.Errorf("%v allocations per packet dropped, %d dropped", n, tp.Dropped())
	}
}
