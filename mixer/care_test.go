package mixer_test

import (
	"math"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// scaled is a sound, louder or quieter.
func scaled(pcm []int16, dB float64) []int16 {
	out := make([]int16, len(pcm))
	k := math.Pow(10, dB/20)
	for i, v := range pcm {
		out[i] = int16(max(-32768, min(32767, float64(v)*k)))
	}
	return out
}

// Talkers who are 25 dB apart are within 10 dB of each other once they have
// spoken for some seconds, nothing clips, and noise alone is not raised.
func TestAutoGain(t *testing.T) {
	said := speech.PCM("alice")
	said = said[:len(said)/960*960]
	run := func(pcm []int16, voice bool) (out []int16, a *mixer.AutoGain) {
		a = new(mixer.AutoGain)
		out = append([]int16(nil), pcm...)
		for i := 0; i+960 <= len(out); i += 960 {
			a.Process(out[i:i+960], voice && mixer.Level(pcm[i:i+960]) > -70)
		}
		return out, a
	}
	last := len(said) - 4*48000
	for _, c := range []struct{ in, least, most float64 }{{-15, -32, -22}, {0, -26, -19}, {10, -26, -16}} {
		out, a := run(scaled(said, c.in), true)
		level := mixer.Level(out[last:])
		t.Logf("a talker at %+.0f dB: %.1f dBov before, %.1f after, gain %.1f dB", c.in, mixer.Level(scaled(said, c.in)[last:]), level, a.Gain())
		if level < c.least || level > c.most {
			t.Errorf("a talker at %+.0f dB comes out at %.1f dBov", c.in, level)
		}
		if c.in < 5 {
			for i, v := range out {
				if v == 32767 || v == -32768 {
					t.Fatalf("sample %d clips", i)
				}
			}
		}
	}
	noise := scaled(blend(make([]int16, 10*48000), white(10*48000), 30), 0)
	if out, a := run(noise, false); a.Gain() != 0 || mixer.Level(out) != mixer.Level(noise) {
		t.Errorf("noise without speech is raised by %.1f dB", a.Gain())
	}
	// After quiet speech, a shout is turned down in its very block.
	_, a := run(scaled(said, -20), true)
	if a.Gain() < 5 {
		t.Fatalf("the gain for quiet speech is %.1f dB", a.Gain())
	}
	shout := make([]int16, 960)
	for i := range shout {
		shout[i] = int16(28000 * math.Sin(2*math.Pi*300*float64(i)/48000))
	}
	before := mixer.Level(shout)
	a.Process(shout, true)
	for i, v := range shout {
		if v == 32767 || v == -32768 {
			t.Fatalf("sample %d of a shout of %.1f dBov clips", i, before)
		}
	}
}

// The gate is shut in noise, and a word comes through whole: also what came
// before the detector knew it.
func TestNoiseGate(t *testing.T) {
	var g mixer.NoiseGate
	delay := int(g.Delay() * 48000 / time.Second)
	noise := blend(make([]int16, 3*48000), white(3*48000), 25)
	word := noise[48000 : 48000+14400]
	for i := range word {
		word[i] = int16(8000 * math.Sin(2*math.Pi*200*float64(i)/48000))
	}
	in := append([]int16(nil), noise...)
	for i := 0; i < len(noise); i += 480 {
		// The detector is 30 ms late, and holds for 200 ms.
		voice := i >= 48000+1440 && i < 48000+14400+9600
		g.Process(noise[i:i+480], voice)
	}
	if l := mixer.Level(noise[:48000]); l > -100 {
		t.Errorf("before the word %.1f dBov come through", l)
	}
	if l := mixer.Level(noise[2*48000:]); l > -100 {
		t.Errorf("after the word %.1f dBov come through", l)
	}
	// From 5 ms after its beginning on it is as it was.
	for i := 48000 + 480; i < 48000+14400; i++ {
		if d := int(noise[i+delay]) - int(in[i]); d > 1 || d < -1 {
			t.Fatalf("sample %d of the word is %d, and was %d", i-48000, noise[i+delay], in[i])
		}
	}
	for i := 1; i < len(noise); i++ {
		if d := int(noise[i]) - int(noise[i-1]); d > 2000 || d < -2000 {
			t.Fatalf("a step of %d at %d", d, i)
		}
	}
}

func TestDominantSpeaker(t *testing.T) {
	const ms = time.Millisecond
	type v = mixer.UserVolume
	alice, bob := v{UserID: "alice", Volume: 60, Voice: true}, v{UserID: "bob", Volume: 60, Voice: true}
	loud, cough := v{UserID: "bob", Volume: 80, Voice: true}, v{UserID: "bob", Volume: 90}
	type step struct {
		n    int // intervals of 300 ms
		v    []v
		want string
	}
	for name, steps := range map[string][]step{
		"whoever speaks first":                  {{1, nil, ""}, {1, []v{alice}, "alice"}, {10, []v{alice}, "alice"}},
		"a short yes changes nothing":           {{5, []v{alice}, "alice"}, {2, []v{loud, alice}, "alice"}, {5, []v{alice}, "alice"}},
		"not even in a short pause":             {{5, []v{alice}, "alice"}, {1, nil, "alice"}, {5, []v{alice, bob}, "alice"}},
		"noise is nobody's":                     {{5, []v{alice}, "alice"}, {8, []v{cough}, "alice"}},
		"both at once: it stays":                {{5, []v{alice}, "alice"}, {20, []v{alice, bob}, "alice"}},
		"one who goes on louder gets it":        {{5, []v{alice}, "alice"}, {2, []v{loud, alice}, "alice"}, {1, []v{loud, alice}, "bob"}},
		"one who speaks in a pause gets it":     {{5, []v{alice}, "alice"}, {2, nil, "alice"}, {1, []v{bob}, "bob"}},
		"a pause keeps it, a long one does not": {{5, []v{alice}, "alice"}, {16, nil, "alice"}, {1, nil, ""}},
	} {
		var d mixer.DominantSpeaker
		was := ""
		for i, s := range steps {
			for range s.n {
				got, changed := d.Update(300*ms, s.v)
				if changed != (got != was) {
					t.Errorf("%s, step %d: changed is %v from %q to %q", name, i, changed, was, got)
				}
				was = got
			}
			if was != s.want {
				t.Errorf("%s, step %d: %q has the floor, want %q", name, i, was, s.want)
			}
		}
	}
	var d mixer.DominantSpeaker
	d.Update(time.Second, []v{alice})
	if d.Remove("bob") || !d.Remove("alice") || d.Remove("alice") {
		t.Error("removing")
	}
}
