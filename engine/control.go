package engine

import (
	"sync"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

// A peer that reads nothing of its control stream, with something to read, is
// closed after controlStall, or up to controlSlack less: the deadline is not
// moved for each write.
const (
	controlStall = 10 * time.Second
	controlSlack = 3 * time.Second
)

// controlWriter writes frames to a session's control stream from a goroutine
// of its own, so that no caller waits for a peer. Its queue is bounded by its
// users: a server's events by their outbox, a client's by its requests.
type controlWriter struct {
	sess transport.Session
	wake chan struct{}

	mu    sync.Mutex
	queue []byte
	last  bool // close the session in order once the queue is written
	code  transport.ErrorCode
	why   string
}

func newControlWriter(s transport.Session) *controlWriter {
	return &controlWriter{sess: s, wake: make(chan struct{}, 1)}
}

// enqueue adds a whole frame.
func (w *controlWriter) enqueue(frame []byte) {
	w.mu.Lock()
	if !w.last {
		w.queue = append(w.queue, frame...)
	}
	w.mu.Unlock()
	w.signal()
}

// finish lets what is queued go out and then closes the session.
func (w *controlWriter) finish(code transport.ErrorCode, why string) {
	w.mu.Lock()
	if !w.last {
		w.last, w.code, w.why = true, code, why
	}
	w.mu.Unlock()
	w.signal()
}

func (w *controlWriter) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes until the session ends.
func (w *controlWriter) run() {
	var spare []byte
	var limited time.Time // when the deadline was last moved
	for {
		select {
		case <-w.wake:
		case <-w.sess.Done():
			return
		}
		w.mu.Lock()
		batch, last := w.queue, w.last
		w.queue = spare[:0]
		w.mu.Unlock()
		if len(batch) > 0 {
			c := w.sess.Control()
			if now := time.Now(); now.Sub(limited) > controlSlack {
				limited = now
				c.SetWriteDeadline(now.Add(controlStall))
			}
			if _, err := c.Write(batch); err != nil {
				w.sess.CloseWithError(codeStalled, "control stream is not read")
				return
			}
		}
		spare = batch[:0]
		if cap(spare) > 4<<10 {
			spare = nil
		}
		if last {
			w.linger()
			w.sess.CloseWithError(w.code, w.why)
			return
		}
	}
}

// linger gives the last words a moment to arrive: closing a QUIC connection
// throws away what is not yet delivered, so the peer is let close first.
func (w *controlWriter) linger() {
	t := time.NewTimer(500 * time.Millisecond)
	defer t.Stop()
	select {
	case <-w.sess.Done():
	case <-t.C:
	}
}

// The engine's own codes for closing a session, above those of RTP over QUIC.
const (
	codeSignedOut  transport.ErrorCode = 0x100 + iota // in order
	codeRefused                                       // the goodbye says why
	codeProtocol                                      // a message that the protocol does not allow
	codeSignInLate                                    // no sign-in within the time
	codeTooMany                                       // too many connections or sign-ins
	codeStalled                                       // the control stream is not read
	codeReplaced                                      // resumed on another connection
	codeShutdown                                      // the server shuts down
)
