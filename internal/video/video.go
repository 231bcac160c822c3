// Package video is a camera and a screen for tests, demos and benchmarks: an
// IVF file played in its own time, and a sink that keeps what it is shown.
//
//	src, err := video.NewSource(speech.VP8())
//	err = client.OpenCamera(ctx, src)
package video

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/engine"
)

// Frames reads all frames of an IVF file of VP8. It has to begin with a key
// frame. Errors: those of package ivf, and what else is wrong with the file.
func Frames(file []byte) ([]engine.VideoFrame, error) {
	r, err := ivf.NewReader(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	if h := r.Header(); h.FourCC != "VP80" {
		return nil, fmt.Errorf("video: %q, want VP8", h.FourCC)
	}
	var all []engine.VideoFrame
	for {
		f, err := r.NextFrame()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		out := engine.VideoFrame{Data: f.Data, Time: f.Time}
		if h, ok := vp8.ParseFrameHeader(f.Data); ok && h.KeyFrame {
			out.KeyFrame, out.Width, out.Height = true, h.Width, h.Height
		}
		if n := len(all); n > 0 && f.Time <= all[n-1].Time {
			return nil, fmt.Errorf("video: frame %d is not later than the one before", n)
		}
		all = append(all, out)
	}
	if len(all) < 2 || !all[0].KeyFrame {
		return nil, errors.New("video: the file must have two frames at least and begin with a key frame")
	}
	return all, nil
}

// A Source is a camera that plays a file over and over, at its pace. It
// implements engine.VideoSource and engine.KeyFramer: asked for a key frame, it
// goes on with the nearest one of the file, since nobody decodes anything here.
// One goroutine reads.
type Source struct {
	frames []engine.VideoFrame
	step   time.Duration // from one frame to the next
	keys   []int         // where the key frames are

	start time.Time // of the first frame
	n     int64     // frames read
	next  int       // in frames

	mu     sync.Mutex
	wanted bool
	asked  int
}

// NewSource makes a source of an IVF file. Errors are those of Frames.
func NewSource(file []byte) (*Source, error) {
	frames, err := Frames(file)
	if err != nil {
		return nil, err
	}
	s := &Source{frames: frames, step: frames[1].Time - frames[0].Time}
	for i, f := range frames {
		if f.KeyFrame {
			s.keys = append(s.keys, i)
		}
	}
	return s, nil
}

// ReadFrame returns the next frame when it is due. Time counts from the first
// frame read, at an even pace, whatever part of the file is shown.
func (s *Source) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	if s.start.IsZero() {
		s.start = time.Now()
	}
	at := time.Duration(s.n) * s.step
	if d := time.Until(s.start.Add(at)); d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
			return engine.VideoFrame{}, ctx.Err()
		}
	} else if err := ctx.Err(); err != nil {
		return engine.VideoFrame{}, err
	}
	s.mu.Lock()
	if s.wanted {
		s.wanted = false
		s.next = s.nearestKey()
	}
	s.mu.Unlock()
	f := s.frames[s.next]
	f.Time = at
	s.n++
	s.next = (s.next + 1) % len(s.frames)
	return f, nil
}

// nearestKey is the key frame that is closest to what would come next.
func (s *Source) nearestKey() int {
	best, far := 0, len(s.frames)
	for _, k := range s.keys {
		d := k - s.next
		if d < 0 {
			d = -d
		}
		if d = min(d, len(s.frames)-d); d < far {
			best, far = k, d
		}
	}
	return best
}

// RequestKeyFrame makes the next frame a key frame. It may be called from any
// goroutine.
func (s *Source) RequestKeyFrame() {
	s.mu.Lock()
	s.wanted = true
	s.asked++
	s.mu.Unlock()
}

// Asked is how often a key frame was requested.
func (s *Source) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Shown is a frame that a Sink was shown.
type Shown struct {
	engine.VideoFrame
	// At is when.
	At time.Time
}

// A Sink keeps a copy of every frame. It implements engine.VideoSink; its
// zero value is ready.
type Sink struct {
	mu     sync.Mutex
	frames []Shown
}

// WriteFrame keeps a frame.
func (s *Sink) WriteFrame(f engine.VideoFrame) {
	f.Data = bytes.Clone(f.Data)
	s.mu.Lock()
	s.frames = append(s.frames, Shown{f, time.Now()})
	s.mu.Unlock()
}

// Frames returns what was shown so far.
func (s *Sink) Frames() []Shown {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.frames[:len(s.frames):len(s.frames)]
}
