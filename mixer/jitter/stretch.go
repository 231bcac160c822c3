package jitter

import "math"

// Cutting and repeating sound without changing its pitch: a piece one or more
// pitch periods long is taken out, or played twice, and the seam is a
// cross-fade of 5 ms between two places that look alike.

// bestLag returns the lag, in samples of lo to hi, at which x looks most like
// itself over the length of a seam, and how alike: 1 is the same. x is
// interleaved and holds at least seam+hi samples per channel.
func bestLag(x []int16, channels, seam, lo, hi int) (lag int, likeness float64) {
	const step = 4
	lag, likeness = lo, -1
	for l := lo; l <= hi; l += step {
		if c := correlation(x, channels, seam, l, step); c > likeness {
			lag, likeness = l, c
		}
	}
	first, last := max(lo, lag-step+1), min(hi, lag+step-1)
	likeness = -1
	for l := first; l <= last; l++ {
		if c := correlation(x, channels, seam, l, 2); c > likeness {
			lag, likeness = l, c
		}
	}
	return lag, likeness
}

// correlation is the normalised correlation of the first seam samples of x
// with those lag later, looking at every step-th sample of the first channel.
func correlation(x []int16, channels, seam, lag, step int) float64 {
	a, b := x[:seam*channels], x[lag*channels:(lag+seam)*channels]
	var ab, aa, bb int64
	for i := 0; i < len(a); i += step * channels {
		u, v := int64(a[i]), int64(b[i])
		ab += u * v
		aa += u * u
		bb += v * v
	}
	if aa == 0 || bb == 0 {
		if aa == bb {
			return 1
		}
		return 0
	}
	return float64(ab) / math.Sqrt(float64(aa)*float64(bb))
}

// crossfade writes to dst the change from one sound to another. All three have
// the same length, and dst may be either of the others.
func crossfade(dst, from, to []int16, channels int) {
	n := len(dst) / channels
	for i := range n {
		w := int32(i*2+1) * 16384 / int32(n) // 0 to 32768
		for c := range channels {
			k := i*channels + c
			dst[k] = int16((int32(from[k])*(32768-w) + int32(to[k])*w) >> 15)
		}
	}
}

// cut takes lag samples out of x and returns what is left, within x.
func cut(x []int16, channels, seam, lag int) []int16 {
	s, l := seam*channels, lag*channels
	crossfade(x[:s], x[:s], x[l:l+s], channels)
	copy(x[s:], x[l+s:])
	return x[:len(x)-l]
}

// repeat plays the first lag samples of x twice and returns the longer sound,
// within x, which must have room for it.
func repeat(x []int16, channels, seam, lag int) []int16 {
	s, l, n := seam*channels, lag*channels, len(x)
	x = x[:n+l]
	copy(x[l:], x[:n]) // x[:l] is still the start; x[l:] is all of the sound again
	// The seam starts at l: it leaves what came after the first lag samples
	// (now at 2l) and joins the start (now at l). They overlap only forwards.
	crossfade(x[l:l+s], x[2*l:2*l+s], x[l:l+s], channels)
	return x
}
