package mixer_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// Noises, made here so that they are the same everywhere: n samples with a
// level of 0 dB, that is a root mean square of 1.
var noises = map[string]func(n int) []float64{
	"white":    white,
	"fan":      fan,
	"keyboard": keyboard,
	"babble":   babble,
}

func white(n int) []float64 {
	r := rand.New(rand.NewPCG(1, 2))
	x := make([]float64, n)
	for i := range x {
		x[i] = r.NormFloat64()
	}
	return normal(x)
}

// fan is air: noise under 600 Hz, with the hum of a motor and its harmonics.
func fan(n int) []float64 {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float64, n)
	var a, b float64
	for i := range x {
		a += 0.08 * (r.NormFloat64() - a)
		b += 0.08 * (a - b)
		t := float64(i) / 48000
		hum := 0.0
		for k := 1; k <= 6; k++ {
			hum += math.Sin(2*math.Pi*118*float64(k)*t) / float64(k*k)
		}
		x[i] = b + 0.04*hum
	}
	return normal(x)
}

// keyboard is typing: a key goes down and up, each a knock that rings for some
// milliseconds, six keys a second on average.
func keyboard(n int) []float64 {
	r := rand.New(rand.NewPCG(5, 6))
	x := make([]float64, n)
	knock := func(at int, loud float64) {
		f1, f2 := 300+r.Float64()*500, 1800+r.Float64()*2500
		for i := 0; i < 1920 && at+i < n; i++ {
			t := float64(i) / 48000
			x[at+i] += loud * (math.Exp(-t/0.006)*math.Sin(2*math.Pi*f1*t) + 0.8*math.Exp(-t/0.003)*math.Sin(2*math.Pi*f2*t) +
				0.7*math.Exp(-t/0.002)*r.NormFloat64())
		}
	}
	for at := 0; at < n; {
		at += 3000 + int(r.ExpFloat64()*5000)
		loud := 0.5 + r.Float64()
		knock(at, loud)
		knock(at+2500+r.IntN(2500), loud*0.5)
	}
	for i := range x { // a quiet room
		x[i] += 0.003 * r.NormFloat64()
	}
	return normal(x)
}

// babble is eight people talking farther away, at once.
func babble(n int) []float64 {
	x := make([]float64, n)
	for k, name := range []string{"bob", "carol", "dave", "erin", "frank", "bob", "erin", "dave"} {
		pcm := speech.PCM(name)
		for i := range x {
			x[i] += float64(pcm[(i+k*97531)%len(pcm)])
		}
	}
	return normal(x)
}

// breath is breathing: noise of 300 to 3000 Hz that swells and ebbs.
func breath(n int) []float64 {
	r := rand.New(rand.NewPCG(7, 8))
	x := make([]float64, n)
	var low, high float64
	for i := range x {
		w := r.NormFloat64()
		low += 0.3 * (w - low)
		high += 0.04 * (low - high)
		t := math.Mod(float64(i)/48000, 2.2)
		x[i] = (low - high) * (0.01 + math.Pow(math.Sin(math.Pi*min(1, t/1.1)), 2))
	}
	return normal(x)
}

func normal(x []float64) []float64 {
	var sum float64
	for _, v := range x {
		sum += v * v
	}
	k := 1 / math.Sqrt(sum/float64(len(x)))
	for i := range x {
		x[i] *= k
	}
	return x
}

// phrases is a voice with long pauses: two to three seconds of speech, then one
// and a half to two and a half of nothing. It says of each 20 ms whether it is
// speech (within 25 dB of the active level), and whether it is 200 ms or more
// away from any.
func phrases(name string) (pcm []int16, spoken, far []bool) {
	said := speech.PCM(name)
	r := rand.New(rand.NewPCG(9, uint64(len(said))))
	pcm = make([]int16, 48000*2)
	for at := 0; at < len(said); {
		n := min(len(said)-at, 96000+r.IntN(48000))
		// Cut where it is quiet.
		for at+n+960 < len(said) && mixer.Level(said[at+n:at+n+960]) > -45 {
			n += 480
		}
		pcm = append(pcm, said[at:at+n]...)
		pcm = append(pcm, make([]int16, 72000+r.IntN(48000))...)
		at += n
	}
	pcm = pcm[:len(pcm)/960*960]
	frames := len(pcm) / 960
	levels := make([]float64, frames)
	var power, count float64
	for i := range levels {
		levels[i] = mixer.Level(pcm[i*960 : i*960+960])
		if levels[i] > -45 {
			power += math.Pow(10, levels[i]/10)
			count++
		}
	}
	active := 10 * math.Log10(power/count)
	spoken, far = make([]bool, frames), make([]bool, frames)
	for i, l := range levels {
		spoken[i] = l > active-25
	}
	for i := range far {
		far[i] = true
		for k := max(0, i-10); k < min(frames, i+11); k++ {
			far[i] = far[i] && levels[k] < active-45
		}
	}
	return pcm, spoken, far
}

