package mediafile

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/engine"
)

const (
	// maxJump is how far a Video may jump forward to a key frame.
	maxJump = time.Second
	// maxAhead is how many bytes it reads ahead for that, a frame beside.
	maxAhead = 4 << 20
	// minStep is from one frame to the next where a file says none.
	minStep = time.Millisecond
)

// A Video plays the VP8 of an IVF or WebM file at its pace. It implements
// engine.VideoSource and engine.KeyFramer. One goroutine reads at a time, and
// RequestKeyFrame may be called from any.
type Video struct {
	opt    Options
	file   io.Closer // nil if it is the caller's
	rewind func() (io.Reader, error)
	next   func() (engine.VideoFrame, error) // of the container

	ahead []engine.VideoFrame // with the source's times
	bytes int                 // in ahead
	over  error               // what follows ahead, once known
	frame bool                // one was read in this pass over the file
	lead  time.Duration       // subtracted from the file's times
	base  time.Duration       // added to them
	last  time.Duration       // the newest frame's time
	step  time.Duration       // from the one before to it

	pace   pace
	skew   time.Duration // by how much jumps have gone ahead, less the waiting
	wanted atomic.Bool
	closed atomic.Bool
}

// OpenVideo opens an IVF or WebM file, whichever it is. Errors: ErrFormat if
// there is no VP8 in it, those of codec/ivf and codec/webm, and those of the
// file.
func OpenVideo(path string, opt Options) (*Video, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	v, err := NewVideo(f, opt)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	v.file = f
	return v, nil
}

// NewVideo is OpenVideo for what is open already. For Loop r must be an
// io.Seeker.
func NewVideo(r io.Reader, opt Options) (*Video, error) {
	v := &Video{opt: opt, last: -minStep, step: time.Second / 30}
	var err error
	if v.rewind, err = rewinder(r, opt.Loop); err != nil {
		return nil, err
	}
	if err := v.begin(); err != nil {
		return nil, err
	}
	v.fill()
	if len(v.ahead) == 0 {
		if v.over == io.EOF {
			return nil, fmt.Errorf("%w: there is no key frame in it", ErrFormat)
		}
		return nil, v.over
	}
	return v, nil
}

// Close closes the file that OpenVideo opened; ReadFrame returns io.EOF then. It
// may be called from any goroutine.
func (v *Video) Close() error { return closeFile(&v.closed, v.file) }

// RequestKeyFrame makes the source go on with the next key frame of the file if
// there is one within the second to come: what is before it is left out. A file
// cannot make a key frame, and to go back would show again what was seen; if
// the next one is further away, the source goes on as it was, and the viewer
// waits for it. So encode files with a key frame a second, or two.
func (v *Video) RequestKeyFrame() { v.wanted.Store(!v.opt.InStep) }

// ReadFrame returns the next frame when it is due. Times begin at 0, or at the
// file's first of up to 2 s, and never go back; Data is the caller's. A reader
// that comes more than 200 ms late finds the file where it left it. Errors:
// io.EOF at the end, or where the file is cut off, unless it loops; and what is
// wrong with the file.
func (v *Video) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	v.fill()
	switch {
	case v.closed.Load():
		return engine.VideoFrame{}, io.EOF
	case len(v.ahead) == 0:
		return engine.VideoFrame{}, v.over
	}
	due := v.ahead[0].Time - v.skew
	late, err := v.pace.wait(ctx, due)
	if err != nil {
		return engine.VideoFrame{}, err
	}
	if late > maxLate {
		v.skew -= late
		due += late
	}
	if v.wanted.Swap(false) {
		v.jump()
	}
	f := v.ahead[0]
	v.drop(1)
	f.Time = due
	return f, nil
}

// jump leaves out what is before the next key frame, if that is near.
func (v *Video) jump() {
	first := v.ahead[0].Time
	for i, f := range v.ahead {
		if f.Time-first > maxJump {
			return
		}
		if f.KeyFrame {
			v.skew += f.Time - first
			v.drop(i)
			return
		}
	}
}

func (v *Video) drop(n int) {
	for _, f := range v.ahead[:n] {
		v.bytes -= len(f.Data)
	}
	v.ahead = append(v.ahead[:0], v.ahead[n:]...)
}

