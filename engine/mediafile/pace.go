package mediafile

import (
	"context"
	"time"
)

// pace holds the schedule of a source: an absolute one, so that it does not
// drift with the lateness of timers.
type pace struct {
	start time.Time
	timer *time.Timer
}

// wait returns when at has come on the source's clock, which starts with the
// first call. late is by how much it had passed already.
func (p *pace) wait(ctx context.Context, at time.Duration) (late time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if p.start.IsZero() {
		p.start = time.Now()
	}
	d := time.Until(p.start.Add(at))
	if d <= 0 {
		return -d, nil
	}
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return 0, nil
	case <-ctx.Done():
		p.timer.Stop()
		return 0, ctx.Err()
	}
}
