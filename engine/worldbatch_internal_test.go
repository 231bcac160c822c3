package engine

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
)

// TestAwaited plays packets to a batch and looks when it would leave. Times are in
// milliseconds from a frame's beginning.
func TestAwaited(t *testing.T) {
	const window = 5 * time.Millisecond
	ms := func(f float64) time.Duration { return time.Duration(math.Round(f*1000)) * time.Microsecond }
	type packet struct {
		talker audience.ID
		at     float64
		held   float64 // ms by a hook
	}
	three := []packet{{0, 0, 0}, {1, 1, 0}, {2, 2, 0}}
	steady := [][]packet{three, three, three}
	for name, c := range map[string]struct {
		frames [][]packet // every 20 ms; the last is the one that counts
		leaves float64
		all    bool // that came have come in by then
	}{
		"all who are expected have come":         {append(slices.Clone(steady), three), 2, true},
		"they come earlier than they are due":    {append(slices.Clone(steady), []packet{{0, 0, 0}, {1, 0.1, 0}, {2, 0.2, 0}}), 0.2, true},
		"in another order":                       {append(slices.Clone(steady), []packet{{2, 0, 0}, {0, 1, 0}, {1, 1, 0}}), 1, true},
		"one is late, and waited for":            {append(slices.Clone(steady), []packet{{0, 0, 0}, {1, 1, 0}, {2, 4.4, 0}}), 4.4, true},
		"one is too late":                        {append(slices.Clone(steady), []packet{{0, 0, 0}, {1, 1, 0}, {2, 4.9, 0}}), 4.5, false},
		"one does not come":                      {append(slices.Clone(steady), []packet{{0, 0, 0}, {1, 1, 0}}), 4.5, true},
		"nor the frame after":                    {append(slices.Clone(steady), three[:2], three[:2]), 1, true},
		"one is too many":                        {append(slices.Clone(steady), []packet{{0, 0, 0}, {1, 1, 0}, {3, 1.5, 0}, {2, 2, 0}}), 2, true},
		"one alone":                              {[][]packet{three[:1], three[:1]}, 0, true},
		"nobody has talked before":               {[][]packet{three[:1]}, 1.25, true},
		"nor several":                            {[][]packet{three}, 3.25, true},
		"many who have not":                      {[][]packet{{{0, 0, 0}, {1, 1, 0}, {2, 2, 0}, {3, 3, 0}, {4, 4, 0}, {5, 4.9, 0}}}, 5, true},
		"one whom a hook holds up is not waited": {[][]packet{{{0, 0, 0}, {1, 1, 5}}, {{0, 0, 0}, {1, 1, 5}}, {{0, 0, 0}, {1, 1, 5}}}, 0, false},
		"all were late by more than a window":    {append(slices.Clone(steady), []packet{{0, 8, 0}, {1, 8.1, 0}, {2, 8.2, 0}}), 9.45, true},
		"and then come as they should":           {append(slices.Clone(steady), []packet{{0, 8, 0}, {1, 8.1, 0}, {2, 8.2, 0}}, three), 3.25, true},
		"one comes twice":                        {append(slices.Clone(steady), []packet{{0, 0, 0}, {0, 0.1, 0}, {1, 1, 0}, {2, 2, 0}}), 2, true},
		"others are due, but in another window":  {[][]packet{{{0, 0, 0}, {1, 10, 0}}, {{0, 0, 0}, {1, 10, 0}}, {{0, 0, 0}}}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			var a awaited
			began := time.Now()
			left, in := time.Time{}, true
			for i, frame := range c.frames {
				begins, open := began.Add(time.Duration(i)*frameTime), false
				for _, p := range frame {
					at := begins.Add(ms(p.at))
					if open && left.Before(at) {
						open = false
						in = false
						if i == len(c.frames)-1 {
							break
						}
					}
					first := !open
					if first {
						in = true
					}
					open, left = true, at
					if complete := a.come(p.talker, at, ms(p.held), window, first); !complete {
						left = a.until(window)
					} else if !a.until(window).Equal(a.began) {
						t.Errorf("it is complete, and waits until %v", a.until(window).Sub(begins))
					}
				}
			}
			last := began.Add(time.Duration(len(c.frames)-1) * frameTime)
			if got := left.Sub(last); got != ms(c.leaves) {
				t.Errorf("it leaves at %v, not %v", got, ms(c.leaves))
			}
			if in != c.all {
				t.Errorf("all have come in: %v, not %v", in, c.all)
			}
		})
	}
}
