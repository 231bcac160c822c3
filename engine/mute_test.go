package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// Muting while the microphone is being published must not be lost.
func TestMuteWhilePublishing(t *testing.T) {
	for _, wait := range []time.Duration{0, 10 * time.Millisecond, 30 * time.Millisecond, 45 * time.Millisecond, 100 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, nil)
			alice, a := w.dial(t, "alice", nil)
			bob, b := w.dial(t, "bob", nil)
			must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
			b.wait(t, "invited")
			b.on = func(e string) {
				if e == "entered" {
					go func() {
						time.Sleep(wait) // virtual: the publishing takes 40 ms
						bob.SetMicMute(context.Background(), true)
					}()
				}
			}
			must(t, bob.Accept(t.Context()))
			time.Sleep(time.Second) // virtual
			synctest.Wait()
			var last string
			for _, e := range a.all() {
				if e == "audio bob true" || e == "audio bob false" {
					last = e
				}
			}
			if last != "audio bob false" {
				t.Errorf("muted after %v, and alice was last told %q", wait, last)
			}
		})
	}
}
