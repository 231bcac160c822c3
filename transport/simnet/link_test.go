package simnet

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

const ms = time.Millisecond

func testLink(l Link, seed uint64) *link {
	k := newLink(l, rand.New(rand.NewPCG(seed, 1)))
	return &k
}

// run sends packets of size bytes, one each gap, and returns when they arrive;
// a lost one at -1, a doubled one twice.
func run(k *link, packets, size int, gap time.Duration) (at []time.Duration) {
	for i := range packets {
		v := k.admit(time.Duration(i)*gap, size)
		if v.copies == 0 {
			at = append(at, -1)
		}
		at = append(at, v.at[:v.copies]...)
	}
	return at
}

func share(n uint64, of int) float64 { return float64(n) / float64(of) }

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s is %.4f, want %.4f within %.4f", what, got, want, within)
	}
}

func TestLinkLoss(t *testing.T) {
	const packets = 50_000
	for _, loss := range []float64{0, 0.01, 0.1, 0.5, 1} {
		k := testLink(Link{Loss: loss}, 1)
		at := run(k, packets, 100, ms)
		near(t, "loss", share(k.dropped[DropLoss].Load(), packets), loss, 4*math.Sqrt(loss*(1-loss)/packets))
		// Independent: a lost packet says nothing about the next.
		if loss == 0.1 {
			both := 0
			for i := range at[1:] {
				if at[i] < 0 && at[i+1] < 0 {
					both++
				}
			}
			near(t, "two lost in a row", share(uint64(both), packets), loss*loss, 0.002)
		}
	}
}

func TestLinkBurstLoss(t *testing.T) {
	const packets = 150_000
	for _, c := range []struct{ loss, length float64 }{{0.05, 8}, {0.01, 3}, {0.2, 1.5}, {0.3, 40}} {
		k := testLink(Link{Burst: Bursts(c.loss, c.length)}, 1)
		bursts, lost, before := 0, 0, false
		for _, at := range run(k, packets, 100, ms) {
			if at < 0 {
				lost++
				if !before {
					bursts++
				}
			}
			before = at < 0
		}
		near(t, "share lost", float64(lost)/packets, c.loss, c.loss/6)
		near(t, "burst length", float64(lost)/float64(bursts), c.length, c.length/10)
		if uint64(lost) != k.dropped[DropBurst].Load() {
			t.Errorf("%d lost, %d counted", lost, k.dropped[DropBurst].Load())
		}
	}
	// The general model: in the bad state, half the time, 40 % are lost, else 2 %.
	k := testLink(Link{Burst: BurstLoss{Enter: 0.1, Leave: 0.1, Good: 0.02, Bad: 0.4}}, 1)
	run(k, packets, 100, ms)
	near(t, "share lost", share(k.dropped[DropBurst].Load(), packets), 0.21, 0.01)
}

func TestBursts(t *testing.T) {
	if got := Bursts(0, 5); got != (BurstLoss{}) {
		t.Errorf("no loss gives %+v", got)
	}
	for _, b := range []BurstLoss{Bursts(1, 5), Bursts(0.9, 0), Bursts(0.5, 1)} {
		if err := (Link{Burst: b}).Validate(); err != nil {
			t.Error(err)
		}
	}
	k := testLink(Link{Burst: Bursts(1, 5)}, 1)
	if at := run(k, 100, 1, ms); slices.Max(at) != -1 {
		t.Error("a burst of everything lets something through")
	}
}

func TestLinkDelayAndJitter(t *testing.T) {
	const packets = 50_000
	for _, reorders := range []bool{false, true} {
		k := testLink(Link{Delay: 40 * ms, Jitter: 30 * ms, JitterReorders: reorders}, 1)
		at := run(k, packets, 100, 5*ms)
		var sum, least, most float64 = 0, math.Inf(1), 0
		overtaken := 0
		for i, a := range at {
			d := (a - time.Duration(i)*5*ms).Seconds() * 1000
			sum, least, most = sum+d, min(least, d), max(most, d)
			if i > 0 && a < at[i-1] {
				overtaken++
			}
		}
		if least < 40 || most > 70 || least > 40.2 && reorders || most < 69.8 {
			t.Errorf("reorders %v: delays of %.2f to %.2f ms, want 40 to 70", reorders, least, most)
		}
		if reorders {
			near(t, "mean delay in ms", sum/packets, 55, 0.3)
			// Of two packets 5 ms apart the first comes later if it drew 5 ms
			// more: (25/30)^2 / 2.
			near(t, "share overtaken", float64(overtaken)/packets, 0.3472, 0.01)
		} else if overtaken > 0 {
			t.Errorf("%d packets overtaken, want them in order", overtaken)
		}
	}
}