// fill reads as far ahead as a jump may go.
func (v *Video) fill() {
	for v.over == nil {
		if n := len(v.ahead); n > 0 && (v.opt.InStep || v.bytes > maxAhead || v.ahead[n-1].Time-v.ahead[0].Time > maxJump) {
			return
		}
		f, err := v.read()
		if err != nil {
			v.over = err
			return
		}
		v.ahead = append(v.ahead, f)
		v.bytes += len(f.Data)
	}
}

// read takes a frame from the file, and gives it the source's time.
func (v *Video) read() (engine.VideoFrame, error) {
	for {
		f, err := v.next()
		if err != nil && ended(err) {
			if !v.opt.Loop || !v.frame {
				return f, io.EOF
			}
			v.base = v.last + v.step
			if err := v.begin(); err != nil {
				return f, err
			}
			continue
		}
		if err != nil {
			return f, err
		}
		h, ok := vp8.ParseFrameHeader(f.Data)
		if f.KeyFrame = ok && h.KeyFrame; f.KeyFrame {
			f.Width, f.Height = h.Width, h.Height
		}
		if !v.frame {
			if !f.KeyFrame {
				continue // it cannot be shown
			}
			v.frame, v.lead = true, leadOf(f.Time)
			if v.base > 0 {
				v.lead = f.Time // no pause from one pass to the next
			}
		}
		if f.Time > maxTime {
			return f, fmt.Errorf("%w: a frame of %v", ErrFormat, f.Time)
		}
		f.Time += v.base - v.lead
		switch {
		case f.Time < v.last-time.Second:
			return f, fmt.Errorf("%w: a frame is %v before the one that it follows", ErrFormat, v.last-f.Time)
		case f.Time <= v.last: // a picture that only others refer to
			f.Time = v.last + minStep
		case v.last >= 0:
			v.step = min(f.Time-v.last, time.Second)
		}
		v.last = f.Time
		return f, nil
	}
}

// begin opens the container at its start.
func (v *Video) begin() error {
	r, err := v.rewind()
	if err != nil {
		return fmt.Errorf("mediafile: %w", err)
	}
	v.frame = false
	b := bufio.NewReader(r)
	switch magic, err := b.Peek(4); {
	case string(magic) == "DKIF":
		return v.beginIVF(b)
	case string(magic) == magicWebM:
		return v.beginWebM(b)
	case err != nil && err != io.EOF:
		return fmt.Errorf("mediafile: %w", err)
	}
	return fmt.Errorf("%w: it is neither an IVF nor a WebM file", ErrFormat)
}

const magicWebM = "\x1A\x45\xDF\xA3"

func (v *Video) beginIVF(r io.Reader) error {
	d, err := ivf.NewReader(r)
	if err != nil {
		return err
	}
	if h := d.Header(); h.FourCC != "VP80" {
		return fmt.Errorf("%w: its video is %q, and only VP8 is sent in calls", ErrFormat, h.FourCC)
	}
	v.next = func() (engine.VideoFrame, error) {
		f, err := d.NextFrame()
		return engine.VideoFrame{Data: f.Data, Time: f.Time}, err
	}
	return nil
}

func (v *Video) beginWebM(r io.Reader) error {
	d, track, err := openWebM(r, webm.VP8)
	if err != nil {
		return err
	}
	v.next = func() (engine.VideoFrame, error) {
		f, err := nextOf(d, track)
		return engine.VideoFrame{Data: f.Data, Time: f.Time}, err
	}
	return nil
}

// openWebM finds the first track of a codec.
func openWebM(r io.Reader, codecID string) (*webm.Reader, int, error) {
	d, err := webm.NewReader(r)
	if err != nil {
		return nil, 0, err
	}
	var has []string
	for i, t := range d.Header().Tracks {
		if t.CodecID == codecID {
			return d, i, nil
		}
		has = append(has, t.CodecID)
	}
	return nil, 0, fmt.Errorf("%w: it has %.100q, and no %s, which calls are made of", ErrFormat, has, codecID)
}

// nextOf returns the next frame of a track.
func nextOf(d *webm.Reader, track int) (webm.Frame, error) {
	for {
		f, err := d.NextFrame()
		if err != nil || f.Track == track {
			return f, err
		}
	}
}
