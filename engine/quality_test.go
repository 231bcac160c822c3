package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport/simnet"
)

func TestNetworkQuality(t *testing.T) {
	for name, c := range map[string]struct {
		link        simnet.Link
		best, worst hooks.Quality // of what may be told
	}{
		"a good line":  {simnet.Link{Delay: 10 * time.Millisecond}, hooks.QualityExcellent, hooks.QualityExcellent},
		"a far one":    {simnet.Link{Delay: 80 * time.Millisecond}, hooks.QualityGood, hooks.QualityGood},
		"a farther":    {simnet.Link{Delay: 150 * time.Millisecond}, hooks.QualityPoor, hooks.QualityPoor},
		"a lossy one":  {simnet.Link{Delay: 10 * time.Millisecond, Loss: 0.08}, hooks.QualityPoor, hooks.QualityVeryBad},
		"hardly a one": {simnet.Link{Delay: 400 * time.Millisecond}, hooks.QualityVeryBad, hooks.QualityVeryBad},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				_, _, a, b := w.meet(t)
				w.mu.Lock()
				w.net.SetBoth(w.at, w.conns["bob"][0], c.link)
				w.mu.Unlock()
				time.Sleep(12 * time.Second) // virtual: the round trip is smoothed
				for who, r := range map[string]*recorder{"alice": a, "bob": b} {
					r.mu.Lock()
					got, n := r.quality["bob"], r.qualities
					if r.quality["alice"] != hooks.QualityExcellent {
						t.Errorf("%s is told %d of alice", who, r.quality["alice"])
					}
					r.mu.Unlock()
					if got < c.best || got > c.worst {
						t.Errorf("%s is told %d of bob, want %d to %d", who, got, c.best, c.worst)
					}
					if n < 5 || n > 7 {
						t.Errorf("%s is told %d times in 12 s, want every 2 s", who, n)
					}
				}
			})
		})
	}
}
