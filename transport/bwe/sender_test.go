package bwe

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/pion/rtcp"
)

func TestConfig(t *testing.T) {
	for _, c := range []struct {
		in, want Config
		bad      bool
	}{
		{Config{}, Config{500_000, 60_000, 4_000_000}, false},
		{Config{Initial: 30_000}, Config{30_000, 30_000, 4_000_000}, false},
		{Config{Initial: 9_000_000}, Config{9_000_000, 60_000, 9_000_000}, false},
		{Config{Max: 200_000}, Config{200_000, 60_000, 200_000}, false},
		{Config{Max: 50_000}, Config{50_000, 50_000, 50_000}, false},
		{Config{Min: 900_000}, Config{900_000, 900_000, 4_000_000}, false},
		{Config{Min: 5_000_000}, Config{5_000_000, 5_000_000, 5_000_000}, false},
		{Config{Min: -1}, Config{}, true},
		{Config{Min: 2, Max: 1}, Config{}, true},
		{Config{Initial: 2, Max: 1}, Config{}, true},
		{Config{Initial: 1, Min: 2}, Config{}, true},
	} {
		got, err := c.in.withDefaults()
		if c.bad != errors.Is(err, ErrConfig) || (!c.bad && got != c.want) {
			t.Errorf("%+v: %+v, %v", c.in, got, err)
		}
		if s, err := NewSender(c.in); c.bad != (err != nil) || c.bad != (s == nil) {
			t.Errorf("%+v: %v, %v", c.in, s, err)
		}
	}
}

