package audio

import (
	"math"
	"math/cmplx"

	"github.com/earshotrtc/earshot/mixer"
)

// STOI is how well speech can be understood, 0 to 1, after the measure of Taal,
// Hendriks, Heusdens and Jensen ("An Algorithm for Intelligibility Prediction of
// Time-Frequency Weighted Noisy Speech", IEEE TASLP 2011): how alike the
// envelopes of fifteen third-octave bands from 150 Hz are over stretches of 384
// ms, averaged over all of them in which the clean speech is not silent. Above
// 0.75 or so everything is understood, below 0.5 hardly anything. clean and
// heard are 48 kHz mono, aligned, and of the same length.
//
//go:norace
func STOI(clean, heard []int16) float64 {
	x, y := to10k(clean), to10k(heard)
	x, y = dropSilence(x, y)
	cb, hb := bands(x), bands(y)
	const segment = 30
	limit := 1 + math.Pow(10, 15.0/20)
	var sum float64
	n := 0
	for m := segment; m <= len(cb); m++ {
		for j := range stoiBands {
			var xx, yy float64
			for k := m - segment; k < m; k++ {
				xx += cb[k][j] * cb[k][j]
				yy += hb[k][j] * hb[k][j]
			}
			scale := 0.0
			if yy > 0 {
				scale = math.Sqrt(xx / yy)
			}
			var a, b [segment]float64
			for k := range segment {
				a[k] = cb[m-segment+k][j]
				b[k] = min(hb[m-segment+k][j]*scale, a[k]*limit)
			}
			sum += likeness(a[:], b[:])
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

const (
	stoiFrame = 256 // samples at 10 kHz
	stoiHop   = stoiFrame / 2
	stoiFFT   = 512
	stoiBands = 15
)

//go:norace
func to10k(pcm []int16) []float64 {
	r, err := mixer.NewResampler(48000, 10000, 1)
	if err != nil {
		panic(err) // the rates are constants
	}
	out := r.Append(make([]int16, 0, r.OutputSamples(len(pcm))), pcm)
	x := make([]float64, len(out))
	for i, v := range out {
		x[i] = float64(v)
	}
	return x
}

// hann is the window of a frame.
func hann(i int) float64 { return 0.5 - 0.5*math.Cos(2*math.Pi*float64(i+1)/(stoiFrame+1)) }

// dropSilence takes out the frames in which the clean speech is more than 40 dB
// below its loudest, and puts the others together again.
//
//go:norace
func dropSilence(x, y []float64) (a, b []float64) {
	var energies []float64
	most := 0.0
	for at := 0; at+stoiFrame <= len(x); at += stoiHop {
		e := 0.0
		for i := range stoiFrame {
			v := x[at+i] * hann(i)
			e += v * v
		}
		energies = append(energies, e)
		most = max(most, e)
	}
	var kept []int
	for k, e := range energies {
		if e > most*1e-4 {
			kept = append(kept, k*stoiHop)
		}
	}
	a, b = make([]float64, len(kept)*stoiHop+stoiHop), make([]float64, len(kept)*stoiHop+stoiHop)
	for k, at := range kept {
		for i := range stoiFrame {
			a[k*stoiHop+i] += x[at+i] * hann(i)
			b[k*stoiHop+i] += y[at+i] * hann(i)
		}
	}
	return a, b
}

// bands are the third-octave magnitudes of each frame.
//
//go:norace
func bands(x []float64) (out [][stoiBands]float64) {
	var from, to [stoiBands]int
	for j := range stoiBands {
		centre := 150 * math.Pow(2, float64(j)/3)
		from[j] = int(math.Round(centre * math.Pow(2, -1.0/6) * stoiFFT / 10000))
		to[j] = int(math.Round(centre * math.Pow(2, 1.0/6) * stoiFFT / 10000))
	}
	buf := make([]complex128, stoiFFT)
	for at := 0; at+stoiFrame <= len(x); at += stoiHop {
		clear(buf)
		for i := range stoiFrame {
			buf[i] = complex(x[at+i]*hann(i), 0)
		}
		fft(buf, false)
		var f [stoiBands]float64
		for j := range stoiBands {
			for k := from[j]; k < to[j]; k++ {
				f[j] += real(buf[k] * cmplx.Conj(buf[k]))
			}
			f[j] = math.Sqrt(f[j])
		}
		out = append(out, f)
	}
	return out
}

// likeness is the correlation of two series about their means.
//
//go:norace
func likeness(a, b []float64) float64 {
	var ma, mb float64
	for i := range a {
		ma += a[i] / float64(len(a))
		mb += b[i] / float64(len(a))
	}
	var ab, aa, bb float64
	for i := range a {
		ab += (a[i] - ma) * (b[i] - mb)
		aa += (a[i] - ma) * (a[i] - ma)
		bb += (b[i] - mb) * (b[i] - mb)
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
