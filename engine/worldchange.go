package engine

import (
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
)

// A change is what the game has said and the tick has yet to carry out.
type change struct {
	rules func(a *audience.Audience) // of who hears whom, or nil
	rest  func()                     // what else the tick has to do, or nil
	next  *change                    // the one before
}

// change makes a change of who hears whom, in the book now and in the tick's
// audience with the next tick: rules is called twice, by two goroutines, and
// what it hands over must be each audience's own or never change. mu is held.
func (w *World) change(rules func(a *audience.Audience), rest func()) {
	rules(w.book)
	w.push(rules, rest)
}

// push leaves a change to the tick. mu is held, so that changes are in order.
func (w *World) push(rules func(a *audience.Audience), rest func()) {
	c := &change{rules: rules, rest: rest}
	for c.next = w.changes.Load(); !w.changes.CompareAndSwap(c.next, c); c.next = w.changes.Load() {
	}
	w.tick.by(time.Now().Add(w.wait))
}

// settle carries out what has been changed. It returns the last Move that was
// complete then: the tick has all that the game said up to one moment, and goes by
// it until the next, whatever moves meanwhile. It is the tick's.
func (w *World) settle() (turn uint64) {
	st := &w.stage
	for range 100 { // a game may well move its players one by one
		turn = st.done.Load()
		st.kept.Store(turn)
		w.carryOut()
		if st.done.Load() == turn {
			break
		}
	}
	if w.ended.Swap(false) {
		w.sweep()
	}
	return turn
}

// carryOut carries out the changes that are there.
func (w *World) carryOut() {
	var first *change
	for c := w.changes.Swap(nil); c != nil; {
		c.next, first, c = first, c, c.next
	}
	for c := first; c != nil; c = c.next {
		if c.rules != nil {
			c.rules(w.aud)
		}
		if c.rest != nil {
			c.rest()
		}
	}
}
