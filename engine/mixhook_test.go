package engine_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// Plugins change what is on the way from one to another, and what one hears in
// all, in mixes; others hear the same as without. It does not matter who comes
// first, and a plugin that hangs when it is asked holds up nobody.
func TestPathAndMixProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hung, mixed atomic.Int64
		plugins := []hooks.Plugin{
			{Name: "hangs", MixProcessor: func(r hooks.ReceiverInfo) hooks.MixHook {
				hung.Add(1)
				time.Sleep(10 * time.Second)
				return func([]int16, int) { panic("late") }
			}},
			{Name: "walls", PathProcessor: func(w hooks.PathInfo) hooks.PCMHook {
				if w.Talker == "alice" && w.Receiver == "u1" && w.CallID != "" {
					return func(pcm []int16) { clear(pcm) }
				}
				return nil
			}},
			{Name: "panics", PathProcessor: func(w hooks.PathInfo) hooks.PCMHook {
				if w.Receiver == "u2" {
					return func([]int16) { panic("a bad wall") }
				}
				return nil
			}},
			{Name: "deaf", MixProcessor: func(r hooks.ReceiverInfo) hooks.MixHook {
				if r.UserID != "u3" {
					return nil
				}
				return func(pcm []int16, channels int) {
					mixed.Add(int64(len(pcm) / channels))
					clear(pcm)
				}
			}},
		}
		w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Plugins = plugins }, nil, "alice", "bob", "u1", "u2", "u3")
		time.Sleep(3 * time.Second) // until the one that hangs is given up
		heard := w.allHear(4*time.Second, "u1", "u2", "u3", "alice")
		if a, b := like(heard["u1"], "alice"), like(heard["u1"], "bob"); a > 0.3 || b < 0.8 {
			t.Errorf("behind a wall from alice u1 hears her with %.2f, bob with %.2f", a, b)
		}
		if a, b := like(heard["u2"], "alice"), like(heard["u2"], "bob"); a < 0.4 || b < 0.4 {
			t.Errorf("u2 hears alice with %.2f, bob with %.2f", a, b)
		}
		if b := like(heard["alice"], "bob"); b < 0.8 {
			t.Errorf("alice hears bob with %.2f", b)
		}
		if l := loudness(heard["u3"]); l > -60 || mixed.Load() < 3*48000 {
			t.Errorf("u3's mix is silenced to %.0f dBov, of %d samples", l, mixed.Load())
		}
		if hung.Load() == 0 {
			t.Error("the plugin that hangs was not asked")
		}
		// Somebody who comes later, and whose microphone is new.
		must(t, w.clients["alice"].Hangup(t.Context()))
		must(t, w.clients["alice"].JoinCall(t.Context(), w.callID))
		time.Sleep(time.Second)
		if a := like(w.hears("u1", 4*time.Second), "alice"); a > 0.3 {
			t.Errorf("back again alice is heard with %.2f", a)
		}
		time.Sleep(10 * time.Second) // what hangs ends
	})
}
