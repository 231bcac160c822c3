package jitter

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A trace is when the packets of a call came: one every 20 ms was sent, and
// packet i took delay[i]; a negative one never came.
type trace struct {
	name   string
	bursty bool
	loss   bool // some never come
	delay  func(r *rand.Rand, n int) []time.Duration
}

const ms = time.Millisecond

// traces are networks, made so that they are the same everywhere.
var traces = []trace{
	{"steady", false, false, func(r *rand.Rand, n int) []time.Duration {
		return each(n, func(int) time.Duration { return 20*ms + time.Duration(r.ExpFloat64()*0.8e6) })
	}},
	// Wi-Fi: a few ms of contention, and every three seconds or so a burst that
	// is held back for 30 to 120 ms and then comes at once.
	{"Wi-Fi bursts", true, false, func(r *rand.Rand, n int) []time.Duration {
		return held(n, r, 3*time.Second, 30*ms, 120*ms, func() time.Duration { return 10*ms + time.Duration(r.Float64()*5e6) })
	}},
	// LTE: scheduling in steps of some ms, and a handover every ten seconds or
	// so, 50 to 300 ms without anything.
	{"LTE handovers", true, false, func(r *rand.Rand, n int) []time.Duration {
		return held(n, r, 10*time.Second, 50*ms, 300*ms, func() time.Duration { return 35*ms + time.Duration(r.IntN(4))*4*ms })
	}},
	// A queue that fills for two seconds and drains in one, again and again.
	{"queue build-up", true, false, func(r *rand.Rand, n int) []time.Duration {
		t := 0 * ms
		return each(n, func(int) time.Duration {
			t += 20 * ms
			at := t % (8 * time.Second)
			queue := 0 * ms
			switch {
			case at < 2*time.Second:
				queue = at * 6 / 100
			case at < 3*time.Second:
				queue = (3*time.Second - at) * 12 / 100
			}
			return 15*ms + queue + time.Duration(r.ExpFloat64()*1e6)
		})
	}},
	{"10 % lost", false, true, func(r *rand.Rand, n int) []time.Duration { return lossy(r, n, 0.1) }},
	{"20 % lost", false, true, func(r *rand.Rand, n int) []time.Duration { return lossy(r, n, 0.2) }},
}

