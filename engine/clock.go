package engine

import (
	"container/heap"
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// A clock ticks all rooms that mix: one goroutine waits for what is due next,
// and a pool of workers does it. Rooms begin their ticks at different moments
// of the frame, so that the work is spread. With nobody to tick nothing runs
// but the workers' waiting.
type clock struct {
	epoch time.Time
	work  chan *ticker
	help  chan sharer
	wake  chan struct{} // something is due sooner than the clock knows
	done  chan struct{}
	wg    sync.WaitGroup

	late    atomic.Uint64 // see ClockStats
	ticks   atomic.Uint64
	skipped atomic.Uint64
	meter   tickMeter

	mu      sync.Mutex
	started bool
	closed  bool
	due     tickerHeap
	phases  [clockPhases]int // how many tickers begin at each
}

const (
	// clockSpread is the time over which rooms are spread, and clockPhases into
	// how many moments.
	clockSpread = 20 * time.Millisecond
	clockPhases = 20
	// lateTick is how long after it was due a tick may be done: later, its
	// packets are.
	lateTick = 10 * time.Millisecond
	// maxBehind is how many ticks may be done late, one after the other, before
	// the oldest are left out.
	maxBehind = 5
)

// A ticker is what one room has with the clock. It rests until it is woken, and
// again when tick says that there is no more to do.
type ticker struct {
	c     *clock
	every time.Duration
	phase time.Duration
	slot  int
	// tick does tick n, which was due at a time. It reports whether to go on.
	tick func(n uint64, due time.Time) (more bool)
	// uncounted ticks are no mixes: they do not show in the clock's figures.
	uncounted bool
	// free ticks have no moments of their own, and none is made up for: they come
	// when they are asked for (by), every so long after the last, and so soon after
	// start. 0: ticks are at moments of the clock.
	free time.Duration
	// meter notes how long ticks take, and how late they are; nil: nothing does.
	meter *tickMeter
	// labels are those of what it does, in profiles; nil: none.
	labels context.Context

	// Guarded by clock.mu.
	at      int // in the heap, or -1
	next    time.Time
	again   bool // started while it was about to rest
	stopped bool

	// target is the newest tick that is due, and running says that a worker
	// sees to it.
	target  atomic.Uint64
	due     atomic.Int64 // of a free one: when the newest was, in ns of the clock
	running atomic.Bool
	did     uint64 // a worker's own
}

func newClock() *clock {
	return &clock{
		epoch: time.Now(), work: make(chan *ticker), help: make(chan sharer), wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// anySlot leaves it to the clock when a ticker begins.
const anySlot = -1

// add makes a ticker, which rests, and begins when others with the same slot do.
// The clock starts with the first.
func (c *clock) add(every time.Duration, slot int, tick func(uint64, time.Time) bool) *ticker {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.started && !c.closed {
		c.started = true
		workers := runtime.GOMAXPROCS(0)
		c.wg.Add(1 + workers)
		go c.run()
		for range workers {
			go c.worker()
		}
	}
	if slot == anySlot {
		slot = 0
		for i, n := range c.phases {
			if n < c.phases[slot] {
				slot = i
			}
		}
	}
	c.phases[slot]++
	phase := time.Duration(slot) * clockSpread / clockPhases % every
	return &ticker{c: c, every: every, phase: phase, slot: slot, tick: tick, meter: &c.meter, at: -1}
}

// remove ends a ticker. A tick that is being done goes on to its end.
func (t *ticker) remove() {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.stopped {
		return
	}
	t.stopped = true
	c.phases[t.slot]--
	if t.at >= 0 {
		heap.Remove(&c.due, t.at)
	}
}

// start makes the ticker tick, from its next moment on. It may be called from
// any goroutine.
func (t *ticker) start() {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.at >= 0 {
		t.again = true
	}
	if t.stopped || t.at >= 0 || c.closed {
		return
	}
	now := time.Now()
	if t.next = t.time(t.number(now) + 1); t.free > 0 {
		t.next = now.Add(t.free)
	}
	heap.Push(&c.due, t)
	t.wake()
}

// by makes a free ticker tick at a time, or before it. It may be called from any
// goroutine.
func (t *ticker) by(at time.Time) {
	c := t.c
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case t.stopped || c.closed:
	case t.at < 0:
		t.next = at
		heap.Push(&c.due, t)
		t.wake()
	default:
		if t.again = true; at.Before(t.next) {
			t.next = at
			heap.Fix(&c.due, t.at)
			t.wake()
		}
	}
}

// wake tells the clock if t is due first. clock.mu is held.
func (t *ticker) wake() {
	if t.at == 0 {
		select {
		case t.c.wake <- struct{}{}:
		default:
		}
	}
}

// number is that of the last tick that was due at a time, and time its reverse.
func (t *ticker) number(at time.Time) uint64 {
	d := at.Sub(t.c.epoch) - t.phase
	return uint64(max(0, d)/t.every) + 1
}

func (t *ticker) time(n uint64) time.Time {
	return t.c.epoch.Add(t.phase + time.Duration(n-1)*t.every)
}

// A grid is moments that are evenly spread over time.
type grid struct {
	start time.Time
	every time.Duration
}

// after is the first moment after a time.
func (g grid) after(at time.Time) time.Time {
	d := at.Sub(g.start)
	return g.start.Add((max(0, d)/g.every + 1) * g.every)
}

// grid is every so often at one of the ticker's moments.
func (t *ticker) grid(every time.Duration) grid {
	return grid{t.c.epoch.Add(time.Duration(t.slot) * clockSpread / clockPhases), every}
}

// run hands what is due to the workers.
func (c *clock) run() {
	defer c.wg.Done()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t, wait := c.first(time.Now())
		if t != nil {
			select {
			case c.work <- t:
			case <-c.done:
				return
			}
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-c.wake:
		case <-c.done:
			return
		}
	}
}

// first is the ticker that a worker has to see to now, or how long there is
// none.
func (c *clock) first(now time.Time) (*ticker, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.due) > 0 {
		t := c.due[0]
		if wait := t.next.Sub(now); wait > 0 {
			return nil, wait
		}
		if t.free > 0 {
			t.due.Store(int64(t.next.Sub(c.epoch)))
			t.next = now.Add(t.every)
			t.target.Add(1)
		} else {
			n := t.number(now)
			t.next = t.time(n + 1)
			t.target.Store(n)
		}
		heap.Fix(&c.due, 0)
		if t.running.CompareAndSwap(false, true) {
			return t, 0
		}
	}
	return nil, time.Hour
}

