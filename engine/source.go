package engine

import (
	"context"
	"time"
)

// A PCMSource is a microphone. The engine reads it from one goroutine while
// the client is in a call.
type PCMSource interface {
	// ReadPCM fills pcm with the next samples: 48 kHz (or
	// ClientConfig.MicrophoneRate), mono, signed 16-bit, one frame of the
	// encoder's length (960 samples for 20 ms at 48 kHz), or seldom fewer, when a
	// server that mixes wants frames to begin at another moment: what is read
	// then, between words, is dropped. It returns when the last of them has been
	// captured, so the source sets the pace. It must return soon after ctx ends.
	// io.EOF ends the source: nothing more is sent in this call. Any other error
	// is told to the listener as hooks.CodeMicStart. The slice is the engine's; do
	// not keep it.
	ReadPCM(ctx context.Context, pcm []int16) error
}

// An OpusSource is a microphone that gives Opus packets, such as a file or
// another call.
type OpusSource interface {
	// ReadOpus reads the next packet into buf, which holds 1150 bytes, and
	// returns its length and how long it plays (2.5 to 120 ms). Length 0 is a
	// stretch of silence for which nothing is sent. Pace, ctx and errors are as
	// for PCMSource.
	ReadOpus(ctx context.Context, buf []byte) (n int, d time.Duration, err error)
}
