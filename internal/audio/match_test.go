package audio

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/internal/speech"
)

// The transform agrees with the sum written out.
func TestCorrelate(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range [][2]int{{1, 1}, {2, 1}, {5, 5}, {64, 7}, {1000, 333}} {
		x, y := make([]float64, size[0]), make([]float64, size[1])
		for i := range x {
			x[i] = rng.NormFloat64()
		}
		for i := range y {
			y[i] = rng.NormFloat64()
		}
		got := correlate(x, y)
		if len(got) != len(x)-len(y)+1 {
			t.Fatalf("%v: %d lags", size, len(got))
		}
		for k, g := range got {
			var want float64
			for i, v := range y {
				want += x[k+i] * v
			}
			if math.Abs(g-want) > 1e-9*float64(len(y)+1) {
				t.Fatalf("%v: lag %d is %v, want %v", size, k, g, want)
			}
		}
	}
}

func TestFind(t *testing.T) {
	pcm := speech.PCM("alice")
	sound := pcm[Rate : 2*Rate]
	for _, at := range []int{0, 1, 777, len(sound) - 960} {
		needle := make([]int16, 960)
		for i := range needle { // quieter, and with an offset in time
			needle[i] = sound[at+i] / 3
		}
		got, c := Find(sound, needle)
		if got != at || c < 0.99 {
			t.Errorf("found at %d by %.3f, want %d", got, c, at)
		}
	}
	_, c := Find(sound, speech.PCM("bob")[Rate:Rate+4800])
	if c > 0.7 {
		t.Errorf("bob is found in alice by %.2f", c)
	}
	for name, in := range map[string][2][]int16{
		"no needle":     {sound, nil},
		"long needle":   {sound[:10], sound[:11]},
		"silent needle": {sound, make([]int16, 100)},
		"silent sound":  {make([]int16, 100), sound[:50]},
	} {
		if at, c := Find(in[0], in[1]); at != 0 || c != 0 {
			t.Errorf("%s: at %d by %v", name, at, c)
		}
	}
}

func TestSimilarity(t *testing.T) {
	said := speech.PCM("alice")[:4*Rate]
	delayed := func(ms int) []int16 {
		return append(make([]int16, ms*48), said...)
	}
	cut := append(delayed(40)[:2*Rate:2*Rate], delayed(40)[2*Rate+480:]...) // 10 ms dropped
	noisy := delayed(40)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range noisy {
		noisy[i] += int16(max(-4, min(4, rng.NormFloat64())) * 6000)
	}
	for _, c := range []struct {
		name       string
		heard      []int16
		least      float64
		most       float64
		wantDelay  time.Duration
		anyDelayOK bool
	}{
		{"the same", said, 0.999, 1, 0, false},
		{"later", delayed(40), 0.999, 1, 40 * time.Millisecond, false},
		{"earlier", said[4800:], 0.999, 1, -100 * time.Millisecond, false},
		{"some of it dropped", cut, 0.97, 1, 30 * time.Millisecond, true},
		{"in noise", noisy, 0.3, 0.9, 40 * time.Millisecond, false},
		{"another voice", speech.PCM("bob")[:4*Rate], 0, 0.5, 0, true},
		{"silence", make([]int16, Rate), 0, 0, 0, true},
		{"nothing", nil, 0, 0, 0, true},
	} {
		got, delay := Similarity(c.heard, said)
		if got < c.least || got > c.most+1e-9 {
			t.Errorf("%s: correlation %.3f, want %.3f to %.3f", c.name, got, c.least, c.most)
		}
		if off := (delay - c.wantDelay).Abs(); off > 125*time.Microsecond && !c.anyDelayOK {
			t.Errorf("%s: delay %v, want %v", c.name, delay, c.wantDelay)
		}
	}
}
