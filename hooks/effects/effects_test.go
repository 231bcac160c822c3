package effects_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/effects"
)

const rate = 48000

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func all() map[string]hooks.PCMHook {
	wall := &effects.Muffle{}
	wall.SetAmount(0.6)
	return map[string]hooks.PCMHook{
		"radio":  must(effects.NewRadio(effects.RadioConfig{})).Process,
		"muffle": wall.Process,
		"cave":   must(effects.NewCave(effects.CaveConfig{})).Process,
		"pitch":  must(effects.NewPitch(0.7)).Process,
	}
}

// sine is so many samples of a tone; amplitude 1 is full scale.
func sine(hz, amplitude float64, n int) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(32767 * amplitude * math.Sin(2*math.Pi*hz*float64(i)/rate))
	}
	return pcm
}

// in20 runs a hook over sound in blocks of 20 ms.
func in20(h hooks.PCMHook, pcm []int16) []int16 {
	for at := 0; at < len(pcm); at += 960 {
		h(pcm[at:min(at+960, len(pcm))])
	}
	return pcm
}

// power is how much of a frequency is in the second half of a sound, in dB
// below a full-scale tone (Goertzel).
func power(pcm []int16, hz float64) float64 {
	pcm = pcm[len(pcm)/2:]
	var re, im float64
	for i, v := range pcm {
		w := 0.5 - 0.5*math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		re += w * float64(v) * math.Cos(2*math.Pi*hz*float64(i)/rate)
		im += w * float64(v) * math.Sin(2*math.Pi*hz*float64(i)/rate)
	}
	return 20 * math.Log10(math.Hypot(re, im)/float64(len(pcm))*4/32767+1e-9)
}

func rms(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 20 * math.Log10(math.Sqrt(sum/float64(len(pcm)))/32768+1e-9)
}

func TestRadioBand(t *testing.T) {
	at := func(hz float64) float64 { // a quiet tone of 1 kHz keeps it open
		r := must(effects.NewRadio(effects.RadioConfig{Drive: -1, Noise: -100, Squelch: -100}))
		said := sine(hz, 0.1, rate)
		if hz != 1000 {
			for i, v := range sine(1000, 0.02, rate) {
				said[i] += v
			}
		}
		return power(in20(r.Process, said), hz) - power(sine(hz, 0.1, rate), hz)
	}
	for hz, want := range map[float64][2]float64{
		1000: {-1.5, 0.5}, 2000: {-3, 0.5}, 500: {-3.5, 0.5}, 100: {-60, -30}, 60: {-90, -45}, 8000: {-60, -30}, 15000: {-130, -45},
	} {
		if got := at(hz); got < want[0] || got > want[1] {
			t.Errorf("%v Hz passes with %.1f dB, want %v", hz, got, want)
		}
	}
}

// It evens out how loud the talker is.
func TestRadioCompresses(t *testing.T) {
	at := func(a float64) float64 {
		r := must(effects.NewRadio(effects.RadioConfig{Noise: -100, Squelch: -100}))
		return rms(in20(r.Process, sine(1000, a, rate))[rate/2:])
	}
	if quiet, loud := at(0.06), at(0.6); loud-quiet > 12 || loud-quiet < 0 {
		t.Errorf("20 dB at the microphone are %.1f dB over the radio (%.1f, %.1f)", loud-quiet, quiet, loud)
	}
}

