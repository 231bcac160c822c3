package bwe

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// good is a path in use: packets every 10 ms, reported every 40.
type good struct {
	s   *Sender
	r   *Receiver
	seq uint16
	ms  int
}

func (g *good) run(ms int, between func(ms int)) {
	for end := g.ms + ms; g.ms < end; g.ms += 10 {
		g.s.Sent(7, g.seq, 1000, at(g.ms))
		g.r.Received(7, g.seq, at(g.ms+5))
		g.seq++
		if g.ms%40 == 30 {
			if b := g.r.AppendReport(nil, at(g.ms+6), 0); len(b) > 0 {
				_ = g.s.FeedbackPacket(b, at(g.ms+9))
			}
		}
		if between != nil {
			between(g.ms)
		}
	}
}

// Reports that lie about what the sender did not send change nothing: the
// target goes the way it goes without them.
func TestHostileReports(t *testing.T) {
	start := func() *good {
		g := &good{s: newSender(t, Config{}), r: NewReceiver(1)}
		g.run(3000, nil)
		return g
	}
	plain := start()
	plain.run(3000, nil)

	stamp := func(ms int) uint32 { return ntp(at(0), time.Duration(ms)*time.Millisecond) }
	many := make([]rtcp.CCFeedbackMetricBlock, 65535)
	for _, c := range []struct {
		name   string
		report func(g *good, ms int) *rtcp.CCFeedbackReport
	}{
		{"nil", func(*good, int) *rtcp.CCFeedbackReport { return nil }},
		{"empty", func(_ *good, ms int) *rtcp.CCFeedbackReport {
			return &rtcp.CCFeedbackReport{ReportTimestamp: stamp(ms)}
		}},
		{"unknown SSRC", func(_ *good, ms int) *rtcp.CCFeedbackReport {
			return &rtcp.CCFeedbackReport{ReportTimestamp: stamp(ms), ReportBlocks: []rtcp.CCFeedbackReportBlock{{MediaSSRC: 8, MetricBlocks: many}}}
		}},
		{"packets not sent yet", func(g *good, ms int) *rtcp.CCFeedbackReport {
			return &rtcp.CCFeedbackReport{ReportTimestamp: stamp(ms), ReportBlocks: []rtcp.CCFeedbackReportBlock{{MediaSSRC: 7, BeginSequence: g.seq, MetricBlocks: many[:30_000]}}}
		}},
		{"many blocks", func(_ *good, ms int) *rtcp.CCFeedbackReport {
			r := &rtcp.CCFeedbackReport{ReportTimestamp: stamp(ms)}
			for i := range 500 {
				r.ReportBlocks = append(r.ReportBlocks, rtcp.CCFeedbackReportBlock{MediaSSRC: uint32(i + 100), MetricBlocks: many[:100]})
			}
			return r
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := start()
			g.run(3000, func(ms int) {
				for range 3 { // a flood
					g.s.Feedback(c.report(g, ms), at(ms))
				}
			})
			if g.s.Target() != plain.s.Target() || g.s.Loss() != plain.s.Loss() {
				t.Errorf("target %d, loss %v; without %d, %v", g.s.Target(), g.s.Loss(), plain.s.Target(), plain.s.Loss())
			}
		})
	}
}

