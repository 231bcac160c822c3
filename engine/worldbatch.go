package engine

import (
	"iter"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
)

const (
	// tickSlack is by how much a tick may come early for what waits.
	tickSlack = 100 * time.Microsecond
	// Who is expected is waited for until lateShare of a window after they were due,
	// and nobody in particular for quietShare of it after the last who came.
	lateShare  = 2
	quietShare = 4

	worldPackets = 4096
	worldBytes   = 1 << 20
)

// worldBatch is what a world's talkers have sent since the last tick. A packet is
// stored once.
//
// It is complete when everybody is in it who is expected in a window from its first
// packet on, since they sent one a frame before. So a talker alone does not wait, and
// many wait for the last of them and no longer, also where the machine or the network
// stutters. What comes out of step waits until it is quiet.
type worldBatch struct {
	mu    sync.Mutex
	held  []spoken
	bytes []byte
	first []int32 // by audience.ID: 1 + the index of their first packet, or 0

	awaited awaited

	// The tick's own: what it took.
	spare worldTaken
}

type worldTaken struct {
	held  []spoken
	bytes []byte
	first []int32
}

// spoken is a packet that waits: bytes[from:to] of its batch.
type spoken struct {
	m        *member
	t        *track
	from, to int32
	space    int32 // where gain and pan are
	next     int32 // 1 + the index of the same talker's next packet, or 0
	seq      uint16
	marker   bool
	arrival  time.Time
}

// add takes the packet of n bytes that a track has at hand, and says when to take
// the batch out if that has become known now. It reports false if there is no room.
func (b *worldBatch) add(t *track, n int, arrival time.Time, wait time.Duration) (at time.Time, ok bool) {
	m := t.member
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.held) >= worldPackets || len(b.bytes)+n > worldBytes {
		return at, false
	}
	if b.awaited.come(m.id, arrival, time.Since(arrival), wait, len(b.held) == 0) {
		at = arrival
	} else if len(b.held) == 0 {
		at = arrival.Add(wait / quietShare)
	}
	for int(m.id) >= len(b.first) {
		b.first = append(b.first, 0)
	}
	s := spoken{m: m, t: t, from: int32(len(b.bytes)), seq: t.header.SequenceNumber, marker: t.header.Marker, arrival: arrival}
	// The fixed header, RFC 8285 section 4.2 one-byte extensions, the payload: see
	// payloadOf.
	b.bytes = append(b.bytes, t.buf[:fixedHeader]...)
	b.bytes[s.from] |= 1 << 4
	if t.level.tells {
		b.bytes = append(b.bytes, 0xBE, 0xDE, 0, 2, levelExtension<<4, t.level.told, spaceExtension<<4|1, 0, 0, 0, 0, 0)
		s.space = s.from + fixedHeader + 4 + 3
	} else {
		b.bytes = append(b.bytes, 0xBE, 0xDE, 0, 1, spaceExtension<<4|1, 0, 0, 0)
		s.space = s.from + fixedHeader + 4 + 1
	}
	b.bytes = append(b.bytes, t.buf[t.payload:n]...)
	s.to = int32(len(b.bytes))
	b.held = append(b.held, s)
	if first := &b.first[m.id]; *first == 0 {
		*first = int32(len(b.held))
	} else { // few: at most some in a window
		last := *first - 1
		for b.held[last].next != 0 {
			last = b.held[last].next - 1
		}
		b.held[last].next = int32(len(b.held))
	}
	return at, true
}

// take takes out what was collected, if it is complete or has waited long enough.
// Else it returns when it will have, if there is something.
func (b *worldBatch) take(now time.Time, wait time.Duration) (out worldTaken, later time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.held) == 0 {
		return out, later
	}
	if later = b.awaited.until(wait); later.Sub(now) > tickSlack {
		return out, later
	}
	out = worldTaken{b.held, b.bytes, b.first}
	b.held, b.bytes, b.first = b.spare.held[:0], b.spare.bytes[:0], b.spare.first
	b.spare = worldTaken{}
	return out, time.Time{}
}

// done gives back what take gave.
func (b *worldBatch) done(t worldTaken) {
	if len(t.held) == 0 {
		return
	}
	for i := range t.held {
		t.first[t.held[i].m.id] = 0
	}
	clear(t.held)
	b.mu.Lock()
	b.spare = t
	b.mu.Unlock()
}

// awaited is whose packets are expected in a batch: of talkers whose frames come a
// frame apart, give or take a window, and are not held up here, by a hook.
type awaited struct {
	talkers []regular // by audience.ID

	began, last time.Time // the batch, with its first packet; and its last packet
	from, to    int64     // whose last came within is expected,
	missing     int       // and so many of them have not come
	some        bool      // one has come
}

// regular is when a talker's last packet came, in Unix ns, and whether it came when
// it should have.
type regular struct {
	last   int64
	inTime bool
}

// come notes a packet, which may be the first of a batch, and was held up for a time
// since it arrived. It reports whether the batch is complete with it.
func (a *awaited) come(id audience.ID, at time.Time, held, wait time.Duration, first bool) (complete bool) {
	for int(id) >= len(a.talkers) {
		a.talkers = append(a.talkers, regular{})
	}
	now, t := at.UnixNano(), &a.talkers[id]
	was, since := *t, time.Duration(now-t.last)
	*t = regular{now, since >= frameTime-wait && since <= frameTime+wait && held < wait/quietShare}
	a.last = at
	if first {
		a.began, a.some, a.missing = at, false, 0
		due := now - int64(frameTime)
		a.from, a.to = due-int64(wait/lateShare), due+int64(wait)
		for range a.absent() {
			a.missing++
		}
	} else if a.expects(was) {
		a.missing--
	}
	a.some = a.some || t.inTime
	return a.some && a.missing == 0
}

func (a *awaited) expects(t regular) bool { return t.inTime && t.last >= a.from && t.last <= a.to }

// absent are those who are missing.
func (a *awaited) absent() iter.Seq[regular] {
	return func(yield func(regular) bool) {
		for _, t := range a.talkers {
			if a.expects(t) && !yield(t) {
				return
			}
		}
	}
}

// until is how long the batch waits at most, if nothing more comes.
func (a *awaited) until(wait time.Duration) time.Time {
	var at time.Time
	switch {
	case a.missing > 0:
		var latest int64
		for t := range a.absent() {
			latest = max(latest, t.last)
		}
		at = time.Unix(0, latest).Add(frameTime + wait/lateShare)
	case a.some:
		return a.began
	default:
		at = a.last.Add(wait / quietShare)
	}
	if end := a.began.Add(wait); at.After(end) {
		return end
	}
	return at
}
