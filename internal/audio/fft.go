package audio

import (
	"math"
	"math/bits"
	"math/cmplx"
)

// fft is the discrete Fourier transform in place, radix 2: len(x) must be a
// power of two. The inverse is not scaled.
//
//go:norace
func fft(x []complex128, inverse bool) {
	n := len(x)
	shift := bits.UintSize - bits.TrailingZeros(uint(n))
	for i := range x {
		if j := int(bits.Reverse(uint(i)) >> shift); i < j {
			x[i], x[j] = x[j], x[i]
		}
	}
	sign := -2 * math.Pi
	if inverse {
		sign = -sign
	}
	w := make([]complex128, n/2)
	for i := range w {
		w[i] = cmplx.Rect(1, sign*float64(i)/float64(n))
	}
	for size := 2; size <= n; size *= 2 {
		half, step := size/2, n/size
		for start := 0; start < n; start += size {
			a, b := x[start:start+half], x[start+half:start+size]
			for i := range a {
				t := b[i] * w[i*step]
				a[i], b[i] = a[i]+t, a[i]-t
			}
		}
	}
}

// correlate returns for each lag k the sum over i of x[k+i]*y[i], for the lags
// at which y is inside x. y must not be longer than x.
//
//go:norace
func correlate(x, y []float64) []float64 {
	n := 1 << bits.Len(uint(len(x)))
	// Both are real: one transform does for the two of them, as the real and
	// the imaginary part.
	z := make([]complex128, n)
	for i, v := range x {
		z[i] = complex(v, 0)
	}
	for i, v := range y {
		z[i] += complex(0, v)
	}
	if n == 1 {
		return []float64{x[0] * y[0]}
	}
	fft(z, false)
	p := make([]complex128, n)
	for i := range p {
		a, b := z[i], cmplx.Conj(z[(n-i)%n])
		p[i] = (a + b) / 2 * cmplx.Conj((a-b)/2i)
	}
	fft(p, true)
	r := make([]float64, len(x)-len(y)+1)
	for i := range r {
		r[i] = real(p[i]) / float64(n)
	}
	return r
}
