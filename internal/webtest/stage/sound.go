package main

import (
	"context"
	"math"
	"sync"
	"time"
)

const rate = 48000

// A tone is a microphone that hears a sine of -18 dBov. It implements
// engine.PCMSource.
type tone struct {
	hz    float64
	n     int
	start time.Time
}

func (t *tone) ReadPCM(ctx context.Context, pcm []int16) error {
	if t.start.IsZero() {
		t.start = time.Now()
	}
	for i := range pcm {
		pcm[i] = int16(0.18 * math.MaxInt16 * math.Sin(2*math.Pi*t.hz*float64(t.n)/rate))
		t.n++
	}
	late := time.Until(t.start.Add(time.Duration(t.n) * time.Second / rate))
	if late < -time.Second { // between calls
		t.start = t.start.Add(-late)
	}
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// An ear keeps the last second of what was heard.
type ear struct {
	mu   sync.Mutex
	pcm  [rate]int16
	next int
}

// add is for audio.Pull's play.
func (e *ear) add(pcm []int16, _ time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range pcm {
		e.pcm[e.next] = s
		e.next = (e.next + 1) % len(e.pcm)
	}
	return nil
}

// heard measures the last ms milliseconds, at most 1000: the RMS, of a full scale
// of 1, and the amplitude at each frequency.
func (e *ear) heard(ms int, hz []float64) (rms float64, at []float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(ms, 1000) * rate / 1000
	x := make([]float64, n)
	sum := 0.0
	for i := range x {
		x[i] = float64(e.pcm[(e.next-n+i+len(e.pcm))%len(e.pcm)]) / math.MaxInt16
		sum += x[i] * x[i]
	}
	for _, f := range hz {
		at = append(at, amplitude(x, f))
	}
	return math.Sqrt(sum / float64(max(1, n))), at
}

// amplitude is that of a sine of f Hz in x, under a Hann window.
func amplitude(x []float64, f float64) float64 {
	re, im := 0.0, 0.0
	for i, v := range x {
		w := 1 - math.Cos(2*math.Pi*float64(i)/float64(len(x)))
		sin, cos := math.Sincos(2 * math.Pi * f * float64(i) / rate)
		re += v * w * cos
		im += v * w * sin
	}
	return 2 * math.Hypot(re, im) / float64(max(1, len(x)))
}
