package pionopus_test

import (
	"errors"
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

func BenchmarkDecode20ms(b *testing.B) {
	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		b.Fatal(err)
	}
	packets := speech.Packets("alice")
	pcm := make([]int16, codec.MaxFrameSamples)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dec.Decode(packets[i%len(packets)], pcm); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkLoss20ms decodes one frame and conceals the next.
func BenchmarkLoss20ms(b *testing.B) {
	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		b.Fatal(err)
	}
	packets := speech.Packets("alice")
	pcm := make([]int16, codec.MaxFrameSamples)
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dec.Decode(packets[i%len(packets)], pcm); err != nil {
			b.Fatal(err)
		}
		if err := dec.Conceal(pcm[:960]); err != nil {
			b.Fatal(err)
		}
		i += 2
	}
}

func FuzzDecode(f *testing.F) {
	for i, p := range speech.Packets("bob") {
		if i%50 == 0 {
			f.Add(p)
		}
	}
	f.Add([]byte{0x83, 0x30})
	f.Add([]byte{0x7b, 0x82, 252, 1, 0, 0})
	f.Fuzz(func(t *testing.T, packet []byte) {
		dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{Channels: 2})
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
			if err := dec.Conceal(pcm[:960]); err != nil {
				t.Fatal(err)
			}
		}
	})
}