func TestLinkReorder(t *testing.T) {
	const packets = 50_000
	k := testLink(Link{Delay: 20 * ms, Reorder: 0.03, ReorderDelay: 25 * ms}, 1)
	held := 0
	for i, a := range run(k, packets, 100, 10*ms) {
		switch a - time.Duration(i)*10*ms {
		case 20 * ms:
		case 45 * ms:
			held++
		default:
			t.Fatalf("packet %d takes %v, want 20 or 45 ms", i, a-time.Duration(i)*10*ms)
		}
	}
	near(t, "share held back", float64(held)/packets, 0.03, 0.004)
	if n := k.reordered.Load(); n != uint64(held) {
		t.Errorf("%d held back, %d counted", held, n)
	}
	if v := testLink(Link{Reorder: 1}, 1).admit(0, 1); v.at[0] != 10*ms {
		t.Errorf("held back by %v, want the default of 10 ms", v.at[0])
	}
}

func TestLinkDuplicate(t *testing.T) {
	const packets = 50_000
	k := testLink(Link{Duplicate: 0.04}, 1)
	at := run(k, packets, 100, ms)
	near(t, "share doubled", float64(len(at)-packets)/packets, 0.04, 0.004)
	if n := k.duplicated.Load(); n != uint64(len(at)-packets) {
		t.Errorf("%d doubled, %d counted", len(at)-packets, n)
	}
}

func TestLinkRate(t *testing.T) {
	// 100 bytes and 28 of headers at 64 kbit/s take 16 ms.
	k := testLink(Link{Rate: 64_000, QueueTime: time.Second, Delay: 5 * ms}, 1)
	for i := range 5 {
		v := k.admit(0, 100)
		if want := time.Duration(i+1)*16*ms + 5*ms; v.at[0] != want {
			t.Errorf("packet %d arrives at %v, want %v", i, v.at[0], want)
		}
	}
	if got := k.backlog(20 * ms); got != 480 {
		t.Errorf("%d bytes wait at 20 ms, want 480", got)
	}
	// After a pause the line is idle again.
	if v := k.admit(time.Second, 100); v.at[0] != time.Second+21*ms {
		t.Errorf("after a pause a packet arrives at %v", v.at[0])
	}
}

func TestLinkQueueBounds(t *testing.T) {
	for _, c := range []struct {
		name  string
		link  Link
		holds int // of packets of 128 bytes on the line, 16 ms each, sent at once
	}{
		{"default of 250 ms", Link{}, 16}, // the 16th waits 240 ms, the 17th would wait 256
		{"time", Link{QueueTime: 32 * ms}, 3},
		{"bytes", Link{QueueBytes: 128 * 4}, 4},
		{"both, bytes less", Link{QueueBytes: 128 * 4, QueueTime: time.Second}, 4},
		{"both, time less", Link{QueueBytes: 128 * 100, QueueTime: 32 * ms}, 3},
		{"an idle line takes any", Link{QueueBytes: 1}, 1},
	} {
		c.link.Rate = 64_000
		k := testLink(c.link, 1)
		taken := 0
		for range 100 {
			taken += k.admit(0, 100).copies
		}
		if taken != c.holds {
			t.Errorf("%s: %d packets taken, want %d", c.name, taken, c.holds)
		}
		if n := k.dropped[DropQueue].Load(); n != uint64(100-taken) {
			t.Errorf("%s: %d counted as dropped", c.name, n)
		}
	}
}

func TestLinkRateChangeKeepsTheQueue(t *testing.T) {
	k := testLink(Link{Rate: 64_000}, 1)
	for range 10 {
		k.admit(0, 100)
	}
	k.set(0, Link{Rate: 128_000, JitterReorders: true}) // to see the line, not the order kept
	if got := k.backlog(0); got != 1280 {
		t.Errorf("%d bytes wait after the rate changed, want 1280", got)
	}
	if v := k.admit(0, 100); v.at[0] != 88*ms {
		t.Errorf("the next packet arrives at %v, want 88 ms", v.at[0])
	}
	k.set(0, Link{})
	if got := k.backlog(0); got != 0 {
		t.Errorf("%d bytes wait on a line without a rate", got)
	}
}

