package engine

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

const (
	// hookBudget is how long a media hook may take for one frame.
	hookBudget = time.Millisecond
	// A hook that panics maxHookPanics times, or takes longer than its budget
	// maxHookOverruns times in a row, is taken off.
	maxHookPanics   = 3
	maxHookOverruns = 25
)

// hookGuard stands between the engine and one media hook of the host's.
type hookGuard struct {
	name     string
	log      *slog.Logger
	panics   int
	overruns int
	off      atomic.Bool
}

// run calls the hook. It reports false if the hook is off, or panicked.
func (g *hookGuard) run(f func()) (ok bool) {
	if g.off.Load() {
		return false
	}
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			ok = false
			if g.panics++; g.panics >= maxHookPanics {
				g.takeOff(fmt.Sprintf("panicked %d times: %v\n%s", g.panics, p, debug.Stack()))
			}
		}
	}()
	f()
	if time.Since(start) <= hookBudget {
		g.overruns = 0
	} else if g.overruns++; g.overruns >= maxHookOverruns {
		g.takeOff(fmt.Sprintf("took longer than %v for %d frames in a row", hookBudget, g.overruns))
	}
	return true
}

func (g *hookGuard) takeOff(why string) {
	g.off.Store(true)
	g.log.Warn("media hook taken off", "hook", g.name, "why", why)
}

// packetHooks are the plugins' hooks on one track's packets. None costs a nil
// check.
type packetHooks []*packetHook

type packetHook struct {
	guard hookGuard
	call  hooks.PacketHook
}

// bindPacketHooks asks the plugins which of them see a track's packets.
// Server.mu is not held.
func (s *Server) bindPacketHooks(info hooks.TrackInfo) (out packetHooks) {
	for _, p := range s.plugins {
		if p.Packet == nil {
			continue
		}
		if h, ok := bindHook(s, p.Name, info, p.Packet); ok && h != nil {
			out = append(out, &packetHook{hookGuard{name: p.Name, log: s.log}, h})
		}
	}
	return out
}

// bindProcessors asks the plugins which of them change a track's sound where it
// is mixed. Server.mu is not held.
func (s *Server) bindProcessors(info hooks.TrackInfo) (out []*pcmHook) {
	for _, p := range s.plugins {
		if p.Processor == nil || info.Video || !s.mixes {
			continue
		}
		if f, ok := bindHook(s, p.Name, info, p.Processor); ok && f != nil {
			out = append(out, newPCMHook(p.Name, f, s.log))
		}
	}
	return out
}

// bindHook asks a plugin for its hook on a track. One that fails, or takes
// longer than a decider may, has none.
func bindHook[H any](s *Server, name string, info hooks.TrackInfo, bind func(hooks.TrackInfo) H) (h H, ok bool) {
	got := make(chan H, 1)
	err := decide(context.Background(), func(context.Context) error {
		got <- bind(info)
		return nil
	})
	if err != nil {
		s.log.Warn("media hook not bound", "plugin", name, "user", info.UserID, "err", err)
		return h, false
	}
	return <-got, true
}

// pass shows a packet to the hooks, and reports whether it goes on.
func (hs packetHooks) pass(packet []byte) bool {
	for _, h := range hs {
		forward := true
		if h.guard.run(func() { forward = h.call(packet) }) && !forward {
			return false
		}
	}
	return true
}

// pcmHook is a host's hook on a talker's sound.
type pcmHook struct {
	guard hookGuard
	call  hooks.PCMHook
}

func newPCMHook(name string, f hooks.PCMHook, log *slog.Logger) *pcmHook {
	if f == nil {
		return nil
	}
	return &pcmHook{hookGuard{name: name, log: log}, f}
}

// remotePCMHook asks the host for its hook on a talker's sound.
func remotePCMHook(bind func(userID string) hooks.PCMHook, userID string, log *slog.Logger) *pcmHook {
	if bind == nil {
		return nil
	}
	var f hooks.PCMHook
	func() {
		defer func() {
			if p := recover(); p != nil {
				log.Error("Remote panicked", "user", userID, "panic", p, "stack", string(debug.Stack()))
			}
		}()
		f = bind(userID)
	}()
	return newPCMHook("Remote "+userID, f, log)
}

func (h *pcmHook) process(pcm []int16) {
	if h != nil {
		h.guard.run(func() { h.call(pcm) })
	}
}

// processor runs the plugins' hooks on a track's sound, or is nil without any.
func (t *track) processor() func(pcm []int16) {
	hs := t.processors
	if len(hs) == 0 {
		return nil
	}
	return func(pcm []int16) {
		for _, h := range hs {
			h.process(pcm)
		}
	}
}