// A transmission ends with a burst of noise, and after that there is nothing.
func TestRadioSquelch(t *testing.T) {
	r := must(effects.NewRadio(effects.RadioConfig{}))
	pcm := append(sine(1000, 0.3, rate/2), make([]int16, rate/2)...)
	in20(r.Process, pcm)
	burst, loudest := -99.0, 0
	for at := rate / 2; at < rate; at += 480 {
		if l := rms(pcm[at : at+480]); l > burst && at > rate/2+rate/10 {
			burst, loudest = l, at-rate/2
		}
	}
	if burst < -30 || burst > -18 || loudest > rate*35/100 {
		t.Errorf("the squelch is %.1f dBov, after %d ms", burst, loudest/48)
	}
	for i, v := range pcm[rate/2+rate*40/100:] {
		if v != 0 {
			t.Fatalf("it is not silent %d ms after the last word", 400+i/48)
		}
	}
	if quiet := in20(must(effects.NewRadio(effects.RadioConfig{})).Process, make([]int16, rate)); rms(quiet) > -150 {
		t.Errorf("it makes a sound of %.1f dBov of none", rms(quiet))
	}
}

func TestMuffleResponse(t *testing.T) {
	at := func(amount, hz float64) float64 {
		m := &effects.Muffle{}
		m.SetAmount(amount)
		return power(in20(m.Process, sine(hz, 0.3, rate)), hz) - power(sine(hz, 0.3, rate), hz)
	}
	for _, tc := range []struct{ amount, hz, least, most float64 }{
		{0, 8000, -0.01, 0.01},
		{1, 100, -13, -11}, {1, 1000, -90, -50}, {1, 4000, -180, -70},
		{0.5, 200, -6.5, -5.5}, {0.5, 8000, -60, -30},
		{0.2, 1000, -3, -2},
		{7, 100, -13, -11}, {math.NaN(), 8000, -0.01, 0.01}, {-1, 8000, -0.01, 0.01},
	} {
		if got := at(tc.amount, tc.hz); got < tc.least || got > tc.most {
			t.Errorf("%v of it: %v Hz passes with %.1f dB, want %v to %v", tc.amount, tc.hz, got, tc.least, tc.most)
		}
	}
}

// None of it changes no sample, also after it was there.
func TestMuffleNone(t *testing.T) {
	m := &effects.Muffle{}
	m.SetAmount(1)
	in20(m.Process, sine(440, 0.5, rate/2))
	m.SetAmount(0)
	in20(m.Process, sine(440, 0.5, rate))
	want := sine(440, 0.5, rate/10)
	for i, v := range in20(m.Process, sine(440, 0.5, rate/10)) {
		if v != want[i] {
			t.Fatalf("sample %d is %d, want %d", i, v, want[i])
		}
	}
}

// Changes are not heard as clicks: a low tone has no steps in it, and nothing
// far above it, however often the amount jumps.
func TestMuffleGlides(t *testing.T) {
	m := &effects.Muffle{}
	pcm := sine(200, 0.5, 2*rate)
	steepest := 0.0
	for at := 0; at < len(pcm); at += 480 {
		m.SetAmount(float64(at / 480 % 2))
		m.Process(pcm[at : at+480])
	}
	for i := 1; i < len(pcm); i++ {
		steepest = max(steepest, math.Abs(float64(pcm[i])-float64(pcm[i-1])))
	}
	if own := 32767 * 0.5 * 2 * math.Pi * 200 / rate; steepest > 1.3*own {
		t.Errorf("a step of %.0f where the tone's own are %.0f", steepest, own)
	}
	for _, hz := range []float64{3000, 5000, 9000, 15000} {
		if p := power(pcm, hz); p > -75 {
			t.Errorf("%.0f dB at %v Hz", p, hz)
		}
	}
}

func TestCaveRings(t *testing.T) {
	tail := func(size float64) float64 {
		c := must(effects.NewCave(effects.CaveConfig{Size: size}))
		pcm := append(sine(500, 0.5, rate/10), make([]int16, rate)...)
		return rms(in20(c.Process, pcm)[rate/2 : rate*6/10])
	}
	if small, large := tail(0.1), tail(1); large < -60 || small > large-10 {
		t.Errorf("after 0.4 s a small one rings with %.0f dBov, a large one with %.0f", small, large)
	}
	c := must(effects.NewCave(effects.CaveConfig{Size: 1}))
	in20(c.Process, sine(500, 1, rate))
	if l := rms(in20(c.Process, make([]int16, 30*rate))[29*rate:]); l > -90 {
		t.Errorf("after half a minute it still rings with %.0f dBov", l)
	}
}

