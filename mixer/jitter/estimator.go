package jitter

import "time"

// The weights of the delay, chosen with TestDelay.
const (
	bucketTime = 200 * time.Millisecond
	buckets    = 50 // 10 s of sound
	// breakCost is how much delay is worth avoiding one break in the sound per
	// buckets × bucketTime, and breakShare how many samples made up in breaks
	// weigh as much as one sample of delay.
	breakCost  = 8 * time.Millisecond
	breakShare = 8
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

// target is the delay that costs least: each bucket whose maximum is above it
// is one break, as long as the maximum is above it.
func (e *estimator) target() int64 {
	s := e.sorted[:0]
	for _, v := range e.max[:e.n] { // insertion sort, largest first
		s = append(s, v)
		i := len(s) - 1
		for ; i > 0 && s[i-1] < v; i-- {
			s[i] = s[i-1]
		}
		s[i] = v
	}
	floor := e.now()
	best, bestCost := s[0], s[0]
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
	return best
}

func samplesOf(d time.Duration, rate int) int64 {
	return int64(d) * int64(rate) / int64(time.Second)
}
