package jitter

import (
	"math"
	"time"
)

// The weights of the delay, chosen with TestDelay.
const (
	bucketTime = 200 * time.Millisecond
	buckets    = 50 // 10 s of sound
	// breakCost is how much delay is worth avoiding one break in the sound per
	// buckets × bucketTime, and breakShare how many samples made up in breaks
	// weigh as much as one sample of delay.
	breakCost  = 8 * time.Millisecond
	breakShare = 8
	// changeShare is how many tenths of a sample of delay a sample of change in
	// 200 ms weighs.
	changeShare = 5
)

// An estimator remembers how late packets were over the last seconds. All its
// numbers are samples. It counts sound, not time: a pause teaches nothing.
type estimator struct {
	bucket, cost int64

	max, min [buckets]int64
	n, cur   int
	inCur    int   // packets in the current bucket
	start    int64 // timestamp at which the current bucket began
	sorted   [buckets]int64
}

func (e *estimator) init(rate int) {
	e.bucket = samplesOf(bucketTime, rate)
	e.cost = samplesOf(breakCost, rate)
}

func (e *estimator) reset() { e.n, e.cur, e.inCur = 0, 0, 0 }

// add notes that the packet of timestamp ts could be played at ts+late at the
// earliest.
func (e *estimator) add(ts, late int64) {
	e.inCur++
	switch {
	case e.n == 0:
		e.n, e.cur, e.inCur, e.start = 1, 0, 1, ts
		e.max[0], e.min[0] = late, late
		return
	case ts-e.start >= e.bucket || e.start-ts >= e.bucket*buckets:
		e.cur = (e.cur + 1) % buckets
		e.n = min(e.n+1, buckets)
		e.start, e.inCur = ts, 1
		e.max[e.cur], e.min[e.cur] = late, late
		return
	}
	e.max[e.cur] = max(e.max[e.cur], late)
	e.min[e.cur] = min(e.min[e.cur], late)
}

// want notes that a delay of late would have been better, without being a
// packet's own lateness.
func (e *estimator) want(late int64) {
	if e.n > 0 {
		e.max[e.cur] = max(e.max[e.cur], late)
	}
}

// least is the lateness of the fastest packet.
func (e *estimator) least() int64 {
	m := e.min[0]
	for _, v := range e.min[1:e.n] {
		m = min(m, v)
	}
	return m
}

// now is the lateness of the fastest packet of about the last 200 ms. A delay
// below it breaks the sound for certain, as after a change of route.
func (e *estimator) now() int64 {
	m := e.min[e.cur]
	if prev := (e.cur + buckets - 1) % buckets; e.inCur < 4 && prev < e.n {
		m = min(m, e.min[prev])
	}
	return m
}

// target is the delay that costs least: a constant one over all that is
// remembered, or one that follows the network, whichever would have been
// cheaper.
func (e *estimator) target() int64 {
	still, stillCost := e.constant()
	moving, movingCost := e.following()
	if movingCost < stillCost {
		return max(moving, e.now())
	}
	return still
}

// constant is the constant delay that costs least: each bucket whose maximum is
// above it is one break, as long as the maximum is above it.
func (e *estimator) constant() (best, bestCost int64) {
	s := e.sort(func(i int) int64 { return e.max[i] }, e.n)
	floor := e.now()
	best, bestCost = s[0], s[0]
	var over int64 // sum of the maxima above v
	for i, v := range s {
		v = max(v, floor)
		broken := over - int64(i)*v // samples made up in all the breaks
		over += s[i]
		if c := v + int64(i)*e.cost + broken/breakShare; c < bestCost {
			best, bestCost = v, c
		}
		if v == floor {
			break
		}
	}
	return best, bestCost
}

// following is what a delay costs that keeps a margin above the latest packets:
// cheap where the network changes slowly, as a queue does that fills and drains.
// Every change of it is sound stretched or cut, which costs, too.
func (e *estimator) following() (now, cost int64) {
	const least = 10 // buckets that say something
	if e.n < least {
		return 0, math.MaxInt64
	}
	at := func(i int) int64 { return e.max[(e.cur-i+buckets)%buckets] } // i buckets ago
	// Two buckets back, so that a late one is remembered for 400 ms at least.
	base := func(i int) int64 { return max(at(i+1), at(i+2)) }
	n := e.n - 2
	var level, change int64
	for i := range n {
		level += base(i)
		if i+1 < n {
			d := base(i) - base(i+1)
			change += max(d, -d)
		}
	}
	level = level/int64(n) + change/int64(n)*changeShare/10
	s := e.sort(func(i int) int64 { return at(i) - base(i) }, n)
	best, bestCost := s[0], s[0]
	var over int64
	for i, v := range s {
		v = max(v, 0)
		broken := over - int64(i)*v
		over += s[i]
		if c := v + int64(i)*e.cost + broken/breakShare; c < bestCost {
			best, bestCost = v, c
		}
		if v == 0 {
			break
		}
	}
	return max(at(0), at(1), at(2)) + best, level + bestCost
}

// sort returns n values, the largest first.
func (e *estimator) sort(value func(i int) int64, n int) []int64 {
	s := e.sorted[:0]
	for k := range n {
		v := value(k)
		s = append(s, v)
		i := len(s) - 1
		for ; i > 0 && s[i-1] < v; i-- {
			s[i] = s[i-1]
		}
		s[i] = v
	}
	return s
}

func samplesOf(d time.Duration, rate int) int64 {
	return int64(d) * int64(rate) / int64(time.Second)
}
