package mixer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// tone is n samples of a sine, amplitude relative to full scale.
func tone(n int, hz, rate, amplitude float64) []int16 {
	pcm := make([]int16, n)
	for i := range pcm {
		pcm[i] = int16(math.Round(32767 * amplitude * math.Sin(2*math.Pi*hz*float64(i)/rate)))
	}
	return pcm
}

func db(v float64) float64 { return math.Pow(10, v/20) }

// TestTones pins the scale of the volume callbacks.
func TestTones(t *testing.T) {
	square := make([]int16, 960)
	for i := range square {
		square[i] = 32767
		if i/24%2 == 1 {
			square[i] = -32768
		}
	}
	for _, c := range []struct {
		name   string
		pcm    []int16
		dBov   float64
		volume int
	}{
		{"silence", make([]int16, 960), -127, 0},
		{"nothing", nil, -127, 0},
		{"full-scale square", square, 0, 100},
		{"full-scale sine", tone(960, 1000, 48000, 1), -3.01, 100},
		{"sine -10 dBFS", tone(960, 1000, 48000, db(-10)), -13.01, 82},
		{"sine -20 dBFS", tone(960, 1000, 48000, db(-20)), -23.01, 65},
		{"sine -30 dBFS", tone(960, 1000, 48000, db(-30)), -33.01, 47},
		{"sine -40 dBFS", tone(960, 1000, 48000, db(-40)), -43.01, 30},
		{"sine -50 dBFS", tone(960, 1000, 48000, db(-50)), -53.01, 12},
		{"sine -56 dBFS", tone(960, 1000, 48000, db(-56)), -59.01, 2},
		{"sine -58 dBFS", tone(960, 1000, 48000, db(-58)), -61.01, 0},
		{"sine of 200 Hz at 8 kHz", tone(160, 200, 8000, db(-20)), -23.01, 65},
	} {
		l := Level(c.pcm)
		if math.Abs(l-c.dBov) > 0.05 {
			t.Errorf("%s: %.2f dBov, want %.2f", c.name, l, c.dBov)
		}
		if v := Volume(l); v != c.volume {
			t.Errorf("%s: volume %d, want %d", c.name, v, c.volume)
		}
	}
}

func TestVolume(t *testing.T) {
	for _, c := range []struct {
		dBov float64
		want int
	}{
		{math.Inf(-1), 0}, {math.NaN(), 0}, {-127, 0}, {-60.01, 0}, {-60, 0}, {-59.7, 1}, {-31.5, 50}, {-3, 100}, {-1, 100}, {0, 100}, {40, 100},
	} {
		if got := Volume(c.dBov); got != c.want {
			t.Errorf("Volume(%v) = %d, want %d", c.dBov, got, c.want)
		}
	}
}

func TestMeter(t *testing.T) {
	var m Meter
	if v, total := m.Take(nil, "me"); len(v) != 0 || total != 0 {
		t.Errorf("no frames: %v, %d", v, total)
	}
	m.Add("carol", -40, true)
	m.Add("carol", -23, true)
	m.Add("carol", -50, true)
	m.Add("bob", -23, false)
	m.Add("me", -10, true)
	m.Add("dave", -61, true)
	m.Add("eve", Silence, false)
	got, total := m.Take(nil, "me")
	want := []UserVolume{{"me", 88, true}, {"bob", 65, false}, {"carol", 65, true}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("volumes %v, want %v", got, want)
	}
	// Two voices of the same power are 3 dB more than one; the local one does
	// not count.
	if want := Volume(-23 + 3.01); total != want {
		t.Errorf("total %d, want %d", total, want)
	}
	if v, total := m.Take(nil, "me"); len(v) != 0 || total != 0 {
		t.Errorf("an interval without frames: %v, %d", v, total)
	}
	m.Add("me", -10, true)
	if v, total := m.Take(nil, "me"); len(v) != 1 || total != 0 {
		t.Errorf("only the local user: %v, %d", v, total)
	}
	m.Add("bob", -20, true)
	m.Remove("bob")
	if v, _ := m.Take(nil, "me"); len(v) != 0 {
		t.Errorf("removed user: %v", v)
	}
	for range forgetAfter + 1 {
		m.Take(nil, "me")
	}
	if len(m.users) != 0 {
		t.Errorf("%d users remembered", len(m.users))
	}
}

