package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/transport/simnet"
)

func newCamera(t testing.TB) *video.Source {
	t.Helper()
	src, err := video.NewSource(speech.VP8())
	must(t, err)
	return src
}

// filming puts alice and bob into a video call; alice's camera is on.
func filming(t *testing.T, test func(t *testing.T, alice, bob *engine.Client, a, b *recorder, cam *video.Source)) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		connect(t, alice, bob, b, hooks.MediaVideo)
		cam := newCamera(t)
		must(t, alice.OpenCamera(t.Context(), cam))
		b.wait(t, "video alice true")
		test(t, alice, bob, a, b, cam)
	})
}

// connect makes the first call the second, who accepts.
func connect(t testing.TB, from, to *engine.Client, r *recorder, media hooks.MediaType) {
	t.Helper()
	must(t, from.Call(t.Context(), to.UserID(), media))
	r.wait(t, "invited by "+from.UserID())
	must(t, to.Accept(t.Context()))
	r.wait(t, "begin")
}

// clip returns the frames of the clip by their bytes, and checks that what was
// shown is made of them, whole.
func wantClip(t *testing.T, shown []video.Shown) (at []int) {
	t.Helper()
	clip, err := video.Frames(speech.VP8())
	must(t, err)
	for i, f := range shown {
		n := slices.IndexFunc(clip, func(c engine.VideoFrame) bool { return bytes.Equal(c.Data, f.Data) })
		if n < 0 {
			t.Fatalf("frame %d shown is none of the source's", i)
		}
		if f.KeyFrame != clip[n].KeyFrame || f.KeyFrame && (f.Width != 320 || f.Height != 240) {
			t.Errorf("frame %d: key %v, %dx%d", i, f.KeyFrame, f.Width, f.Height)
		}
		at = append(at, n)
	}
	return at
}

// count is how many of the events begin so.
func count(r *recorder, prefix string) (n int) {
	for _, e := range r.all() {
		if strings.HasPrefix(e, prefix) {
			n++
		}
	}
	return n
}

func TestVideoIsForwardedWhole(t *testing.T) {
	filming(t, func(t *testing.T, alice, bob *engine.Client, a, b *recorder, cam *video.Source) {
		time.Sleep(time.Second) // virtual: nobody looks
		if cam.Asked() != 0 || count(b, "frame") != 0 {
			t.Errorf("%d key frames asked for, bob was told %q", cam.Asked(), b.all())
		}
		var screen video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &screen))
		b.wait(t, "frame alice 320x240")
		time.Sleep(5 * time.Second) // virtual
		shown := screen.Frames()
		at := wantClip(t, shown)
		if len(shown) < 70 || !shown[0].KeyFrame {
			t.Fatalf("%d frames in 5 s, the first a key frame: %v", len(shown), shown[0].KeyFrame)
		}
		// What there was since the last key frame comes at once, then each frame
		// at its time.
		const step = time.Second / 15
		if late := shown[14].At.Sub(shown[0].At); late > 10*time.Millisecond {
			t.Errorf("the second before the view began came over %v", late)
		}
		last := shown[len(shown)-1]
		for i := range at[1:] {
			if at[i+1] != (at[i]+1)%60 {
				t.Errorf("frame %d of the clip follows %d", at[i+1], at[i])
			}
			if d := shown[i+1].Time - shown[i].Time - step; d < -time.Microsecond*12 || d > 12*time.Microsecond {
				t.Errorf("frame %d is %v after the one before, want %v", i+1, shown[i+1].Time-shown[i].Time, step)
			}
			if d := last.At.Sub(shown[i].At) - last.Time + shown[i].Time; i > 15 && (d < -time.Millisecond || d > time.Millisecond) {
				t.Errorf("frame %d was shown %v beside its time", i+1, d)
			}
		}
		if cam.Asked() != 0 {
			t.Errorf("%d key frames were asked for: there was one", cam.Asked())
		}
		if n := count(b, "frame"); n != 1 {
			t.Errorf("OnFirstVideoFrame came %d times", n)
		}
	})
}

