package engine

import (
	"sync"
	"time"
)

const (
	worldPackets = 4096
	worldBytes   = 1 << 20
)

// worldBatch is what a world's talkers have sent since the last tick. A packet is
// stored once.
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
	at = b.awaited.come(&t.regular, arrival, wait, len(b.held) == 0)
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
	if later = b.awaited.until(); later.Sub(now) > tickSlack {
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
