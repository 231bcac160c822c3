package audio

import (
	"context"
	"sync"
	"time"
)

// maxBehind is how late a reader may come and still get all the sound, as a
// microphone's driver would have kept it. What is older is skipped.
const maxBehind = 200 * time.Millisecond

// pacer holds the schedule of a source: an absolute one, so that it does not
// drift with the lateness of timers.
type pacer struct {
	timer *time.Timer

	mu    sync.Mutex
	start time.Time
	begun chan struct{} // closed when start is set
}

func newPacer(hold bool) *pacer {
	p := &pacer{begun: make(chan struct{})}
	if !hold {
		p.begun = nil
	}
	return p
}

// begin sets the start, once.
func (p *pacer) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.start.IsZero() {
		return
	}
	p.start = time.Now()
	if p.begun != nil {
		close(p.begun)
	}
}

func (p *pacer) began() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.start
}

// wait returns when the sample at position pos has been captured. late is by
// how much that was too late to be kept.
func (p *pacer) wait(ctx context.Context, pos int64) (late time.Duration, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if p.begun != nil {
		select {
		case <-p.begun:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	} else {
		p.begin()
	}
	d := time.Until(p.began().Add(duration(pos)))
	if d < -maxBehind {
		return -d, nil
	}
	return 0, p.sleep(ctx, d)
}

// sleep reuses one timer: a frame costs no allocation.
func (p *pacer) sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	if p.timer == nil {
		p.timer = time.NewTimer(d)
	} else {
		p.timer.Reset(d)
	}
	select {
	case <-p.timer.C:
		return nil
	case <-ctx.Done():
		p.timer.Stop()
		return ctx.Err()
	}
}
