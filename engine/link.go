package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A client takes a connection on which it has heard nothing for maxSilence as
// lost, and dials again.
const (
	maxSilence   = 3 * time.Second
	silenceCheck = 250 * time.Millisecond // in a call
	idleCheck    = time.Second            // otherwise
	dialTimeout  = 5 * time.Second
	redialPause  = 500 * time.Millisecond
	ackEvery     = 16
)

// A link is one connection of a client to its server.
type link struct {
	sess transport.Session
	out  *controlWriter
	in   *signal.Reader
	read chan struct{} // closed when the reading goroutine has ended
}

func newLink(sess transport.Session) *link {
	return &link{
		sess: sess, out: newControlWriter(sess), in: signal.NewReader(sess.Control()),
		read: make(chan struct{}),
	}
}

// close ends the link and waits for its writing goroutine.
func (l *link) close() {
	l.sess.Close()
	l.out.close()
}

// open sends the first message and returns the welcome. On an error the link
// is closed.
func (l *link) open(ctx context.Context, typ signal.Type, body any) (w *signal.Welcome, err error) {
	// The server may have resumed the session: code 0 would say that the client has left.
	stop := context.AfterFunc(ctx, func() { l.sess.CloseWithError(codeReplaced, "no answer in time") })
	defer func() {
		if !stop() && ctx.Err() != nil {
			err = fmt.Errorf("earshot: the server did not answer the sign-in: %w", ctx.Err())
		}
		if err != nil {
			l.close()
		}
	}()
	frame, err := signal.Encode(signal.Message{Type: typ}, body)
	if err != nil {
		return nil, &Error{Code: hooks.CodeBadParam, Message: err.Error()}
	}
	l.out.enqueue(frame)
	m, err := l.in.Read()
	if err != nil {
		if why := l.sess.Err(); why != nil {
			err = why
		}
		return nil, fmt.Errorf("earshot: the server closed the connection at sign-in: %w", err)
	}
	b, err := m.Body()
	if err != nil {
		return nil, err
	}
	switch b := b.(type) {
	case *signal.Welcome:
		l.sess.SetBundles(b.Bundles)
		return b, nil
	case *signal.Goodbye:
		if m.Type == signal.TypeGoodbye {
			return nil, &Error{Code: b.Code, Message: b.Message}
		}
	}
	return nil, fmt.Errorf("%w: %s instead of a welcome", signal.ErrMalformed, m.Type)
}

// run keeps the client connected until it ends.
func (c *Client) run(l *link) {
	defer c.wg.Done()
	for l != nil {
		go c.read(l)
		for {
			heard, over := c.watch(l)
			if over {
				l.close()
				<-l.read
				return
			}
			c.log.Info("connection lost; dialling again", "err", l.sess.Err())
			next, w := c.redial(l, heard)
			if next == l {
				continue
			}
			l.close()
			<-l.read
			if next != nil {
				c.adopt(next, w)
			}
			l = next
			break
		}
	}
}

// watch waits until a link breaks or falls silent. heard is when the server
// was last heard; over is true if the client has ended.
func (c *Client) watch(l *link) (heard time.Time, over bool) {
	timer := time.NewTimer(silenceCheck)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return heard, true
		case <-l.read:
			return l.sess.Stats().LastHeard, c.ctx.Err() != nil
		case now := <-timer.C:
			if heard = l.sess.Stats().LastHeard; now.Sub(heard) >= maxSilence {
				return heard, false
			}
		}
		if _, err := c.callIn(callstate.None); err == nil {
			timer.Reset(silenceCheck)
		} else {
			timer.Reset(idleCheck)
		}
	}
}

