// Package speech holds real input for the demo, the tests and the benchmarks:
// six people talking, and a moving picture.
//
//	for _, name := range speech.Voices() {
//		pcm := speech.PCM(name) // 48 kHz mono
//		...
//	}
//
// What is here, all made by make.sh beside this file with espeak-ng and
// ffmpeg's test picture, by us, under this module's licence (MIT):
//
//   - voices/*.ogg: alice, bob, carol, dave, erin and frank, 12 to 14 s each,
//     Ogg Opus at 48 kHz mono, 28 kbit/s, 20 ms frames, level -20 dBov over
//     the voiced part, 60 ms of silence before the first word;
//   - speech16k.wav: 8 s of alice, 16 kHz mono, 16 bit;
//   - motion.ivf: 4 s of VP8, 320x240 at 15 frames/s, 250 kbit/s, a key frame
//     at the start and after 2 s.
//
// PCM decodes with codec/pionopus, so nothing here needs cgo. All functions
// may be called concurrently; what they return is shared and must not be
// written to.
package speech

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/pionopus"
)

//go:embed voices/*.ogg
var voices embed.FS

//go:embed speech16k.wav
var wav []byte

//go:embed motion.ivf
var motion []byte

var names = []string{"alice", "bob", "carol", "dave", "erin", "frank"}

// decoded is what PCM hands out, decoded once per voice.
var decoded = func() map[string]func() []int16 {
	m := make(map[string]func() []int16, len(names))
	for _, name := range names {
		m[name] = sync.OnceValue(func() []int16 { return decode(name) })
	}
	return m
}()

// Voices returns the names of the voices, in a fixed order. The first four
// are two women and two men in turn.
func Voices() []string { return slices.Clone(names) }

// Ogg returns a voice as an Ogg Opus file. It panics on a name that is not
// one of Voices.
func Ogg(name string) []byte {
	b, err := voices.ReadFile("voices/" + name + ".ogg")
	if err != nil {
		panic(fmt.Sprintf("speech: no voice %q: there are %v", name, names))
	}
	return b
}

// Packets returns a voice as Opus packets of 20 ms.
func Packets(name string) [][]byte {
	r, err := ogg.NewReader(bytes.NewReader(Ogg(name)))
	if err != nil {
		panic(fmt.Sprintf("speech: %s: %v", name, err))
	}
	var all [][]byte
	for {
		p, err := r.NextPacket()
		if err == io.EOF {
			return all
		}
		if err != nil {
			panic(fmt.Sprintf("speech: %s: %v", name, err))
		}
		all = append(all, bytes.Clone(p))
	}
}

// PCM returns a voice as 48 kHz mono. The first call for a voice decodes it,
// which takes some tens of milliseconds.
func PCM(name string) []int16 {
	f, ok := decoded[name]
	if !ok {
		Ogg(name) // panics with the names
	}
	return f()
}

// WAV returns a 16 kHz mono WAV file of 8 s.
func WAV() []byte { return wav }

// VP8 returns an IVF file of 60 frames of VP8.
func VP8() []byte { return motion }

func decode(name string) []int16 {
	r, err := ogg.NewReader(bytes.NewReader(Ogg(name)))
	if err != nil {
		panic(fmt.Sprintf("speech: %s: %v", name, err))
	}
	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		panic(fmt.Sprintf("speech: %v", err))
	}
	pcm, err := ogg.ReadPCM(r, dec, 1)
	if err != nil {
		panic(fmt.Sprintf("speech: %s: %v", name, err))
	}
	return pcm
}