// A receiver may harm itself, but not talk the target up beyond what is sent
// allows, nor out of its bounds; and when it is honest again it has what it is
// due.
func TestLyingReceiver(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name string
		lie  func(r *rtcp.CCFeedbackReport)
	}{
		{"all came", func(r *rtcp.CCFeedbackReport) {
			for i := range r.ReportBlocks[0].MetricBlocks {
				r.ReportBlocks[0].MetricBlocks[i].Received = true
			}
		}},
		{"nothing came", func(r *rtcp.CCFeedbackReport) {
			for i := range r.ReportBlocks[0].MetricBlocks {
				r.ReportBlocks[0].MetricBlocks[i].Received = false
			}
		}},
		{"all at once", func(r *rtcp.CCFeedbackReport) {
			for i := range r.ReportBlocks[0].MetricBlocks {
				r.ReportBlocks[0].MetricBlocks[i].ArrivalTimeOffset = 0
			}
		}},
		{"any time", func(r *rtcp.CCFeedbackReport) {
			for i := range r.ReportBlocks[0].MetricBlocks {
				r.ReportBlocks[0].MetricBlocks[i].ArrivalTimeOffset = uint16(rng.IntN(0x2000))
			}
		}},
		{"any clock", func(r *rtcp.CCFeedbackReport) { r.ReportTimestamp = rng.Uint32() }},
		{"a second off", func(r *rtcp.CCFeedbackReport) { r.ReportTimestamp += rng.Uint32N(65536) }},
		{"the future", func(r *rtcp.CCFeedbackReport) { r.ReportTimestamp += 1 << 31 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, r := newSender(t, Config{Max: 50_000_000}), NewReceiver(1)
			lying, sent := true, 0.0
			seq := uint16(0)
			for ms := 0; ms < 60_000; ms += 5 {
				if ms == 30_000 {
					lying = false
				}
				sent += min(float64(s.Target()), 1_000_000) / 8 * 0.005
				for ; sent >= 1000; sent -= 1000 {
					s.Sent(7, seq, 1000, at(ms))
					r.Received(7, seq, at(ms+20))
					seq++
				}
				if ms%25 == 0 {
					if b := r.AppendReport(nil, at(ms+21), 0); len(b) > 0 {
						p := parse(t, b)
						if lying {
							c.lie(&p)
						}
						s.Feedback(&p, at(ms+21))
					}
				}
				if got := s.Target(); got > 1_700_000 || got < 60_000 {
					t.Fatalf("target %d at %d ms", got, ms)
				}
			}
			if got := s.Target(); got < 900_000 {
				t.Errorf("target %d after 30 s of honesty", got)
			}
		})
	}
}

func TestFeedbackPacketRefusesOtherBytes(t *testing.T) {
	s := newSender(t, Config{})
	r := NewReceiver(1)
	r.Received(7, 1, at(0))
	r.Received(7, 4, at(0))
	b := r.AppendReport(nil, at(10), 0)
	if err := s.FeedbackPacket(b, at(20)); err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if err := s.FeedbackPacket(b[:n], at(20)); !errors.Is(err, ErrNotFeedback) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	pli, err := (&rtcp.PictureLossIndication{MediaSSRC: 7}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	nack, err := (&rtcp.TransportLayerNack{MediaSSRC: 7, Nacks: []rtcp.NackPair{{PacketID: 1}}}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range [][]byte{pli, nack, append(b[:len(b):len(b)], 0, 0, 0, 0)} {
		if err := s.FeedbackPacket(other, at(20)); !errors.Is(err, ErrNotFeedback) {
			t.Errorf("%x: %v", other, err)
		}
	}
}

func FuzzFeedbackPacket(f *testing.F) {
	r := NewReceiver(1)
	for i := range 40 {
		if i%7 != 0 {
			r.Received(7, uint16(65_530+i), at(10*i))
		}
	}
	f.Add(r.AppendReport(nil, at(500), 0), uint32(0))
	r.Received(8, 1, at(510))
	r.Received(7, 60, at(520))
	f.Add(r.AppendReport(nil, at(600), 0), uint32(100))
	for _, p := range []rtcp.Packet{report(time.Second, 0, "r.r.r"), report(time.Hour, 65_535, "rr"), &rtcp.CCFeedbackReport{}, report(0, 7, ""), &rtcp.PictureLossIndication{}} {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint32(1<<31))
	}
	f.Add([]byte{0x8b, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0xff, 0xff, 0, 0, 0, 0}, uint32(5))
	f.Add([]byte{}, uint32(0))
	f.Fuzz(func(t *testing.T, b []byte, ms uint32) {
		s := newSender(t, Config{Max: 10_000_000})
		for i := range 60 {
			s.Sent(7, uint16(65_530+i), 1000, at(10*i))
		}
		for i := range 3 {
			if err := s.FeedbackPacket(b, at(int(ms)+i)); err != nil && !errors.Is(err, ErrNotFeedback) {
				t.Fatal(err)
			}
			s.Sent(7, uint16(100+i), 1000, at(int(ms)+10*i))
		}
		if target := s.Target(); target < 60_000 || target > 1_500_000 {
			t.Fatalf("target %d", target)
		}
		if loss := s.Loss(); !(loss >= 0 && loss <= 1) {
			t.Fatalf("loss %v", loss)
		}
		if s.RTT() < 0 {
			t.Fatalf("RTT %v", s.RTT())
		}
	})
}
