package engine

import (
	"context"
	"math"
	"testing"

	"github.com/earshotrtc/earshot/mixer"
)

// hum is a microphone of some rate that hears 440 Hz.
type hum struct {
	rate, n, reads int
}

func (h *hum) ReadPCM(_ context.Context, pcm []int16) error {
	for i := range pcm {
		pcm[i] = int16(10000 * math.Sin(2*math.Pi*440*float64(h.n)/float64(h.rate)))
		h.n++
	}
	h.reads++
	return nil
}

// A microphone of any rate gives the same tone, at the pace of its own samples,
// in frames and in pieces of them.
func TestMicrophoneRates(t *testing.T) {
	for _, rate := range []int{8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000} {
		h := &hum{rate: rate}
		src, err := resampled(h, rate)
		if err != nil {
			t.Fatal(err)
		}
		var all []int16
		frame := make([]int16, 960)
		for i := range 100 {
			n := 960
			if i%10 == 9 {
				n = 437
			}
			if err := src.ReadPCM(t.Context(), frame[:n]); err != nil {
				t.Fatal(err)
			}
			all = append(all, frame[:n]...)
		}
		if ahead := float64(h.n)/float64(rate) - float64(len(all))/48000; ahead < -1e-3 || ahead > 2e-3 {
			t.Errorf("%d Hz: %.1f ms were read ahead", rate, ahead*1000)
		}
		if l := mixer.Level(all[4800:]); math.Abs(l+13.32) > 0.2 {
			t.Errorf("%d Hz: the tone is at %.2f dBov", rate, l)
		}
		rising := 0
		for i := 4801; i < len(all); i++ {
			if all[i-1] < 0 && all[i] >= 0 {
				rising++
			}
		}
		if want := 440 * float64(len(all)-4800) / 48000; math.Abs(float64(rising)-want) > 2 {
			t.Errorf("%d Hz: %d periods, want %.0f", rate, rising, want)
		}
	}
	for _, rate := range []int{0, 7999, 48001, -1} {
		if _, err := resampled(&hum{}, rate); err == nil {
			t.Errorf("%d Hz: no error", rate)
		}
	}
}
