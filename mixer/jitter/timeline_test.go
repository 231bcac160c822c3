package jitter

import (
	"math"
	"testing"
	"time"
)

// What the numbers and the clocks of sender, network and sink can do.

// The numbers wrap in every test (the rig starts just before); here they do so
// often, and nothing is lost.
func TestWrap(t *testing.T) {
	g := newRig(t, Config{})
	for range 3 {
		g.ts = 1<<32 - 960*3 // a jump as well
		g.call(10)
	}
	g.seq = 65530
	s := g.balanced()
	g.want("lost", s.Lost, 0)
	g.want("played", s.Played, 30)
	g = newRig(t, Config{})
	g.dec.record = false
	pcm := make([]int16, 120)
	for i := range 70000 {
		p := g.frame(false)
		p.Payload = fakePacket(1, 1, false) // 2.5 ms
		p.Timestamp = uint32(i)*120 - 5000
		g.push(p)
		g.b.Pull(pcm, time.Time{})
		if i == 69999 {
			g.want("played", g.b.Stats().Played, 70000)
			g.want("concealed", g.b.Stats().ConcealedSamples, 0)
		}
	}
}

func TestTimestampJumps(t *testing.T) {
	for name, jump := range map[string]int32{
		"forward a minute": 60 * 48000, "back a minute": -60 * 48000, "half the circle": math.MinInt32 + 5000,
		"forward 3 s": 3 * 48000, "back 3 s": -3 * 48000, "back a little": -5000, "by 1": 1, "by -1": -1,
	} {
		g := newRig(t, Config{})
		g.call(10)
		g.ts += uint32(jump)
		g.call(50)
		s := g.balanced()
		if s.Played != 60 || s.Lost != 0 {
			t.Errorf("%s: %+v", name, s)
		}
		if s.ConcealedSamples > 960 || s.SilentSamples > 960 {
			t.Errorf("%s: %d samples concealed, %d silent", name, s.ConcealedSamples, s.SilentSamples)
		}
	}
}

func TestSequenceRestart(t *testing.T) {
	for name, jump := range map[string]uint16{"forward": 5000, "back": 65536 - 5000, "half": 32768} {
		g := newRig(t, Config{})
		g.call(10)
		g.seq += jump
		g.ts += 123456789
		g.call(10)
		s := g.balanced()
		g.want(name+": discarded", s.Discarded, 1) // the one that raised suspicion
		g.want(name+": played", s.Played, 19)
		g.want(name+": resyncs", s.Resyncs, 1)
		if s.Lost != 0 {
			t.Errorf("%s: %d lost", name, s.Lost)
		}
	}
	// A single stray packet changes nothing.
	g := newRig(t, Config{})
	g.call(10)
	stray := g.frame(false)
	g.seq--
	g.ts -= 960
	stray.SequenceNumber += 20000
	stray.Timestamp += 99999
	g.push(stray)
	g.call(10)
	s := g.balanced()
	g.want("resyncs after a stray", s.Resyncs, 0)
	g.want("concealed after a stray", s.ConcealedSamples, 0)
}

func TestReset(t *testing.T) {
	g := newRig(t, Config{})
	g.call(10)
	g.push(g.frame(false))
	g.push(g.frame(false))
	if err := g.b.Reset(); err != nil || g.dec.resets != 1 {
		t.Fatalf("Reset: %v, %d resets of the decoder", err, g.dec.resets)
	}
	g.want("discarded", g.b.Stats().Discarded, 2)
	g.seq, g.ts = 7, 7
	g.call(10)
	s := g.balanced()
	g.want("played", s.Played, 20)
	g.want("lost", s.Lost, 0)
	g.want("concealed", s.ConcealedSamples, 0)
}