// blend adds a noise snr dB under the voice's active level of -20 dBov.
func blend(pcm []int16, noise []float64, snr float64) []int16 {
	amp := 32767 * math.Pow(10, (-20-snr)/20)
	out := make([]int16, len(pcm))
	for i, v := range pcm {
		out[i] = int16(max(-32768, min(32767, float64(v)+amp*noise[i])))
	}
	return out
}

// detect returns which share of the speech was found, and which share of the
// noise was taken for speech, in percent. The first two seconds are for
// getting used to the noise.
func detect(pcm []int16, spoken, far []bool) (found, wrong float64) {
	var v mixer.VoiceDetector
	var nSpoken, nFound, nFar, nWrong float64
	for i := range spoken {
		voice := v.Process(pcm[i*960 : i*960+960])
		if i < 100 {
			continue
		}
		if spoken[i] {
			nSpoken++
			if voice {
				nFound++
			}
		}
		if far[i] {
			nFar++
			if voice {
				nWrong++
			}
		}
	}
	return 100 * nFound / nSpoken, 100 * nWrong / nFar
}

// skipUnderRace leaves what only calculates, at length, to the run without the race
// detector.
func skipUnderRace(t *testing.T) {
	if raceEnabled {
		t.Skip("ten times slower with the race detector, and of one goroutine")
	}
}

// Speech is found in noise, and noise is not taken for it. What is asserted is
// the row of 10 dB, and less of 0 dB; the log has the whole table.
func TestVoiceInNoise(t *testing.T) {
	skipUnderRace(t)
	least := map[string]map[float64]float64{
		"white":    {20: 95, 10: 95, 0: 90},
		"fan":      {20: 95, 10: 95, 0: 50},
		"keyboard": {20: 95, 10: 95, 0: 90},
		"babble":   {20: 95, 10: 95, 0: 60},
	}
	for _, noise := range []string{"white", "fan", "keyboard", "babble"} {
		// Nobody babbles behind their own back.
		voices := speech.Voices()
		if noise == "babble" {
			voices = []string{"alice"}
		}
		for _, snr := range []float64{20, 10, 0} {
			var found, wrong float64
			for _, name := range voices {
				pcm, spoken, far := phrases(name)
				f, w := detect(blend(pcm, noises[noise](len(pcm)), snr), spoken, far)
				found, wrong = found+f/float64(len(voices)), wrong+w/float64(len(voices))
			}
			t.Logf("%-8s %2.0f dB: %5.1f %% of speech found, %4.1f %% of noise taken for speech", noise, snr, found, wrong)
			if found < least[noise][snr] || snr > 0 && wrong > 5 {
				t.Errorf("%s at %v dB: %.1f %% found, %.1f %% wrong", noise, snr, found, wrong)
			}
		}
	}
}

// Without anybody near, nothing is speech for long: breath and the noises, loud
// as a voice is.
func TestNoiseIsNoVoice(t *testing.T) {
	skipUnderRace(t)
	const n = 20 * 48000
	for name, make := range map[string]func(int) []float64{"white": white, "fan": fan, "keyboard": keyboard, "breath": breath} {
		pcm := blend(make16(n), make(n), 0)
		var v mixer.VoiceDetector
		voiced := 0
		for i := 0; i+960 <= n; i += 960 {
			if v.Process(pcm[i:i+960]) && i > 2*48000 {
				voiced++
			}
		}
		share := 100 * float64(voiced) / (18 * 50)
		t.Logf("%s: %.1f %% voice", name, share)
		if share > 8 {
			t.Errorf("%s: %.1f %% of it is taken for a voice", name, share)
		}
	}
}

func make16(n int) []int16 { return make([]int16, n) }

// What is decided does not depend on the lengths in which the sound comes, a
// word is noticed soon, and silence ends it.
func TestVoiceDetectorPieces(t *testing.T) {
	pcm := speech.PCM("bob")[:5*48000]
	var a, b mixer.VoiceDetector
	r := rand.New(rand.NewPCG(1, 1))
	for at, done := 0, 0; at < len(pcm); {
		n := min(len(pcm)-at, 1+r.IntN(1500))
		got := b.Process(pcm[at : at+n])
		at += n
		want := false
		for ; done+480 <= at; done += 480 {
			want = a.Process(pcm[done : done+480])
		}
		if done > 480 && a.Process(nil) != got {
			t.Fatalf("after %d samples: %v in pieces, %v in frames of 10 ms", at, got, want)
		}
	}
	var v mixer.VoiceDetector
	v.Process(make([]int16, 2*48000))
	first := 0
	for mixer.Level(pcm[first:first+480]) < -45 {
		first += 480
	}
	noticed := first
	for !v.Process(pcm[noticed : noticed+480]) {
		noticed += 480
	}
	if late := (noticed + 480 - first) / 48; late > 60 {
		t.Errorf("a word is noticed %d ms after its beginning", late)
	}
	v.Silence(48000)
	if v.Process(nil) {
		t.Error("silence is speech")
	}
	if n := testing.AllocsPerRun(100, func() { v.Process(pcm[:960]); v.Silence(480) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkVoiceDetector(b *testing.B) {
	pcm := speech.PCM("alice")
	var v mixer.VoiceDetector
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		v.Process(pcm[at : at+960])
		at = (at + 960) % (len(pcm) - 960)
	}
}
