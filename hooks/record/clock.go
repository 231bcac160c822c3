package record

import "time"

const (
	// clockBucket is half of the time over which the earliest arrival counts.
	clockBucket = 5 * time.Second
	// clockFirst is for how long a stream is watched before its first packet is
	// placed.
	clockFirst = 200 * time.Millisecond
)

// A clock lays a stream's RTP timestamps on the recording's time. Of the packets
// of the last ten seconds the one that came earliest, against its timestamp, had
// the least delay in the network: it says where the others belong.
type clock struct {
	rate    int64
	known   bool
	last    int64 // the newest timestamp, unwrapped
	first   time.Duration
	least   [2]int64 // of the present bucket and the one before, in samples
	has     [2]bool
	since   time.Duration
	arrived time.Duration // the last
}

// note takes a packet that came at a time of the recording, and returns its
// timestamp, unwrapped. length is what it plays, in samples.
func (c *clock) note(ts uint32, length int64, at time.Duration) int64 {
	switch {
	case !c.known:
		c.last = int64(ts)
	default:
		c.last += int64(int32(ts - uint32(c.last)))
	}
	if !c.known || at-c.arrived > 2*clockBucket { // what was known is old
		c.known, c.first, c.since = true, at, at
		c.has = [2]bool{}
	}
	for at-c.since >= clockBucket {
		c.least[1], c.has[1] = c.least[0], c.has[0]
		c.has[0] = false
		c.since += clockBucket
	}
	c.arrived = at
	late := samplesAt(at, c.rate) - c.last - length
	if !c.has[0] || late < c.least[0] {
		c.least[0], c.has[0] = late, true
	}
	return c.last
}

// settled reports whether enough is known to place a packet.
func (c *clock) settled(now time.Duration) bool { return now-c.first >= clockFirst }

// place is where an unwrapped timestamp belongs, in samples from the recording's
// beginning.
func (c *clock) place(ts int64) int64 {
	least := c.least[0]
	if !c.has[0] || c.has[1] && c.least[1] < least {
		least = c.least[1]
	}
	return ts + least
}

func samplesAt(d time.Duration, rate int64) int64 {
	return int64(d/time.Second)*rate + int64(d%time.Second)*rate/int64(time.Second)
}

func timeOf(samples, rate int64) time.Duration {
	return time.Duration(samples/rate)*time.Second + time.Duration(samples%rate)*time.Second/time.Duration(rate)
}
