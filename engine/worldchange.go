package engine

import "github.com/earshotrtc/earshot/engine/audience"

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
	w.tick.start()
}

// settle carries out what has been changed. It is the tick's.
func (w *World) settle() {
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
	if w.ended.Swap(false) {
		w.sweep()
	}
}
