package engine

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestReorder(t *testing.T) {
	start := time.Unix(0, 0)
	for name, c := range map[string]struct {
		in   []int // sequence numbers, one a millisecond; negative: so many ms pass
		want []int
	}{
		"in order":           {[]int{0, 1, 2}, []int{0, 1, 2}},
		"overtaken":          {[]int{2, 1, 0, 3}, []int{0, 1, 2, 3}},
		"late":               {[]int{0, 1, 0, 2}, []int{0, 1, 0, 2}},
		"lost":               {[]int{0, 2, 3, -50, 4}, []int{0, 2, 3, 4}},
		"lost twice":         {[]int{0, 2, 4, -50, 5, -50, 6}, []int{0, 2, 4, 5, 6}},
		"waits a moment":     {[]int{0, 2, -30, 3}, []int{0}},
		"a second gap waits": {[]int{1, -39, 3, 0, -30, 4}, []int{0, 1}},
		"twice the same":     {[]int{0, 2, 2, 1}, []int{0, 1, 2}},
		"far ahead":          {[]int{0, 2, 500, 501}, []int{0, 2, 500, 501}},
		"ahead by all":       {[]int{0, 63, 64, 65}, []int{0, 63, 64, 65}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reorder{next: 65530}
			now := start
			var got []int
			for _, n := range c.in {
				if n < 0 {
					now = now.Add(time.Duration(-n) * time.Millisecond)
					continue
				}
				now = now.Add(time.Millisecond)
				r.push(65530+uint16(n), []byte{byte(n >> 8), byte(n)}, now, func(p []byte, at time.Time) {
					if at.After(now) || at.Before(start) {
						t.Errorf("arrived at %v", at)
					}
					got = append(got, int(p[0])<<8|int(p[1]))
				})
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	// Whatever comes, nothing is kept for ever, twice, or out of order without need.
	rng := rand.New(rand.NewPCG(3, 4))
	for range 50 {
		r, now, sent, got := &reorder{}, start, 0, 0
		for i := range 2000 {
			now = now.Add(time.Duration(rng.IntN(20)) * time.Millisecond)
			sent++
			r.push(uint16(i+rng.IntN(100)*rng.IntN(2)), []byte{1}, now, func([]byte, time.Time) { got++ })
			if r.waits < 0 || r.waits > len(r.slots) {
				t.Fatalf("%d wait", r.waits)
			}
		}
		r.flush(func([]byte, time.Time) { got++ })
		if got > sent || r.waits != 0 {
			t.Fatalf("%d of %d, %d wait", got, sent, r.waits)
		}
	}
}
