//go:build cgo

package libopus_test

import (
	"testing"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

func TestLookahead(t *testing.T) {
	for _, c := range []struct {
		app  codec.Application
		want int
	}{{codec.VoIP, 312}, {codec.Audio, 312}, {codec.LowDelay, 120}} {
		enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{Application: c.app})
		if err != nil {
			t.Fatal(err)
		}
		if got := enc.Lookahead(); got != c.want {
			t.Errorf("application %d: lookahead %d samples, want %d", c.app, got, c.want)
		}
	}
}

func BenchmarkEncode20ms(b *testing.B) {
	for _, bm := range []struct {
		name string
		cfg  codec.EncoderConfig
	}{
		{"default", codec.EncoderConfig{}},
		{"default-stereo", codec.EncoderConfig{Channels: 2}},
		{"silk-16k", codec.EncoderConfig{Bitrate: 16000}},
		{"celt-64k", codec.EncoderConfig{Bitrate: 64000, Application: codec.LowDelay}},
		{"fec", codec.EncoderConfig{FEC: true, PacketLoss: 10}},
		{"complexity-1", codec.EncoderConfig{Complexity: 1}},
		{"complexity-10", codec.EncoderConfig{Complexity: 10}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			enc, err := libopus.Driver{}.NewEncoder(bm.cfg)
			if err != nil {
				b.Fatal(err)
			}
			pcm := speech.PCM("alice")
			frame := 960
			if bm.cfg.Channels == 2 {
				mono := pcm
				pcm = make([]int16, 2*len(mono))
				for i, v := range mono {
					pcm[2*i], pcm[2*i+1] = v, v/2
				}
				frame *= 2
			}
			packet := make([]byte, codec.MaxPacketSize)
			at, bytes := 0, 0
			b.ReportAllocs()
			for b.Loop() {
				if at+frame > len(pcm) {
					at = 0
				}
				n, err := enc.Encode(pcm[at:at+frame], packet)
				if err != nil {
					b.Fatal(err)
				}
				at += frame
				bytes += n
			}
			b.ReportMetric(float64(bytes)*8*50/float64(b.N)/1000, "kbit/s")
		})
	}
}

func BenchmarkDecode20ms(b *testing.B) {
	dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
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
