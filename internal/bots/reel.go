package bots

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine"
)

// The bounds of a reel: what is more is dropped up to the next key frame. One is
// asked for when askEvery has passed since the last.
const (
	maxReelFrames = 600 // 10 s at 60 frames a second
	maxReelBytes  = 16 << 20
	askEvery      = time.Second
)

// A reel is a screen that is a camera: it shows, a time later, the frames that
// it was shown. It implements engine.VideoSink, VideoSource and KeyFramer.
type reel struct {
	delay   time.Duration
	wantKey func() // asks for a key frame, without blocking

	mu     sync.Mutex
	frames []reelFrame
	bytes  int
	keyed  bool          // what is added next can be shown
	asked  time.Time     // when a key frame was last asked for, or shown
	start  time.Time     // when the first frame came
	last   time.Duration // the time of the newest frame
	more   chan struct{} // has a value when a frame was added, or the reel closed
	closed bool
}

type reelFrame struct {
	engine.VideoFrame
	due time.Time
}

func newReel(delay time.Duration) *reel {
	return &reel{delay: delay, more: make(chan struct{}, 1), last: -time.Millisecond}
}

// WriteFrame takes a frame in.
func (r *reel) WriteFrame(f engine.VideoFrame) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return
	}
	if len(r.frames) >= maxReelFrames || r.bytes+len(f.Data) > maxReelBytes {
		r.frames, r.bytes, r.keyed = nil, 0, false
	}
	if r.keyed = r.keyed || f.KeyFrame; !r.keyed {
		r.ask()
		return
	}
	f.Data = bytes.Clone(f.Data)
	f.Layer = 0
	now := time.Now()
	if r.start.IsZero() {
		r.start = now
	}
	// Its time is its own: a view that starts anew may show frames again, at once.
	f.Time = max(now.Sub(r.start), r.last+time.Millisecond)
	r.last = f.Time
	r.frames = append(r.frames, reelFrame{f, now.Add(r.delay)})
	r.bytes += len(f.Data)
	r.wake()
}

// ReadFrame returns the next frame when it is due.
func (r *reel) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	for {
		f, wait, err := r.next()
		if err != nil || wait == 0 {
			return f, err
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-r.more:
		case <-ctx.Done():
			err = ctx.Err()
		}
		timer.Stop()
		if err != nil {
			return f, err
		}
	}
}

// next is the frame that is due, or how long to wait for one.
func (r *reel) next() (f engine.VideoFrame, wait time.Duration, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.closed:
		return f, 0, io.EOF
	case len(r.frames) == 0:
		return f, time.Hour, nil
	}
	if wait = time.Until(r.frames[0].due); wait > 0 {
		return f, wait, nil
	}
	f = r.frames[0].VideoFrame
	r.frames = slices.Delete(r.frames, 0, 1)
	r.bytes -= len(f.Data)
	if f.KeyFrame {
		r.asked = time.Now()
	}
	return f, 0, nil
}

// RequestKeyFrame asks who is seen for a key frame, unless one is on its way, or
// was just shown.
func (r *reel) RequestKeyFrame() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.ContainsFunc(r.frames, func(f reelFrame) bool { return f.KeyFrame }) {
		r.ask()
	}
}

// ask asks now and then. mu is held.
func (r *reel) ask() {
	if now := time.Now(); !r.closed && now.Sub(r.asked) >= askEvery {
		r.asked = now
		r.wantKey()
	}
}

// close ends the reel: there are no more frames.
func (r *reel) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed, r.frames, r.bytes = true, nil, 0
	r.wake()
}

// wake wakes the reader. mu is held.
func (r *reel) wake() {
	select {
	case r.more <- struct{}{}:
	default:
	}
}
