package bridge_test

import (
	"math"
	"testing"

	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/bridge"
)

// likeness is the highest normalised correlation of a second of what is heard
// with what was said at the time, over the lags that a mix may have.
func (e *ear) likeness(said []int16) float64 {
	best := 0.0
	for i, tick := range e.ticks {
		if tick < 60 {
			continue
		}
		// The frame of tick n holds what was said at frame n-1, or a little before.
		at := int(tick-1) * 960
		for lag := 0; lag < 2400; lag += 3 {
			best = max(best, corr(e.pcm[e.at[i]:e.at[i]+48000], said[at-lag:at-lag+48000]))
		}
		return best
	}
	return 0
}

//go:norace
func corr(a, b []int16) float64 {
	var ab, aa, bb float64
	for i := 0; i < len(a); i += 3 {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}

// Everybody hears everybody else, and nobody themselves; what is heard alike is
// encoded once.
func TestMixMinus(t *testing.T) {
	g := newRig(t, bridge.Config{})
	names := []string{"alice", "bob", "carol"}
	for i, name := range names {
		g.mic(uint64(i), voice(t, name))
	}
	for i := range 10 {
		g.ear(uint64(i), 1)
	}
	g.tick(150)
	before := g.br.Stats()
	g.tick(50)
	s := g.br.Stats()
	if n := s.Encoded - before.Encoded; n != 200 {
		t.Errorf("%d frames encoded in 50 ticks, want 200: three talkers' mixes and one for the other seven", n)
	}
	if s.Streams != 4 || s.Talkers != 3 {
		t.Errorf("%d streams, %d talkers", s.Streams, s.Talkers)
	}
	if n := s.Packets - before.Packets; n != 500 {
		t.Errorf("%d packets in 50 ticks to 10 receivers", n)
	}
	for i, e := range g.ears {
		e.continuous()
		for j, name := range names {
			l := e.likeness(voice(t, name))
			if i == j && l > 0.2 || i != j && l < 0.35 {
				t.Errorf("receiver %d hears %s: likeness %.2f", i, name, l)
			}
		}
	}
	if l := mixer.Level(g.ears[9].pcm[48000:96000]); l < -25 {
		t.Errorf("the mix has a level of %.1f dBov", l)
	}
}
