package engine

import (
	"context"
	"errors"
	"runtime/pprof"
	"sync/atomic"
	"time"
)

// hookKind is one of the functions of a hooks.Plugin, or the sign-in decider.
type hookKind int

const (
	hookMayCall hookKind = iota
	hookMember
	hookAdmit
	hookAdmitRoQ
	hookMayRecord
	hookRoute
	hookPush
	hookObserve
	hookVolumes
	hookPacket
	hookProcessor
	hookPathProcessor
	hookMixProcessor
	hookSignIn
	hookScore
	numHooks
)

var hookNames = [numHooks]string{
	"MayCall", "Member", "Admit", "AdmitRoQ", "MayRecord", "Route", "Push", "Observe", "Volumes", "Packet", "Processor", "PathProcessor", "MixProcessor", "SignIn", "Score",
}

// HookStats is what one function of one plugin has taken and done. Those of all
// plugins with the same name are together.
type HookStats struct {
	// Plugin is Plugin.Name, "server" for ServerConfig.SignIn, or "world" for
	// WorldConfig.Score, of all worlds together; Hook is the name of its field, such
	// as "MayCall" or "Packet".
	Plugin, Hook string
	// Time is how long its calls took, in seconds; of Packet and Processor also
	// those of the functions that they returned, and of Score all that was asked at
	// a time. A call is in it when it has come back.
	Time Histogram
	// Running is how many calls have not come back. One that never does, or that
	// was left alone because it was late, stays here.
	Running int
	// Panics, and Late: calls above the time that the hook has (2 s for a decider,
	// 1 ms for a packet or a block of sound, WorldConfig.Tick for Score; observers
	// have no limit).
	Panics, Late uint64
	// Failed is how often a decider said no, or failed otherwise, without those
	// that were late.
	Failed uint64
	// TakenOff is on how many tracks a media hook was taken off, or in how many
	// worlds Score.
	TakenOff uint64
}

// A hookMeter counts for HookStats. Its methods may be called on nil, which
// counts nothing.
type hookMeter struct {
	labels                         context.Context // of goroutines that run the hook alone
	used                           bool            // set before the server runs
	time                           histogram
	begun                          atomic.Uint64
	panics, late, failed, takenOff atomic.Uint64
}

// begin is called before the hook, end with the time when it has come back.
func (m *hookMeter) begin() {
	if m != nil {
		m.begun.Add(1)
	}
}

func (m *hookMeter) end(took time.Duration) {
	if m != nil {
		m.time.observe(hookScale, int64(took))
	}
}

func (m *hookMeter) panicked() {
	if m != nil {
		m.panics.Add(1)
	}
}

func (m *hookMeter) overran() {
	if m != nil {
		m.late.Add(1)
	}
}

func (m *hookMeter) tookOff() {
	if m != nil {
		m.takenOff.Add(1)
	}
}

// run calls a hook on a goroutine that is there for it.
func (m *hookMeter) run(f func()) {
	if m.labels != nil {
		pprof.SetGoroutineLabels(m.labels)
	}
	m.begin()
	start := time.Now()
	defer func() { m.end(time.Since(start)) }()
	f()
}

// decide is decide, counted.
func (m *hookMeter) decide(ctx context.Context, f func(ctx context.Context) error) error {
	err := decide(ctx, func(ctx context.Context) (err error) {
		returned := false
		defer func() {
			if !returned {
				m.panics.Add(1)
			}
		}()
		m.run(func() { err = f(ctx) })
		returned = true
		return err
	})
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		m.late.Add(1)
	case err != nil:
		m.failed.Add(1)
	}
	return err
}

// hookMeters are those of one plugin.
type hookMeters [numHooks]hookMeter

// use names the hooks that there are.
func (ms *hookMeters) use(plugin string, kinds ...hookKind) {
	for _, k := range kinds {
		ms[k].used = true
		ms[k].labels = withHook(context.Background(), plugin, k)
	}
}

// show appends what has been counted of the hooks that there are.
func (ms *hookMeters) show(list []HookStats, plugin string) []HookStats {
	for k := range ms {
		if m := &ms[k]; m.used {
			list = addHook(list, m.show(plugin, hookKind(k)))
		}
	}
	return list
}

func (m *hookMeter) show(plugin string, k hookKind) HookStats {
	out := HookStats{
		Plugin: plugin, Hook: hookNames[k], Time: m.time.show(hookScale),
		Panics: m.panics.Load(), Late: m.late.Load(), Failed: m.failed.Load(), TakenOff: m.takenOff.Load(),
	}
	out.Running = int(m.begun.Load() - out.Time.Count()) // read last: not below 0
	return out
}

// addHook appends a hook's figures, or adds them to those of the same name.
func addHook(list []HookStats, one HookStats) []HookStats {
	for i := range list {
		h := &list[i]
		if h.Plugin != one.Plugin || h.Hook != one.Hook {
			continue
		}
		for k, n := range one.Time.Counts {
			h.Time.Counts[k] += n
		}
		h.Time.Sum += one.Time.Sum
		h.Running += one.Running
		h.Panics += one.Panics
		h.Late += one.Late
		h.Failed += one.Failed
		h.TakenOff += one.TakenOff
		return list
	}
	return append(list, one)
}
