package audio

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// The measure is 1 for the same, falls with noise (of which a fifth is in the
// 5 kHz that it looks at), and is low for something else.
func TestSTOI(t *testing.T) {
	if raceEnabled {
		t.Skip("ten times slower with the race detector, and of one goroutine")
	}
	clean := speech.PCM("alice")[:5*48000]
	if v := STOI(clean, clean); v < 0.9999 {
		t.Errorf("of itself %.4f", v)
	}
	quieter := make([]int16, len(clean))
	for i, v := range clean {
		quieter[i] = v / 2
	}
	if v := STOI(clean, quieter); v < 0.999 {
		t.Errorf("at half the loudness %.4f", v)
	}
	r := rand.New(rand.NewPCG(1, 2))
	level := mixer.Level(clean)
	before := 1.0
	for _, c := range []struct{ snr, least, most float64 }{{20, 0.97, 1}, {10, 0.9, 0.99}, {0, 0.75, 0.93}, {-10, 0.4, 0.75}} {
		amp := 32767 * math.Pow(10, (level-c.snr)/20)
		noisy := make([]int16, len(clean))
		for i, v := range clean {
			noisy[i] = int16(max(-32768, min(32767, float64(v)+amp*r.NormFloat64())))
		}
		v := STOI(clean, noisy)
		t.Logf("white noise %v dB below: %.3f", c.snr, v)
		if v < c.least || v > c.most || v >= before {
			t.Errorf("white noise %v dB below: %.3f, before %.3f", c.snr, v, before)
		}
		before = v
	}
	if v := STOI(clean, speech.PCM("bob")[:5*48000]); v > 0.35 {
		t.Errorf("of other speech %.3f", v)
	}
	if v := STOI(clean, make([]int16, len(clean))); v != 0 {
		t.Errorf("of silence %.3f", v)
	}
}
