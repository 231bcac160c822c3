package jitter

import "time"

// A slot holds one packet that waits.
type slot struct {
	full    bool
	jump    bool // its timestamp does not fit those before
	marker  bool
	ts      int64 // in samples, extended
	arrival time.Time
	payload []byte // its capacity is kept
}

// A queue holds the packets that wait, by sequence number. Numbers and
// timestamps are extended to 64 bits (RFC 3550 appendix A.1).
type queue struct {
	ring    [slots]slot
	count   int
	synced  bool   // a packet has come
	base    int64  // the first sequence number
	next    int64  // lowest sequence number not yet played or given up
	highest int64  // highest sequence number seen
	seen    uint64 // bit i: next-1-i has come
	lastTS  int64  // timestamp of highest, in samples
	clock   int64  // the same in units of the RTP clock
	suspect int32  // sequence number that would confirm a restart, or -1

	newest struct {
		fresh   bool // came since the last pull
		late    int64
		arrival time.Time
	}
}

func (q *queue) slot(s int64) *slot { return &q.ring[uint64(s)%slots] }

func (q *queue) restart() {
	q.synced, q.suspect, q.seen = false, -1, 0
	q.newest.fresh = false
}

// flush empties the queue and returns how many packets it held.
func (q *queue) flush() int {
	n := q.count
	for i := range q.ring {
		q.ring[i].full = false
	}
	q.count = 0
	return n
}

// first is the lowest sequence number that waits. There must be one.
func (q *queue) first() int64 {
	s := q.next
	for !q.slot(s).full {
		s++
	}
	return s
}

// drop takes s, which waits, out of the queue.
func (q *queue) drop(s int64) {
	q.slot(s).full = false
	q.count--
	q.pass(s)
	q.next = s + 1
	q.seen = q.seen<<1 | 1
}

// pass gives up the sequence numbers before s, none of which waits.
func (q *queue) pass(s int64) {
	if d := s - q.next; d > 0 {
		q.seen <<= uint64(min(d, 64))
		q.next = s
	}
}

// Push takes a packet from the network, in any order and at any time.
func (b *Buffer) Push(p Packet) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Received++
	if len(p.Payload) == 0 || len(p.Payload) > maxPayload {
		b.stats.Discarded++
		return
	}
	if !b.synced {
		b.start(p)
	}
	b.rest(p.Arrival)
	seq := b.highest + int64(int16(p.SequenceNumber-uint16(b.highest)))
	clock := b.clock + int64(int32(p.Timestamp-uint32(b.clock)))
	ts := clock / b.tick
	if seq > b.highest+maxDropout || seq < b.next-slots && seq < b.highest-slots {
		// A restart, or garbage: the next in sequence decides.
		if b.suspect != int32(p.SequenceNumber) {
			b.suspect = int32(p.SequenceNumber + 1)
			b.stats.Discarded++
			return
		}
		b.restartAt(p)
		seq, clock, ts = b.highest, b.clock, b.lastTS
	}
	b.suspect = -1
	late := b.out - ts
	if seq < b.next {
		if b.playing || b.highest-seq >= slots {
			b.pushLate(seq, ts, late)
			return
		}
		b.next, b.base = seq, seq // nothing has been played: it is simply the first
	}
	for seq >= b.next+slots { // full: the oldest goes
		if b.slot(b.next).full {
			b.drop(b.next)
			b.stats.Discarded++
		} else {
			b.skipTo(b.next + 1)
		}
	}
	s := b.slot(seq)
	if s.full {
		b.stats.Duplicate++
		return
	}
	s.full, s.marker, s.ts, s.arrival = true, p.Marker, ts, p.Arrival
	if s.jump = b.far(late); s.jump {
		// What was learnt of the network is in terms of another clock.
		b.stats.Resyncs++
		b.est.reset()
	}
	if cap(s.payload) < len(p.Payload) {
		s.payload = make([]byte, 0, min(maxPayload, max(256, 2*len(p.Payload))))
	}
	s.payload = append(s.payload[:0], p.Payload...)
	b.count++
	if seq < b.highest {
		b.stats.Reordered++
	} else {
		if seq == b.highest+1 && (ts-b.lastTS)%int64(b.unit) != 0 {
			// Opus frames are multiples of 2.5 ms: the sender has moved its frames.
			// How late the packets were before says nothing of those to come.
			b.est.reset()
		}
		b.highest, b.clock, b.lastTS = seq, clock, ts
	}
	b.est.add(ts, late)
	b.newest.fresh, b.newest.late, b.newest.arrival = true, late, p.Arrival
	if b.cfg.HasFEC(s.payload) {
		b.copies += (1 - b.copies) / copyMemory
	} else {
		b.copies -= b.copies / copyMemory
	}
}

// pushLate sorts out a packet whose place has been passed.
func (b *Buffer) pushLate(seq, ts, late int64) {
	bit := b.next - 1 - seq
	if bit >= 64 { // beyond memory: it stays counted as lost as well
		b.stats.Late++
		return
	}
	if b.seen>>uint64(bit)&1 != 0 {
		b.stats.Duplicate++
		return
	}
	b.seen |= 1 << uint64(bit)
	b.stats.Late++
	b.stats.Reordered++
	if seq >= b.base {
		b.stats.Lost-- // it was counted when its place was passed
	}
	if !b.far(late) {
		b.est.add(ts, late)
	}
}

// start takes p for the first packet of a stream. The extended numbers begin
// far above zero, so that what came before p has one, too.
func (b *Buffer) start(p Packet) {
	b.synced = true
	b.highest = 1<<32 + int64(p.SequenceNumber)
	b.next, b.base = b.highest, b.highest
	b.clock = 1<<40 + int64(p.Timestamp)
	b.lastTS = b.clock / b.tick
}

// restartAt drops what waits and begins a new stream with p.
func (b *Buffer) restartAt(p Packet) {
	b.stats.Resyncs++
	b.stats.Discarded += uint64(b.flush())
	b.restart()
	b.est.reset()
	b.playing, b.hole = false, false
	b.start(p)
}

// far tells whether a packet is late or early beyond what a network does, so
// that its timestamp is no continuation.
func (b *Buffer) far(late int64) bool {
	if b.est.n == 0 {
		return false
	}
	limit := samplesOf(b.cfg.MaxDelay, b.rate) + int64(b.rate)
	d := late - b.est.max[b.est.cur]
	return d > limit || d < -limit
}
