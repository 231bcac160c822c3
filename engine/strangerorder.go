package engine

import "time"

// A packet that is missing is waited for for reorderWait, or until reorderSlots
// later ones have come.
const (
	reorderWait  = 40 * time.Millisecond
	reorderSlots = 64
)

// A reorder puts the packets of an endpoint's video into order that come on
// streams of their own, which overtake one another. Those who see the video take
// a gap for a loss. It is made when the first packet was overtaken, so that
// video in datagrams, which seldom are, never waits for what is lost.
type reorder struct {
	next  uint16    // the sequence number that is due
	waits int       // packets that wait for it
	since time.Time // since when
	slots [reorderSlots]struct {
		full    bool
		arrival time.Time
		b       []byte
	}
}

// push takes a packet, and delivers it and those that waited for it, in order;
// what comes after its turn is delivered at once.
func (r *reorder) push(seq uint16, packet []byte, arrival time.Time, deliver func(packet []byte, arrival time.Time)) {
	ahead := int(int16(seq - r.next))
	if ahead < 0 {
		deliver(packet, arrival)
		return
	}
	if ahead >= reorderSlots { // what is missing is gone
		r.flush(deliver)
		r.next = seq
	}
	s := &r.slots[int(seq)%reorderSlots]
	if !s.full {
		s.full = true
		r.waits++
	}
	s.arrival, s.b = arrival, append(s.b[:0], packet...)
	if r.waits == 1 {
		r.since = arrival
	}
	r.drain(arrival, deliver)
	if r.waits > 0 && arrival.Sub(r.since) > reorderWait {
		for !r.slots[int(r.next)%reorderSlots].full {
			r.next++
		}
		r.drain(arrival, deliver)
	}
}

// drain delivers what is due.
func (r *reorder) drain(now time.Time, deliver func(packet []byte, arrival time.Time)) {
	for r.waits > 0 {
		s := &r.slots[int(r.next)%reorderSlots]
		if !s.full {
			return
		}
		s.full = false
		r.waits--
		r.next++
		r.since = now // if others wait, it is for another packet now
		deliver(s.b, s.arrival)
	}
}

// flush delivers all that wait.
func (r *reorder) flush(deliver func(packet []byte, arrival time.Time)) {
	for ; r.waits > 0; r.next++ {
		r.drain(time.Time{}, deliver)
		if r.waits == 0 {
			return
		}
	}
}
