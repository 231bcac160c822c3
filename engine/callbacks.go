package engine

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
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
	newest    [numLatest]func(hooks.Listener)
	closed    bool
	running   bool // a callback is being called now

	wake chan struct{}
	done chan struct{} // closed when the goroutine has ended
}

// callbackEntry is one thing to be told, or a step of the routing.
type callbackEntry struct {
	step func(*routing)
	tell func(hooks.Listener)
}

func newCallbacks(log *slog.Logger, r routing, overflow func()) *callbacks {
	c := &callbacks{log: log, routing: r, overflow: overflow, wake: make(chan struct{}, 1), done: make(chan struct{})}
	c.routing.call = c.call
	go c.run()
	return c
}

func (c *callbacks) add(l hooks.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, have := range c.listeners {
		if have == l {
			return
		}
	}
	c.listeners = append(c.listeners[:len(c.listeners):len(c.listeners)], l)
}

func (c *callbacks) remove(l hooks.Listener) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listeners = without(c.listeners, l)
}

// post queues a call event.
func (c *callbacks) post(f func(hooks.Listener)) { c.enqueue(callbackEntry{tell: f}) }

// postStep queues a step of the routing, in order with the call events.
func (c *callbacks) postStep(f func(*routing)) { c.enqueue(callbackEntry{step: f}) }

func (c *callbacks) enqueue(e callbackEntry) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.queue = append(c.queue, e)
	full := len(c.queue) == maxCallbacks
	c.mu.Unlock()
	if full {
		c.log.Error("listener is too slow: closing its client", "waiting", maxCallbacks)
		go c.overflow()
	}
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
	c.closed = true
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
		e, listeners, more := c.next()
		switch {
		case e.step != nil:
			e.step(&c.routing)
		case e.tell != nil:
			for _, l := range listeners {
				c.call(l, e.tell)
			}
			if v := c.routing.view(); v != nil {
				c.call(v, e.tell)
			}
		case !more:
			return
		default:
			<-c.wake
		}
	}
}

// next takes what is to be called next. Without anything, more is false once
// all is over.
func (c *callbacks) next() (e callbackEntry, listeners []hooks.Listener, more bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) > 0 {
		e = c.queue[0]
		c.queue[0] = callbackEntry{}
		c.queue = c.queue[1:]
	} else if !c.closed {
		for i, f := range c.newest {
			if f != nil {
				e.tell, c.newest[i] = f, nil
				break
			}
		}
	}
	c.running = e.tell != nil || e.step != nil
	return e, c.listeners, !c.closed
}

func (c *callbacks) call(l hooks.Listener, f func(hooks.Listener)) {
	start := time.Now()
	defer func() {
		if p := recover(); p != nil {
			c.log.Error("listener panicked", "listener", fmt.Sprintf("%T", l), "panic", p, "stack", string(debug.Stack()))
		}
		if took := time.Since(start); took > slowCallback {
			c.log.Warn("listener is slow", "listener", fmt.Sprintf("%T", l), "took", took)
		}
	}()
	f(l)
}
