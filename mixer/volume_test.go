package mixer_test

import (
	"math"
	"testing"

	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// What an interval of 300 ms of each sound is on the scale of the callbacks:
// that of its loudest 20 ms. A constant offset counts as sound: the level of RFC
// 6465 is the root mean square, whatever it is made of.
func TestVolumeOfSounds(t *testing.T) {
	const n = 15 * 960
	sine := func(amp, offset float64) []int16 {
		out := make([]int16, n)
		for i := range out {
			out[i] = int16(max(-32768, min(32767, amp*math.Sin(2*math.Pi*1000*float64(i)/48000)+offset)))
		}
		return out
	}
	noise := blend(make([]int16, n), white(n), 10) // -30 dBov
	half := append(make([]int16, n/2), sine(3276.7, 0)[:n/2]...)
	for _, c := range []struct {
		name  string
		pcm   []int16
		want  int
		slack int
	}{
		{"silence", make([]int16, n), 0, 0},
		{"a full-scale sine", sine(32767, 0), 100, 0},
		{"a sine at -20 dBFS", sine(3276.7, 0), 65, 0},
		{"the same in half of the time", half, 65, 0},
		{"a sine at -57 dBFS", sine(46.3, 0), 0, 0},
		{"white noise at -30 dBov", noise, 53, 1},
		{"a sine 12 dB over full scale, clipped", sine(4*32767, 0), 100, 0},
		{"only an offset of -20 dBFS", sine(0, 3276.7), 70, 0},
		{"a sine at -20 dBFS with that offset", sine(3276.7, 3276.7), 73, 0},
		{"speech at an active level of -20 dBov", speech.PCM("alice")[96000 : 96000+n], 73, 1},
		{"the same 20 dB quieter", scaled(speech.PCM("alice")[96000:96000+n], -20), 38, 1},
	} {
		var m mixer.Meter
		for i := 0; i < n; i += 960 {
			m.Add("a", mixer.Level(c.pcm[i:i+960]), true)
		}
		got, total := 0, 0
		v, total := m.Take(nil, "")
		if len(v) > 0 {
			got = v[0].Volume
		}
		if got < c.want-c.slack || got > c.want+c.slack || total != got {
			t.Errorf("%s: volume %d, total %d, want %d", c.name, got, total, c.want)
		}
	}
	// DTX and comfort noise tell the meter nothing.
	var m mixer.Meter
	m.Add("a", -20, true)
	m.Take(nil, "")
	if v, total := m.Take(nil, ""); len(v) != 0 || total != 0 {
		t.Errorf("an interval in which nothing was sent: %v, %d", v, total)
	}
}