func newSender(t testing.TB, c Config) *Sender {
	t.Helper()
	s, err := NewSender(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPathCapsTarget(t *testing.T) {
	s := newSender(t, Config{Initial: 1_000_000})
	for _, c := range []struct {
		window uint64
		srtt   time.Duration
		want   int
	}{
		{40_960, 100 * time.Millisecond, 1_000_000}, // 2.6 M
		{11_204, 150 * time.Millisecond, 478_037},
		{2_560, 300 * time.Millisecond, 60_000}, // Min
		{0, 100 * time.Millisecond, 1_000_000},
		{11_204, 0, 1_000_000},
		{11_204, -1, 1_000_000},
		{1 << 63, 1, 1_000_000},
		{1, time.Hour, 60_000},
	} {
		if s.Path(c.window, c.srtt); s.Target() != c.want {
			t.Errorf("%d bytes, %v: %d, want %d", c.window, c.srtt, s.Target(), c.want)
		}
	}
}

// report is one of ssrc 7 from begin on: r received 10 ms before, . not.
func report(at time.Duration, begin uint16, what string) *rtcp.CCFeedbackReport {
	b := rtcp.CCFeedbackReportBlock{MediaSSRC: 7, BeginSequence: begin}
	for _, c := range what {
		b.MetricBlocks = append(b.MetricBlocks, rtcp.CCFeedbackMetricBlock{Received: c == 'r', ArrivalTimeOffset: 10})
	}
	return &rtcp.CCFeedbackReport{ReportTimestamp: uint32(at * 65536 / time.Second), ReportBlocks: []rtcp.CCFeedbackReportBlock{b}}
}

func TestLoss(t *testing.T) {
	for _, c := range []struct {
		name string
		tell func(s *Sender, ms int, seq uint16) // after each ten packets
		want float64
	}{
		{"none", func(s *Sender, ms int, seq uint16) {
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrrrrrrrr"), at(ms))
		}, 0},
		{"a fifth", func(s *Sender, ms int, seq uint16) {
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrr.rrrr."), at(ms))
		}, 0.2},
		{"told twice", func(s *Sender, ms int, seq uint16) {
			for range 2 {
				s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrr.rrrr."), at(ms))
			}
		}, 0.2},
		{"late", func(s *Sender, ms int, seq uint16) {
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrr.rrrr."), at(ms))
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrrrrrrr."), at(ms))
		}, 0.1},
		{"sent again", func(s *Sender, ms int, seq uint16) {
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrr.rrrrr"), at(ms))
			s.Resent(7, seq+4, 1000, at(ms))
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrrrrrrrr"), at(ms))
		}, 0.1},
		{"sent again before a report", func(s *Sender, ms int, seq uint16) {
			s.Resent(7, seq+4, 1000, at(ms))
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrrrrrrrr"), at(ms))
		}, 0.1},
		{"never sent", func(s *Sender, ms int, seq uint16) {
			s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrrrrrrrr"+"....................."), at(ms))
		}, 0},
		{"a report lost", func(s *Sender, ms int, seq uint16) {
			if ms%200 == 100 {
				s.Feedback(report(time.Duration(ms)*time.Millisecond, seq, "rrrr.rrrrr"), at(ms))
			}
		}, 0.1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSender(t, Config{})
			seq := uint16(65_500)
			for ms := 0; ms < 5000; {
				begin := seq
				for range 10 {
					s.Sent(7, seq, 1000, at(ms))
					seq++
					ms += 10
				}
				c.tell(s, ms, begin)
			}
			if got := s.Loss(); got < c.want-0.001 || got > c.want+0.001 {
				t.Errorf("loss %v, want %v", got, c.want)
			}
		})
	}
}

func TestRTT(t *testing.T) {
	s := newSender(t, Config{})
	s.Sent(7, 1, 100, at(0))
	s.Feedback(report(time.Hour, 1, "r"), at(60))
	if got := s.RTT(); got < 50*time.Millisecond || got > 51*time.Millisecond {
		t.Errorf("RTT %v, want 50 ms", got)
	}
}

// Without any report a sender goes down, and only while it sends.
func TestSilence(t *testing.T) {
	s := newSender(t, Config{Initial: 1_000_000})
	for ms := 0; ms <= 3500; ms += 10 {
		s.Sent(7, uint16(ms/10), 1000, at(ms))
	}
	after := s.Target()
	if after < 342_999 || after > 343_000 {
		t.Errorf("%d after 3.5 s without a report", after)
	}
	s.Sent(7, 1000, 1000, at(60_000))
	if got := s.Target(); got != after {
		t.Errorf("%d after a pause", got)
	}
	for ms := 60_000; ms <= 90_000; ms += 10 {
		s.Sent(7, uint16(ms/10), 1000, at(ms))
	}
	if got := s.Target(); got != 60_000 {
		t.Errorf("%d, want the least", got)
	}
}

// The reports' clock wraps every 18 hours, may be set anew, and goes a little
// fast or slow.
func TestReportClock(t *testing.T) {
	for _, c := range []struct {
		name  string
		stamp func(at time.Duration) time.Duration
	}{
		{"wraps", func(at time.Duration) time.Duration { return at - 25*second }},
		{"set forth", func(at time.Duration) time.Duration { return at + at/(20*second)*9000*second }},
		{"set back", func(at time.Duration) time.Duration { return at - at/(20*second)*3000*second }},
		{"fast", func(at time.Duration) time.Duration { return at + at/5000 }},
		{"slow", func(at time.Duration) time.Duration { return at - at/5000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &otherClock{Sender: newSender(t, Config{}), stamp: c.stamp}
			samples := scenario{rate: func(at time.Duration) int {
				if at > 45*second {
					return 600_000
				}
				return 1_500_000
			}, duration: 70 * second, estimator: e}.run(t)
			if f := logFigures(t, c.name, between(samples, 15*second, 45*second)); f.delivered < 1_200_000 || f.queue > 100*time.Millisecond {
				t.Errorf("%+v", f)
			}
			if f := logFigures(t, c.name+", then narrow", between(samples, 50*second, 70*second)); f.delivered < 450_000 || f.queue > 100*time.Millisecond {
				t.Errorf("narrow: %+v", f)
			}
		})
	}
}

// otherClock is a Sender whose reports are stamped by another clock.
type otherClock struct {
	*Sender
	first uint32
	stamp func(at time.Duration) time.Duration
}

func (c *otherClock) FeedbackPacket(b []byte, now time.Time) error {
	stamp := b[len(b)-4:]
	is := binary.BigEndian.Uint32(stamp)
	if c.first == 0 {
		c.first = is
	}
	at := time.Duration(is-c.first) * time.Second / 65536
	binary.BigEndian.PutUint32(stamp, uint32(int64(c.stamp(at)*65536/time.Second)))
	return c.Sender.FeedbackPacket(b, now)
}