func TestPitch(t *testing.T) {
	for _, ratio := range []float64{0.5, 0.7, 1, 1.25, 2} {
		p := must(effects.NewPitch(ratio))
		pcm := in20(p.Process, sine(400, 0.5, rate))
		best, at := -200.0, 0.0
		for hz := 150.0; hz < 1000; hz += 5 {
			if l := power(pcm, hz); l > best {
				best, at = l, hz
			}
		}
		if math.Abs(at-400*ratio) > 27 || best < -16 { // 25 Hz is the taps' own
			t.Errorf("ratio %v: 400 Hz is %v Hz (%.1f dB)", ratio, at, best)
		}
	}
}

// The loudest sounds there are do not wrap, and silence stays quiet.
func TestSaturation(t *testing.T) {
	for name, h := range all() {
		square := make([]int16, rate)
		for i := range square {
			square[i] = math.MaxInt16
			if i/100%2 == 1 {
				square[i] = math.MinInt16
			}
		}
		in20(h, square)
		// Wrapped samples would show as jumps over the whole range between
		// neighbours, more often than the square's own.
		jumps := 0
		for i := 1; i < len(square); i++ {
			if d := int(square[i]) - int(square[i-1]); d > 60000 || d < -60000 {
				jumps++
			}
		}
		if jumps > rate/100 {
			t.Errorf("%s: %d jumps over the whole range", name, jumps)
		}
		r := rand.New(rand.NewPCG(1, 2))
		noise := make([]int16, rate)
		for i := range noise {
			noise[i] = int16(r.IntN(65536) - 32768)
		}
		in20(h, noise)
	}
}

func TestBlocksOfAnyLength(t *testing.T) {
	for name, whole := range all() {
		parts := all()[name]
		a, b := sine(700, 0.4, 9600), sine(700, 0.4, 9600)
		whole(a)
		whole(nil)
		for at, n := 0, 0; at < len(b); at += n {
			n = min(len(b)-at, 480)
			parts(b[at : at+n])
		}
		for i := range a {
			if d := int(a[i]) - int(b[i]); d > 1 || d < -1 {
				t.Errorf("%s: sample %d is %d in one block and %d in several", name, i, a[i], b[i])
				break
			}
		}
	}
}

func TestConfig(t *testing.T) {
	nan := math.NaN()
	for _, c := range []effects.RadioConfig{{Low: 20}, {High: 20000}, {Low: 900, High: 800}, {Drive: 41}, {Noise: 1}, {Squelch: 3}, {Low: nan}, {Noise: nan}} {
		if _, err := effects.NewRadio(c); !errors.Is(err, effects.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, c := range []effects.CaveConfig{{Size: 2}, {Mix: 2}, {Mix: -1}, {Size: nan}} {
		if _, err := effects.NewCave(c); !errors.Is(err, effects.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, r := range []float64{0, 0.4, 3, nan} {
		if _, err := effects.NewPitch(r); !errors.Is(err, effects.ErrConfig) {
			t.Errorf("ratio %v: %v", r, err)
		}
	}
}

func TestAllocations(t *testing.T) {
	for name, h := range all() {
		pcm := sine(500, 0.5, 960)
		if n := testing.AllocsPerRun(100, func() { h(pcm) }); n != 0 {
			t.Errorf("%s allocates %.1f times a block", name, n)
		}
	}
}

func BenchmarkBlock(b *testing.B) {
	for _, name := range []string{"radio", "muffle", "cave", "pitch"} {
		b.Run(name, func(b *testing.B) {
			h := all()[name]
			said := sine(500, 0.3, 960)
			pcm := make([]int16, 960)
			b.ReportAllocs()
			for b.Loop() {
				copy(pcm, said)
				h(pcm)
			}
		})
	}
}
