package bwe

import (
	"testing"
	"time"
)

// loop is both ends at 1.1 Mbit/s: a packet every 8 ms, a report every 24.
type loop struct {
	s   *Sender
	r   *Receiver
	now time.Time
	seq uint16
	b   []byte
}

func newLoop(t testing.TB) *loop {
	return &loop{s: newSender(t, Config{}), r: NewReceiver(1), now: at(0), b: make([]byte, 0, 1200)}
}

func (l *loop) packet() {
	l.now = l.now.Add(8 * time.Millisecond)
	l.s.Sent(7, l.seq, 1100, l.now)
	l.r.Received(7, l.seq, l.now.Add(time.Millisecond))
	l.seq++
}

func (l *loop) report() {
	l.b = l.r.AppendReport(l.b[:0], l.now.Add(2*time.Millisecond), 0)
}

func TestPacketsDoNotAllocate(t *testing.T) {
	l := newLoop(t)
	for range 10_000 { // the history has its size
		l.packet()
	}
	if n := testing.AllocsPerRun(1000, func() {
		l.packet()
		l.packet()
		l.report()
	}); n != 0 {
		t.Errorf("%v allocations for two packets and a report", n)
	}
	p := parse(t, l.b)
	if n := testing.AllocsPerRun(1000, func() {
		l.packet()
		p.ReportBlocks[0].BeginSequence = l.seq - uint16(len(p.ReportBlocks[0].MetricBlocks))
		p.ReportTimestamp += 65536 * 8 / 1000
		l.s.Feedback(&p, l.now)
		l.s.Target()
	}); n != 0 {
		t.Errorf("%v allocations for a packet and its feedback", n)
	}
}

// BenchmarkPacket is a packet at both ends, with the third of a report that
// comes with it.
func BenchmarkPacket(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	for b.Loop() {
		l.packet()
		if l.seq%3 == 0 {
			l.report()
			if err := l.s.FeedbackPacket(l.b, l.now.Add(3*time.Millisecond)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkSent is what a packet costs as it leaves.
func BenchmarkSent(b *testing.B) {
	l := newLoop(b)
	b.ReportAllocs()
	for b.Loop() {
		l.now = l.now.Add(2 * time.Millisecond)
		l.s.Sent(7, l.seq, 1100, l.now)
		l.seq++
	}
}

// BenchmarkFeedback is a report of 12 packets, 6 of them new, with half a
// second of packets under way.
func BenchmarkFeedback(b *testing.B) {
	l := newLoop(b)
	for range 250 {
		l.now = l.now.Add(2 * time.Millisecond)
		l.s.Sent(7, l.seq, 1100, l.now)
		l.seq++
	}
	b.ReportAllocs()
	for b.Loop() {
		for range 6 {
			l.now = l.now.Add(2 * time.Millisecond)
			l.s.Sent(7, l.seq, 1100, l.now)
			l.r.Received(7, l.seq-250, l.now)
			l.seq++
		}
		l.report()
		if err := l.s.FeedbackPacket(l.b, l.now); err != nil {
			b.Fatal(err)
		}
	}
}