func TestLinkMTUAndDown(t *testing.T) {
	k := testLink(Link{MTU: 1200}, 1)
	if k.admit(0, 1200).copies != 1 || k.admit(0, 1201).copies != 0 || k.dropped[DropMTU].Load() != 1 {
		t.Error("an MTU of 1200 does not part 1200 from 1201")
	}
	k = testLink(Link{}, 1)
	if k.admit(0, 65507).copies != 1 || k.admit(0, 65508).copies != 0 {
		t.Error("the default MTU is not 65507")
	}
	k = testLink(Link{Down: true}, 1)
	if k.admit(0, 1).copies != 0 || k.dropped[DropDown].Load() != 1 {
		t.Error("a link that is down lets a packet through")
	}
}

func TestLinkValidate(t *testing.T) {
	for field, l := range map[string]Link{
		"Loss": {Loss: 5}, "Burst.Enter": {Burst: BurstLoss{Enter: -1}}, "Reorder": {Reorder: math.NaN()},
		"Delay": {Delay: -1}, "Rate": {Rate: -1}, "MTU": {MTU: -1}, "QueueTime": {QueueTime: -1},
	} {
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), "Link."+field+" ") {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := (Link{Loss: 1, Duplicate: 1}).Validate(); err != nil {
		t.Error(err)
	}
}

func anyLink(t *rapid.T) Link {
	p := rapid.Float64Range(0, 1)
	d := rapid.Custom(func(t *rapid.T) time.Duration { return time.Duration(rapid.Int64Range(0, 200).Draw(t, "ms")) * ms })
	return Link{
		Delay: d.Draw(t, "delay"), Jitter: d.Draw(t, "jitter"), JitterReorders: rapid.Bool().Draw(t, "reorders"),
		Loss: p.Draw(t, "loss"), Burst: BurstLoss{p.Draw(t, "enter"), p.Draw(t, "leave"), p.Draw(t, "good"), p.Draw(t, "bad")},
		Reorder: p.Draw(t, "reorder"), ReorderDelay: d.Draw(t, "held"), Duplicate: p.Draw(t, "duplicate"),
		Rate:       rapid.SampledFrom([]int64{0, 64_000, 1_000_000}).Draw(t, "rate"),
		QueueBytes: rapid.SampledFrom([]int{0, 1500, 10_000}).Draw(t, "queue bytes"), QueueTime: d.Draw(t, "queue time"),
		MTU: rapid.SampledFrom([]int{0, 1000}).Draw(t, "MTU"), Down: rapid.IntRange(0, 9).Draw(t, "down") == 0,
	}
}

// Whatever the settings and however they change: nothing arrives before it
// could, every packet is accounted for, and one seed gives one outcome.
func TestLinkInvariants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := anyLink(t)
		k, twin := testLink(l, 7), testLink(l, 7)
		now, copies := time.Duration(0), uint64(0)
		for range rapid.IntRange(1, 60).Draw(t, "packets") {
			now += time.Duration(rapid.IntRange(0, 30).Draw(t, "gap")) * ms
			if rapid.IntRange(0, 19).Draw(t, "change") == 0 {
				l = anyLink(t)
				k.set(now, l)
				twin.set(now, l)
			}
			size := rapid.IntRange(0, 1400).Draw(t, "size")
			v := k.admit(now, size)
			if again := twin.admit(now, size); again != v {
				t.Fatalf("one seed, two outcomes: %v and %v", v, again)
			}
			earliest := now + l.Delay
			if l.Rate > 0 {
				earliest += lineTime(size+headerBytes, l.Rate)
			}
			for _, at := range v.at[:v.copies] {
				if at < earliest {
					t.Fatalf("a packet of %d bytes sent at %v arrives at %v over %+v", size, now, at, l)
				}
			}
			copies += uint64(v.copies)
		}
		s := k.snapshot(now)
		if s.Sent+s.Duplicated != copies+s.DroppedTotal() || s.UnderWay != int(copies) {
			t.Fatalf("%+v does not add up with %d arrivals", s, copies)
		}
	})
}

func TestDropReasonString(t *testing.T) {
	for r := range NumDropReasons {
		if r.String() == "" || r.String() == "unknown" {
			t.Errorf("reason %d has no name", r)
		}
	}
	if NumDropReasons.String() != "unknown" {
		t.Error("a reason that is none has a name")
	}
}
