package pionopus

import (
	"math"
	"testing"
)

func sine(rate, channels int, hz float64, from, samples int) []int16 {
	pcm := make([]int16, samples*channels)
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(from+i/channels)/float64(rate)))
	}
	return pcm
}

func power(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return sum / float64(len(pcm))
}

// What has a pitch goes on with it, in phase, at every rate.
func TestConcealmentFollowsThePitch(t *testing.T) {
	for _, rate := range []int{8000, 12000, 16000, 24000, 48000} {
		for _, hz := range []float64{80, 125, 217, 350} {
			for _, channels := range []int{1, 2} {
				c := newConcealer(rate, channels)
				c.good(sine(rate, channels, hz, 0, rate/10))
				got := make([]int16, rate/100*channels)
				c.conceal(got)
				want := sine(rate, channels, hz, rate/10, rate/100)
				var diff float64
				for i := range got {
					d := float64(got[i]) - float64(want[i])
					diff += d * d
				}
				if snr := 10 * math.Log10(power(want)*float64(len(want))/(diff+1)); snr < 10 {
					t.Errorf("%d Hz, %d channels: a tone of %.0f Hz goes on with an SNR of %.1f dB, want 10", rate, channels, hz, snr)
				}
			}
		}
	}
}

// Concealment is never louder than the last 20 ms, whatever they hold: here a
// burst that ends before them, so that the loudest period lies outside.
func TestConcealmentIsNotLouder(t *testing.T) {
	const rate = 48000
	for _, tc := range []struct {
		name string
		at   func(i int) float64
	}{
		{"pulses", func(i int) float64 { return 20000 * math.Exp(-float64(i%700)/40) }},
		{"decay", func(i int) float64 {
			return 20000 * math.Exp(-float64(i)/900) * math.Sin(2*math.Pi*float64(i)/300)
		}},
		{"rise", func(i int) float64 { return 6 * float64(i) * math.Sin(2*math.Pi*float64(i)/180) }},
		{"noise", func(i int) float64 { return float64(i*7919%4001 - 2000) }},
		{"silence", func(i int) float64 { return 0 }},
	} {
		for cut := 2000; cut < 4000; cut += 37 {
			pcm := make([]int16, cut)
			for i := range pcm {
				pcm[i] = int16(tc.at(i))
			}
			c := newConcealer(rate, 1)
			c.good(pcm)
			heard := power(pcm[len(pcm)-960:])
			lost := make([]int16, 960)
			for range 5 {
				c.conceal(lost)
				if got := power(lost); got > heard*1.1+1 { // 0.4 dB
					t.Errorf("%s cut at %d: level %.0f after %.0f", tc.name, cut, math.Sqrt(got), math.Sqrt(heard))
				}
			}
			if power(lost) > 0 {
				t.Errorf("%s: not silent after 80 ms", tc.name)
			}
		}
	}
}

// Many short concealments are one long one.
func TestConcealmentInPieces(t *testing.T) {
	heard := sine(48000, 2, 180, 0, 4800)
	a, b := newConcealer(48000, 2), newConcealer(48000, 2)
	a.good(heard)
	b.good(heard)
	whole, pieces := make([]int16, 5760*2), make([]int16, 5760*2)
	a.conceal(whole)
	for i := 0; i < len(pieces); i += 240 {
		b.conceal(pieces[i : i+240])
	}
	for i := range whole {
		if whole[i] != pieces[i] {
			t.Fatalf("they differ at value %d: %d and %d", i, whole[i], pieces[i])
		}
	}
}

// Sound that comes back out of phase is faded in.
func TestReturnWithoutAClick(t *testing.T) {
	c := newConcealer(48000, 1)
	c.good(sine(48000, 1, 200, 0, 4800))
	lost := make([]int16, 960)
	c.conceal(lost)
	back := sine(48000, 1, 200, 4800+960+120, 960) // half a period late
	step := int(back[0]) - int(lost[959])
	c.good(back)
	if got := int(back[0]) - int(lost[959]); math.Abs(float64(got)) > 400 {
		t.Errorf("a step of %d where sound comes back (without a fade %d)", got, step)
	}
	if want := sine(48000, 1, 200, 4800+960+120, 960); back[959] != want[959] || back[300] != want[300] {
		t.Error("the fade is longer than 5 ms")
	}
}
