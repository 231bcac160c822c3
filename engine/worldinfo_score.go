package engine

import (
	"sync"
	"sync/atomic"

	"github.com/earshotrtc/earshot/engine/audience"
)

// scores stands between a world's tick and WorldConfig.Score, which may sleep,
// hang and panic. Whom a tick had to choose from is written down, and the host is
// asked about all of them at once on another goroutine; what it said counts from
// then on. The tick never waits.
type scores struct {
	w     *World
	guard hookGuard
	asked atomic.Pointer[map[duo]float32] // what the host said last; nil: nothing
	busy  atomic.Bool                     // it is being asked

	mu     sync.Mutex
	take   bool // the tick writes down
	next   []candidate
	missed int // ticks in a row that it was busy

	// For who asks: the table that is not in use.
	spare map[duo]float32
}

// duo is a receiver and a talker.
type duo struct{ receiver, talker audience.ID }

type candidate struct {
	duo
	Candidate
}

const (
	// maxCandidates is how many the host is asked about at a time; the default
	// counts for others.
	maxCandidates = 1 << 16
	// staleScores is for how many ticks in a row what the host said last counts
	// while it is busy.
	staleScores = 8
)

func newScores(w *World) *scores {
	s := &scores{w: w, take: true}
	m := &w.srv.meters
	m.scored.Store(true)
	s.guard = hookGuard{
		name: "Score of " + w.cfg.ID, log: w.srv.log, meter: &m.score, budget: w.cfg.Tick,
		labels: withHook(newRoomLabels(w.cfg.ID).forward, "world", hookScore),
	}
	return s
}

// of is audience.Config.Score. World.byID stands still meanwhile.
func (s *scores) of(c audience.Candidate) float32 {
	who := duo{c.Receiver, c.Talker}
	s.mu.Lock()
	if s.take && len(s.next) < maxCandidates {
		r, t := s.w.byID[c.Receiver], s.w.byID[c.Talker]
		s.next = append(s.next, candidate{who, Candidate{
			Receiver: r.userID, Talker: t.userID, Reason: c.Reason, Distance: c.Distance, Gain: c.Gain, Level: c.Level, Priority: c.Priority,
		}})
	}
	s.mu.Unlock()
	if table := s.asked.Load(); table != nil {
		if score, has := (*table)[who]; has {
			return score
		}
	}
	return c.Level + c.Gain + 10*float32(c.Priority)
}

// turn is called after each tick, by the tick.
func (s *scores) turn() {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.guard.off.Load():
		s.take, s.next = false, nil
		s.asked.Store(nil)
	case s.busy.Load():
		if s.missed++; s.missed == staleScores {
			s.asked.Store(nil)
		}
		if s.missed >= 2*maxHookOverruns {
			s.guard.takeOff("it has not come back")
		}
		s.next = s.next[:0]
	case len(s.next) > 0:
		s.missed = 0
		s.busy.Store(true)
		list := s.next
		s.next, s.take = nil, false
		go s.ask(list)
	}
}

// ask asks the host.
func (s *scores) ask(list []candidate) {
	table := s.spare
	if table == nil {
		table = make(map[duo]float32, len(list))
	}
	clear(table)
	done := false
	defer func() { // also if it ends the goroutine
		s.spare = nil
		if done {
			if old := s.asked.Swap(&table); old != nil {
				s.spare = *old
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.next, s.take = list[:0], true
		s.busy.Store(false)
	}()
	done = s.guard.run(func() {
		for i := range list {
			table[list[i].duo] = s.w.cfg.Score(list[i].Candidate)
		}
	})
}
