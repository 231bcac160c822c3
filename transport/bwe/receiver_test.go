package bwe

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"
)

// at is a time in milliseconds of a test's clock.
func at(ms int) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(ms) * time.Millisecond)
}

func parse(t testing.TB, b []byte) rtcp.CCFeedbackReport {
	t.Helper()
	packets, err := rtcp.Unmarshal(b)
	if err != nil || len(packets) != 1 {
		t.Fatalf("%d packets, %v: %x", len(packets), err, b)
	}
	report, ok := packets[0].(*rtcp.CCFeedbackReport)
	if !ok {
		t.Fatalf("%T", packets[0])
	}
	return *report
}

// shown is a block as text: r received, . not.
func shown(b rtcp.CCFeedbackReportBlock) string {
	s := make([]byte, len(b.MetricBlocks))
	for i, m := range b.MetricBlocks {
		s[i] = '.'
		if m.Received {
			s[i] = 'r'
		}
	}
	return string(s)
}

func TestReport(t *testing.T) {
	type packet struct {
		seq uint16
		ms  int
	}
	type want struct {
		begin uint16
		what  string
	}
	for _, c := range []struct {
		name    string
		packets [][]packet // per report
		reports []want
	}{
		{"in order", [][]packet{{{10, 0}, {11, 5}}, {{12, 30}}, {{13, 60}}}, []want{{10, "rr"}, {10, "rrr"}, {12, "rr"}}},
		{"nothing new", [][]packet{{{10, 0}}, {}, {{11, 60}}}, []want{{10, "r"}, {}, {10, "rr"}}},
		{"lost", [][]packet{{{10, 0}, {12, 1}}, {{15, 30}}}, []want{{10, "r.r"}, {10, "r.r..r"}}},
		{"late", [][]packet{{{10, 0}, {12, 1}}, {{13, 30}}, {{14, 60}}, {{11, 61}}}, []want{{10, "r.r"}, {10, "r.rr"}, {13, "rr"}, {11, "rrrr"}}},
		{"twice", [][]packet{{{10, 0}}, {{10, 30}}, {{11, 31}}}, []want{{10, "r"}, {}, {10, "rr"}}},
		{"wraps", [][]packet{{{65535, 0}, {1, 1}}}, []want{{65535, "r.r"}}},
		{"before the first", [][]packet{{{10, 0}, {9, 1}}}, []want{{9, "rr"}}},
		{"jumps", [][]packet{{{10, 0}, {9000, 1}}, {{8999, 2}}}, []want{{9000, "r"}, {8999, "rr"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReceiver(99)
			for i, packets := range c.packets {
				for _, p := range packets {
					r.Received(7, p.seq, at(p.ms))
				}
				b := r.AppendReport(nil, at(30*(i+1)), 0)
				if c.reports[i].what == "" {
					if len(b) != 0 {
						t.Errorf("report %d: %x, want none", i, b)
					}
					continue
				}
				report := parse(t, b)
				if report.SenderSSRC != 99 || len(report.ReportBlocks) != 1 || report.ReportBlocks[0].MediaSSRC != 7 {
					t.Fatalf("report %d: %+v", i, report)
				}
				if got := report.ReportBlocks[0]; got.BeginSequence != c.reports[i].begin || shown(got) != c.reports[i].what {
					t.Errorf("report %d: %d %s, want %v", i, got.BeginSequence, shown(got), c.reports[i])
				}
			}
		})
	}
}

func TestReportTimes(t *testing.T) {
	r := NewReceiver(0)
	r.Received(7, 1, at(0))
	r.Received(7, 2, at(500))
	r.Received(7, 3, at(9999))
	report := parse(t, r.AppendReport(nil, at(10_000), 0))
	for i, want := range []uint16{noArrivalTime, noArrivalTime, 1} {
		if got := report.ReportBlocks[0].MetricBlocks[i].ArrivalTimeOffset; got != want {
			t.Errorf("packet %d: offset %#x, want %#x", i, got, want)
		}
	}
	r.Received(7, 4, at(12_000))
	report = parse(t, r.AppendReport(nil, at(11_900), 0))
	if got := report.ReportBlocks[0].MetricBlocks[3].ArrivalTimeOffset; got != noArrivalTime+1 {
		t.Errorf("a packet after the report has offset %#x", got)
	}
	r.Received(7, 5, at(12_500))
	later := parse(t, r.AppendReport(nil, at(12_900), 0))
	if got := later.ReportTimestamp - report.ReportTimestamp; got != 65536 {
		t.Errorf("a second is %d", got)
	}
	if want := uint32((at(12_900).Unix() + 2208988800) & 0xffff); later.ReportTimestamp>>16 != want {
		t.Errorf("NTP seconds %d, want %d", later.ReportTimestamp>>16, want)
	}
}

// What does not fit comes later, and all streams have their turn.
func TestReportSize(t *testing.T) {
	r := NewReceiver(0)
	for ssrc := range uint32(5) {
		for seq := range uint16(100) {
			r.Received(ssrc, seq, at(int(seq)))
		}
	}
	told := map[[2]uint32]bool{}
	for range 100 {
		b := r.AppendReport(nil, at(200), 150)
		if len(b) == 0 {
			break
		}
		if len(b) > 150 {
			t.Fatalf("%d bytes", len(b))
		}
		for _, block := range parse(t, b).ReportBlocks {
			for i := range block.MetricBlocks {
				told[[2]uint32{block.MediaSSRC, uint32(block.BeginSequence) + uint32(i)}] = true
			}
		}
	}
	if len(told) != 500 {
		t.Errorf("%d packets told of 500", len(told))
	}
	r.Received(1, 200, at(300))
	for _, size := range []int{-1, 1, 20, 23} {
		b := r.AppendReport([]byte("head"), at(300), size)
		if size > 0 && string(b) != "head" {
			t.Errorf("%d bytes in %d", len(b)-4, size)
		}
		if size < 0 && len(b) == 4 {
			t.Error("nothing by default")
		}
		if size < 0 {
			r.Received(1, 201, at(301))
		}
	}
}

// A flood of streams takes no more memory than maxStreams of them, and leaves
// those that are in use.
func TestReceiverIsBounded(t *testing.T) {
	r := NewReceiver(0)
	for ssrc := range uint32(1000) {
		r.Received(1<<31, uint16(ssrc), at(int(ssrc)))
		r.Received(ssrc, uint16(ssrc*77), at(int(ssrc)))
	}
	if len(r.streams) != maxStreams {
		t.Errorf("%d streams", len(r.streams))
	}
	found := false
	for _, block := range parse(t, r.AppendReport(nil, at(1001), 2000)).ReportBlocks {
		found = found || block.MediaSSRC == 1<<31
	}
	if !found {
		t.Error("the stream in use is gone")
	}
}

// Every packet that arrives is reported as received, with the time it had,
// unless it is older than the window.
func TestReportsAreTrue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := NewReceiver(0)
		arrived, told := map[uint16]int{}, map[uint16]bool{}
		ms, seq := 0, uint16(rapid.IntRange(0, 65535).Draw(t, "first"))
		r.Received(7, seq, at(ms))
		arrived[seq] = ms
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			ms += rapid.IntRange(1, 30).Draw(t, "ms")
			if rapid.Bool().Draw(t, "report") {
				b := r.AppendReport(nil, at(ms), rapid.IntRange(60, 400).Draw(t, "size"))
				if len(b) == 0 {
					continue
				}
				var report rtcp.CCFeedbackReport
				if err := report.Unmarshal(b); err != nil {
					t.Fatal(err)
				}
				for _, block := range report.ReportBlocks {
					for i, m := range block.MetricBlocks {
						n := block.BeginSequence + uint16(i)
						came, ok := arrived[n]
						if ok != m.Received {
							t.Fatalf("%d: received %v, reported %v", n, ok, m.Received)
						}
						if ok {
							told[n] = true
							if want := (ms - came) * 1024 / 1000; int(m.ArrivalTimeOffset) != want {
								t.Fatalf("%d: offset %d, want %d", n, m.ArrivalTimeOffset, want)
							}
						}
					}
				}
				continue
			}
			n := seq + uint16(rapid.IntRange(-5, 8).Draw(t, "step"))
			if int16(n-seq) > 0 {
				seq = n
			}
			if _, again := arrived[n]; !again {
				arrived[n] = ms
			}
			r.Received(7, n, at(ms))
		}
		for range 50 {
			b := r.AppendReport(nil, at(ms), 0)
			if len(b) == 0 {
				break
			}
			var report rtcp.CCFeedbackReport
			if err := report.Unmarshal(b); err != nil {
				t.Fatal(err)
			}
			for _, block := range report.ReportBlocks {
				for i := range block.MetricBlocks {
					told[block.BeginSequence+uint16(i)] = true
				}
			}
		}
		for n := range arrived {
			if !told[n] {
				t.Fatalf("%d was never reported", n)
			}
		}
	})
}