// read handles a link's messages until it ends.
func (c *Client) read(l *link) {
	defer close(l.read)
	for {
		m, err := l.in.Read()
		if err != nil {
			return
		}
		body, err := m.Body()
		if err != nil {
			c.log.Debug("message of the server ignored", "err", err)
		}
		if m.N != 0 {
			c.mu.Lock()
			fresh := m.N > c.lastN
			if fresh {
				c.lastN = m.N
			}
			if c.lastN-c.acked >= ackEvery {
				c.acked = c.lastN
				if frame, err := signal.Encode(signal.Message{Type: signal.TypeAck, Ack: c.lastN}, nil); err == nil {
					l.out.enqueue(frame)
				}
			}
			c.mu.Unlock()
			if !fresh {
				continue
			}
		}
		if err == nil {
			c.handle(m.Type, body)
		}
	}
}

// redial opens a new link and resumes on it. If the old one is heard again
// first, that one goes on and is returned. It returns nil when the client has
// ended or the window is over.
func (c *Client) redial(old *link, heard time.Time) (*link, *signal.Welcome) {
	c.mu.Lock()
	window := c.window
	c.mu.Unlock()
	c.cb.post(func(l hooks.Listener) {
		l.OnWarning(hooks.CodeReconnecting, "the connection is silent; reconnecting")
	})
	until := heard.Add(window)
	ctx, cancel := context.WithDeadline(c.ctx, until)
	defer cancel()

	type dialled struct {
		l   *link
		w   *signal.Welcome
		err error
	}
	tick := time.NewTicker(silenceCheck)
	defer tick.Stop()
	for {
		got := make(chan dialled, 1)
		try, stop := context.WithTimeout(ctx, dialTimeout)
		go func() {
			l, w, err := c.resume(try)
			got <- dialled{l, w, err}
		}()
		var d dialled
		waiting := true
		for waiting {
			select {
			case d = <-got:
				waiting = false
			case <-tick.C:
				if old.sess.Err() == nil && old.sess.Stats().LastHeard.After(heard) {
					// It was heard again: no need for another.
					stop()
					if d = <-got; d.err == nil {
						return d.l, d.w
					}
					if old.sess.Err() == nil {
						return old, nil
					}
					waiting = false
					heard = old.sess.Stats().LastHeard
				}
			}
		}
		stop()
		var refused *Error
		switch {
		case d.err == nil:
			return d.l, d.w
		case errors.As(d.err, &refused):
			c.fail(refused)
			return nil, nil
		case ctx.Err() != nil:
			if c.ctx.Err() == nil {
				c.fail(ErrDisconnected)
			}
			return nil, nil
		}
		c.log.Debug("redial failed", "err", d.err)
		select {
		case <-time.After(redialPause):
		case <-ctx.Done():
		}
	}
}

// resume dials and presents the token.
func (c *Client) resume(ctx context.Context) (*link, *signal.Welcome, error) {
	sess, err := c.cfg.Dialer.Dial(ctx, c.cfg.Addr)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	req := signal.Resume{Version: signal.Version, Token: c.token, Last: c.lastN, Bundles: true}
	c.mu.Unlock()
	l := newLink(sess)
	w, err := l.open(ctx, signal.TypeResume, req)
	return l, w, err
}

// adopt makes a resumed link the one in use.
func (c *Client) adopt(l *link, w *signal.Welcome) {
	c.mu.Lock()
	c.token = w.Token
	c.link.Store(l)
	for _, r := range c.pending {
		if r.id > w.Received {
			l.out.enqueue(r.frame)
		}
	}
	// Any message tells the server that its welcome, and the token in it, came.
	if frame, err := signal.Encode(signal.Message{Type: signal.TypeAck, Ack: c.lastN}, nil); err == nil {
		l.out.enqueue(frame)
	}
	c.acked = c.lastN
	c.mu.Unlock()
	c.play.listen(l.sess)
	c.video.listen(l.sess)
	c.listenRTCP(l.sess)
	c.log.Info("reconnected", "remote", l.sess.RemoteAddr())
}

// fail ends the client because its connection is lost for good: the call ends
// and the listener is told.
func (c *Client) fail(why *Error) {
	c.dropCall(hooks.EndOffline)
	c.cb.post(func(l hooks.Listener) { l.OnError(hooks.CodeDisconnected, why.Message) })
	c.end(why)
}
