package engine_test

import (
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// earsOf is what Go clients of a world play.
func earsOf(t *testing.T, srv *engine.Server, users ...string) (hear func(d time.Duration) map[string][]int16) {
	t.Helper()
	clients := make(map[string]*engine.Client)
	for _, u := range users {
		c, told := dial(t, srv, u, nil)
		told.wait(t, "entered")
		clients[u] = c
	}
	return func(d time.Duration) map[string][]int16 {
		out := make(map[string][]int16)
		pcm := make([]int16, 480)
		for range d / (10 * time.Millisecond) {
			time.Sleep(10 * time.Millisecond) // virtual
			for u, c := range clients {
				c.ReadPCM(pcm)
				out[u] = append(out[u], pcm...)
			}
		}
		return out
	}
}

// TestWorldProcessors: a plugin changes what one says for all, and what is on the way
// from one to another for that one alone; the others hear it as it was said. Taps of
// speech are told it as it was said, taps of hearing as it is heard.
func TestWorldProcessors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, changed atomic.Int64
		plugins := []hooks.Plugin{
			{Name: "quiet", Processor: func(i hooks.TrackInfo) hooks.PCMHook {
				asked.Add(1)
				if i.UserID != "alice" || i.CallID != "hamlet" || i.Video {
					return nil
				}
				return func(pcm []int16) {
					if len(pcm) == 960 {
						changed.Add(1)
					}
					mixer.Ramp(pcm, 0.1, 0.1)
				}
			}},
			{Name: "walls", PathProcessor: func(i hooks.PathInfo) hooks.PCMHook {
				if i.Talker != "bob" || i.Receiver != "ann" || i.CallID != "hamlet" {
					return nil
				}
				return func(pcm []int16) { clear(pcm) }
			}},
			{Name: "panics", PathProcessor: func(i hooks.PathInfo) hooks.PCMHook {
				if i.Receiver == "dan" && i.Talker == "bob" {
					return func([]int16) { panic("a bad wall") }
				}
				return nil
			}},
			{Name: "hangs", PathProcessor: func(i hooks.PathInfo) hooks.PCMHook {
				if i.Receiver == "eve" {
					time.Sleep(time.Minute)
					return func(pcm []int16) { clear(pcm) }
				}
				return nil
			}},
		}
		srv, w := hamlet(t, func(c *engine.ServerConfig) { c.Codec, c.Plugins = libopus.Driver{}, plugins })
		_, err := w.Join(engine.Player{UserID: "dan"}, engine.Player{UserID: "eve"})
		must(t, err)
		must(t, w.Move([]engine.Placement{{UserID: "alice", Position: east(1)}, {UserID: "bob", Position: east(100)}}))
		hear := earsOf(t, srv, "ann", "dan", "eve")
		talkative(t, srv, "alice", "bob")
		var said tapped
		var heard bothEars
		_, err = srv.TapTalker("hamlet", "alice", said.sound)
		must(t, err)
		_, err = srv.TapReceiver("hamlet", "ann", heard.sound)
		must(t, err)
		hear(time.Second)
		said.take()
		heard.take(t)
		got := hear(3 * time.Second)
		_, pcm, _ := said.take()
		_, ear := heard.take(t)
		quieter := mixer.Level(pcm["alice"]) - mixer.Level(got["ann"])
		if l := like(got["ann"], "alice"); l < 0.9 || quieter < 18 || quieter > 22 {
			t.Errorf("alice is heard with a likeness of %.2f, %.1f dB quieter than she says it", l, quieter)
		}
		if d := mixer.Level(ear) - mixer.Level(got["ann"]); d < -1 || d > 1 {
			t.Errorf("ann's tap is told %.1f dB more than she hears", d)
		}
		if changed.Load() < 150 || asked.Load() != 2 {
			t.Errorf("the plugin was asked %d times, and has seen %d blocks", asked.Load(), changed.Load())
		}
		// Bob comes, and alice goes.
		must(t, w.Move([]engine.Placement{{UserID: "alice", Position: east(100)}, {UserID: "bob", Position: east(1)}}))
		hear(time.Second)
		heard.take(t)
		got = hear(3 * time.Second)
		if l := mixer.Level(got["ann"]); l > -60 {
			t.Errorf("behind a wall ann hears %.0f dBov", l)
		}
		if _, ear := heard.take(t); mixer.Level(ear) > -60 || len(ear) == 0 {
			t.Errorf("ann's tap hears %.0f dBov of %d", mixer.Level(ear), len(ear))
		}
		for _, u := range []string{"dan", "eve"} {
			if l := like(got[u], "bob"); l < 0.9 {
				t.Errorf("%s hears bob with a likeness of %.2f", u, l)
			}
		}
		// He goes until his track ends, and comes again.
		must(t, w.Move([]engine.Placement{{UserID: "bob", Position: east(100)}}))
		hear(7 * time.Second)
		must(t, w.Move([]engine.Placement{{UserID: "bob", Position: east(1)}}))
		hear(time.Second)
		if l := mixer.Level(hear(2 * time.Second)["ann"]); l > -60 {
			t.Errorf("when bob comes again ann hears %.0f dBov", l)
		}
		// A sound is changed as a microphone is.
		must(t, w.Leave("bob", "alice"))
		_, err = srv.Play(t.Context(), engine.PlayConfig{CallID: "hamlet", UserID: "alice", Opus: endless("carol"), To: []string{"dan"}})
		must(t, err)
		before := changed.Load()
		hear(time.Second)
		if l := like(hear(3 * time.Second)["dan"], "carol"); l < 0.9 || changed.Load() < before+150 {
			t.Errorf("the sound is heard with a likeness of %.2f; %d blocks were changed", l, changed.Load()-before)
		}
		time.Sleep(time.Minute) // virtual: what hangs ends
	})
}

