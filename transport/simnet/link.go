package simnet

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// headerBytes is what IPv4 and UDP add to each packet on the line (RFC 791,
// RFC 768); a Rate is of the line.
const headerBytes = 28

// A Link is what happens to packets in one direction. The zero value is a
// perfect link. Packets meet the fields in this order: Down, MTU, Rate and its
// queue, Loss and Burst, Delay and Jitter, Reorder, Duplicate.
type Link struct {
	// Delay is how long each packet takes. Default 0.
	Delay time.Duration
	// Jitter is the most that is added to Delay, drawn for each packet evenly
	// between 0 and Jitter. Packets stay in order: one that was held up holds
	// up those behind it, as on most real paths. Default 0.
	Jitter time.Duration
	// JitterReorders lets packets overtake others that drew more jitter.
	// Default false.
	JitterReorders bool

	// Loss is the share of packets lost, each by itself, 0 to 1. Default 0.
	Loss float64
	// Burst loses packets in bursts, as radio does; see Bursts. Default: none.
	Burst BurstLoss

	// Reorder is the share of packets, 0 to 1, that come ReorderDelay later
	// than they would, so that those behind overtake them. Default 0.
	Reorder float64
	// ReorderDelay is how much later. Default 10 ms.
	ReorderDelay time.Duration

	// Duplicate is the share of packets that arrive twice, 0 to 1. Default 0.
	Duplicate float64

	// Rate is the line's speed in bits per second; each packet counts with 28
	// bytes more for its IP and UDP headers. Default 0: without limit.
	Rate int64
	// QueueBytes and QueueTime bound what may wait for the line, headers
	// counted: a packet is dropped if it would make the queue longer than
	// QueueBytes, or would wait longer than QueueTime for its first bit to
	// leave. An idle line takes any packet. Where both are set both hold; if
	// neither is, QueueTime is 250 ms.
	QueueBytes int
	QueueTime  time.Duration

	// MTU is the largest UDP payload in bytes; what is larger is lost, and
	// nobody is told. Default 0: 65507, UDP's own limit.
	MTU int

	// Down loses every packet. Default false.
	Down bool
}

// BurstLoss loses packets in bursts, after Gilbert and Elliott: the link is
// either good or bad, may change with each packet, and loses more when bad.
// The zero value loses nothing.
type BurstLoss struct {
	// Enter is the chance that a packet finds a good link turned bad, Leave
	// that it finds a bad one turned good, 0 to 1. If Enter is 0 there are no
	// bursts.
	Enter, Leave float64
	// Good and Bad are the shares of packets lost in each state, 0 to 1. If
	// both are 0, Bad is 1.
	Good, Bad float64
}

// Bursts returns the BurstLoss that loses a share of all packets, below 1, in
// bursts of so many packets on average, at least 1: Bursts(0.05, 8) loses 5 %,
// eight in a row.
func Bursts(share, packets float64) BurstLoss {
	if packets < 1 {
		packets = 1
	}
	if share <= 0 || share >= 1 {
		if share >= 1 {
			return BurstLoss{Enter: 1, Bad: 1}
		}
		return BurstLoss{}
	}
	// Bad for packets in a row; share = Enter / (Enter + Leave).
	leave := 1 / packets
	return BurstLoss{Enter: min(1, leave*share/(1-share)), Leave: leave, Bad: 1}
}

// Validate returns an error that names the first field that makes no sense: a
// share outside 0 to 1, or something negative.
func (l Link) Validate() error {
	for _, f := range []struct {
		name  string
		value float64
	}{{"Loss", l.Loss}, {"Burst.Enter", l.Burst.Enter}, {"Burst.Leave", l.Burst.Leave}, {"Burst.Good", l.Burst.Good},
		{"Burst.Bad", l.Burst.Bad}, {"Reorder", l.Reorder}, {"Duplicate", l.Duplicate}} {
		if !(f.value >= 0 && f.value <= 1) { // NaN too
			return fmt.Errorf("simnet: Link.%s is %v, want a share between 0 and 1", f.name, f.value)
		}
	}
	for _, f := range []struct {
		name  string
		value int64
	}{{"Delay", int64(l.Delay)}, {"Jitter", int64(l.Jitter)}, {"ReorderDelay", int64(l.ReorderDelay)}, {"Rate", l.Rate},
		{"QueueBytes", int64(l.QueueBytes)}, {"QueueTime", int64(l.QueueTime)}, {"MTU", int64(l.MTU)}} {
		if f.value < 0 {
			return fmt.Errorf("simnet: Link.%s is negative", f.name)
		}
	}
	return nil
}

