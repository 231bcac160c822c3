package speech

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/earshotrtc/earshot/codec"
)

// A minute of six voices, each starting at once and of the level that the
// package comment says.
func TestVoices(t *testing.T) {
	total := 0
	voices := Voices()
	if raceEnabled { // decoding is ten times slower
		voices = voices[3:4]
	}
	for _, name := range voices {
		pcm := PCM(name)
		total += len(pcm)
		if s := float64(len(pcm)) / codec.SampleRate; s < 10 || s > 15 {
			t.Errorf("%s: %.1f s, want 10 to 15", name, s)
		}
		if ms := leadingSilence(pcm); ms > 200 {
			t.Errorf("%s: %d ms of silence before the first word", name, ms)
		}
		if db := activeLevel(pcm); db < -22 || db > -18 {
			t.Errorf("%s: active level %.1f dBov, want -20", name, db)
		}
		if got := len(Packets(name)) * 960; got < len(pcm) || got > len(pcm)+3*960 {
			t.Errorf("%s: packets of %d samples for %d", name, got, len(pcm))
		}
	}
	if total < 60*codec.SampleRate && !raceEnabled {
		t.Errorf("%d s in all, want a minute", total/codec.SampleRate)
	}
	if a, b := PCM("dave"), PCM("dave"); &a[0] != &b[0] {
		t.Error("PCM is not cached")
	}
}

func TestVoicesDiffer(t *testing.T) {
	if raceEnabled {
		t.Skip("decoding is ten times slower")
	}
	a, b := PCM("alice"), PCM("bob")
	n := min(len(a), len(b))
	var ab, aa, bb float64
	for i := range n {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if c := ab / math.Sqrt(aa*bb); math.Abs(c) > 0.1 {
		t.Errorf("alice and bob correlate by %.2f", c)
	}
}

func TestUnknownVoice(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	PCM("nobody")
}

func TestFiles(t *testing.T) {
	w := WAV()
	if string(w[:4]) != "RIFF" || binary.LittleEndian.Uint32(w[24:]) != 16000 || len(w) > 260<<10 {
		t.Errorf("WAV: % x... of %d bytes", w[:44], len(w))
	}
	v := VP8()
	if string(v[:4]) != "DKIF" || string(v[8:12]) != "VP80" || binary.LittleEndian.Uint32(v[24:]) != 60 {
		t.Errorf("VP8: % x...", v[:32])
	}
	size := len(w) + len(v)
	for _, name := range Voices() {
		size += len(Ogg(name))
	}
	if size > 700<<10 {
		t.Errorf("%d KB of data in every binary that imports this", size>>10)
	}
}

// leadingSilence returns the ms before the first 10 ms louder than -50 dBov.
func leadingSilence(pcm []int16) int {
	for i := 0; i+480 <= len(pcm); i += 480 {
		if level(pcm[i:i+480]) > -50 {
			return i / 48
		}
	}
	return len(pcm) / 48
}

// activeLevel is the level in dBov over the 20 ms blocks above -45 dBov.
func activeLevel(pcm []int16) float64 {
	var active []int16
	for i := 0; i+960 <= len(pcm); i += 960 {
		if level(pcm[i:i+960]) > -45 {
			active = append(active, pcm[i:i+960]...)
		}
	}
	return level(active)
}

func level(pcm []int16) float64 {
	var sum float64
	for _, v := range pcm {
		sum += float64(v) * float64(v)
	}
	return 10 * math.Log10(sum/float64(len(pcm))/32768/32768+1e-12)
}
