// Package webm reads and writes WebM files with VP8 and Opus: the subset of
// Matroska (RFC 9559) in EBML (RFC 8794) that calls are recorded in.
//
//	r, err := webm.NewReader(file)
//	...
//	for {
//		frame, err := r.NextFrame()
//		if err == io.EOF {
//			break
//		}
//		...
//	}
//
//	w, err := webm.NewWriter(file, webm.Config{Tracks: []webm.Track{
//		{CodecID: webm.VP8, Width: 640, Height: 480},
//		{CodecID: webm.Opus},
//	}})
//	...
//	err = w.WriteFrame(webm.Frame{Track: 0, Time: t, KeyFrame: true, Data: frame})
//	...
//	err = w.Close()
//
// Both stream: nothing is sought for, what a browser's MediaRecorder sends is
// read as it comes, and a file that was cut off by a crash can be read up to
// there.
//
// The elements are read and written here rather than with ebml-go, which
// allocates what a file's sizes say: here they are checked against bounds
// first. Files that it writes are read, and the other way round.
package webm

import (
	"errors"
	"fmt"
	"time"
)

// The codecs whose frames are read and written.
const (
	VP8  = "V_VP8"
	Opus = "A_OPUS"
)

// MaxFrame is the largest frame, in bytes, that is read or written.
const MaxFrame = 8 << 20

// MaxTracks is the most tracks of a file.
const MaxTracks = 64

// maxTime bounds the times of frames, so that arithmetic with them is safe.
const maxTime = 1 << 55 * time.Nanosecond // over a year

// A Track is one stream of a file.
type Track struct {
	// CodecID names the codec: VP8, Opus, or another that is only listed.
	CodecID string
	// Width and Height of the picture in pixels.
	Width, Height int
	// Channels is 1 or 2, and SampleRate in Hz. Defaults of a Writer's Opus
	// track: 1 and 48000.
	Channels   int
	SampleRate int
	// CodecPrivate is the codec's own header, up to 64 KiB; that of Opus is
	// OpusHead (RFC 7845 section 5.1). Default of a Writer's Opus track: made
	// from what is here.
	CodecPrivate []byte
	// CodecDelay is to be subtracted from the times of the track's frames, and
	// what is before 0 then is not to be heard: the encoder's lookahead. A
	// Writer takes a negative one for none. Default of a Writer's Opus track:
	// 6.5 ms, libopus' lookahead.
	CodecDelay time.Duration
	// SeekPreRoll is how much is to be decoded, and not heard, before a place
	// to which a player jumps. Default of a Writer's Opus track: 80 ms.
	SeekPreRoll time.Duration
}

// A Frame is one frame of a track: a picture, or an Opus packet.
type Frame struct {
	// Track is the index of its track.
	Track int
	// Time at which it begins, from the start, CodecDelay not subtracted. A
	// file keeps it to the millisecond.
	Time time.Duration
	// KeyFrame needs none before it. Opus packets are all marked so.
	KeyFrame bool
	// Data is not empty. A Reader's belongs to the caller; a Writer copies it.
	Data []byte
}

// ErrFormat: a file is corrupt, not WebM, or uses what this package does not
// read. Every *FormatError is one.
var ErrFormat = errors.New("webm: corrupt file")

// FormatError says what is wrong with a file, and where.
type FormatError struct {
	// Offset of the element in the file, in bytes.
	Offset int64
	// Reason is what is wrong.
	Reason string

	err error
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("webm: element at offset %d: %s", e.Offset, e.Reason)
}

// Is reports that e is an ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// Unwrap returns io.ErrUnexpectedEOF for a file that ends too early.
func (e *FormatError) Unwrap() error { return e.err }