// TestWorldSlowProcessor: a hook that takes too long is taken off, and holds up
// nobody.
func TestWorldSlowProcessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		srv, w := hamlet(t, func(c *engine.ServerConfig) {
			c.Codec = libopus.Driver{}
			c.Plugins = []hooks.Plugin{{Name: "slow", Processor: func(i hooks.TrackInfo) hooks.PCMHook {
				if i.UserID != "alice" {
					return nil
				}
				return func([]int16) { calls.Add(1); time.Sleep(100 * time.Millisecond) }
			}}}
		})
		must(t, w.Move([]engine.Placement{{UserID: "bob", Position: east(1)}, {UserID: "alice", Position: east(100)}}))
		hear := earsOf(t, srv, "ann")
		talkative(t, srv, "alice", "bob")
		hear(time.Second)
		if l := like(hear(3 * time.Second)["ann"], "bob"); l < 0.9 {
			t.Errorf("beside it bob is heard with a likeness of %.2f", l)
		}
		hear(3 * time.Second)
		n := calls.Load()
		must(t, w.Move([]engine.Placement{{UserID: "bob", Position: east(100)}, {UserID: "alice", Position: east(1)}}))
		hear(time.Second)
		if l := like(hear(3 * time.Second)["ann"], "alice"); l < 0.9 || n == 0 || calls.Load() > n {
			t.Errorf("alice, whose hook was called %d and then %d times, is heard with a likeness of %.2f", n, calls.Load()-n, l)
		}
	})
}

// lines collects a log.
type lines struct {
	mu  sync.Mutex
	all strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.all.Write(b)
}

// TestWorldHooksThatAreNot: what a plugin wants and a world cannot is said.
func TestWorldHooksThatAreNot(t *testing.T) {
	var log lines
	srv := serve(t, func(c *engine.ServerConfig) {
		anybody(c)
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
		c.Plugins = []hooks.Plugin{
			{Name: "finish", MixProcessor: func(hooks.ReceiverInfo) hooks.MixHook { return nil }},
			{Name: "pitch", Processor: func(hooks.TrackInfo) hooks.PCMHook { return nil }},
			{Name: "nothing"},
		}
	})
	_, err := srv.NewWorld(engine.WorldConfig{})
	must(t, err)
	log.mu.Lock()
	defer log.mu.Unlock()
	for _, want := range []string{"plugin=finish", "plugin=pitch"} {
		if strings.Count(log.all.String(), want) != 1 {
			t.Errorf("the log does not say %q once:\n%s", want, log.all.String())
		}
	}
	if strings.Contains(log.all.String(), "plugin=nothing") {
		t.Errorf("too much is said:\n%s", log.all.String())
	}
}
