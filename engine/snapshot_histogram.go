package engine

import (
	"sync/atomic"
	"time"
)

// A Histogram is how often something was how large, since the server began.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, inclusive and ascending. They
	// are always the same, and must not be changed.
	Bounds []float64
	// Counts are how many observations fell into each bucket, and behind them how
	// many were above the last bound: one more than Bounds.
	Counts []uint64
	// Sum of all observations.
	Sum float64
}

// Count is the number of observations.
func (h Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// A scale is the buckets of a histogram: bounds in whole units, and how many of
// those are one of what is shown. Scales are never changed.
type scale struct {
	bounds []int64
	shown  []float64
	unit   float64
}

// maxBuckets is how many bounds a scale may have.
const maxBuckets = 15

// durations are in nanoseconds, and shown in seconds.
func durations(bounds ...time.Duration) *scale {
	s := &scale{unit: 1e9}
	for _, b := range bounds {
		s.bounds, s.shown = append(s.bounds, int64(b)), append(s.shown, b.Seconds())
	}
	return s
}

// shares are in millionths, and shown as parts of 1.
func shares(bounds ...float64) *scale {
	s := &scale{unit: 1e6, shown: bounds}
	for _, b := range bounds {
		s.bounds = append(s.bounds, int64(b*1e6+0.5))
	}
	return s
}

const us, ms = time.Microsecond, time.Millisecond

// The scales of all histograms. Those of RTT and loss have the steps of
// hooks.Quality among their bounds.
var (
	rttScale      = durations(ms, 2*ms, 5*ms, 10*ms, 20*ms, 50*ms, 100*ms, 200*ms, 350*ms, 600*ms, time.Second, 2*time.Second)
	jitterScale   = durations(500*us, ms, 2*ms, 5*ms, 10*ms, 20*ms, 30*ms, 50*ms, 75*ms, 100*ms, 150*ms, 200*ms, 500*ms)
	lossScale     = shares(0, 0.001, 0.003, 0.01, 0.03, 0.06, 0.12, 0.25, 0.5)
	tickScale     = durations(50*us, 100*us, 200*us, 500*us, ms, 2*ms, 5*ms, 10*ms, 20*ms, 50*ms, 100*ms)
	latenessScale = durations(100*us, 500*us, ms, 2*ms, 3*ms, 5*ms, 10*ms, 15*ms, 20*ms, 30*ms, 50*ms, 100*ms, 200*ms)
	hookScale     = durations(us, 5*us, 20*us, 50*us, 100*us, 200*us, 500*us, ms, 2*ms, 5*ms, 10*ms, 50*ms, 200*ms, time.Second, 2*time.Second)
)

// A histogram counts. Any goroutine may observe; nothing allocates or waits.
type histogram struct {
	counts [maxBuckets + 1]atomic.Uint64
	sum    atomic.Int64
}

func (h *histogram) observe(s *scale, v int64) {
	i := 0
	for i < len(s.bounds) && v > s.bounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(v)
}

func (h *histogram) show(s *scale) Histogram {
	out := Histogram{Bounds: s.shown, Counts: make([]uint64, len(s.bounds)+1), Sum: float64(h.sum.Load()) / s.unit}
	for i := range out.Counts {
		out.Counts[i] = h.counts[i].Load()
	}
	return out
}