func TestLimiter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l Limiter
		for range rapid.IntRange(1, 6).Draw(t, "blocks") {
			n := rapid.IntRange(0, 5000).Draw(t, "length")
			voices := rapid.IntRange(0, 40).Draw(t, "voices")
			r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
			sum := make([]int32, n)
			for i := range sum {
				sum[i] = int32(r.IntN(65536)-32768) * int32(voices)
			}
			pcm := make([]int16, n)
			l.Process(pcm, sum)
			for i, v := range pcm {
				// What fits may go through as it is.
				if int32(v) != sum[i] && (int(v) > limitCeiling+1 || int(v) < -limitCeiling-1) {
					t.Fatalf("value %d of %d: %d is above the ceiling", i, n, v)
				}
				if int64(v)*int64(sum[i]) < 0 {
					t.Fatalf("value %d changed its sign: %d from %d", i, v, sum[i])
				}
			}
		}
	})
}

func TestLimiterGain(t *testing.T) {
	var m Mixer
	one := tone(480, 1000, 48000, 0.5)
	out := make([]int16, 480)
	mix := func(voices int) float64 {
		m.Begin(480)
		for range voices {
			m.Add(one)
		}
		m.End(out)
		return Level(out)
	}
	mix(1)
	if !reflect.DeepEqual(out, one) {
		t.Error("one voice was changed")
	}
	for range 5 {
		mix(4)
	}
	// Turned down evenly it is still a sine of full scale; clipped it would be
	// louder.
	if l := mix(4); math.Abs(l-(-3.2)) > 0.1 {
		t.Errorf("four voices come out at %.2f dBov", l)
	}
	for range 60 { // 0.6 s
		mix(1)
	}
	if !reflect.DeepEqual(out, one) {
		t.Error("one voice after four is still turned down")
	}
}

func TestAddSub(t *testing.T) {
	a, b := tone(480, 300, 48000, 0.9), tone(480, 777, 48000, 0.9)
	sum := make([]int32, 480)
	Add(sum, a)
	Add(sum, b)
	out := make([]int16, 480)
	Saturate(out, sum)
	for i := range out {
		if want := max(-32768, min(32767, int(a[i])+int(b[i]))); int(out[i]) != want {
			t.Fatalf("value %d: %d, want %d", i, out[i], want)
		}
	}
	Sub(sum, a)
	Saturate(out, sum)
	if !reflect.DeepEqual(out, b) {
		t.Error("a voice taken out leaves something")
	}
}

func TestAllocs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var m Mixer
	var meter Meter
	var volumes []UserVolume
	pcm := tone(960, 300, 48000, 0.9)
	r, err := NewResampler(16000, 48000, 2)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int16, 0, 2*r.OutputSamples(480))
	if n := testing.AllocsPerRun(100, func() {
		m.Begin(960)
		m.Add(pcm)
		m.Add(pcm)
		m.End(pcm)
		meter.Add("a", Level(pcm), true)
		meter.Add("b", -20, true)
		volumes, _ = meter.Take(volumes[:0], "b")
		out = r.Append(out[:0], pcm)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkKernel is a frame of 20 ms through all that mixing does for each
// talker and mix, add, subtract, level and limit, each beside a loop that only
// loads and stores every sample: xCopy is the ratio in the same run.
func BenchmarkKernel(b *testing.B) {
	pcm, out := tone(960, 300, 48000, 0.3), make([]int16, 960)
	sum, loud := make([]int32, 960), make([]int32, 960)
	for i, v := range pcm {
		loud[i] = 8 * int32(v) // more than 16 bits hold
	}
	var idle, limiter Limiter
	plain := func() {
		dst := out[:len(pcm)]
		//lint:ignore S1001 copy would not go sample by sample
		for i, v := range pcm {
			dst[i] = v
		}
	}
	for _, k := range []struct {
		name string
		f    func()
	}{
		{"add", func() { Add(sum, pcm) }},
		{"sub", func() { Sub(sum, pcm) }},
		{"level", func() { kernelLevel += Level(pcm) }},
		{"limit-not-needed", func() { idle.Process(out, sum) }},
		{"limit", func() { limiter.Process(out, loud) }},
	} {
		b.Run(k.name, func(b *testing.B) {
			clear(sum)
			var copying, working time.Duration
			for b.Loop() {
				t0 := time.Now()
				for range 100 {
					plain()
				}
				t1 := time.Now()
				for range 100 {
					k.f()
				}
				working += time.Since(t1)
				copying += t1.Sub(t0)
			}
			b.ReportMetric(float64(working)/float64(copying), "xCopy")
			b.ReportMetric(float64(working.Nanoseconds())/float64(100*b.N), "ns/frame")
			b.ReportMetric(0, "ns/op")
		})
	}
}

var kernelLevel float64

func BenchmarkMix(b *testing.B) {
	for _, voices := range []int{1, 5} {
		b.Run(fmt.Sprint(voices), func(b *testing.B) {
			var m Mixer
			pcm, out := tone(960, 300, 48000, 0.9), make([]int16, 960)
			b.ReportAllocs()
			for b.Loop() {
				m.Begin(960)
				for range voices {
					m.Add(pcm)
				}
				m.End(out)
			}
		})
	}
}
