package bwe

import "time"

// usage is what the delay says of the path.
type usage uint8

const (
	normal   usage = iota
	overuse        // a queue is building up
	underuse       // a queue is draining
)

const (
	// burstTime is the most by which packets of one group are apart in leaving,
	// or in arriving if they were held up together.
	burstTime = 5 * time.Millisecond
	// maxBurst bounds a group that only its arrival holds together.
	maxBurst = 100 * time.Millisecond

	trendPoints    = 20
	trendSmoothing = 0.9
	trendGain      = 4
	maxDeltas      = 60

	// The threshold and how fast it follows the trend, in ms
	// (draft-ietf-rmcat-gcc-02, section 5.4, with the coefficients of the
	// trendline).
	initialThreshold = 12.5
	minThreshold     = 6
	maxThreshold     = 600
	thresholdUp      = 0.0087
	thresholdDown    = 0.039
	maxAdaptOffset   = 15
	overuseTime      = 10 * time.Millisecond
)

// A trend finds out whether one-way delay grows: packets are put together in
// groups, and a line is laid through the delays of the last groups
// (draft-ietf-rmcat-gcc-02, section 5, with a linear regression in place of
// the arrival-time filter). The two clocks need not agree; only differences
// count. The zero value is ready.
type trend struct {
	current, last group
	groups        int // complete ones, at most two counted

	deltas   int // differences seen
	start    time.Duration
	sum      float64 // accumulated delay, ms
	smoothed float64
	x, y     [trendPoints]float64 // arrival and smoothed delay, ms
	next     int

	threshold float64
	adapted   time.Duration
	over      time.Duration // how long the trend has been above the threshold
	overCount int
	previous  float64

	usage usage
}

// group is packets that left, or arrived, together. Times are since an epoch
// of each clock.
type group struct {
	firstSent, sent       time.Duration
	firstArrived, arrived time.Duration
}

// add takes a packet that left and arrived at these times. Packets come in the
// order in which they left; those that do not are passed over.
func (t *trend) add(sent, arrived time.Duration) {
	if t.groups == 0 {
		t.current = group{sent, sent, arrived, arrived}
		t.groups = 1
		return
	}
	g := &t.current
	if sent < g.sent {
		return
	}
	if sent-g.firstSent <= burstTime || (arrived-g.arrived <= burstTime &&
		arrived-g.arrived < sent-g.sent && arrived-g.firstArrived < maxBurst) {
		g.sent = sent
		g.arrived = max(g.arrived, arrived)
		return
	}
	if t.groups == 1 {
		t.groups = 2
	} else if g.arrived >= t.last.arrived {
		t.update(g.sent-t.last.sent, g.arrived-t.last.arrived, g.arrived)
	}
	t.last = *g
	t.current = group{sent, sent, arrived, arrived}
}

// update takes how much later a group left and arrived than the one before.
func (t *trend) update(sent, arrived, at time.Duration) {
	if t.deltas == 0 {
		t.start, t.adapted, t.threshold = at, at, initialThreshold
	}
	t.sum += ms(arrived - sent)
	t.smoothed = trendSmoothing*t.smoothed + (1-trendSmoothing)*t.sum
	t.x[t.next], t.y[t.next] = ms(at-t.start), t.smoothed
	t.next = (t.next + 1) % trendPoints
	t.deltas++
	if t.deltas < trendPoints {
		return
	}
	t.detect(float64(min(t.deltas, maxDeltas))*t.slope()*trendGain, sent, at)
	t.deltas = min(t.deltas, 2*maxDeltas)
}

// slope is that of the line through the points, least squares.
func (t *trend) slope() float64 {
	var mx, my float64
	for i := range t.x {
		mx += t.x[i]
		my += t.y[i]
	}
	mx /= trendPoints
	my /= trendPoints
	var xy, xx float64
	for i := range t.x {
		xy += (t.x[i] - mx) * (t.y[i] - my)
		xx += (t.x[i] - mx) * (t.x[i] - mx)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}

// detect compares the trend with the threshold and moves that towards it.
func (t *trend) detect(trend float64, sent, at time.Duration) {
	switch {
	case trend > t.threshold:
		if t.overCount == 0 {
			t.over = sent / 2
		} else {
			t.over += sent
		}
		t.overCount++
		if t.over > overuseTime && t.overCount > 1 && trend >= t.previous {
			t.over, t.overCount = 0, 0
			t.usage = overuse
		}
	case trend < -t.threshold:
		t.over, t.overCount = 0, 0
		t.usage = underuse
	default:
		t.over, t.overCount = 0, 0
		t.usage = normal
	}
	t.previous = trend

	size := max(trend, -trend)
	if size <= t.threshold+maxAdaptOffset { // else it is a sudden change, none to get used to
		k := thresholdUp
		if size < t.threshold {
			k = thresholdDown
		}
		t.threshold += k * (size - t.threshold) * ms(min(at-t.adapted, 100*time.Millisecond))
		t.threshold = min(max(t.threshold, minThreshold), maxThreshold)
	}
	t.adapted = at
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
