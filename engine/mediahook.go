package engine

import (
	"cmp"
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

	meter *hookMeter // nil: nobody counts
	// budget is what a call may take. Default hookBudget.
	budget time.Duration
	// labels are those of profiles from when the hook runs; nil: none.
	labels context.Context
}

// run calls the hook. It reports false if the hook is off, or panicked.
func (g *hookGuard) run(f func()) bool {
	_, ok := g.runFrom(time.Now(), 0, f)
	return ok
}

// runFrom is run at a time that is known, so that hooks in a row need a look at
// the clock each, not two: it is that long after base. It returns when it is.
func (g *hookGuard) runFrom(base time.Time, start time.Duration, f func()) (now time.Duration, ok bool) {
	if g.off.Load() {
		return start, false
	}
	mark(g.labels)
	g.meter.begin()
	defer func() {
		now = time.Since(base)
		took := now - start
		g.meter.end(took)
		if p := recover(); p != nil {
			ok = false
			defer func() { now = time.Since(base) }() // what comes is not the next one's
			g.meter.panicked()
			if g.panics++; g.panics >= maxHookPanics {
				g.takeOff(fmt.Sprintf("panicked %d times: %v\n%s", g.panics, p, debug.Stack()))
			}
			return
		}
		budget := cmp.Or(g.budget, hookBudget)
		if took <= budget {
			g.overruns = 0
			return
		}
		g.meter.overran()
		if g.overruns++; g.overruns >= maxHookOverruns {
			g.takeOff(fmt.Sprintf("took longer than %v %d times in a row", budget, g.overruns))
		}
	}()
	f()
	return 0, true
}

func (g *hookGuard) takeOff(why string) {
	if g.off.Swap(true) {
		return
	}
	g.meter.tookOff()
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
		if h, ok := bindHook(s, p, hookPacket, info, p.Packet); ok && h != nil {
			out = append(out, &packetHook{hookGuard{
				name: p.Name, log: s.log, meter: &p.meters[hookPacket],
				labels: withHook(newRoomLabels(info.CallID).forward, p.Name, hookPacket),
			}, h})
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
		if f, ok := bindHook(s, p, hookProcessor, info, p.Processor); ok && f != nil {
			h := newPCMHook(p.Name, f, s.log)
			h.guard.meter, h.guard.labels = &p.meters[hookProcessor], withHook(newRoomLabels(info.CallID).mix, p.Name, hookProcessor)
			h.apart = newApart(h)
			out = append(out, h)
		}
	}
	return out
}

// bindHook asks a plugin for its hook on a track. One that fails, or takes
// longer than a decider may, has none.
func bindHook[H any](s *Server, p *plugin, k hookKind, info hooks.TrackInfo, bind func(hooks.TrackInfo) H) (h H, ok bool) {
	got := make(chan H, 1)
	err := p.meters[k].decide(context.Background(), func(context.Context) error {
		got <- bind(info)
		return nil
	})
	if err != nil {
		s.log.Warn("media hook not bound", "plugin", p.Name, "user", info.UserID, "err", err)
		return h, false
	}
	return <-got, true
}

// pass shows a packet to the hooks, and reports whether it goes on.
func (hs packetHooks) pass(packet []byte, arrival time.Time) bool {
	now := time.Since(arrival)
	for _, h := range hs {
		forward, ok := true, false
		now, ok = h.guard.runFrom(arrival, now, func() { forward = h.call(packet) })
		if ok && !forward {
			return false
		}
	}
	return true
}

// pcmHook is a host's hook on a talker's sound.
type pcmHook struct {
	guard hookGuard
	call  hooks.PCMHook
	apart *apart // nil: it is called in place
}

func newPCMHook(name string, f hooks.PCMHook, log *slog.Logger) *pcmHook {
	if f == nil {
		return nil
	}
	return &pcmHook{guard: hookGuard{name: name, log: log}, call: f}
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
	switch {
	case h == nil:
	case h.apart != nil:
		h.apart.process(pcm)
	default:
		h.guard.run(func() { h.call(pcm) })
	}
}

// apart runs a hook on goroutines of its own, each for one block of sound: so
// one that sleeps in a room's tick holds nobody up but for its budget, once.
type apart struct {
	hook   *pcmHook
	run    func() // made once, so that a block allocates nothing
	pcm    []int16
	done   chan bool
	timer  *time.Timer
	out    bool // it has not come back
	missed int  // blocks in a row that it missed
}

func newApart(h *pcmHook) *apart {
	a := &apart{hook: h, done: make(chan bool, 1), timer: time.NewTimer(time.Hour)}
	a.timer.Stop()
	work := func() { h.call(a.pcm) }
	a.run = func() {
		ok := false
		defer func() { a.done <- ok }() // also if it ends the goroutine
		ok = h.guard.run(work)
	}
	return a
}

// process lets the hook change a block. If it is not done in its time, the block
// stays as it was, and the hook has to show that it can be in time before it is
// waited for again.
func (a *apart) process(pcm []int16) {
	if a.hook.guard.off.Load() {
		return
	}
	if a.out {
		select {
		case <-a.done:
			a.out = false
		default:
			a.miss()
			return
		}
	}
	wait := a.hook.guard.overruns == 0
	a.pcm = append(a.pcm[:0], pcm...)
	go a.run()
	if !wait {
		a.out = true
		a.miss()
		return
	}
	a.timer.Reset(hookBudget)
	select {
	case ok := <-a.done:
		a.timer.Stop()
		a.missed = 0
		if ok {
			copy(pcm, a.pcm)
		}
	case <-a.timer.C:
		a.out = true
		a.miss()
	}
}

// miss takes off a hook that is away for too long.
func (a *apart) miss() {
	if a.missed++; a.missed >= 2*maxHookOverruns {
		a.hook.guard.takeOff(fmt.Sprintf("missed %d frames in a row", a.missed))
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
