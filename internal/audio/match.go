package audio

import (
	"math"
	"time"
)

// Find finds needle in sound: the place where they correlate most, and the
// normalised correlation there, from -1 to 1, which does not depend on how
// loud either is. A needle that is longer than sound, or silent, is at 0 with
// correlation 0. It takes n log n time.
func Find(sound, needle []int16) (at int, correlation float64) {
	return find(floats(sound), floats(needle))
}

//go:norace
func find(x, y []float64) (at int, best float64) {
	if len(y) == 0 || len(y) > len(x) {
		return 0, 0
	}
	var yy, xx float64
	for i, v := range y {
		yy += v * v
		xx += x[i] * x[i]
	}
	if yy == 0 {
		return 0, 0
	}
	// What is quieter than a thousandth of the needle is no place to look: the
	// transform's rounding would decide there.
	floor := yy * 1e-6
	best = math.Inf(-1)
	for k, xy := range correlate(x, y) {
		if k > 0 {
			xx += x[k+len(y)-1]*x[k+len(y)-1] - x[k-1]*x[k-1]
		}
		if xx <= floor {
			continue
		}
		if c := xy / math.Sqrt(xx*yy); c > best {
			at, best = k, c
		}
	}
	if math.IsInf(best, -1) {
		return 0, 0
	}
	return at, max(-1, min(1, best))
}

//go:norace
func floats(pcm []int16) []float64 {
	f := make([]float64, len(pcm))
	for i, v := range pcm {
		f[i] = float64(v)
	}
	return f
}

// Similarity says how alike what was heard is to what was said: the normalised
// correlation of each half second of heard with the place in said where it
// fits best, as a mean weighed by loudness, from 0 to 1. Delay is how much
// later than in said the sound stands in heard, over all, to 1/8 ms; it may be
// negative.
//
// Half seconds, since a jitter buffer may drop or insert some milliseconds in
// between: each is looked for within 100 ms of where delay puts it. Sound above
// 4 kHz does not count.
//
//go:norace
func Similarity(heard, said []int16) (correlation float64, delay time.Duration) {
	const window, around = 4000, 800 // at 8 kHz: 500 and 100 ms
	x, y := decimate(heard), decimate(said)
	if len(x) == 0 || len(y) == 0 {
		return 0, 0
	}
	// The delay, from the first half minute: y inside x with room on both sides.
	head, y0 := x[:min(len(x), 60*window)], y[:min(len(y), 60*window)]
	padded := make([]float64, len(head)+2*len(y0))
	copy(padded[len(y0):], head)
	all := correlate(padded, y0)
	lag := 0
	for k, c := range all {
		if c > all[lag] {
			lag = k
		}
	}
	lag -= len(y0)

	// Silence on both sides: heard may begin before what was said.
	const edge = window + around
	padded = make([]float64, len(y)+2*edge)
	copy(padded[edge:], y)
	var sum, weight float64
	for i := 0; i+window/2 <= len(x); i += window {
		w := x[i:min(i+window, len(x))]
		var energy float64
		for _, v := range w {
			energy += v * v
		}
		if energy == 0 {
			continue
		}
		lo, hi := max(0, i-lag-around+edge), min(len(padded), i-lag+len(w)+around+edge)
		var c float64
		if lo < hi {
			_, c = find(padded[lo:hi], w)
		}
		sum += max(0, c) * energy
		weight += energy
	}
	if weight == 0 {
		return 0, 0
	}
	return sum / weight, time.Duration(lag) * time.Second / 8000
}

// decimate goes from 48 to 8 kHz with a windowed sinc.
//
//go:norace
func decimate(pcm []int16) []float64 {
	const factor, half = 6, 36
	var taps [2*half + 1]float64
	var sum float64
	for i := range taps {
		t := math.Pi * float64(i-half) / factor
		taps[i] = 0.5 + 0.5*math.Cos(math.Pi*float64(i-half)/(half+1))
		if t != 0 {
			taps[i] *= math.Sin(t) / t
		}
		sum += taps[i]
	}
	out := make([]float64, len(pcm)/factor)
	for i := range out {
		var v float64
		at := i*factor - half
		for j, tap := range taps {
			if k := at + j; k >= 0 && k < len(pcm) {
				v += tap * float64(pcm[k])
			}
		}
		out[i] = v / sum
	}
	return out
}
