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

// controlWriter writes frames to a session's control stream, so that no caller
// waits for a peer: from a goroutine that lives while there is something to
// write, since most connections are silent most of the time. Its queue is
// bounded by its users: a server's events by their outbox, a client's by its
// requests.
type controlWriter struct {
	sess transport.Session
	sent *traffic // counts frames; nil does not

	mu      sync.Mutex
	queue   []byte
	last    bool // close the session in order once the queue is written
	code    transport.ErrorCode
	why     string
	writing chan struct{} // closed when the goroutine ends; nil: there is none
	closed  bool
	limited time.Time // when the deadline was last moved; the goroutine's own
}

func newControlWriter(s transport.Session) *controlWriter { return &controlWriter{sess: s} }

// enqueue adds a whole frame.
func (w *controlWriter) enqueue(frame []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last && !w.closed {
		w.queue = append(w.queue, frame...)
		if w.sent != nil {
			w.sent.add(len(frame))
		}
		w.start()
	}
}

// finish lets what is queued go out and then closes the session.
func (w *controlWriter) finish(code transport.ErrorCode, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.last && !w.closed {
		w.last, w.code, w.why = true, code, why
		w.start()
	}
}

// close waits for the goroutine, after the session has ended.
func (w *controlWriter) close() {
	w.mu.Lock()
	w.closed = true
	writing := w.writing
	w.mu.Unlock()
	if writing != nil {
		<-writing
	}
}

// start runs the goroutine unless it runs. mu is held.
func (w *controlWriter) start() {
	if w.writing == nil {
		w.writing = make(chan struct{})
		go w.run(w.writing)
	}
}

// run writes until there is nothing more to write.
func (w *controlWriter) run(done chan struct{}) {
	defer close(done)
	for {
		w.mu.Lock()
		batch, last := w.queue, w.last
		w.queue = nil
		if len(batch) == 0 && !last || w.closed {
			w.writing = nil
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
		if len(batch) > 0 {
			c := w.sess.Control()
			if now := time.Now(); now.Sub(w.limited) > controlSlack {
				w.limited = now
				c.SetWriteDeadline(now.Add(controlStall))
			}
			if _, err := c.Write(batch); err != nil {
				w.sess.CloseWithError(codeStalled, "control stream is not read")
				w.stop()
				return
			}
		}
		if last {
			w.linger()
			w.sess.CloseWithError(w.code, w.why)
			w.stop()
			return
		}
	}
}

// stop takes no more frames: the session has ended.
func (w *controlWriter) stop() {
	w.mu.Lock()
	w.closed, w.queue = true, nil
	w.mu.Unlock()
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
