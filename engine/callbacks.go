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

// callbacks calls a client's listeners on one goroutine, in order. Volumes
// coalesce: a listener that is slow hears the newest only.
type callbacks struct {
	log      *slog.Logger
	overflow func() // called once, on a goroutine of its own

	mu        sync.Mutex
	listeners []hooks.Listener
	queue     []func(hooks.Listener)
	volumes   func(hooks.Listener) // the newest, not yet delivered
	closed    bool
	running   bool // a callback is being called now

	wake chan struct{}
	done chan struct{} // closed when the goroutine has ended
}

func newCallbacks(log *slog.Logger, overflow func()) *callbacks {
	c := &callbacks{log: log, overflow: overflow, wake: make(chan struct{}, 1), done: make(chan struct{})}
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
func (c *callbacks) post(f func(hooks.Listener)) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.queue = append(c.queue, f)
	full := len(c.queue) == maxCallbacks
	c.mu.Unlock()
	if full {
		c.log.Error("listener is too slow: closing its client", "waiting", maxCallbacks)
		go c.overflow()
	}
	c.signal()
}

// postVolumes replaces volumes that were not delivered yet.
func (c *callbacks) postVolumes(f func(hooks.Listener)) {
	c.mu.Lock()
	c.volumes = f
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
		c.mu.Lock()
		var f func(hooks.Listener)
		switch {
		case len(c.queue) > 0:
			f = c.queue[0]
			c.queue[0] = nil
			c.queue = c.queue[1:]
		case c.volumes != nil && !c.closed:
			f, c.volumes = c.volumes, nil
		}
		listeners, closed := c.listeners, c.closed
		c.running = f != nil
		c.mu.Unlock()
		if f == nil {
			if closed {
				return
			}
			<-c.wake
			continue
		}
		for _, l := range listeners {
			c.call(l, f)
		}
	}
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
