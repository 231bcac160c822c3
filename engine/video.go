package engine

import (
	"context"
	"time"
)

// A VideoFrame is one encoded VP8 frame.
type VideoFrame struct {
	// Data is the frame as the encoder gave it (RFC 6386).
	Data []byte
	// Time is when it is shown, from any start.
	Time time.Duration
	// KeyFrame can be shown without any before it; Width and Height are set
	// with it, in pixels.
	KeyFrame      bool
	Width, Height int
	// Layer is the size that the frame is of, of a source that makes several: 0
	// is the smallest. See LayeredSource.
	Layer int
}

// A VideoSource is a camera: a source of encoded frames.
type VideoSource interface {
	// ReadFrame returns the next frame when it was captured, so the source sets
	// the pace. Data may be reused after the next call. It must return soon
	// after ctx ends. io.EOF ends the source; any other error, or a panic, is
	// told to the listener as hooks.CodeCameraStart.
	ReadFrame(ctx context.Context) (VideoFrame, error)
}

// A KeyFramer is a VideoSource that can make a key frame when one is needed:
// somebody begins to watch, or lost a frame. It is called from any goroutine.
type KeyFramer interface {
	RequestKeyFrame()
}

// A BitrateSetter is a VideoSource that can make more or less of its picture.
// SetBitrate is told how many bits per second it may take, all sizes together,
// whenever that changes, from any goroutine: what gets through to the server, and
// no more than the best receiver can take.
type BitrateSetter interface {
	SetBitrate(bps int)
}

// A LayeredSource is a VideoSource that makes each picture in several sizes
// (simulcast), so that each receiver gets the one that fits its connection.
// Layers says how many, at most 3; ReadFrame returns the frames of all of them,
// with Layer set and with the same Time, and RequestKeyFrame asks for key frames
// of all.
type LayeredSource interface {
	VideoSource
	Layers() int
}

// A VideoSink shows a user's video. WriteFrame is called with whole frames in
// order, beginning with a key frame, never twice at once; it must not block, and
// the data is the engine's. A sink that panics is shown nothing more.
type VideoSink interface {
	WriteFrame(f VideoFrame)
}

const videoClock = 90000 // Hz, RFC 7741 section 4.1