// A pause of the sender: the numbers go on, the timestamp leaps.
func TestDTX(t *testing.T) {
	g := newRig(t, Config{})
	g.call(20)
	for range 5 {
		g.pull(80)
		if g.res.Active || g.res.HasLevel && g.res.Level > 0 {
			t.Errorf("a pause is active: %+v", g.res)
		}
		g.ts += 40 * 960
		g.call(20)
	}
	s := g.balanced()
	g.want("lost", s.Lost, 0)
	g.want("concealed", s.ConcealedSamples, 0)
	g.want("played", s.Played, 120)
	g.want("resyncs", s.Resyncs, 0)
	if d := g.b.delay - g.b.est.least(); d != 0 {
		t.Errorf("the delay is %d samples more than it need be", d)
	}
}

// What the network held back comes at once: all is played, then the delay is
// worked off.
func TestBurstCaughtUp(t *testing.T) {
	for _, hz := range []float64{0, 220} { // 0: a level tone of numbers
		g := newRig(t, Config{})
		g.dec.tone = hz
		g.call(50)
		var held []Packet
		for range 6 { // 120 ms
			held = append(held, g.frame(false))
			g.pull(2)
		}
		for _, p := range held {
			g.push(p)
		}
		before := g.b.delay
		g.call(2)
		if grown := g.b.delay - before; grown < 4000 {
			t.Errorf("the delay grew by %d samples, less than was held back", grown)
		}
		g.call(100)
		s := g.balanced()
		g.want("played", s.Played, 158)
		if excess := g.b.delay - g.b.est.least(); excess > 960 {
			t.Errorf("%v Hz: after 2 s the delay is still %d samples too long", hz, excess)
		}
	}
}

func TestLongStallBounded(t *testing.T) {
	g := newRig(t, Config{MaxDelay: 100 * time.Millisecond})
	g.call(50)
	var held []Packet
	for range 500 { // 10 s
		held = append(held, g.frame(false))
		g.pull(2)
	}
	for _, p := range held {
		g.push(p)
		if g.b.count > slots {
			t.Fatalf("%d packets wait", g.b.count)
		}
	}
	g.pull(1)
	if wait := g.b.lastTS - g.b.pos(); wait > 4800 {
		t.Errorf("the newest packet waits %d samples, more than 100 ms", wait)
	}
	g.pull(1)
	g.call(50)
	g.balanced()
}

// The sink stands still: what it missed is gone, and the sound goes on with
// the newest.
func TestSinkStall(t *testing.T) {
	g := newRig(t, Config{})
	g.call(50)
	for range 50 {
		g.push(g.frame(false))
		g.now = g.now.Add(20 * time.Millisecond)
	}
	g.call(5)
	s := g.balanced()
	g.want("stalls", s.Stalls, 1)
	if last := g.dec.played[len(g.dec.played)-1]; g.next-last > 3 {
		t.Errorf("playing packet %d when %d has come", last, g.next-1)
	}
}

// What Pull says of its place is that of what it gives, also after a pause, a packet
// that came late, a jump, and while the numbers wrap.
func TestPullTimestamp(t *testing.T) {
	g := newRig(t, Config{})
	begin := map[uint32]uint32{} // timestamps of packets, by number
	whole, wrong := 0, 0
	pull := func(n int) {
		for range n {
			pcm := g.pull(1)
			if g.res.Decoded < len(pcm) {
				continue
			}
			whole++
			// A sample's value names its packet: see fakeValue. The first 2.5 ms may fade in.
			id := uint32(pcm[240]) - 1000
			if off := g.res.Timestamp + 240 - begin[id]; off >= 960 {
				if wrong++; wrong > 5 {
					continue
				}
				t.Logf("a pull at %d is of packet %d, which begins at %d", g.res.Timestamp, id, begin[id])
			}
		}
	}
	frame := func() Packet {
		p := g.frame(false)
		begin[g.next-1] = p.Timestamp
		return p
	}
	for i := range 200 {
		switch i {
		case 50: // a pause
			pull(40)
			g.ts += 20 * 960
		case 90:
			g.ts += 12345 * 960
		case 130: // late
			pull(3)
		}
		g.push(frame())
		pull(2)
	}
	if whole < 350 || wrong > 0 {
		t.Errorf("%d of %d pulls are not where they say", wrong, whole)
	}
}
