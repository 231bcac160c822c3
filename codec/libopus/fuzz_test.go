//go:build cgo

package libopus_test

import (
	"errors"
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

func FuzzDecode(f *testing.F) {
	for i, p := range speech.Packets("bob") {
		if i%50 == 0 {
			f.Add(p)
		}
	}
	f.Add([]byte{0x83, 0x30})
	f.Add([]byte{0x7b, 0x82, 252, 1, 0, 0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{Channels: 2})
		if err != nil {
			t.Fatal(err)
		}
		pcm := make([]int16, 2*codec.MaxFrameSamples)
		for range 2 {
			n, err := dec.Decode(packet, pcm)
			want, tocErr := codec.PacketSamples(packet)
			if err != nil && !errors.Is(err, codec.ErrPacket) {
				t.Fatalf("%v, want ErrPacket", err)
			}
			if err == nil && (tocErr != nil || n != want) {
				t.Fatalf("%d samples, want %d (%v)", n, want, tocErr)
			}
			if err := dec.DecodeFEC(packet, pcm[:1920]); err != nil && !errors.Is(err, codec.ErrPacket) {
				t.Fatalf("FEC: %v, want ErrPacket", err)
			}
			if err := dec.Conceal(pcm[:960]); err != nil {
				t.Fatal(err)
			}
		}
	})
}
