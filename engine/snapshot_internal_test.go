package engine

import (
	"bytes"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// labelled makes a track's room one whose work is labelled, as all rooms of a
// running server are.
func labelled(t *track) {
	next := *t.call.room.route.Load()
	next.labels = newRoomLabels("0123456789abcdef01234567")
	t.call.room.route.Store(&next)
}

// Counting and labelling allocate nothing on the hot path.
func TestCountedForwardingAllocatesNothing(t *testing.T) {
	tr, sinks := fanOut(t, 20)
	labelled(tr)
	pkt := voicePacket(t, 7, bytes.Repeat([]byte{0x78}, 80))
	now := time.Now()
	if n := testing.AllocsPerRun(200, func() { tr.forward(pkt, now) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	packets, n := tr.turn.take()
	if packets != 201 || sinks[0].sent != 201 {
		t.Errorf("%d packets counted, %d sent on", packets, sinks[0].sent)
	}
	if n != 201*(12+8+80) {
		t.Errorf("%d bytes counted", n)
	}
}

// A hook on a mix allocates nothing either, though it runs apart.
func TestProcessorsAllocateNothing(t *testing.T) {
	h := processor(1)[0]
	pcm := make([]int16, 960)
	if n := testing.AllocsPerRun(200, func() { h.process(pcm) }); n > 0.5 { // a late one leaves its goroutine behind
		t.Errorf("%v allocations a block", n)
	}
}

// processor binds hooks to a microphone of a server that mixes.
func processor(n int) []*pcmHook {
	srv := &Server{log: slog.New(slog.DiscardHandler), mixes: true}
	for range n {
		srv.plugins = append(srv.plugins, newPlugin(srv, hooks.Plugin{
			Processor: func(hooks.TrackInfo) hooks.PCMHook { return func(pcm []int16) { pcm[0]++ } },
		}))
	}
	return srv.bindProcessors(hooks.TrackInfo{CallID: "c"})
}

// What hooks on a talker's sound cost a frame of a mix.
func BenchmarkProcessors(b *testing.B) {
	pcm := make([]int16, 960)
	for _, c := range []struct {
		name string
		n    int
	}{{"absent", 0}, {"one", 1}, {"ten", 10}} {
		b.Run(c.name, func(b *testing.B) {
			tr := &track{processors: processor(c.n)}
			process := tr.processor()
			b.ReportAllocs()
			for b.Loop() {
				if process != nil {
					process(pcm)
				}
			}
		})
	}
}

// BenchmarkForwardLabelled is BenchmarkForward in a room as those of a running
// server are, beside what the labels and the counting of one packet take.
func BenchmarkForwardLabelled(b *testing.B) {
	tr, _ := fanOut(b, 50)
	labelled(tr)
	pkt := voicePacket(b, 7, bytes.Repeat([]byte{0x78}, 80))
	now := time.Now()
	b.Run("forward", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			tr.forward(pkt, now)
		}
	})
	b.Run("labels", func(b *testing.B) {
		labels := tr.labels()
		for b.Loop() {
			mark(labels)
		}
	})
	b.Run("counters", func(b *testing.B) {
		for b.Loop() {
			tr.turn.begin()
			tr.arrivals.note(9, 960, now)
			tr.turn.end(100)
		}
	})
}

// The jitter is RFC 3550's, the loss what the numbers show; a sender that starts
// anew is no loss.
func TestArrivals(t *testing.T) {
	var a arrivals
	at := time.Unix(0, 0)
	seq, ts := uint16(65530), uint32(1<<32-1000)
	step := func(late time.Duration, skipped uint16) {
		seq += 1 + skipped
		ts += 960 * uint32(1+skipped)
		at = at.Add(20 * time.Millisecond * time.Duration(1+skipped))
		a.note(seq, ts, at.Add(late))
	}
	for range 100 {
		step(0, 0)
	}
	if n, j := a.read(); n != 0 || j != 0 {
		t.Errorf("even: %d lost, jitter %v", n, j)
	}
	step(0, 9)
	if n, _ := a.read(); n != 9 {
		t.Errorf("after a loss of nine %d are lost", n)
	}
	late := seq - 3
	a.note(late, ts, at)
	if n, _ := a.read(); n != 8 {
		t.Errorf("when one of them has come late %d are lost", n)
	}
	for i := range 200 {
		step(time.Duration(i%2)*10*time.Millisecond, 0)
	}
	if n, j := a.read(); n != 8 || j < 9900*time.Microsecond || j > 10*time.Millisecond {
		t.Errorf("every second 10 ms late: %d lost, jitter %v", n, j)
	}
	seq, ts = 30000, 77
	for range 10 {
		step(0, 0)
	}
	if n, j := a.read(); n != 8 || j > 10*time.Millisecond {
		t.Errorf("started anew: %d lost, jitter %v", n, j)
	}
}

// A value on a bound is in its bucket, one above all is in the last.
func TestHistogram(t *testing.T) {
	var h histogram
	for _, d := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 3 * time.Second} {
		h.observe(rttScale, int64(d))
	}
	out := h.show(rttScale)
	if out.Counts[0] != 2 || out.Counts[1] != 1 || out.Counts[len(out.Counts)-1] != 1 || out.Count() != 4 {
		t.Errorf("%+v", out)
	}
	if len(out.Counts) != len(out.Bounds)+1 || out.Sum < 3.0019 || out.Sum > 3.0021 {
		t.Errorf("%+v", out)
	}
	for _, s := range []*scale{rttScale, jitterScale, lossScale, tickScale, latenessScale, hookScale} {
		if len(s.bounds) > maxBuckets {
			t.Errorf("%d bounds", len(s.bounds))
		}
		for i := range s.bounds[1:] {
			if s.bounds[i] >= s.bounds[i+1] || s.shown[i] >= s.shown[i+1] {
				t.Errorf("bounds do not ascend: %v", s.shown)
			}
		}
	}
}