// Who begins to look, at whatever time, is shown a key frame at once.
func TestKeyFrameForWhoComesLate(t *testing.T) {
	filming(t, func(t *testing.T, alice, bob *engine.Client, a, b *recorder, cam *video.Source) {
		for i := range 4 {
			time.Sleep(1300 * time.Millisecond) // virtual: in the middle of the clip
			var screen video.Sink
			start := time.Now()
			must(t, bob.StartRemoteView(t.Context(), "alice", &screen))
			time.Sleep(time.Second) // virtual
			shown := screen.Frames()
			wantClip(t, shown)
			if len(shown) < 14 || !shown[0].KeyFrame || shown[0].At.Sub(start) > 150*time.Millisecond {
				t.Fatalf("view %d: %d frames, the first after %v", i, len(shown), shown[0].At.Sub(start))
			}
			if cam.Asked() > i+1 {
				t.Errorf("view %d: %d key frames were asked for", i, cam.Asked())
			}
			must(t, bob.StopRemoteView(t.Context(), "alice"))
			n := len(screen.Frames())
			time.Sleep(time.Second) // virtual
			if more := len(screen.Frames()); more != n {
				t.Errorf("view %d: %d frames after it was stopped", i, more-n)
			}
		}
		if n := count(b, "frame alice 320x240"); n != 4 {
			t.Errorf("OnFirstVideoFrame came %d times for 4 views", n)
		}
	})
}

// A view that replaces another begins with a key frame, too; the old one is
// shown no more.
func TestViewReplacesAnother(t *testing.T) {
	filming(t, func(t *testing.T, alice, bob *engine.Client, a, b *recorder, cam *video.Source) {
		var first, second video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &first))
		time.Sleep(1200 * time.Millisecond) // virtual
		must(t, bob.StartRemoteView(t.Context(), "alice", &second))
		synctest.Wait()
		n := len(first.Frames())
		time.Sleep(time.Second) // virtual
		if more := len(first.Frames()); more > n {
			t.Errorf("the first view was shown %d more frames", more-n)
		}
		shown := second.Frames()
		wantClip(t, shown)
		if len(shown) < 12 || !shown[0].KeyFrame {
			t.Fatalf("the second view was shown %d frames", len(shown))
		}
	})
}

// Three look at one: each has its own key frame, and requests that come
// together are one.
func TestManyViewers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		alice, _ := dial(t, srv, "alice", nil)
		names := []string{"bob", "carol", "dave"}
		must(t, alice.GroupCall(t.Context(), names, hooks.MediaVideo, ""))
		cam := newCamera(t)
		must(t, alice.OpenCamera(t.Context(), cam))
		screens := make([]video.Sink, len(names))
		for i, n := range names {
			c, r := dial(t, srv, n, nil)
			r.wait(t, "invited")
			must(t, c.Accept(t.Context()))
			r.wait(t, "video alice true")
			must(t, c.StartRemoteView(t.Context(), "alice", &screens[i]))
		}
		time.Sleep(3 * time.Second) // virtual
		for i := range screens {
			shown := screens[i].Frames()
			wantClip(t, shown)
			if len(shown) < 35 || !shown[0].KeyFrame {
				t.Errorf("%s was shown %d frames", names[i], len(shown))
			}
		}
		if n := cam.Asked(); n > 2 {
			t.Errorf("%d key frames were asked for three who came at once", n)
		}
	})
}

// Over a line that loses packets what is shown is whole and decodes: what is lost
// comes again, and after what does not come nothing is shown until the next key
// frame.
func TestVideoOverALossyLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, a := w.dial(t, "alice", func(c *engine.ClientConfig) { c.OpusMicrophone = nil })
		bob, b := w.dial(t, "bob", func(c *engine.ClientConfig) { c.OpusMicrophone = nil })
		connect(t, alice, bob, b, hooks.MediaVideo)
		cam := newCamera(t)
		must(t, alice.OpenCamera(t.Context(), cam))
		b.wait(t, "video alice true")
		var screen video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &screen))
		w.net.SetDefault(simnet.Link{Delay: 20 * time.Millisecond, Loss: 0.02})
		time.Sleep(40 * time.Second) // virtual
		w.net.SetDefault(simnet.Link{Delay: 20 * time.Millisecond})
		time.Sleep(3 * time.Second) // virtual
		shown := screen.Frames()
		at := wantClip(t, shown)
		jumps := 0
		for i := range at[1:] {
			if at[i+1] == (at[i]+1)%60 {
				continue
			}
			jumps++
			if !shown[i+1].KeyFrame {
				t.Errorf("frame %d of the clip, which is no key frame, follows %d", at[i+1], at[i])
			}
		}
		if jumps > 10 {
			t.Errorf("%d jumps: what is lost is to come again", jumps)
		}
		if last := time.Since(shown[len(shown)-1].At); last > 200*time.Millisecond {
			t.Errorf("the last frame was shown %v ago", last)
		}
		if len(shown) < 580 {
			t.Errorf("%d frames of 645 shown in 43 s", len(shown))
		}
		t.Logf("%d frames of 645 shown, %d jumps, %d key frames asked for", len(shown), jumps, cam.Asked())
		_ = a
	})
}

