package bwe

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// estimator is what a scenario drives.
type estimator interface {
	Sent(ssrc uint32, seq uint16, size int, now time.Time)
	FeedbackPacket(b []byte, now time.Time) error
	Target() int
}

// A scenario is a sender, a bottleneck and a receiver in virtual time.
type scenario struct {
	config    Config
	rate      func(at time.Duration) int // of the bottleneck, bit/s
	delay     time.Duration              // each way; default 25 ms
	queue     time.Duration              // drop-tail; default 1 s
	loss      float64                    // of packets, at random
	lossFrom  time.Duration
	back      float64       // loss of reports
	jitter    time.Duration // at most, packets stay in order
	outage    [2]time.Duration
	want      func(at time.Duration, target int) int // what the source sends; default the target
	frames    bool                                   // a camera's: 30 a second, of uneven size
	interval  time.Duration                          // between reports; default 25 ms
	duration  time.Duration
	sleep     func(time.Duration) // default: none, time is only counted
	estimator estimator           // default: a Sender
	seed      uint64
}

// sample is a tenth of a second of a scenario.
type sample struct {
	at        time.Duration
	target    int
	queue     time.Duration // the longest
	delivered int           // bit/s
}

func steady(rate int) func(time.Duration) int { return func(time.Duration) int { return rate } }

type event struct {
	at     time.Duration
	seq    uint16
	report []byte
}

func (s scenario) run(t testing.TB) []sample {
	t.Helper()
	e := s.estimator
	if e == nil {
		sender, err := NewSender(s.config)
		if err != nil {
			t.Fatal(err)
		}
		e = sender
	}
	s.delay, s.queue = cmp.Or(s.delay, 25*time.Millisecond), cmp.Or(s.queue, time.Second)
	s.interval = cmp.Or(s.interval, 25*time.Millisecond)
	rng := rand.New(rand.NewPCG(s.seed, 8888))
	receiver := NewReceiver(1)
	start := at(0) // the same each time: reports round to their clock
	if s.sleep != nil {
		start = time.Now()
	}

	const ssrc, packet, tick = 7, 1100, time.Millisecond
	var (
		seq             uint16 = 65500
		forth, back     []event
		free, last      time.Duration // of the bottleneck
		credit, pending float64       // bytes
		samples         []sample
		now             sample
		nextReport      = s.interval
		nextFrame       time.Duration
	)
	for at := time.Duration(0); at < s.duration; at += tick {
		clock := start.Add(at)
		for len(forth) > 0 && forth[0].at <= at {
			receiver.Received(ssrc, forth[0].seq, start.Add(forth[0].at))
			now.delivered += packet * 8 * 10
			forth = forth[1:]
		}
		if at >= nextReport {
			nextReport += s.interval
			if b := receiver.AppendReport(nil, clock, 0); len(b) > 0 && rng.Float64() >= s.back && !s.out(at) {
				back = append(back, event{at: at + s.delay, report: b})
			}
		}
		for len(back) > 0 && back[0].at <= at {
			if err := e.FeedbackPacket(back[0].report, clock); err != nil {
				t.Fatal(err)
			}
			back = back[1:]
		}

		target := e.Target()
		rate := target
		if s.want != nil {
			rate = s.want(at, target)
		}
		if s.frames {
			if at >= nextFrame {
				nextFrame += time.Second / 30
				pending += float64(rate) / 8 / 30 * (0.6 + 0.8*rng.Float64())
			}
			out := min(pending, 2.5*float64(rate)/8/1000) // paced
			pending -= out
			credit += out
		} else {
			credit += float64(rate) / 8 / 1000
		}
		for ; credit >= packet; credit -= packet {
			e.Sent(ssrc, seq, packet, clock)
			n := seq
			seq++
			free = max(free, at)
			wait := free - at
			if wait > s.queue || s.out(at) {
				continue
			}
			free += time.Duration(packet * 8 * float64(time.Second) / float64(s.rate(at)))
			now.queue = max(now.queue, free-at)
			if at >= s.lossFrom && rng.Float64() < s.loss {
				continue
			}
			last = max(last, free+s.delay+time.Duration(rng.Float64()*float64(s.jitter)))
			forth = append(forth, event{at: last, seq: n})
		}
		if at%(100*time.Millisecond) == 0 {
			now.at, now.target = at, target
			samples = append(samples, now)
			now = sample{}
		}
		if s.sleep != nil {
			s.sleep(tick)
		}
	}
	return samples
}

func (s scenario) out(at time.Duration) bool { return at >= s.outage[0] && at < s.outage[1] }

// between returns the samples of a span.
func between(samples []sample, from, to time.Duration) []sample {
	i := slices.IndexFunc(samples, func(x sample) bool { return x.at >= from })
	j := slices.IndexFunc(samples, func(x sample) bool { return x.at >= to })
	if j < 0 {
		j = len(samples)
	}
	return samples[i:j]
}

// figures are what tests ask of a span.
type figures struct {
	least, most, mean, delivered int
	queue                        time.Duration // the longest
	queue95                      time.Duration // of the tenths of a second
}

func measure(samples []sample) figures {
	f := figures{least: samples[0].target}
	var queues []time.Duration
	for _, s := range samples {
		f.least, f.most = min(f.least, s.target), max(f.most, s.target)
		f.queue = max(f.queue, s.queue)
		f.mean += s.target / len(samples)
		f.delivered += s.delivered / len(samples)
		queues = append(queues, s.queue)
	}
	slices.Sort(queues)
	f.queue95 = queues[len(queues)*95/100]
	return f
}

// reached is when the target first was at least, or with below at most, rate;
// -1 if never.
func reached(samples []sample, from time.Duration, rate int, below bool) time.Duration {
	for _, s := range samples {
		if s.at >= from && (s.target >= rate) != below {
			return s.at - from
		}
	}
	return -1
}
