package pionopus

import (
	"errors"
	"testing"

	"github.com/earshotrtc/earshot/codec"
)

// breaking is a library that panics, or decodes to the wrong length.
type breaking struct {
	inits int
	short bool
}

func (b *breaking) Init(int, int) error { b.inits++; return nil }

func (b *breaking) DecodeToInt16(_ []byte, pcm []int16) (int, error) {
	if b.short {
		return 1, nil
	}
	return int(pcm[len(pcm)]), nil // out of range
}

func TestPanicOfLibraryIsContained(t *testing.T) {
	lib := &breaking{}
	d := &decoder{cfg: codec.DecoderConfig{SampleRate: 48000, Channels: 1}, dec: lib, plc: newConcealer(48000, 1)}
	pcm := make([]int16, 960)
	if _, err := d.Decode([]byte{0x78, 1, 2, 3}, pcm); !errors.Is(err, codec.ErrPacket) {
		t.Errorf("%v, want ErrPacket", err)
	}
	if lib.inits != 1 {
		t.Error("the library was not started anew after it panicked")
	}
	if err := d.Conceal(pcm); err != nil {
		t.Errorf("after a panic: %v", err)
	}
	lib.short = true
	if _, err := d.Decode([]byte{0x78, 1, 2, 3}, pcm); !errors.Is(err, codec.ErrPacket) {
		t.Errorf("wrong length: %v, want ErrPacket", err)
	}
}

func TestNoEncoder(t *testing.T) {
	if _, err := (Driver{}).NewEncoder(codec.EncoderConfig{}); !errors.Is(err, codec.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
}