func each(n int, f func(i int) time.Duration) []time.Duration {
	out := make([]time.Duration, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

// held holds packets back now and then, so that they come at once, in order.
func held(n int, r *rand.Rand, every, least, most time.Duration, base func() time.Duration) []time.Duration {
	out := make([]time.Duration, n)
	until, next := time.Duration(0), time.Duration(r.ExpFloat64()*float64(every))
	last := time.Duration(0)
	for i := range out {
		sent := time.Duration(i) * 20 * ms
		if sent >= next {
			until = sent + least + time.Duration(r.Float64()*float64(most-least))
			next = until + time.Duration(r.ExpFloat64()*float64(every))
		}
		at := max(sent+base(), last)
		if sent < until {
			at = max(at, until+base())
		}
		out[i], last = at-sent, at
	}
	return out
}

func lossy(r *rand.Rand, n int, share float64) []time.Duration {
	return each(n, func(int) time.Duration {
		d := 20*ms + time.Duration(r.Float64()*6e6)
		if r.Float64() < share {
			return -1
		}
		return d
	})
}

// played is what became of a trace: the mean delay from sending to hearing, and
// the share of packets that came, and came too late.
type played struct {
	delay float64 // ms
	late  float64 // percent
}

// adaptive plays a trace through a Buffer, with pulls of 10 ms.
func adaptive(tb testing.TB, delays []time.Duration) played {
	b, err := New(Config{Decoder: &fakeDecoder{ch: 1, rate: 48000, tone: 220}, MaxDelay: 400 * ms})
	if err != nil {
		tb.Fatal(err)
	}
	type arrival struct {
		at time.Duration
		i  int
	}
	var in []arrival
	came := 0
	for i, d := range delays {
		if d >= 0 {
			in = append(in, arrival{time.Duration(i)*20*ms + d, i})
			came++
		}
	}
	slices.SortStableFunc(in, func(a, b arrival) int { return int(a.at - b.at) })
	start := time.Unix(1000, 0)
	pcm := make([]int16, 480)
	var sum float64
	n, k := 0, 0
	for t := 0 * ms; t < time.Duration(len(delays))*20*ms; t += 10 * ms {
		for ; k < len(in) && in[k].at <= t; k++ {
			b.Push(Packet{SequenceNumber: uint16(in[k].i), Timestamp: uint32(in[k].i * 960),
				Payload: fakePacket(uint32(in[k].i), 8, false), Arrival: start.Add(in[k].at)})
		}
		b.Pull(pcm, start.Add(t))
		if b.playing && t > 2*time.Second { // after it has seen the network
			// Output position 0 is time 0, and so is timestamp 0, extended.
			sum += float64(b.delay+1<<40) / 48
			n++
		}
	}
	// What was made up for want of a packet, less for those that never came.
	s := b.Stats()
	lost := float64(len(delays)-came) * 960
	late := max(0, float64(s.ConcealedSamples)-lost)
	return played{sum / float64(n), 100 * late / float64(came*960)}
}

// audible is when the packets of a trace can be heard at the earliest: at the
// next pull, which no buffer can do anything about.
func audible(delays []time.Duration) []time.Duration {
	out := slices.Clone(delays)
	for i, d := range out {
		if d >= 0 {
			out[i] = (d + 10*ms - 1) / (10 * ms) * (10 * ms)
		}
	}
	return out
}

// constant is a fixed delay.
func constant(delays []time.Duration, d time.Duration) played {
	late, came := 0, 0
	for _, v := range delays {
		if v < 0 {
			continue
		}
		came++
		if v > d {
			late++
		}
	}
	return played{float64(d) / 1e6, 100 * float64(late) / float64(came)}
}

// best is the constant delay that a prophet would have chosen: the least with
// which no more packets are late.
func best(delays []time.Duration, late float64) played {
	var came []time.Duration
	for _, v := range delays {
		if v >= 0 {
			came = append(came, v)
		}
	}
	slices.Sort(came)
	may := int(late / 100 * float64(len(came)))
	return constant(delays, came[len(came)-1-min(may, len(came)-1)])
}

// oracle knows the future and may change its delay every second at no cost, a
// bound that nothing reaches: of all the ways to be late with that share of the
// packets it takes the one with the least delay. (What a late packet saves is
// weighed alike in every second, with the weight that uses the share up.)
func oracle(delays []time.Duration, late float64) played {
	var seconds [][]time.Duration
	came := 0
	for i := 0; i < len(delays); i += 50 {
		if p := positive(delays[i:min(len(delays), i+50)]); len(p) > 0 {
			slices.Sort(p)
			seconds = append(seconds, p)
			came += len(p)
		}
	}
	may := late / 100 * float64(came)
	choose := func(weight float64) (delay float64, dropped int) {
		for _, p := range seconds {
			best, bestCost, drop := 0.0, 1e18, 0
			for k := range p { // k are late
				d := float64(p[len(p)-1-k])
				if c := d + weight*float64(k); c < bestCost {
					best, bestCost, drop = d, c, k
				}
			}
			delay += best
			dropped += drop
		}
		return delay / 1e6 / float64(len(seconds)), dropped
	}
	low, high := 0.0, 1e12 // weights with which too many, and few enough, are late
	for range 60 {
		mid := (low + high) / 2
		if _, n := choose(mid); float64(n) > may {
			low = mid
		} else {
			high = mid
		}
	}
	d, n := choose(high)
	return played{d, 100 * float64(n) / float64(came)}
}

// BenchmarkOptimum plays each trace of ten minutes, and prints the mean delay
// from sending to hearing beside that of the best constant delay chosen in
// hindsight at the same share of late packets, of an oracle that knows the
// future, and of a fixed buffer of 60 ms with its share of late packets.
func BenchmarkOptimum(b *testing.B) {
	for _, tr := range traces {
		b.Run(tr.name, func(b *testing.B) {
			for b.Loop() {
				delays := tr.delay(rand.New(rand.NewPCG(1, 2)), 30000)
				a := adaptive(b, delays)
				delays = audible(delays)
				c := best(delays, a.late)
				o := oracle(delays, a.late)
				fixed := constant(delays, slices.Min(positive(delays))+60*ms)
				b.ReportMetric(a.delay, "ms")
				b.ReportMetric(a.late, "%late")
				b.ReportMetric(c.delay, "ms/best-constant")
				b.ReportMetric(o.delay, "ms/oracle")
				b.ReportMetric(fixed.delay, "ms/fixed")
				b.ReportMetric(fixed.late, "%late/fixed")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

func positive(delays []time.Duration) (out []time.Duration) {
	for _, d := range delays {
		if d >= 0 {
			out = append(out, d)
		}
	}
	return out
}

// The buffer is never more than 10 ms worse than the best constant delay at an
// equal share of late packets, and better on networks that come in bursts.
func TestOptimum(t *testing.T) {
	skipUnderRace(t)
	for _, tr := range traces {
		for seed := range uint64(2) {
			delays := tr.delay(rand.New(rand.NewPCG(seed, 2)), 9000)
			a := adaptive(t, delays)
			delays = audible(delays)
			c := best(delays, a.late)
			t.Logf("%s: %.1f ms and %.2f %% late; the best constant delay %.1f ms, the oracle %.1f", tr.name, a.delay, a.late, c.delay, oracle(delays, a.late).delay)
			if a.delay > c.delay+10 {
				t.Errorf("%s: %.1f ms, and %.1f would do", tr.name, a.delay, c.delay)
			}
			if tr.bursty && a.delay >= c.delay {
				t.Errorf("%s: %.1f ms, and a constant %.1f would do as well", tr.name, a.delay, c.delay)
			}
		}
	}
}
