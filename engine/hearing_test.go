package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/video"
)

// TestSetHearing: who is not to hear or see somebody is sent nothing of theirs,
// from that moment on until they may again, and everybody else is.
func TestSetHearing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, a := w.dial(t, "alice", nil)
		bob, b := w.dial(t, "bob", nil)
		carol, c := w.dial(t, "carol", nil)
		must(t, alice.GroupCall(t.Context(), []string{"bob", "carol"}, hooks.MediaVideo, ""))
		for _, r := range []*recorder{b, c} {
			r.wait(t, "invited")
		}
		must(t, bob.Accept(t.Context()))
		must(t, carol.Accept(t.Context()))
		must(t, alice.OpenCamera(t.Context(), &video.Synthetic{}))
		screens := map[*engine.Client]*video.Sink{bob: {}, carol: {}}
		for cl, r := range map[*engine.Client]*recorder{bob: b, carol: c} {
			r.wait(t, "audio alice true")
			r.wait(t, "video alice true")
			must(t, cl.StartRemoteView(t.Context(), "alice", screens[cl]))
			listen(t, cl)
		}
		_ = a
		got := func(cl *engine.Client) (voice uint64, frames int) {
			for _, tr := range cl.Stats().Tracks {
				if tr.UserID == "alice" {
					voice += tr.Jitter.Played
				}
			}
			return voice, len(screens[cl].Frames())
		}
		second := func(cl *engine.Client) (voice uint64, frames int) {
			v0, f0 := got(cl)
			time.Sleep(time.Second) // virtual
			v1, f1 := got(cl)
			return v1 - v0, f1 - f0
		}
		time.Sleep(2 * time.Second) // virtual
		call := b.callID()
		set := func(audio, video bool) {
			must(t, w.srv.SetHearing(call, []engine.Hearing{{Receiver: "bob", Talker: "alice", Audio: audio, Video: video}}))
			time.Sleep(100 * time.Millisecond) // virtual: what is under way
		}
		for _, step := range []struct{ audio, video bool }{{true, true}, {false, false}, {true, false}, {false, true}, {true, true}} {
			set(step.audio, step.video)
			voice, frames := second(bob)
			if (voice > 10) != step.audio || (frames > 10) != step.video || !step.audio && voice > 2 || !step.video && frames > 0 {
				t.Errorf("audio %v, video %v: bob got %d packets and %d frames", step.audio, step.video, voice, frames)
			}
			if voice, frames := second(carol); voice < 10 || frames < 25 {
				t.Errorf("carol got %d packets and %d frames", voice, frames)
			}
		}
		var e *engine.Error
		if err := w.srv.SetHearing("nowhere", nil); !errors.As(err, &e) {
			t.Errorf("no such call: %v", err)
		}
		if err := w.srv.SetHearing(call, []engine.Hearing{{Receiver: "no one!", Talker: "alice"}}); !errors.As(err, &e) {
			t.Errorf("no such user: %v", err)
		}
	})
}
