package mixer

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// amplitude is how much of a frequency is in pcm, whole periods of it,
// relative to full scale.
func amplitude(pcm []int16, hz, rate float64) float64 {
	var re, im float64
	for i, v := range pcm {
		p := 2 * math.Pi * hz * float64(i) / rate
		re += float64(v) * math.Cos(p)
		im += float64(v) * math.Sin(p)
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm)) / 32767
}

func rms(pcm []int16) float64 {
	var s float64
	for _, v := range pcm {
		s += float64(v) * float64(v)
	}
	return math.Sqrt(s/float64(len(pcm))) / 32767
}

func newResampler(t testing.TB, from, to, channels int) *Resampler {
	t.Helper()
	r, err := NewResampler(from, to, channels)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestResamplerResponse measures what the type's comment promises.
func TestResamplerResponse(t *testing.T) {
	var pairs [][2]int
	for _, rate := range []int{8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100} {
		pairs = append(pairs, [2]int{rate, 48000}, [2]int{48000, rate})
	}
	pairs = append(pairs, [2]int{44100, 16000}, [2]int{16000, 44100})
	for _, p := range pairs {
		from, to := p[0], p[1]
		t.Run(fmt.Sprintf("%d-%d", from, to), func(t *testing.T) {
			t.Parallel()
			r := newResampler(t, from, to, 1)
			low := float64(min(from, to)) / 2
			run := func(hz float64) []int16 {
				r.Reset()
				out := r.Append(nil, tone(from/4, hz, float64(from), 0.8))
				return out[len(out)-to/25*4:] // 160 ms, past the start
			}
			ripple := 0.0
			for _, f := range []float64{0.01, 0.1, 0.25, 0.4, 0.55, 0.7, 0.8, 0.84} {
				hz := math.Max(1, math.Floor(f*low/25)) * 25 // whole periods in 160 ms
				out := run(hz)
				a := amplitude(out, hz, float64(to))
				d := math.Abs(20 * math.Log10(a/0.8))
				ripple = max(ripple, d)
				// What is not the tone is images and noise.
				rest := rms(out)*rms(out) - a*a/2
				if rest > 0.8*0.8/2*1e-7 {
					t.Errorf("at %.2f: %.0f dB of other sound", f, 10*math.Log10(rest/(0.8*0.8/2)))
				}
			}
			if ripple > 0.1 {
				t.Errorf("ripple %.3f dB in the pass band", ripple)
			}
			worst := -200.0
			if to < from {
				for _, f := range []float64{1.0, 1.02, 1.1, 1.3, 1.6, 1.9} {
					if f*low < float64(from)/2 {
						worst = max(worst, 20*math.Log10(rms(run(f*low))/(0.8/math.Sqrt2)))
					}
				}
				if worst > -70 {
					t.Errorf("only %.1f dB in the stop band", worst)
				}
			}
			t.Logf("ripple %.4f dB, stop band %.0f dB, delay %.2f ms, %d taps", ripple, worst, r.Delay()*1000/float64(from), r.taps)
		})
	}
}

// TestResamplerStream: how the input is cut into pieces changes nothing, the
// channels do not mix, and no sample is lost.
func TestResamplerStream(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, p := range [][2]int{{16000, 48000}, {48000, 16000}, {44100, 48000}, {48000, 11025}, {48000, 48000}} {
		left, right := tone(p[0]/2, 440, float64(p[0]), 0.5), tone(p[0]/2, 1000, float64(p[0]), 0.7)
		both := make([]int16, 0, 2*len(left))
		for i := range left {
			both = append(both, left[i], right[i])
		}
		wantL, wantR := newResampler(t, p[0], p[1], 1).Append(nil, left), newResampler(t, p[0], p[1], 1).Append(nil, right)
		r := newResampler(t, p[0], p[1], 2)
		var got []int16
		for rest := both; len(rest) > 0; {
			n := min(len(rest)/2, rnd.IntN(1500))
			before := len(got)
			got = r.Append(got, rest[:2*n])
			if made := (len(got) - before) / 2; made > r.OutputSamples(n) {
				t.Fatalf("%v: %d samples of %d, more than the %d promised", p, made, n, r.OutputSamples(n))
			}
			rest = rest[2*n:]
		}
		var gotL, gotR []int16
		for i := 0; i < len(got); i += 2 {
			gotL, gotR = append(gotL, got[i]), append(gotR, got[i+1])
		}
		if !slices.Equal(gotL, wantL) || !slices.Equal(gotR, wantR) {
			t.Errorf("%v: stereo in pieces differs from mono at once", p)
		}
		if n, want := len(gotL), p[1]/2; n < want || n > want+1 {
			t.Errorf("%v: half a second became %d samples, want %d", p, n, want)
		}
	}
}

func TestResamplerFullScale(t *testing.T) {
	square := make([]int16, 16000)
	for i := range square {
		square[i] = 32767
		if i/20%2 == 1 {
			square[i] = -32768
		}
	}
	// The filter overshoots at the edges: that must clip, not wrap.
	out := newResampler(t, 16000, 48000, 1).Append(nil, square)
	for i := 1000; i < len(out); i++ {
		if d := int(out[i]) - int(out[i-1]); d > 40000 || d < -40000 {
			t.Fatalf("a jump of %d at %d", d, i)
		}
	}
}

func TestResamplerErrors(t *testing.T) {
	for _, c := range [][3]int{{0, 48000, 1}, {48000, 96000, 1}, {16000, 48000, 3}, {16000, 48000, 0}, {8001, 48000, 1}} {
		if r, err := NewResampler(c[0], c[1], c[2]); !errors.Is(err, ErrConfig) || r != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func BenchmarkResample(b *testing.B) {
	for _, p := range [][2]int{{16000, 48000}, {44100, 48000}, {48000, 16000}} {
		b.Run(fmt.Sprintf("%d-%d", p[0], p[1]), func(b *testing.B) {
			r := newResampler(b, p[0], p[1], 1)
			in := tone(p[0]/50, 440, float64(p[0]), 0.5)
			out := make([]int16, 0, 2000)
			b.ReportAllocs()
			for b.Loop() {
				out = r.Append(out[:0], in)
			}
		})
	}
}
