package ogg_test

import (
	"bytes"
	"fmt"
	"io"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

// Copy the first second of a file, without decoding it.
func Example() {
	in, err := ogg.NewReader(bytes.NewReader(speech.Ogg("alice")))
	if err != nil {
		fmt.Println(err)
		return
	}
	var file bytes.Buffer
	out, err := ogg.NewWriter(&file, ogg.Config{Channels: in.Header().Channels, PreSkip: in.Header().PreSkip})
	if err != nil {
		fmt.Println(err)
		return
	}
	for out.Samples() < codec.SampleRate {
		packet, err := in.NextPacket()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		if err := out.WritePacket(packet); err != nil {
			fmt.Println(err)
			return
		}
	}
	if err := out.CloseAt(codec.SampleRate); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Samples(), "samples")
	// Output: 48000 samples
}

// Decode a whole file to 48 kHz mono.
func ExampleReadPCM() {
	r, err := ogg.NewReader(bytes.NewReader(speech.Ogg("alice")))
	if err != nil {
		fmt.Println(err)
		return
	}
	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	pcm, err := ogg.ReadPCM(r, dec, 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(int64(len(pcm)) == r.Samples())
	// Output: true
}