func TestCloseCamera(t *testing.T) {
	filming(t, func(t *testing.T, alice, bob *engine.Client, a, b *recorder, cam *video.Source) {
		var e *engine.Error
		if err := alice.OpenCamera(t.Context(), newCamera(t)); !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("a second camera: %v", err)
		}
		must(t, alice.CloseCamera(t.Context()))
		b.wait(t, "video alice false")
		if err := alice.CloseCamera(t.Context()); !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("closing it again: %v", err)
		}
		if err := bob.StartRemoteView(t.Context(), "alice", new(video.Sink)); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
			t.Errorf("looking at no camera: %v", err)
		}
		// The same source may be opened again at once: nobody reads it.
		must(t, alice.OpenCamera(t.Context(), cam))
		synctest.Wait()
		var screen video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &screen))
		time.Sleep(time.Second) // virtual
		if n := len(screen.Frames()); n < 12 {
			t.Errorf("%d frames of the camera that was opened again", n)
		}
		must(t, alice.Hangup(t.Context()))
		synctest.Wait()
		a.want(t, "entered", "accept bob", "enter bob", "begin alice video", "end hangup 1s")
		b.want(t, "invited by alice video 30s", "entered", "enter alice", "begin alice video",
			"video alice true", "video alice false", "video alice true", "frame alice 320x240",
			"leave alice 0", "video alice false", "end hangup 1s")
	})
}

// A camera fails, or ends: the others are told, and the call goes on.
func TestCameraFails(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		told int
	}{"unplugged": {errUnplugged, 1}, "end": {io.EOF, 0}} {
		t.Run(name, func(t *testing.T) {
			two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
				connect(t, alice, bob, b, hooks.MediaVideo)
				must(t, alice.OpenCamera(t.Context(), brokenCamera{newCamera(t), c.err}))
				b.wait(t, "video alice false")
				synctest.Wait()
				if n := count(a, "error -1301"); n != c.told || count(a, "error") != n {
					t.Errorf("alice was told %q", a.all())
				}
				must(t, alice.OpenCamera(t.Context(), newCamera(t))) // another
				must(t, bob.Hangup(t.Context()))
				a.wait(t, "end hangup")
			})
		})
	}
}

// brokenCamera fails after a second.
type brokenCamera struct {
	*video.Source
	err error
}

func (c brokenCamera) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	f, err := c.Source.ReadFrame(ctx)
	if err == nil && f.Time > time.Second {
		err = c.err
	}
	return f, err
}

func TestNoCameraInAnAudioCall(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		if err := alice.OpenCamera(t.Context(), newCamera(t)); !errors.Is(err, engine.ErrNoCall) {
			t.Errorf("without a call: %v", err)
		}
		if err := alice.OpenCamera(t.Context(), nil); err == nil {
			t.Error("no source, no error")
		}
		connect(t, alice, bob, b, hooks.MediaAudio)
		var e *engine.Error
		if err := alice.OpenCamera(t.Context(), newCamera(t)); !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("in an audio call: %v", err)
		}
		must(t, bob.SwitchMedia(t.Context(), hooks.MediaVideo))
		a.wait(t, "media audio video")
		must(t, alice.OpenCamera(t.Context(), newCamera(t)))
		b.wait(t, "video alice true")
	})
}

