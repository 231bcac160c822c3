package bwe

import "time"

const (
	meterBucket  = 50 * time.Millisecond
	meterBuckets = 11
	meterWindow  = (meterBuckets - 1) * meterBucket // 500 ms
)

// A meter measures a rate over the last half second. The zero value is ready.
// Times are since an epoch.
type meter struct {
	bytes  [meterBuckets]int
	newest int64         // the newest bucket, counted from the epoch
	first  time.Duration // when the first bytes came
	any    bool
}

func (m *meter) add(at time.Duration, bytes int) {
	at = max(at, 0)
	if !m.any {
		m.any, m.first, m.newest = true, at, int64(at/meterBucket)
	}
	m.advance(at)
	if b := int64(at / meterBucket); b > m.newest-meterBuckets {
		m.bytes[b%meterBuckets] += bytes
	}
}

func (m *meter) advance(at time.Duration) {
	b := int64(at / meterBucket)
	if b-m.newest >= meterBuckets {
		m.bytes = [meterBuckets]int{}
		m.newest = b
	}
	for m.newest < b {
		m.newest++
		m.bytes[m.newest%meterBuckets] = 0
	}
}

// rate is in bits per second; 0 until a tenth of a second has been measured.
func (m *meter) rate(now time.Duration) int {
	if !m.any {
		return 0
	}
	m.advance(now)
	// The oldest bucket is counted in the share that the window has of it.
	part := max(now, 0) - time.Duration(m.newest)*meterBucket
	span := meterWindow
	if now-m.first < span {
		span = now - m.first
	}
	if span < 2*meterBucket {
		return 0
	}
	sum := 0
	for _, b := range m.bytes {
		sum += b
	}
	oldest := m.bytes[(m.newest+1)%meterBuckets]
	bytes := float64(sum) - float64(oldest)*float64(part)/float64(meterBucket)
	return int(8 * bytes / span.Seconds())
}
