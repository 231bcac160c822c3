package mediafile

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/webm"
)

const (
	// minSilence and maxSilence are how long a stretch of silence is that
	// ReadOpus returns at a time, in samples at 48 kHz.
	minSilence = codec.SampleRate / 50
	maxSilence = codec.MaxFrameSamples
)

// An Audio plays the Opus of a WebM or Ogg file at its pace, packet by packet.
// It implements engine.OpusSource. One goroutine reads at a time.
type Audio struct {
	opt    Options
	file   io.Closer // nil if it is the caller's
	rewind func() (io.Reader, error)
	next   func() (packet []byte, at time.Duration, err error) // at is -1 if unknown

	packet []byte // what is to be returned next, if not nil
	due    int64  // and where it belongs, in samples
	over   error
	frame  bool // one was read in this pass over the file
	lead   time.Duration
	base   int64 // where this pass begins, in samples
	pos    int64 // where the next sample belongs
	pace   pace
	paused time.Duration
	closed atomic.Bool
}

// OpenAudio opens a WebM or Ogg Opus file, whichever it is. Errors: ErrFormat if
// there is no Opus in it, those of codec/webm and codec/ogg, and those of the
// file.
func OpenAudio(path string, opt Options) (*Audio, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a, err := NewAudio(f, opt)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	a.file = f
	return a, nil
}

// NewAudio is OpenAudio for what is open already. For Loop r must be an
// io.Seeker.
func NewAudio(r io.Reader, opt Options) (*Audio, error) {
	a := &Audio{opt: opt}
	var err error
	if a.rewind, err = rewinder(r, opt.Loop); err != nil {
		return nil, err
	}
	if err := a.begin(); err != nil {
		return nil, err
	}
	if a.fill(); a.packet == nil {
		if a.over == io.EOF {
			return nil, fmt.Errorf("%w: there is no sound in it", ErrFormat)
		}
		return nil, a.over
	}
	return a, nil
}

// Close closes the file that OpenAudio opened; ReadOpus returns io.EOF then. It
// may be called from any goroutine.
func (a *Audio) Close() error { return closeFile(&a.closed, a.file) }

// ReadOpus copies the next packet into buf when the last of its sound would have
// been captured; 0 bytes are a stretch of silence, where the file has none. A
// reader that comes more than 200 ms late finds the file where it left it.
// Errors: io.EOF at the end, or where the file is cut off, unless it loops;
// io.ErrShortBuffer; and what is wrong with the file.
func (a *Audio) ReadOpus(ctx context.Context, buf []byte) (int, time.Duration, error) {
	a.fill()
	switch {
	case a.closed.Load():
		return 0, 0, io.EOF
	case a.packet == nil:
		return 0, 0, a.over
	}
	if gap := a.due - a.pos; gap >= minSilence {
		n := min(gap, maxSilence) / 480 * 480 // whole blocks of 10 ms
		return 0, duration(n), a.wait(ctx, n)
	}
	if len(a.packet) > len(buf) {
		return 0, 0, fmt.Errorf("mediafile: a packet of %d bytes: %w", len(a.packet), io.ErrShortBuffer)
	}
	n, err := codec.PacketSamples(a.packet)
	if err != nil {
		return 0, 0, err
	}
	if err := a.wait(ctx, int64(n)); err != nil {
		return 0, 0, err
	}
	length := copy(buf, a.packet)
	a.packet = nil
	return length, duration(int64(n)), nil
}

// wait waits until n samples have been captured.
func (a *Audio) wait(ctx context.Context, n int64) error {
	late, err := a.pace.wait(ctx, duration(a.pos+n)+a.paused)
	if err != nil {
		return err
	}
	if late > maxLate {
		a.paused += late
	}
	a.pos += n
	return nil
}

// fill reads the next packet, if there is none.
func (a *Audio) fill() {
	for a.packet == nil && a.over == nil {
		p, at, err := a.next()
		switch {
		case err != nil && ended(err) && a.opt.Loop && a.frame:
			a.base = a.pos
			a.over = a.begin()
			continue
		case err != nil && ended(err):
			a.over = io.EOF
			return
		case err == nil:
			_, err = codec.PacketSamples(p)
		}
		if err == nil && at > maxTime {
			err = fmt.Errorf("%w: a packet of %v", ErrFormat, at)
		}
		if a.over = err; err != nil {
			return
		}
		if !a.frame {
			a.frame, a.lead = true, leadOf(at)
			if a.base > 0 {
				a.lead = at
			}
		}
		a.packet, a.due = p, a.pos
		if at >= 0 {
			a.due = a.base + int64(at-a.lead)*48/int64(time.Millisecond)
		}
	}
}

// begin opens the container at its start.
func (a *Audio) begin() error {
	r, err := a.rewind()
	if err != nil {
		return fmt.Errorf("mediafile: %w", err)
	}
	a.frame = false
	b := bufio.NewReader(r)
	switch magic, err := b.Peek(4); {
	case string(magic) == magicWebM:
		d, track, err := openWebM(b, webm.Opus)
		if err != nil {
			return err
		}
		a.next = func() ([]byte, time.Duration, error) {
			f, err := nextOf(d, track)
			return f.Data, f.Time, err
		}
		return nil
	case string(magic) == "OggS":
		d, err := ogg.NewReader(b)
		if err != nil {
			return err
		}
		a.next = func() ([]byte, time.Duration, error) {
			p, err := d.NextPacket()
			return p, -1, err
		}
		return nil
	case err != nil && err != io.EOF:
		return fmt.Errorf("mediafile: %w", err)
	}
	return fmt.Errorf("%w: it is neither a WebM nor an Ogg Opus file", ErrFormat)
}

// duration is how long n samples play.
func duration(n int64) time.Duration { return time.Duration(n) * time.Second / codec.SampleRate }