// A hook on a mix that is not back in time leaves the block as it was, and holds
// the tick up for its budget, once; it is waited for again when it has shown that
// it can be in time.
func TestProcessorIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sleep atomic.Int64
		srv := &Server{log: slog.New(slog.DiscardHandler), mixes: true}
		srv.plugins = append(srv.plugins, newPlugin(srv, hooks.Plugin{Name: "p", Processor: func(hooks.TrackInfo) hooks.PCMHook {
			return func(pcm []int16) {
				time.Sleep(time.Duration(sleep.Load()))
				pcm[0] = 7
			}
		}}))
		h := srv.bindProcessors(hooks.TrackInfo{})[0]
		block := func(nap, wantTime time.Duration, want int16) {
			t.Helper()
			sleep.Store(int64(nap))
			pcm := []int16{1, 2}
			start := time.Now()
			h.process(pcm)
			if took := time.Since(start); took != wantTime || pcm[0] != want {
				t.Errorf("took %v and made %d, want %v and %d", took, pcm[0], wantTime, want)
			}
			time.Sleep(20*time.Millisecond - wantTime)
		}
		block(0, 0, 7)
		block(time.Millisecond/2, time.Millisecond/2, 7)
		block(50*time.Millisecond, time.Millisecond, 1)
		block(0, 0, 1) // it is still away
		block(0, 0, 1)
		block(0, 0, 1) // it is back, and has to show itself
		block(0, 0, 7)
		block(2*time.Millisecond, time.Millisecond, 1)
		for range 2 * maxHookOverruns {
			block(2*time.Millisecond, 0, 1)
		}
		if st := srv.plugins[0].meters[hookProcessor].show("p", hookProcessor); st.TakenOff != 1 || st.Late != 1+maxHookOverruns || st.Running != 0 {
			t.Errorf("%+v", st)
		}
	})
}
