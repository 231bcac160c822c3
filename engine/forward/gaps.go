package forward

import "time"

// Gaps finds out which packets of a stream did not come, and when to ask for
// them (RFC 4585 section 6.2.1). Packets that are merely late are given
// reorderTime first.
type Gaps struct {
	// Wait is for how long a packet is worth asking for. Default 400 ms.
	Wait time.Duration

	missing [maxMissing]missing
	n       int
	highest uint16
	started bool
}

type missing struct {
	seq   uint16
	since time.Time
	asked time.Time
	times int
}

const (
	maxMissing  = 128
	reorderTime = 5 * time.Millisecond
	// maxJump is by how much numbers may jump in a gap: more is another stream.
	maxJump = 512
	maxAsks = 8
)

// Received takes a packet's number, and reports whether the numbers begin anew.
func (g *Gaps) Received(seq uint16, now time.Time) (jumped bool) {
	if !g.started {
		g.started, g.highest = true, seq
		return false
	}
	ahead := int16(seq - g.highest)
	switch {
	case ahead > maxJump || ahead < -maxJump:
		g.n = 0
		g.highest = seq
		return true
	case ahead <= 0:
		for i := range g.n {
			if g.missing[i].seq == seq {
				copy(g.missing[i:g.n], g.missing[i+1:g.n])
				g.n--
				break
			}
		}
		return false
	}
	// The newest count: what there is no room for goes at once, so that a sender
	// who skips numbers on purpose costs no more than another.
	gap := min(int(ahead)-1, maxMissing)
	if over := g.n + gap - maxMissing; over > 0 {
		copy(g.missing[:], g.missing[over:g.n])
		g.n -= over
	}
	for s := seq - uint16(gap); s != seq; s++ {
		g.missing[g.n] = missing{seq: s, since: now}
		g.n++
	}
	g.highest = seq
	return false
}

// Waits reports whether a number is missing and may still come.
func (g *Gaps) Waits(seq uint16) bool {
	for i := range g.n {
		if g.missing[i].seq == seq {
			return true
		}
	}
	return false
}

// Missing reports whether any are.
func (g *Gaps) Missing() bool { return g.n > 0 }

// Due appends the numbers to ask for now, and gives up those that have been
// missing for too long. Each is asked for again when an answer should have come,
// rtt being the round trip.
func (g *Gaps) Due(into []uint16, rtt time.Duration, now time.Time) []uint16 {
	wait := g.Wait
	if wait == 0 {
		wait = 400 * time.Millisecond
	}
	kept := g.missing[:0]
	for _, m := range g.missing[:g.n] {
		age := now.Sub(m.since)
		if age >= wait {
			continue
		}
		if age >= reorderTime && m.times < maxAsks && (m.times == 0 || now.Sub(m.asked) >= rtt+10*time.Millisecond) && age+rtt/2 < wait {
			m.asked = now
			m.times++
			into = append(into, m.seq)
		}
		kept = append(kept, m)
	}
	g.n = len(kept)
	return into
}
