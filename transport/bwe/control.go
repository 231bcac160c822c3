package bwe

import (
	"math"
	"time"
)

const (
	// decrease is what of the rate that arrives a queue leaves.
	decrease = 0.85
	// ramp and growth are the factors per second by which the target grows
	// before the path's limit was first met, and after.
	ramp   = 1.25
	growth = 1.12
	// regain is that far below the rate at which it was last too much.
	regain = 1.3
	// nearLimit is how near to the rate at which it was last too much growth is
	// slow: half a packet of 1200 bytes per response time.
	nearLimit = 0.08
	stepBits  = 1200 * 8 / 2
	// sentFactor and sentExtra bound growth by what is sent.
	sentFactor = 1.5
	sentExtra  = 50_000
	// limited is the share of the target below which a sender is not taken to
	// fill it: what arrives then says nothing of the path.
	limited = 0.6
)

// A control moves the target: multiplicative or additive increase,
// multiplicative decrease (draft-ietf-rmcat-gcc-02, sections 5.5 and 6).
// Times are since the Sender's epoch.
type control struct {
	min, max float64
	target   float64

	limit     float64 // the rate at which it was last too much; 0: not known
	met       bool    // whether the limit was ever met
	increased time.Duration
	decreased time.Duration
	everCut   bool
}

// rates is what control goes by, in bits per second.
type rates struct {
	sent, acked int
	rtt         time.Duration
}

func (c *control) onDelay(now time.Duration, u usage, r rates, mayGrow bool) {
	switch u {
	case overuse:
		c.cut(now, decrease, r)
		c.increased = now
	case underuse:
		c.increased = now
	case normal:
		if mayGrow {
			c.grow(now, r)
		} else {
			c.increased = now
		}
	}
}

// cut lowers the target to share of what arrives, once per response time:
// an earlier cut must show first.
func (c *control) cut(now time.Duration, share float64, r rates) {
	if c.everCut && now-c.decreased < min(max(r.rtt, 50*time.Millisecond), 200*time.Millisecond)+50*time.Millisecond {
		return
	}
	c.everCut, c.decreased = true, now
	if r.acked == 0 || float64(r.sent) < limited*c.target {
		c.set(share * c.target)
		return
	}
	c.met, c.limit = true, min(float64(r.acked), c.target)
	c.set(min(share*float64(r.acked), c.target))
}

func (c *control) grow(now time.Duration, r rates) {
	dt := min(now-c.increased, time.Second).Seconds()
	c.increased = now
	bound := sentFactor*float64(r.sent) + sentExtra
	if dt <= 0 || c.target >= bound {
		return
	}
	next := c.target
	switch {
	case c.limit > 0 && next > (1-2*nearLimit)*c.limit && next < (1+nearLimit)*c.limit:
		response := min(100*time.Millisecond+r.rtt, 300*time.Millisecond).Seconds()
		next += stepBits * dt / response
	case c.limit > 0 && next < (1-2*nearLimit)*c.limit:
		next *= 1 + (regain-1)*dt
	case !c.met:
		next *= 1 + (ramp-1)*dt
	default:
		if next >= (1+nearLimit)*c.limit {
			c.limit = 0 // the path has become wider
		}
		next *= 1 + (growth-1)*dt
	}
	c.set(min(next, bound))
}

func (c *control) set(target float64) { c.target = min(max(target, c.min), c.max) }

const (
	lossWindow   = 500 * time.Millisecond
	lossPackets  = 20              // a window has so many, or
	lossPatience = 2 * time.Second // lasts so long
	lossMemory   = 10              // windows

	lossHold    = 0.05            // above what the path loses anyway
	lossCut     = 0.10            // above the same
	lossTooMuch = 0.30            // in any case
	holdTime    = 2 * time.Second // of the one, before the target is cut
	cutTime     = time.Second     // of the other, between two cuts
	// lossDecrease is what of the rate that arrives a loss leaves.
	lossDecrease = 0.95
)

// A lossRule says what loss does to the target. Loss alone does not tell a
// full queue from a bad radio; whether it goes away when less is sent does.
type lossRule struct {
	lost, total int
	start       time.Duration
	started     bool
	loss        float64 // smoothed
	windows     int
	past        [lossMemory]float64
	held        time.Duration // since when it holds
	holding     bool
}

// verdict is what loss asks for.
type verdict uint8

const (
	lossFine verdict = iota
	lossHolds
	lossCuts
)

// window looks at what was counted; at the end of a window it may ask for a
// cut, which the caller makes at once.
func (l *lossRule) window(now time.Duration) verdict {
	if !l.started {
		l.started, l.start = true, now
	}
	age := now - l.start
	if age < lossWindow || (l.total < lossPackets && age < lossPatience) || l.total <= 0 {
		if l.holding {
			return lossHolds
		}
		return lossFine
	}
	counted := l.total
	ratio := float64(max(l.lost, 0)) / float64(counted)
	l.lost, l.total, l.start = 0, 0, now
	if l.windows == 0 {
		l.loss = ratio
	} else {
		l.loss += (ratio - l.loss) / 2
	}
	base := l.loss
	for _, p := range l.past[:min(l.windows, lossMemory)] {
		base = min(base, p)
	}
	l.past[l.windows%lossMemory] = l.loss
	l.windows++
	if l.windows == 2*lossMemory {
		l.windows = lossMemory
	}

	// What chance may add to so few packets does not count.
	chance := 2 * math.Sqrt(base*(1-base)/float64(counted))
	above := l.loss - base - chance
	switch {
	case l.loss > lossTooMuch:
		l.holding, l.held = true, now
		return lossCuts
	case above > lossHold:
		patience := holdTime
		if above > lossCut {
			patience = cutTime
		}
		if wait := now - l.held; (l.holding && wait >= patience) || (!l.holding && above > lossCut) {
			l.holding, l.held = true, now
			return lossCuts
		}
		if !l.holding {
			l.holding, l.held = true, now
		}
		return lossHolds
	}
	l.holding = false
	return lossFine
}
