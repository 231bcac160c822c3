package record

import (
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// Silence is as long as it is to be, and silent in every decoder.
func TestSilence(t *testing.T) {
	for _, d := range []codec.Driver{libopus.Driver{}, pionopus.Driver{}} {
		for _, n := range []int64{-5, 0, 119, 120, 959, 960, 6*960 - 1, 6 * 960, 48000, 123456} {
			for _, stereo := range []bool{false, true} {
				dec, err := d.NewDecoder(codec.DecoderConfig{})
				if err != nil {
					t.Skip(err)
				}
				pcm := make([]int16, codec.MaxFrameSamples)
				var sum int64
				err = silence(n, stereo, func(p []byte) error {
					k, err := dec.Decode(p, pcm)
					if l := mixer.Level(pcm[:k]); l > -90 {
						t.Errorf("silence of %.0f dBov", l)
					}
					sum += int64(k)
					return err
				})
				if want := max(0, n/fillGrain*fillGrain); err != nil || sum != want {
					t.Errorf("%d samples of silence are %d: %v", n, sum, err)
				}
			}
		}
	}
}

// What is concealed is as long as it says, whatever the packet before was, and
// decoders take it.
func TestConcealed(t *testing.T) {
	dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		t.Skip(err)
	}
	pcm := make([]int16, codec.MaxFrameSamples)
	for toc := range 256 {
		for _, n := range []int64{0, 120, 480, 960, 1000, 5 * 960} {
			var sum int64
			done, err := concealed(n, byte(toc), func(p []byte) error {
				k, err := codec.PacketSamples(p)
				sum += int64(k)
				if err == nil {
					_, err = dec.Decode(p, pcm)
				}
				return err
			})
			grain := int64(fillGrain)
			if codec.ParseTOC(byte(toc)).Mode != codec.ModeCELT {
				grain = 480
			}
			if err != nil || sum != done || done != n/grain*grain {
				t.Errorf("TOC %#x: %d samples are %d, said to be %d: %v", toc, n, sum, done, err)
			}
		}
	}
	// After speech it sounds on, and fades.
	for _, p := range speech.Packets("alice")[:60] {
		if _, err := dec.Decode(p, pcm); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSqueeze(t *testing.T) {
	last := int16(-32768)
	for v := int32(-400000); v <= 400000; v += 7 {
		s := squeeze(v)
		if s < last || v > -20000 && v < 20000 && int32(s) != v {
			t.Fatalf("%d is %d, after %d", v, s, last)
		}
		last = s
	}
}
