package ivf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"time"

	"github.com/earshotrtc/earshot/codec"
)

// ErrClosed is returned by a Writer after Close.
var ErrClosed = errors.New("ivf: writer is closed")

// ErrFrame: a frame cannot be written. The writer goes on with others.
var ErrFrame = errors.New("ivf: bad frame")

// A Writer writes an IVF file. It is for one goroutine at a time, and allocates
// only when its buffer grows.
type Writer struct {
	w      io.Writer
	seek   io.WriteSeeker // nil if it cannot seek
	base   int64          // where the file begins in it
	offset int64
	header Header
	buf    []byte
	frames uint32
	err    error
}

// NewWriter writes the header of an IVF file. Width and Height must be set, 1
// to 16383; FourCC is "VP80" and the tick 1/90000 s by default. Frames is filled
// in by Close if w can seek. Close does not close w. Errors: codec.ErrConfig,
// and those of w.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	if h.FourCC == "" {
		h.FourCC = "VP80"
	}
	if h.TickNumerator == 0 {
		h.TickNumerator = 1
	}
	if h.TickDenominator == 0 {
		h.TickDenominator = 90000
	}
	switch {
	case len(h.FourCC) != 4:
		return nil, fmt.Errorf("%w: ivf: FourCC %.8q", codec.ErrConfig, h.FourCC)
	case h.Width < 1 || h.Width > 16383 || h.Height < 1 || h.Height > 16383:
		return nil, fmt.Errorf("%w: ivf: a picture of %dx%d: 1 to 16383 are possible", codec.ErrConfig, h.Width, h.Height)
	}
	o := &Writer{w: w, header: h}
	if s, ok := w.(io.WriteSeeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil { // a pipe is a file, too
			o.seek, o.base = s, at
		}
	}
	b := append(make([]byte, 0, fileHeader), "DKIF\x00\x00"...)
	b = binary.LittleEndian.AppendUint16(b, fileHeader)
	b = append(b, h.FourCC...)
	b = binary.LittleEndian.AppendUint16(b, uint16(h.Width))
	b = binary.LittleEndian.AppendUint16(b, uint16(h.Height))
	b = binary.LittleEndian.AppendUint32(b, h.TickDenominator)
	b = binary.LittleEndian.AppendUint32(b, h.TickNumerator)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // frames, unused
	return o, o.write(b)
}

// WriteFrame adds a frame. Errors: ErrFrame for one that cannot be written, and
// one of the writer below, which stays: every later call returns it.
func (o *Writer) WriteFrame(f Frame) error {
	if o.err != nil {
		return o.err
	}
	if len(f.Data) == 0 || len(f.Data) > MaxFrame {
		return fmt.Errorf("%w: %d bytes: want 1 to %d", ErrFrame, len(f.Data), MaxFrame)
	}
	t, ok := o.ticks(f.Time)
	if !ok {
		return fmt.Errorf("%w: a time of %v", ErrFrame, f.Time)
	}
	o.buf = binary.LittleEndian.AppendUint32(o.buf[:0], uint32(len(f.Data)))
	o.buf = binary.LittleEndian.AppendUint64(o.buf, t)
	o.buf = append(o.buf, f.Data...)
	if err := o.write(o.buf); err != nil {
		return err
	}
	o.frames++
	return nil
}

// ticks is the tick that is nearest to a time.
func (o *Writer) ticks(t time.Duration) (uint64, bool) {
	if t < 0 {
		return 0, false
	}
	hi, lo := bits.Mul64(uint64(t), uint64(o.header.TickDenominator))
	unit := uint64(time.Second) * uint64(o.header.TickNumerator) // below 2^62
	lo, carry := bits.Add64(lo, unit/2, 0)
	if hi += carry; hi >= unit {
		return 0, false
	}
	q, _ := bits.Div64(hi, lo, unit)
	return q, true
}

// Close fills in the number of frames, if the writer below can seek.
func (o *Writer) Close() error {
	if o.err != nil {
		if o.err == ErrClosed {
			return nil
		}
		return o.err
	}
	o.err = ErrClosed
	if o.seek == nil {
		return nil
	}
	_, err := o.seek.Seek(o.base+24, io.SeekStart)
	if err == nil {
		_, err = o.seek.Write(binary.LittleEndian.AppendUint32(nil, o.frames))
	}
	if err == nil {
		_, err = o.seek.Seek(o.base+o.offset, io.SeekStart)
	}
	if err != nil {
		return fmt.Errorf("ivf: %w", err)
	}
	return nil
}

func (o *Writer) write(b []byte) error {
	n, err := o.w.Write(b)
	o.offset += int64(n)
	if err != nil {
		o.err = fmt.Errorf("ivf: %w", err)
	}
	return o.err
}