func (l Link) mustBeValid() {
	if err := l.Validate(); err != nil {
		panic(err.Error())
	}
}

// link is the arithmetic of one direction: it is told the time and a packet's
// size, and says what becomes of the packet. It has no clock, no lock and no
// packets.
type link struct {
	Link
	*counters
	rng  *rand.Rand
	bad  bool          // the state of Burst
	free time.Duration // when the line has sent all that it took
	last time.Duration // when the last packet in order arrives
}

func newLink(l Link, rng *rand.Rand) link {
	return link{Link: l, counters: new(counters), rng: rng}
}

// verdict is what becomes of a packet: copies arrive at those times. With none
// the reason has been counted.
type verdict struct {
	copies int
	at     [2]time.Duration
}

// set changes the settings. What waits for the line keeps its bytes, so that
// it takes longer at a lower rate.
func (k *link) set(now time.Duration, l Link) {
	if waiting := k.backlog(now); waiting > 0 {
		k.free = now
		if l.Rate > 0 {
			k.free += lineTime(waiting, l.Rate)
		}
	}
	k.Link = l
}

// admit takes a packet of size bytes.
func (k *link) admit(now time.Duration, size int) verdict {
	k.sent.Add(1)
	k.sentBytes.Add(uint64(size))
	// Each packet draws the same numbers whatever is set, so that turning on
	// one impairment does not change what another hits.
	state, burst, loss := k.rng.Float64(), k.rng.Float64(), k.rng.Float64()
	jitter, reorder, duplicate := k.rng.Float64(), k.rng.Float64(), k.rng.Float64()
	burstHit := k.burst(state, burst)

	mtu := k.MTU
	if mtu == 0 {
		mtu = 65507
	}
	switch {
	case k.Down:
		return k.drop(DropDown)
	case size > mtu:
		return k.drop(DropMTU)
	}
	at := now
	if k.Rate > 0 {
		if !k.queueHolds(now, size+headerBytes) {
			return k.drop(DropQueue)
		}
		k.free = max(k.free, now) + lineTime(size+headerBytes, k.Rate)
		at = k.free
	}
	switch {
	case loss < k.Loss:
		return k.drop(DropLoss)
	case burstHit:
		return k.drop(DropBurst)
	}
	at += k.Delay + time.Duration(jitter*float64(k.Jitter))
	if !k.JitterReorders {
		at = max(at, k.last)
	}
	if reorder < k.Reorder {
		held := k.ReorderDelay
		if held == 0 {
			held = 10 * time.Millisecond
		}
		at += held
		k.reordered.Add(1)
	} else {
		k.last = max(k.last, at)
	}
	v := verdict{copies: 1, at: [2]time.Duration{at, at}}
	if duplicate < k.Duplicate {
		v.copies = 2
		k.duplicated.Add(1)
	}
	k.underWay.Add(int64(v.copies))
	return v
}

// burst moves the Gilbert-Elliott state by one packet and says whether the
// packet is lost to it.
func (k *link) burst(state, loss float64) bool {
	if k.Burst.Enter == 0 {
		k.bad = false
		return false
	}
	if k.bad {
		k.bad = state >= k.Burst.Leave
	} else {
		k.bad = state < k.Burst.Enter
	}
	share := k.Burst.Good
	if k.bad {
		if share = k.Burst.Bad; share == 0 && k.Burst.Good == 0 {
			share = 1
		}
	}
	return loss < share
}

func (k *link) queueHolds(now time.Duration, size int) bool {
	wait := k.free - now
	if wait <= 0 {
		return true
	}
	if k.QueueBytes > 0 && k.backlog(now)+size > k.QueueBytes {
		return false
	}
	limit := k.QueueTime
	if limit == 0 && k.QueueBytes == 0 {
		limit = 250 * time.Millisecond
	}
	return limit == 0 || wait <= limit
}

// backlog is how many bytes wait for the line, the one it is sending included.
func (k *link) backlog(now time.Duration) int {
	if k.Rate == 0 || k.free <= now {
		return 0
	}
	return int((k.free-now).Seconds()*float64(k.Rate)/8 + 0.5)
}

func lineTime(bytes int, rate int64) time.Duration {
	return time.Duration(float64(bytes) * 8 / float64(rate) * float64(time.Second))
}

func (k *link) drop(r DropReason) verdict {
	k.dropped[r].Add(1)
	return verdict{}
}
