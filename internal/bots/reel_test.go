package bots

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/video"
)

func TestDelayLine(t *testing.T) {
	l := newDelayLine(20 * time.Millisecond) // 960 samples
	next, back := int16(0), int16(-960)
	for _, n := range []int{960, 480, 7, 1500, 0, 960} {
		pcm := make([]int16, n)
		for i := range pcm {
			next++
			pcm[i] = next
		}
		l.pass(pcm)
		for i, v := range pcm {
			if back++; v != max(0, back) {
				t.Fatalf("sample %d of %d is %d, want %d", i, n, v, max(0, back))
			}
		}
	}
}

func key(n int) engine.VideoFrame {
	return engine.VideoFrame{Data: video.Frame(n, 0, true, 20), KeyFrame: true, Layer: 1}
}

func delta(n, size int) engine.VideoFrame {
	return engine.VideoFrame{Data: video.Frame(n, 0, false, size)}
}

// A reel shows frames after its delay, and their bytes are its own.
func TestReel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReel(time.Second)
		asked := 0
		r.wantKey = func() { asked++ }
		time.Sleep(time.Minute) // virtual
		r.WriteFrame(delta(0, 20))
		start := time.Now()
		in := key(1)
		r.WriteFrame(in)
		clear(in.Data)
		time.Sleep(100 * time.Millisecond)
		r.WriteFrame(delta(2, 20))
		r.WriteFrame(delta(3, 20)) // at the same moment
		for i, want := range []struct{ at, time time.Duration }{
			{time.Second, 0}, {1100 * time.Millisecond, 100 * time.Millisecond}, {1100 * time.Millisecond, 101 * time.Millisecond},
		} {
			f, err := r.ReadFrame(t.Context())
			n, _ := video.Number(f.Data)
			if err != nil || n != i+1 || f.Time != want.time || time.Since(start) != want.at || f.KeyFrame != (i == 0) || f.Layer != 0 {
				t.Errorf("frame %d of %v after %v, %v; want %d", n, f.Time, time.Since(start), err, i+1)
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times for a key frame for a frame that cannot be shown", asked)
		}

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := r.ReadFrame(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without a frame: %v", err)
		}
		go func() {
			time.Sleep(time.Second)
			r.close()
			r.close()
		}()
		if _, err := r.ReadFrame(t.Context()); err != io.EOF {
			t.Errorf("closed: %v", err)
		}
		r.WriteFrame(key(4))
		r.RequestKeyFrame()
		if _, err := r.ReadFrame(t.Context()); err != io.EOF || asked != 1 {
			t.Errorf("after it was closed: %v, asked %d times", err, asked)
		}
	})
}

// Key frames are asked for when none is on its way, and not again and again.
func TestReelAsksForKeyFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReel(time.Second)
		asked := 0
		r.wantKey = func() { asked++ }
		want := func(when string, n int) {
			t.Helper()
			r.RequestKeyFrame()
			if asked != n {
				t.Errorf("%s: asked %d times, want %d", when, asked, n)
			}
		}
		want("at the start", 1)
		want("at once again", 1)
		time.Sleep(askEvery)
		want("after a second", 2)
		r.WriteFrame(key(1))
		time.Sleep(askEvery)
		want("while one is on its way", 2)
		if _, err := r.ReadFrame(t.Context()); err != nil {
			t.Fatal(err)
		}
		want("just after one was shown", 2)
		time.Sleep(askEvery)
		want("a second after it", 3)
	})
}

// A reel that nobody reads holds no more than its bounds, and goes on with a key
// frame.
func TestReelIsBounded(t *testing.T) {
	for name, size := range map[string]int{"frames": 20, "bytes": 1 << 20} {
		r := newReel(time.Second)
		r.wantKey = func() {}
		r.WriteFrame(key(0))
		for n := range 2 * maxReelFrames {
			r.WriteFrame(delta(n, size))
			if len(r.frames) > maxReelFrames || r.bytes > maxReelBytes {
				t.Fatalf("%s: %d frames, %d bytes", name, len(r.frames), r.bytes)
			}
		}
		if len(r.frames) != 0 || r.bytes != 0 {
			t.Errorf("%s: %d frames are left, which cannot be shown", name, len(r.frames))
		}
		if r.WriteFrame(key(1)); len(r.frames) != 1 {
			t.Errorf("%s: it does not go on", name)
		}
	}
}
