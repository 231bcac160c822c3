package transport

import (
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
)

// control is the session's ControlStream. The dialer opens the stream, and the
// peer learns of it with the first byte: the dialer speaks first, and until
// then the listener's side waits in Read and Write.
type control struct {
	s     *session
	ready chan struct{} // closed when st is set
	st    bidiStream

	turn    chan struct{} // holds a token while a Write is under way
	limit   deadline
	writing atomic.Int32
	wrote   atomic.Int64 // when a Write last ended, Unix nanoseconds; 0: seen

	mu      sync.Mutex
	failed  error // of the writing side
	expires time.Time
}

func (c *control) init(s *session) {
	c.s = s
	c.ready = make(chan struct{})
	c.turn = make(chan struct{}, 1)
}

func (c *control) attach(st bidiStream) {
	c.mu.Lock()
	c.st = st
	st.SetWriteDeadline(c.expires)
	c.mu.Unlock()
	close(c.ready)
}

func (c *control) attached() bool {
	select {
	case <-c.ready:
		return true
	default:
		return false
	}
}

// busy reports whether video has to wait for control bytes. It is the
// writer's; it tells the gate when a write has ended, as its packets may yet
// be lost.
func (c *control) busy(g *gate, now time.Time) bool {
	if c.writing.Load() > 0 {
		return true
	}
	if g != nil && c.wrote.Load() != 0 {
		c.wrote.Store(0)
		g.controlUntil = now.Add(afterControl)
	}
	return false
}

func (c *control) Read(p []byte) (int, error) {
	select {
	case <-c.ready:
	case <-c.s.done:
		return 0, c.s.err
	}
	n, err := c.st.Read(p)
	return n, c.s.check(err)
}

func (c *control) Write(p []byte) (int, error) {
	expired := c.limit.wait()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-c.s.done:
		return 0, c.s.err
	}
	if err := c.writeError(); err != nil {
		return 0, err
	}
	select {
	case <-c.ready:
	case <-c.s.done:
		return 0, c.s.err
	case <-expired:
		c.fail(os.ErrDeadlineExceeded)
		return 0, os.ErrDeadlineExceeded
	}
	c.writing.Add(1)
	n, err := c.st.writeThrough(p)
	c.wrote.Store(1)
	c.writing.Add(-1)
	c.s.wakeWriter()
	if err != nil {
		err = c.s.check(err)
		c.fail(err)
		if !c.s.ended() {
			// What was written of p is half a message: the peer must not wait
			// for the rest.
			c.st.cancelWrite(roq.GeneralError)
		}
	}
	return n, err
}

func (c *control) writeError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed
}

func (c *control) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil {
		c.failed = err
	}
}

func (c *control) SetWriteDeadline(t time.Time) error {
	c.limit.set(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.expires = t
	if c.st == nil {
		return nil
	}
	return c.s.check(c.st.SetWriteDeadline(t))
}

// CloseWrite closes the writing side in order: the peer reads what was
// written, then io.EOF. It must not be called while a Write is under way. It
// is not part of ControlStream: ending the session is enough in most cases.
func (c *control) CloseWrite() error {
	select {
	case <-c.ready:
		return c.s.check(c.st.Close())
	case <-c.s.done:
		return c.s.err
	}
}

// A deadline is a point in time that can be waited for and moved.
type deadline struct {
	mu     sync.Mutex
	timer  *time.Timer
	passed chan struct{} // nil until somebody waits; closed when it passed
}

func (d *deadline) wait() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.passed == nil {
		d.passed = make(chan struct{})
	}
	return d.passed
}

func (d *deadline) set(t time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil && !d.timer.Stop() && d.passed != nil {
		// Its function runs, or ran: leave that channel to it.
		d.passed = nil
	}
	d.timer = nil
	if d.passed == nil {
		d.passed = make(chan struct{})
	} else if isClosed(d.passed) {
		d.passed = make(chan struct{})
	}
	if t.IsZero() {
		return
	}
	passed := d.passed
	if wait := time.Until(t); wait > 0 {
		d.timer = time.AfterFunc(wait, func() { close(passed) })
	} else {
		close(passed)
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
