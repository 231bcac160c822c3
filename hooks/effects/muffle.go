package effects

import (
	"math"
	"sync/atomic"
)

// A Muffle is a wall between talker and receiver: the more of it, the duller and
// quieter the voice. How much may change while it runs, without a click. Its zero
// value lets all pass as it is.
type Muffle struct {
	amount atomic.Uint64 // float64 bits
	now    float64
	low    [2]svf
}

const (
	muffleOpen  = 16000.0 // Hz, with the least of it
	muffleShut  = 250.0   // and with 1
	muffleQuiet = 12.0    // dB, with 1
	muffleStep  = 32      // samples between changes of the filters
	muffleTime  = 0.04    // seconds
)

// SetAmount says how much is in between, from 0, nothing, to 1, a thick wall;
// about 0.5 is a door. What is beyond is the nearest, and no number is 0. It is
// reached within about 100 ms. Any goroutine may call it.
func (m *Muffle) SetAmount(amount float64) {
	if !(amount > 0) {
		amount = 0
	}
	m.amount.Store(math.Float64bits(min(amount, 1)))
}

// Process is a hooks.PCMHook.
func (m *Muffle) Process(pcm []int16) {
	goal := math.Float64frombits(m.amount.Load())
	if goal == 0 && m.now == 0 {
		return
	}
	follow := 1 - math.Exp(-muffleStep/(muffleTime*rate))
	for len(pcm) > 0 {
		n := min(muffleStep, len(pcm))
		from := m.now
		m.now += follow * (goal - m.now)
		if goal == 0 && m.now < 1e-3 {
			m.now = 0
		}
		m.step(pcm[:n], from)
		pcm = pcm[n:]
	}
	if m.now == 0 {
		for i := range m.low {
			m.low[i].reset()
		}
	}
}

// step goes from one amount to the present one.
func (m *Muffle) step(pcm []int16, from float64) {
	hz := muffleOpen * math.Pow(muffleShut/muffleOpen, m.now)
	for i := range m.low {
		m.low[i].tune(hz, 0.707)
	}
	wet, quiet := muffleMix(from)
	toWet, toQuiet := muffleMix(m.now)
	dw, dq := (toWet-wet)/float64(len(pcm)), (toQuiet-quiet)/float64(len(pcm))
	for i, v := range pcm {
		x := float64(v) / 32768
		y, _ := m.low[0].next(x)
		y, _ = m.low[1].next(y)
		wet += dw
		quiet += dq
		pcm[i] = sample((x + (y-x)*wet) * quiet)
	}
}

// muffleMix is how much of the filtered sound is heard, and how loud. The first
// tenth fades the filters in, so that none of it is exactly none.
func muffleMix(amount float64) (wet, gain float64) {
	return min(1, 10*amount), math.Pow(10, -muffleQuiet*amount/20)
}
