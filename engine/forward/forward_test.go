package forward

import (
	"math/rand/v2"
	"testing"
	"time"
)

// TestSequence: whatever is left out and however late packets come, those that
// pass have ascending numbers without gaps of their own making.
func TestSequence(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		var s Sequence
		sent := map[uint16]uint16{} // out: in
		in, next, left := uint16(rng.Uint32()), uint16(0), map[uint16]bool{}
		first := true
		for range 3000 {
			in++
			switch {
			case rng.Float64() < 0.3:
				s.Skip(in)
				left[in] = true
				if !s.Gap() && !first {
					t.Fatal("no gap after a packet was left out")
				}
			default:
				out, ok := s.Pass(in)
				if !ok {
					t.Fatalf("the newest packet %d does not pass", in)
				}
				if !first && out != next {
					t.Fatalf("%d is sent as %d, want %d", in, out, next)
				}
				first, next = false, out+1
				sent[out] = in
			}
			if late := in - uint16(rng.IntN(5)) - 1; !first && rng.Float64() < 0.1 && !left[late] {
				out, ok := s.Pass(late)
				if was, known := sent[out]; ok && known && was != late {
					t.Fatalf("late %d is sent as %d, which is %d", late, out, was)
				}
			}
			delete(sent, next-2000)
		}
	}
}

func TestVoicesLoudest(t *testing.T) {
	v := NewVoices(2)
	now := time.Unix(1000, 0)
	var a, b, c Voice
	round := func(la, lb, lc float64) [3]bool {
		now = now.Add(20 * time.Millisecond)
		return [3]bool{v.Packet(&a, la, true, now), v.Packet(&b, lb, true, now), v.Packet(&c, lc, true, now)}
	}
	if got := round(-30, -30, -20); got != [3]bool{true, true, false} {
		t.Errorf("first come, first heard: %v", got)
	}
	for range 50 {
		if got := round(-30, -30, -10); got != [3]bool{true, true, false} {
			t.Fatalf("somebody was cut in the middle of a word: %v", got)
		}
	}
	for i := range 8 {
		if got := round(-30, -90, -10); got[2] != (i >= 7) {
			t.Fatalf("packet %d of the pause: %v", i, got)
		}
	}
	c.Priority = -60
	for range 100 {
		round(-30, -90, -30)
	}
	if got := round(-30, -30, -90); got != [3]bool{true, false, true} && got != [3]bool{true, false, false} {
		t.Errorf("%v", got)
	}
	for range 30 {
		round(-30, -30, -90)
	}
	if got := round(-30, -30, -90); got != [3]bool{true, true, false} {
		t.Errorf("a voice that fell silent keeps its place: %v", got)
	}
	v.Remove(&a)
	if got := round(-90, -30, -30); got != [3]bool{false, true, true} {
		t.Errorf("the place of one that is gone is not given away: %v", got)
	}
}

func BenchmarkVoices(b *testing.B) {
	v := NewVoices(8)
	voices := make([]Voice, 50)
	now := time.Unix(1000, 0)
	i := 0
	for b.Loop() {
		v.Packet(&voices[i%50], -20-float64(i%7), true, now)
		i++
		if i%50 == 0 {
			now = now.Add(20 * time.Millisecond)
		}
	}
}

func TestVoicesAllocateNothing(t *testing.T) {
	v := NewVoices(8)
	voices := make([]Voice, 20)
	now := time.Unix(1000, 0)
	if n := testing.AllocsPerRun(100, func() {
		for i := range voices {
			v.Packet(&voices[i], -float64(i), i%2 == 0, now)
		}
		now = now.Add(500 * time.Millisecond)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
