//go:build ignore

// Makes the packets in testdata: go run make.go
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/codectest"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/ogg"
)

func main() {
	const ms = time.Millisecond
	for name, cfg := range map[string]codec.EncoderConfig{
		"silk-nb-20":     {SampleRate: 8000, Bitrate: 12000},
		"silk-mb-40":     {SampleRate: 12000, FrameDuration: 40 * ms, Bitrate: 14000},
		"silk-wb-10":     {SampleRate: 16000, FrameDuration: 10 * ms, Bitrate: 20000},
		"silk-wb-60":     {SampleRate: 16000, FrameDuration: 60 * ms, Bitrate: 16000},
		"silk-stereo-20": {SampleRate: 16000, Channels: 2, Bitrate: 28000},
		"silk-fec-20":    {SampleRate: 16000, Bitrate: 28000, FEC: true, PacketLoss: 25},
		"silk-fec-60":    {SampleRate: 16000, Bitrate: 28000, FrameDuration: 60 * ms, FEC: true, PacketLoss: 25},
		"hybrid-10":      {FrameDuration: 10 * ms, Bitrate: 32000},
		"hybrid-20":      {Bitrate: 28000},
		"hybrid-fec-20":  {Bitrate: 36000, FEC: true, PacketLoss: 20},
		"celt-2.5":       {FrameDuration: 2500 * time.Microsecond, Bitrate: 64000, Application: codec.LowDelay},
		"celt-5":         {FrameDuration: 5 * ms, Bitrate: 48000, Application: codec.LowDelay},
		"celt-20":        {Bitrate: 48000, Application: codec.LowDelay},
		"celt-stereo-10": {Channels: 2, FrameDuration: 10 * ms, Bitrate: 64000, Application: codec.LowDelay},
		"hybrid-3x20":    {FrameDuration: 60 * ms, Bitrate: 32000},
	} {
		enc, err := libopus.Driver{}.NewEncoder(cfg)
		if err != nil {
			log.Fatal(err)
		}
		cfg, _ = cfg.WithDefaults()
		var file bytes.Buffer
		w, err := ogg.NewWriter(&file, ogg.Config{
			Channels: cfg.Channels, InputRate: cfg.SampleRate, Serial: 1,
			PreSkip: enc.Lookahead() * codec.SampleRate / cfg.SampleRate,
		})
		if err != nil {
			log.Fatal(err)
		}
		pcm := codectest.Source(cfg.SampleRate, cfg.Channels)
		packet := make([]byte, 4000)
		modes := map[codec.Mode]int{}
		for frame := cfg.FrameSamples() * cfg.Channels; len(pcm) >= frame; pcm = pcm[frame:] {
			n, err := enc.Encode(pcm[:frame], packet)
			if err != nil {
				log.Fatal(err)
			}
			modes[codec.ParseTOC(packet[0]).Mode]++
			if err := w.WritePacket(packet[:n]); err != nil {
				log.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			log.Fatal(err)
		}
		if err := os.WriteFile("testdata/"+name+".ogg", file.Bytes(), 0o666); err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, file.Len(), "bytes", modes)
	}
}
