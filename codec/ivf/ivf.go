// Package ivf reads and writes IVF files, which hold VP8 frames.
//
//	r, err := ivf.NewReader(file)
//	...
//	for {
//		frame, err := r.NextFrame()
//		if err == io.EOF {
//			break
//		}
//		...
//	}
//
// A [Reader] stands before pion's ivfreader to bound what a corrupt file can
// make that allocate, to say where a file is corrupt, and to give times as
// durations. A [Writer] takes whole frames; pion's ivfwriter takes RTP packets
// as they come.
package ivf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/pion/webrtc/v4/pkg/media/ivfreader"
)

const (
	fileHeader  = 32
	frameHeader = 12
)

// MaxFrame is the largest frame, in bytes, that is read.
const MaxFrame = 8 << 20

// ErrFormat: a file is corrupt, or not IVF. Every *FormatError is one.
var ErrFormat = errors.New("ivf: corrupt file")

// FormatError says what is wrong with a file, and where.
type FormatError struct {
	// Offset in the file, in bytes.
	Offset int64
	// Frame is the frame's index, -1 for the file's header.
	Frame int
	// Reason is what is wrong.
	Reason string

	err error
}

func (e *FormatError) Error() string {
	if e.Frame < 0 {
		return fmt.Sprintf("ivf: file header: %s", e.Reason)
	}
	return fmt.Sprintf("ivf: frame %d at offset %d: %s", e.Frame, e.Offset, e.Reason)
}

// Is reports that e is an ErrFormat.
func (e *FormatError) Is(target error) bool { return target == ErrFormat }

// Unwrap returns io.ErrUnexpectedEOF for a file that ends too early.
func (e *FormatError) Unwrap() error { return e.err }

// Header is the file's header.
type Header struct {
	// FourCC names the codec: "VP80" for VP8.
	FourCC string
	// Width and Height in pixels.
	Width, Height int
	// Frames in the file; some programs leave 0.
	Frames int
	// Tick is the unit of the frames' times, as a fraction of a second.
	TickNumerator, TickDenominator uint32
}

// A Frame is one frame of a file.
type Frame struct {
	// Data belongs to the caller. It is never empty.
	Data []byte
	// Time at which it is shown, from the start.
	Time time.Duration
}

// A Reader reads the frames of an IVF file. It is for one goroutine at a time.
type Reader struct {
	in     *bufio.Reader
	r      *ivfreader.IVFReader
	header Header
	offset int64
	frame  int
	err    error
}

// NewReader reads the header of an IVF file. What r gives is not trusted: an
// error that is ErrFormat says where the file is corrupt.
func NewReader(r io.Reader) (*Reader, error) {
	in := bufio.NewReader(r)
	b, err := in.Peek(fileHeader)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("ivf: %w", err)
	}
	if len(b) < fileHeader {
		return nil, &FormatError{Frame: -1, Reason: fmt.Sprintf("the file has %d bytes, want at least %d", len(b), fileHeader), err: io.ErrUnexpectedEOF}
	}
	if n := binary.LittleEndian.Uint16(b[6:]); string(b[:4]) == "DKIF" && n != fileHeader {
		return nil, &FormatError{Frame: -1, Reason: fmt.Sprintf("it is %d bytes long, want %d", n, fileHeader)}
	}
	reader, h, err := ivfreader.NewWith(in)
	if err != nil {
		return nil, &FormatError{Frame: -1, Reason: err.Error()}
	}
	return &Reader{in: in, r: reader, offset: fileHeader, header: Header{
		FourCC: h.FourCC, Width: int(h.Width), Height: int(h.Height), Frames: int(h.NumFrames),
		TickNumerator: h.TimebaseNumerator, TickDenominator: h.TimebaseDenominator,
	}}, nil
}

// Header returns the file's header.
func (r *Reader) Header() Header { return r.header }

// NextFrame returns the next frame, io.EOF after the last. After an error the
// same error is returned again.
func (r *Reader) NextFrame() (Frame, error) {
	if r.err != nil {
		return Frame{}, r.err
	}
	f, err := r.next()
	r.err = err
	return f, err
}

func (r *Reader) next() (Frame, error) {
	b, err := r.in.Peek(frameHeader)
	switch {
	case err == io.EOF && len(b) == 0:
		return Frame{}, io.EOF
	case err == io.EOF:
		return Frame{}, r.errorf(io.ErrUnexpectedEOF, "the file ends within its header")
	case err != nil:
		return Frame{}, fmt.Errorf("ivf: frame %d at offset %d: %w", r.frame, r.offset, err)
	}
	size := binary.LittleEndian.Uint32(b)
	if size == 0 || size > MaxFrame {
		return Frame{}, r.errorf(nil, "%d bytes: want 1 to %d", size, MaxFrame)
	}
	at, ok := r.time(binary.LittleEndian.Uint64(b[4:]))
	if !ok {
		return Frame{}, r.errorf(nil, "its time is out of range")
	}
	data, _, err := r.r.ParseNextFrame()
	if err != nil {
		return Frame{}, r.errorf(io.ErrUnexpectedEOF, "the file ends within its %d bytes", size)
	}
	r.offset += frameHeader + int64(size)
	r.frame++
	return Frame{Data: data, Time: at}, nil
}

// time is that of tick t.
func (r *Reader) time(t uint64) (time.Duration, bool) {
	hi, ns := bits.Mul64(t, uint64(r.header.TickNumerator))
	if hi != 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(ns, uint64(time.Second))
	if hi >= uint64(r.header.TickDenominator) {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, uint64(r.header.TickDenominator))
	return time.Duration(q), q < 1<<63
}

func (r *Reader) errorf(err error, format string, args ...any) error {
	return &FormatError{Offset: r.offset, Frame: r.frame, Reason: fmt.Sprintf(format, args...), err: err}
}