// worker does ticks.
func (c *clock) worker() {
	defer c.wg.Done()
	for {
		select {
		case t := <-c.work:
			t.work()
		case s := <-c.help:
			s.share()
			mark(context.Background())
		case <-c.done:
			return
		}
	}
}

// A sharer is a tick whose work others may share. One may come when it is over.
type sharer interface{ share() }

// ask makes workers that have nothing to do share a tick's work, n at most.
func (c *clock) ask(s sharer, n int) {
	for range n {
		select {
		case c.help <- s:
		default:
			return
		}
	}
}

// work does all ticks of t that are due.
func (t *ticker) work() {
	if t.labels != nil {
		mark(t.labels)
		defer mark(context.Background())
	}
	for {
		target := t.target.Load()
		if t.free > 0 || t.did == 0 || t.did > target {
			t.did = target - 1
		}
		if behind := target - t.did; behind > maxBehind {
			if !t.uncounted {
				t.c.skipped.Add(behind - maxBehind)
			}
			t.did = target - maxBehind
		}
		more := true
		for t.did < target && more {
			t.did++
			due := t.time(t.did)
			if t.free > 0 {
				due = t.c.epoch.Add(time.Duration(t.due.Load()))
			}
			if t.meter == nil {
				more = t.tick(t.did, due)
				continue
			}
			start := time.Now()
			more = t.tick(t.did, due)
			end := time.Now()
			t.meter.note(start, due, end)
			if t.uncounted {
				continue
			}
			t.c.ticks.Add(1)
			if end.Sub(due) > lateTick {
				t.c.late.Add(1)
			}
		}
		if !more {
			t.did = 0 // it may rest long
			more = !t.rest()
		}
		t.running.Store(false)
		if t.target.Load() == target || !more || !t.running.CompareAndSwap(false, true) {
			return
		}
	}
}

// rest takes the ticker out of the clock until it is started again, unless it
// was between tick's word and now. It reports whether it rests.
func (t *ticker) rest() bool {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	rests := !t.again
	if t.again = false; rests && t.at >= 0 {
		heap.Remove(&t.c.due, t.at)
	}
	return rests
}

// close ends the clock; it returns when its goroutines have ended, so a tick
// must not call it.
func (c *clock) close() {
	c.mu.Lock()
	first := !c.closed
	c.closed = true
	c.mu.Unlock()
	if first {
		close(c.done)
	}
	c.wg.Wait()
}

// tickerHeap has the ticker that is due first at its top.
type tickerHeap []*ticker

func (h tickerHeap) Len() int           { return len(h) }
func (h tickerHeap) Less(i, j int) bool { return h[i].next.Before(h[j].next) }
func (h tickerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = i, j
}

func (h *tickerHeap) Push(x any) {
	t := x.(*ticker)
	t.at = len(*h)
	*h = append(*h, t)
}

func (h *tickerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	t.at = -1
	*h = old[:len(old)-1]
	return t
}
