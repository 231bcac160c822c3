package engine

import (
	"testing"
	"time"
)

// Relief begins with a round in which many ticks are late, and ends when hardly
// one has been for a while.
func TestRelief(t *testing.T) {
	var r relief
	now := time.Unix(1000, 0)
	var ticks, late uint64
	round := func(n, l uint64) bool {
		ticks, late = ticks+n, late+l
		now = now.Add(2 * time.Second)
		r.judge(ticks, late, now)
		return r.on
	}
	for i, c := range []struct {
		n, late uint64
		want    bool
	}{
		{100, 0, false}, {1000, 49, false}, {20, 20, false}, {1000, 51, true}, {1000, 0, true}, {1000, 5, true},
		{1000, 1, true}, {1000, 1, true}, {0, 0, true}, {1000, 2, true}, {1000, 2, true}, {1000, 0, true},
		{1000, 0, true}, {1000, 0, true}, {1000, 0, true}, {1000, 0, true}, {1000, 0, false}, {1000, 0, false}, {1000, 900, true},
	} {
		if got := round(c.n, c.late); got != c.want {
			t.Errorf("round %d, %d of %d late: %v", i, c.late, c.n, got)
		}
	}
}
