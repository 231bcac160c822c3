//go:build cgo

package pionopus_test

import (
	"math"
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

// On real speech the pure Go decoder must give what libopus gives: libopus is
// the reference of RFC 6716.
func TestSameAsLibopus(t *testing.T) {
	for _, cfg := range []codec.DecoderConfig{{}, {Channels: 2}, {SampleRate: 24000}, {SampleRate: 16000}, {SampleRate: 12000}, {SampleRate: 8000}} {
		voices := speech.Voices()
		if cfg != (codec.DecoderConfig{}) {
			voices = voices[1:2] // the one that is most different
		}
		for _, name := range voices {
			packets := speech.Packets(name)
			if raceEnabled {
				packets = packets[:50]
			}
			want := decodeAll(t, libopus.Driver{}, cfg, packets)
			got := decodeAll(t, pionopus.Driver{}, cfg, packets)
			if got := snr(want, got); got < 45 {
				t.Errorf("%+v %s: SNR %.1f dB, want 45", cfg, name, got)
			}
		}
	}
}

func decodeAll(t testing.TB, d codec.Driver, cfg codec.DecoderConfig, packets [][]byte) []int16 {
	t.Helper()
	dec, err := d.NewDecoder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var all []int16
	pcm := make([]int16, 2*codec.MaxFrameSamples)
	for i, p := range packets {
		n, err := dec.Decode(p, pcm)
		if err != nil {
			t.Fatalf("%s: packet %d: %v", d.Name(), i, err)
		}
		all = append(all, pcm[:n*max(cfg.Channels, 1)]...)
	}
	return all
}

// snr is the power of want over that of the difference, in dB.
func snr(want, got []int16) float64 {
	if len(want) != len(got) {
		return math.Inf(-1)
	}
	var signal, noise float64
	for i, w := range want {
		signal += float64(w) * float64(w)
		d := float64(w) - float64(got[i])
		noise += d * d
	}
	return 10 * math.Log10(signal/max(noise, 1))
}
