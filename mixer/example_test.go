package mixer_test

import (
	"fmt"
	"math"

	"github.com/earshotrtc/earshot/mixer"
)

// sine is 20 ms of a tone at 48 kHz, so many dB below full scale.
func sine(dB float64) []int16 {
	pcm := make([]int16, 960)
	for i := range pcm {
		pcm[i] = int16(math.Round(32767 * math.Pow(10, -dB/20) * math.Sin(2*math.Pi*440*float64(i)/48000)))
	}
	return pcm
}

func ExampleVolume() {
	for _, dB := range []float64{0, 20, 40, 60} {
		level := mixer.Level(sine(dB))
		fmt.Printf("%.1f dBov: %d\n", level, mixer.Volume(level))
	}
	// Output:
	// -3.0 dBov: 100
	// -23.0 dBov: 65
	// -43.0 dBov: 30
	// -63.0 dBov: 0
}

func ExampleMeter() {
	var m mixer.Meter
	m.Add("bob", mixer.Level(sine(20)), true) // every 20 ms
	m.Add("bob", mixer.Level(sine(60)), true)
	m.Add("carol", mixer.Level(sine(10)), true)
	m.Add("me", mixer.Level(sine(3)), true)

	volumes, total := m.Take(nil, "me") // every 300 ms
	for _, v := range volumes {
		fmt.Println(v.UserID, v.Volume)
	}
	fmt.Println("all the others:", total)
	// Output:
	// me 95
	// carol 82
	// bob 65
	// all the others: 83
}

// Several voices, each loud, become one sound that does not clip.
func ExampleMixer() {
	var m mixer.Mixer
	out := make([]int16, 960)
	for range 2 {
		m.Begin(len(out))
		for range 5 {
			m.Add(sine(0))
		}
		m.End(out)
	}
	fmt.Printf("%.0f dBov\n", mixer.Level(out))
	// Output: -3 dBov
}

func ExampleResampler() {
	r, err := mixer.NewResampler(16000, 48000, 1)
	if err != nil {
		panic(err)
	}
	in := make([]int16, 320) // 20 ms at a time
	out := make([]int16, 0, r.OutputSamples(len(in)))
	out = r.Append(out[:0], in)
	fmt.Println(len(out), "samples")
	// Output: 960 samples
}
