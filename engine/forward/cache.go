package forward

import "time"

// A Cache keeps the newest packets of one RTP stream of VP8: for receivers who
// lost some, and, from its last key frame on, for those who come late. Its
// memory is bounded, and used again.
type Cache struct {
	slots []slot
	last  uint16 // the newest number
	any   bool

	key     uint16 // the number with which the last key frame begins
	keyTime time.Time
	keyed   bool

	// The last key frame that came whole and in order, or is coming, apart:
	// it is kept when what came since has taken its place.
	still     []slot
	stillLast bool // it is whole
}

// maxStill is how many packets a key frame may have to be kept apart.
const maxStill = 96

type slot struct {
	seq     uint16
	used    bool
	meta    Meta
	packet  []byte
	arrival time.Time
}

// NewCache returns a cache of so many packets, a power of 2.
func NewCache(packets int) *Cache {
	if packets < 1 || packets&(packets-1) != 0 || packets > 1<<14 {
		panic("forward: a cache's size must be a power of 2, at most 16384")
	}
	return &Cache{slots: make([]slot, packets)}
}

// Put keeps a copy of a packet. One that is older than what the cache reaches
// back to is not kept.
func (c *Cache) Put(m Meta, packet []byte, now time.Time) {
	behind := int16(c.last - m.Seq)
	switch {
	case !c.any || behind < 0:
		// What the numbers have passed over is not there.
		if c.any && int(-behind) <= len(c.slots) {
			for seq := c.last + 1; seq != m.Seq; seq++ {
				c.slot(seq).used = false
			}
		} else {
			c.Forget()
		}
		c.any, c.last = true, m.Seq
	case int(behind) >= len(c.slots):
		return
	}
	s := c.slot(m.Seq)
	s.seq, s.used, s.meta, s.arrival = m.Seq, true, m, now
	s.packet = append(s.packet[:0], packet...)
	if m.Key && m.First {
		c.key, c.keyTime, c.keyed = m.Seq, now, true
		c.still, c.stillLast = c.still[:0], false
	}
	c.keep(m, packet, now)
}

// keep adds a packet to the key frame that is kept apart, if it is its next.
func (c *Cache) keep(m Meta, packet []byte, now time.Time) {
	n := len(c.still)
	begins := n == 0 && m.Key && m.First
	if c.stillLast || n >= maxStill || !begins && (n == 0 || m.Seq != c.still[n-1].seq+1 || m.Timestamp != c.still[0].meta.Timestamp) {
		return
	}
	if n < cap(c.still) {
		c.still = c.still[:n+1]
	} else {
		c.still = append(c.still, slot{})
	}
	s := &c.still[n]
	s.seq, s.meta, s.arrival = m.Seq, m, now
	s.packet = append(s.packet[:0], packet...)
	c.stillLast = m.Last
}

// Still returns packet i of the last key frame that came whole, and reports
// false after the last of them, and if there is none. The bytes are the cache's,
// valid until the next Put.
func (c *Cache) Still(i int) (m Meta, packet []byte, ok bool) {
	if !c.stillLast || i >= len(c.still) {
		return Meta{}, nil, false
	}
	return c.still[i].meta, c.still[i].packet, true
}

func (c *Cache) slot(seq uint16) *slot { return &c.slots[int(seq)&(len(c.slots)-1)] }

// Get returns a packet and how old it is. The bytes are the cache's, valid until
// the next Put.
func (c *Cache) Get(seq uint16, now time.Time) (m Meta, packet []byte, age time.Duration, ok bool) {
	s := c.slot(seq)
	if !s.used || s.seq != seq {
		return Meta{}, nil, 0, false
	}
	return s.meta, s.packet, now.Sub(s.arrival), true
}

// Group returns the numbers of the packets from the last key frame to the
// newest, and the key frame's age, if all of them are there: at most limit.
func (c *Cache) Group(limit int, now time.Time) (from, to uint16, age time.Duration, ok bool) {
	n := int(c.last-c.key) + 1
	if !c.keyed || n > min(limit, len(c.slots)) {
		return 0, 0, 0, false
	}
	for seq := c.key; ; seq++ {
		if s := c.slot(seq); !s.used || s.seq != seq {
			return 0, 0, 0, false
		}
		if seq == c.last {
			return c.key, c.last, now.Sub(c.keyTime), true
		}
	}
}

// Forget empties the cache.
func (c *Cache) Forget() {
	for i := range c.slots {
		c.slots[i].used = false
	}
	c.any, c.keyed, c.stillLast = false, false, false
	c.still = c.still[:0]
}
