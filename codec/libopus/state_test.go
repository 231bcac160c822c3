//go:build cgo

package libopus

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/internal/speech"
)

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// decodeAll decodes packets one after the other.
func decodeAll(t testing.TB, packets [][]byte) (pcm []int16) {
	t.Helper()
	dec := must[codec.Decoder](t)(Driver{}.NewDecoder(codec.DecoderConfig{}))
	out := make([]int16, codec.MaxFrameSamples)
	for _, p := range packets {
		n := must[int](t)(dec.Decode(p, out))
		pcm = append(pcm, out[:n]...)
	}
	return pcm
}

func snr(want, got []int16) float64 {
	var signal, noise float64
	for i, v := range want {
		d := float64(v) - float64(got[i])
		signal += float64(v) * float64(v)
		noise += d * d
	}
	if noise == 0 {
		return 120
	}
	return 10 * math.Log10(signal/noise)
}

// An encoder that takes over with a copy of the state goes on exactly; a cold
// one, and one that has heard three frames before, break the sound.
func TestCopyState(t *testing.T) {
	pcm := speech.PCM("alice")
	const change, frames = 100, 140
	for _, c := range []struct {
		name   string
		signal codec.Signal
		frame  time.Duration
	}{{"CELT", codec.SignalMusic, 20 * time.Millisecond}, {"hybrid", codec.SignalVoice, 20 * time.Millisecond}, {"CELT, 10 ms", codec.SignalMusic, 10 * time.Millisecond}} {
		cfg := must[codec.EncoderConfig](t)(codec.EncoderConfig{Signal: c.signal, FrameDuration: c.frame, Complexity: 4}.WithDefaults())
		n := cfg.FrameSamples()
		encode := func(e codec.Encoder, i int) []byte {
			buf := make([]byte, codec.MaxPacketSize)
			k := must[int](t)(e.Encode(pcm[i*n:(i+1)*n], buf))
			return buf[:k]
		}
		// run encodes with one encoder until the change, and with another from
		// there on, which has been primed with some frames before.
		run := func(primed int, copied bool) [][]byte {
			a := must[codec.Encoder](t)(Driver{}.NewEncoder(cfg))
			b := must[codec.Encoder](t)(Driver{}.NewEncoder(cfg))
			var packets [][]byte
			for i := range frames {
				switch {
				case i < change:
					packets = append(packets, encode(a, i))
					if i >= change-primed {
						encode(b, i)
					}
				case i == change && copied:
					if err := b.(codec.StateCopier).CopyState(a); err != nil {
						t.Fatal(err)
					}
					fallthrough
				default:
					packets = append(packets, encode(b, i))
				}
			}
			return packets
		}
		unbroken := decodeAll(t, run(0, true)[:change])
		whole := must[codec.Encoder](t)(Driver{}.NewEncoder(cfg))
		var straight [][]byte
		for i := range frames {
			straight = append(straight, encode(whole, i))
		}
		want := decodeAll(t, straight)
		if !slices.Equal(want[:len(unbroken)], unbroken) {
			t.Fatalf("%s: not even the beginning is the same", c.name)
		}
		if got := run(0, true); !slices.EqualFunc(got, straight, bytes.Equal) {
			t.Errorf("%s: the packets after a copy of the state are other ones", c.name)
		}
		at := func(packets [][]byte) float64 {
			got := decodeAll(t, packets)
			return snr(want[change*n:(change+5)*n], got[change*n:(change+5)*n])
		}
		cold, primed, copied := at(run(0, false)), at(run(3, false)), at(run(0, true))
		t.Logf("%s: over the five frames after the change %.0f dB with a cold encoder, %.0f primed with three frames, %.0f with a copy", c.name, cold, primed, copied)
		if cold > 20 || copied < 90 {
			t.Errorf("%s: cold %.0f dB, copied %.0f dB", c.name, cold, copied)
		}
	}
}

func TestCopyStateRefuses(t *testing.T) {
	e := must[codec.Encoder](t)(Driver{}.NewEncoder(codec.EncoderConfig{}))
	for _, cfg := range []codec.EncoderConfig{{Channels: 2}, {SampleRate: 16000}, {Application: codec.Audio}, {FrameDuration: 10 * time.Millisecond}} {
		other := must[codec.Encoder](t)(Driver{}.NewEncoder(cfg))
		if err := e.(codec.StateCopier).CopyState(other); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if err := e.(codec.StateCopier).CopyState(nil); !errors.Is(err, codec.ErrUnsupported) {
		t.Errorf("nil: %v", err)
	}
	// Settings come along.
	dtx := must[codec.Encoder](t)(Driver{}.NewEncoder(codec.EncoderConfig{DTX: true}))
	if err := e.(codec.StateCopier).CopyState(dtx); err != nil {
		t.Fatal(err)
	}
	silent, buf := 0, make([]byte, codec.MaxPacketSize)
	for range 50 {
		if must[int](t)(e.Encode(make([]int16, 960), buf)) == 0 {
			silent++
		}
	}
	if silent == 0 {
		t.Error("an encoder with the state of one with DTX sends all of the silence")
	}
	if n := testing.AllocsPerRun(10, func() { e.(codec.StateCopier).CopyState(dtx) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Frames put together into one packet decode to the same sound as one by one.
func TestJoinedPacketsSoundTheSame(t *testing.T) {
	pcm := speech.PCM("bob")
	for _, signal := range []codec.Signal{codec.SignalMusic, codec.SignalVoice} {
		e := must[codec.Encoder](t)(Driver{}.NewEncoder(codec.EncoderConfig{Signal: signal}))
		var single, joined [][]byte
		for i := range 90 {
			buf := make([]byte, codec.MaxPacketSize)
			n := must[int](t)(e.Encode(pcm[i*960:(i+1)*960], buf))
			single = append(single, buf[:n])
		}
		for i := 0; i < len(single); {
			k := 1
			for k < 3 && i+k < len(single) && codec.Joinable(single[i], single[i+k]) {
				k++
			}
			joined = append(joined, must[[]byte](t)(codec.JoinPackets(nil, single[i:i+k]...)))
			i += k
		}
		if len(joined) > 45 {
			t.Errorf("90 frames became %d packets", len(joined))
		}
		if !slices.Equal(decodeAll(t, single), decodeAll(t, joined)) {
			t.Error("joined packets sound different")
		}
	}
}

// BenchmarkSignal is a frame of speech at 32 kbit/s, as what the encoder is
// told it is.
func BenchmarkSignal(b *testing.B) {
	for name, s := range map[string]codec.Signal{"auto": codec.SignalAuto, "voice": codec.SignalVoice, "music": codec.SignalMusic} {
		b.Run(name, func(b *testing.B) {
			e := must[codec.Encoder](b)(Driver{}.NewEncoder(codec.EncoderConfig{Signal: s, Complexity: 4}))
			pcm, buf, i := speech.PCM("alice"), make([]byte, codec.MaxPacketSize), 0
			b.ReportAllocs()
			for b.Loop() {
				e.Encode(pcm[i:i+960], buf)
				i = (i + 960) % (len(pcm) - 960)
			}
		})
	}
	b.Run("CopyState", func(b *testing.B) {
		from := must[codec.Encoder](b)(Driver{}.NewEncoder(codec.EncoderConfig{}))
		to := must[codec.Encoder](b)(Driver{}.NewEncoder(codec.EncoderConfig{}))
		b.ReportAllocs()
		for b.Loop() {
			to.(codec.StateCopier).CopyState(from)
		}
	})
}
