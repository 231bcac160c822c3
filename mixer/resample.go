package mixer

import (
	"errors"
	"fmt"
	"math"
)

// ErrConfig is wrapped by the errors of [NewResampler].
var ErrConfig = errors.New("mixer: bad configuration")

// A Resampler changes the sampling rate of a stream: a polyphase filter whose
// pass band is flat to 0.1 dB up to 84 % of the lower rate's Nyquist
// frequency, and which holds down by 70 dB what lies above that frequency
// itself. One goroutine at a time.
type Resampler struct {
	channels int
	up, down int // reduced: to/from
	taps     int // per phase
	coef     []float32

	hist  []float32 // planar: for each channel taps-1 old samples and a chunk
	plane int
	at    int // next output: its newest input sample in the plane
	phase int
}

const (
	resampleChunk = 480 // samples taken in at a time
	resamplePass  = 0.84
	resampleStop  = 74 // dB aimed at
)

// NewResampler returns a resampler from one rate to another, each 8000 to
// 48000 Hz, of 1 or 2 interleaved channels. Errors wrap ErrConfig.
func NewResampler(from, to, channels int) (*Resampler, error) {
	if from < 8000 || from > 48000 || to < 8000 || to > 48000 {
		return nil, fmt.Errorf("%w: %d Hz to %d Hz is not within 8000 to 48000", ErrConfig, from, to)
	}
	if channels != 1 && channels != 2 {
		return nil, fmt.Errorf("%w: %d channels", ErrConfig, channels)
	}
	g := gcd(from, to)
	r := &Resampler{channels: channels, up: to / g, down: from / g}
	if r.up > 1000 || r.down > 1000 {
		return nil, fmt.Errorf("%w: %d Hz to %d Hz is no simple ratio", ErrConfig, from, to)
	}
	if from != to {
		r.design(from, to)
	}
	r.plane = r.taps - 1 + resampleChunk
	if r.taps > 0 {
		r.hist = make([]float32, r.plane*channels)
	}
	r.Reset()
	return r, nil
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// design makes the filter: a sinc under a Kaiser window.
func (r *Resampler) design(from, to int) {
	low := float64(min(from, to)) / 2
	pass, stop := low*resamplePass, low
	beta := 0.1102 * (resampleStop - 8.7)
	r.taps = int(math.Ceil((resampleStop-7.95)/(14.36*(stop-pass)/float64(from)))) + 1
	r.taps = (r.taps + 3) &^ 3
	n := r.taps * r.up
	fc := (pass + stop) / 2 / (float64(from) * float64(r.up)) // cycles per step
	r.coef = make([]float32, n)
	mid := float64(n-1) / 2
	i0 := bessel(beta)
	h := make([]float64, n)
	for i := range h {
		x := float64(i) - mid
		s := 2 * fc
		if x != 0 {
			s = math.Sin(2*math.Pi*fc*x) / (math.Pi * x)
		}
		q := x / (mid + 1)
		h[i] = s * bessel(beta*math.Sqrt(1-q*q)) / i0
	}
	for p := range r.up {
		var sum float64
		for k := range r.taps {
			sum += h[p+k*r.up]
		}
		// Reversed, so that the dot product runs forwards through the input.
		for k := range r.taps {
			r.coef[p*r.taps+r.taps-1-k] = float32(h[p+k*r.up] / sum)
		}
	}
}

// bessel is the modified Bessel function of the first kind and order 0.
func bessel(x float64) float64 {
	sum, term := 1.0, 1.0
	for k := 1.0; term > sum*1e-12; k++ {
		term *= (x / 2 / k) * (x / 2 / k)
		sum += term
	}
	return sum
}

// Delay is how much later sound comes out than it went in, in samples of the
// input rate.
func (r *Resampler) Delay() float64 {
	if r.taps == 0 {
		return 0
	}
	return float64(r.taps*r.up-1) / 2 / float64(r.up)
}

// Reset forgets the sound so far.
func (r *Resampler) Reset() {
	clear(r.hist)
	r.at, r.phase = max(0, r.taps-1), 0
}

// OutputSamples is the most samples per channel that come of n.
func (r *Resampler) OutputSamples(n int) int { return n*r.up/r.down + 1 }

// Append resamples all of src, whole samples of every channel, appends the
// result to dst and returns it. It keeps what it needs for the next call. With
// room for OutputSamples in dst it does not allocate.
func (r *Resampler) Append(dst, src []int16) []int16 {
	if r.taps == 0 {
		return append(dst, src...)
	}
	for n := len(src) / r.channels; n > 0; {
		k := min(n, resampleChunk)
		for c := range r.channels {
			in := r.hist[c*r.plane+r.taps-1:]
			for i := range k {
				in[i] = float32(src[i*r.channels+c])
			}
		}
		dst = r.chunk(dst, k)
		src = src[k*r.channels:]
		n -= k
	}
	return dst
}

// chunk makes what comes of k new samples, and moves the last ones to the
// front.
func (r *Resampler) chunk(dst []int16, k int) []int16 {
	end := r.taps - 1 + k
	for r.at < end {
		coef := r.coef[r.phase*r.taps : (r.phase+1)*r.taps]
		for c := range r.channels {
			x := r.hist[c*r.plane+r.at-r.taps+1:][:len(coef)]
			dst = append(dst, round16(dot(coef, x)))
		}
		r.phase += r.down
		r.at += r.phase / r.up
		r.phase %= r.up
	}
	r.at -= k
	for c := range r.channels {
		p := r.hist[c*r.plane : (c+1)*r.plane]
		copy(p, p[k:end])
	}
	return dst
}

// dot is four sums at once; the lengths are equal, and multiples of 4.
func dot(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	b = b[:len(a)]
	for i := 0; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	return (s0 + s1) + (s2 + s3)
}

func round16(v float32) int16 {
	if v < 0 {
		return int16(max(-32768, v-0.5))
	}
	return int16(min(32767, v+0.5))
}
