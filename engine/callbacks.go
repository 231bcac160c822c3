package engine

import (
	"fmt"
	"log/slog"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

const (
	// maxCallbacks is how many call events may wait for a slow listener before
	// its client is closed: they are never dropped.
	maxCallbacks = 1024
	// slowCallback is how long a callback may take before it is reported.
	slowCallback = 2 * time.Second
)

// latest names what coalesces: of these a slow listener hears the newest only.
type latest uint8

const (
	latestVolumes latest = iota
	latestQuality
	numLatest
)

// callbacks calls a client's listeners, and the view that shows the call, on
// one goroutine, in order.
type callbacks struct {
	log      *slog.Logger
	overflow func()  // called once, on a goroutine of its own
	routing  routing // for the goroutine alone

	mu        sync.Mutex
	listeners []hooks.Listener
	queue     []callbackEntry
	waiting   int    // callbacks in queue
	turned    []bool // turns of the routing not yet made; they go first
	newest    [numLatest]func(hooks.Listener)
	closed    bool
	running   bool // a callback may be being called now

	slow, panics atomic.Uint64 // callbacks that were

	wake chan struct{}
	done chan struct{} // closed when the goroutine has ended
}

// callbackEntry is what is told at once, and what that means for the routing
// before and after; each may be missing.
type callbackEntry struct {
	before func(*routing)
	tell   []func(hooks.Listener)
	after  func(*routing)
}

func newCallbacks(log *slog.Logger, r routing, overflow func()) *callbacks {
	c := &callbacks{log: log, routing: r, overflow: overflow, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.routing.contain = c.contain
	go c.run()
	return c
}

func (c *callbacks) add(l hooks.Listener) {
	if l == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.ContainsFunc(c.listeners, func(have hooks.Listener) bool { return same(have, l) }) {
		return
	}
	c.listeners = append(c.listeners[:len(c.listeners):len(c.listeners)], l)
}

func (c *callbacks) remove(l hooks.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = slices.DeleteFunc(slices.Clone(c.listeners), func(have hooks.Listener) bool { return same(have, l) })
}

// same is a == b for all that implement Listener: a struct with a func in it
// cannot be compared, and is no other's same.
func same(a, b hooks.Listener) bool {
	return a != nil && b != nil && reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// post queues a call event.
func (c *callbacks) post(f func(hooks.Listener)) {
	c.enqueue(callbackEntry{tell: []func(hooks.Listener){f}})
}

func (c *callbacks) enqueue(e callbackEntry) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.queue = append(c.queue, e)
	before := c.waiting
	c.waiting += len(e.tell)
	full := before < maxCallbacks && c.waiting >= maxCallbacks
	c.mu.Unlock()
	if full {
		c.log.Error("listener is too slow: closing its client", "waiting", maxCallbacks)
		go c.overflow()
	}
	c.signal()
}

// turn turns the default view off or on, ahead of what is queued.
func (c *callbacks) turn(custom bool) {
	c.mu.Lock()
	if n := len(c.turned); n == 0 || c.turned[n-1] != custom {
		c.turned = append(c.turned, custom)
	}
	if len(c.turned) > 3 { // those between show no more than these
		c.turned = c.turned[2:]
	}
	c.mu.Unlock()
	c.signal()
}

// postLatest replaces what was not delivered yet of its kind.
func (c *callbacks) postLatest(kind latest, f func(hooks.Listener)) {
	c.mu.Lock()
	c.newest[kind] = f
	c.mu.Unlock()
	c.signal()
}

func (c *callbacks) signal() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// close lets what is queued be delivered and ends the goroutine. It waits for
// that, except for a callback that is running: it may be the one that closes.
func (c *callbacks) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		c.queue = append(c.queue, callbackEntry{after: (*routing).end}) // no view shows the call for ever
	}
	c.signal()
	running := c.running
	c.mu.Unlock()
	if !running {
		<-c.done
	}
}

func (c *callbacks) run() {
	defer close(c.done)
	for {
		e, ok, more := c.next()
		switch {
		case ok:
			c.deliver(e)
		case !more:
			return
		default:
			<-c.wake
		}
	}
}

// next takes what is to be done next. Without anything, more is false once all
// is over.
func (c *callbacks) next() (e callbackEntry, ok, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case len(c.turned) > 0:
		ok = true // deliver makes the turns
	case len(c.queue) > 0:
		e, ok = c.queue[0], true
		c.queue[0] = callbackEntry{}
		c.queue = c.queue[1:]
		c.waiting -= len(e.tell)
	case !c.closed:
		for i, f := range c.newest {
			if f != nil {
				e.tell, ok = []func(hooks.Listener){f}, true
				c.newest[i] = nil
				break
			}
		}
	}
	c.running = ok
	return e, ok, !c.closed
}

// deliver tells the listeners, and then the view, which a listener may have
// just turned off.
func (c *callbacks) deliver(e callbackEntry) {
	r := &c.routing
	c.makeTurns()
	if e.before != nil {
		e.before(r)
	}
	r.telling = true
	for _, f := range e.tell {
		for i, l := range c.told() {
			if i == 0 || c.has(l) { // one before may have removed it
				c.contain(l, func() { f(l) })
			}
		}
		c.makeTurns()
		if v := r.view(); v != nil {
			c.contain(v, func() { f(v) })
		}
	}
	if e.after != nil {
		e.after(r)
	}
	r.told()
}

// has reports whether a listener is still one. What cannot be compared cannot
// be removed.
func (c *callbacks) has(l hooks.Listener) bool {
	return !reflect.ValueOf(l).Comparable() || slices.ContainsFunc(c.told(), func(have hooks.Listener) bool { return same(have, l) })
}

// told are the listeners now.
func (c *callbacks) told() []hooks.Listener {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listeners
}

func (c *callbacks) makeTurns() {
	c.mu.Lock()
	turned := c.turned
	c.turned = nil
	c.mu.Unlock()
	for _, custom := range turned {
		c.routing.turn(custom)
	}
}

// contain calls a function of the host's, who for the log. One that is slow is
// reported while it is: it may never return.
func (c *callbacks) contain(who any, f func()) {
	name, start := fmt.Sprintf("%T", who), time.Now()
	slow := time.AfterFunc(slowCallback, func() {
		c.slow.Add(1)
		c.log.Warn("listener is slow", "listener", name, "after", slowCallback)
	})
	defer func() {
		p := recover()
		if !slow.Stop() {
			c.log.Warn("slow listener has returned", "listener", name, "took", time.Since(start))
		}
		if p != nil {
			c.panics.Add(1)
			c.log.Error("listener panicked", "listener", name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	f()
}