func TestSwitchingToAudioEndsVideo(t *testing.T) {
	filming(t, func(t *testing.T, alice, bob *engine.Client, a, b *recorder, cam *video.Source) {
		var screen video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &screen))
		b.wait(t, "frame alice")
		must(t, bob.SwitchMedia(t.Context(), hooks.MediaAudio))
		a.wait(t, "media video audio")
		b.wait(t, "video alice false")
		synctest.Wait()
		n := len(screen.Frames())
		time.Sleep(time.Second) // virtual
		if more := len(screen.Frames()) - n; more != 0 {
			t.Errorf("%d frames in an audio call", more)
		}
		var e *engine.Error
		if err := alice.CloseCamera(t.Context()); !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("closing the camera that the switch closed: %v", err)
		}
		// Back to video: the camera may be opened again.
		must(t, alice.SwitchMedia(t.Context(), hooks.MediaVideo))
		must(t, alice.OpenCamera(t.Context(), cam))
		must(t, alice.Hangup(t.Context()))
		b.wait(t, "end hangup")
		if got := count(b, "video alice true"); got != 2 {
			t.Errorf("bob was told %q", b.all())
		}
	})
}

// A camera goes on over a connection that was lost and came back.
func TestVideoSurvivesABlackout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, _ := w.dial(t, "alice", func(c *engine.ClientConfig) { c.OpusMicrophone = nil })
		bob, b := w.dial(t, "bob", func(c *engine.ClientConfig) { c.OpusMicrophone = nil })
		connect(t, alice, bob, b, hooks.MediaVideo)
		must(t, alice.OpenCamera(t.Context(), newCamera(t)))
		b.wait(t, "video alice true")
		var screen video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &screen))
		time.Sleep(2 * time.Second) // virtual
		w.blackout(6 * time.Second)
		time.Sleep(3 * time.Second) // virtual
		shown := screen.Frames()
		before := wantClip(t, shown)
		time.Sleep(2 * time.Second) // virtual
		after := screen.Frames()
		if n := len(after) - len(before); n < 25 {
			t.Errorf("%d frames in 2 s after the blackout", n)
		}
		at := wantClip(t, after)
		for i := range at[1:] {
			if at[i+1] != (at[i]+1)%60 && !after[i+1].KeyFrame {
				t.Errorf("frame %d of the clip, which is no key frame, follows %d", at[i+1], at[i])
			}
		}
	})
}

// Two who press the button at once open one camera.
func TestOpenCameraTwiceAtOnce(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		connect(t, alice, bob, b, hooks.MediaVideo)
		errs := make(chan error, 4)
		for range cap(errs) {
			go func() { errs <- alice.OpenCamera(context.Background(), newCamera(t)) }()
		}
		ok := 0
		for range cap(errs) {
			var e *engine.Error
			if err := <-errs; err == nil {
				ok++
			} else if !errors.As(err, &e) || e.Code != hooks.CodeRefused {
				t.Error(err)
			}
		}
		synctest.Wait()
		if n := count(b, "video alice"); ok != 1 || n != 1 {
			t.Errorf("%d of 4 succeeded, and bob was told %q", ok, b.all())
		}
	})
}

// faulty is a camera and a screen that panic.
type faulty struct{ *video.Source }

func (f faulty) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	if fr, err := f.Source.ReadFrame(ctx); fr.Time < time.Second {
		return fr, err
	}
	panic("a camera's fault")
}
func (f faulty) RequestKeyFrame() {
	f.Source.RequestKeyFrame()
	panic("a key frame's fault")
}
func (faulty) WriteFrame(engine.VideoFrame) { panic("a screen's fault") }

// A source or a sink that panics costs its video, and nothing else.
func TestPanickingVideo(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		connect(t, alice, bob, b, hooks.MediaVideo)
		must(t, alice.OpenCamera(t.Context(), faulty{newCamera(t)}))
		b.wait(t, "video alice true")
		must(t, bob.StartRemoteView(t.Context(), "alice", faulty{}))
		b.wait(t, "frame alice")
		a.wait(t, "error -1301")
		b.wait(t, "video alice false")
		must(t, alice.OpenCamera(t.Context(), newCamera(t)))
		synctest.Wait()
		var screen video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &screen))
		time.Sleep(time.Second) // virtual
		if n := len(screen.Frames()); n < 12 {
			t.Errorf("%d frames were shown after that", n)
		}
	})
}
