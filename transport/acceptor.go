package transport

import (
	"context"
	"sync"

	"github.com/earshotrtc/earshot/transport/roq"
)

// maxUnaccepted is how many sessions may wait for Accept.
const maxUnaccepted = 64

// An acceptor holds a listener's sessions and hands new ones to Accept.
type acceptor struct {
	queue  chan *session
	closed chan struct{}

	mu       sync.Mutex
	isClosed bool
	sessions map[*session]struct{}
}

func (a *acceptor) init() {
	a.queue = make(chan *session, maxUnaccepted)
	a.closed = make(chan struct{})
	a.sessions = make(map[*session]struct{})
}

func (a *acceptor) accept(ctx context.Context) (Session, error) {
	select {
	case <-a.closed:
		return nil, ErrClosed
	default:
	}
	select {
	case s := <-a.queue:
		return s.public(), nil
	case <-a.closed:
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// add starts a session and queues it for Accept. If it fails the session was
// either not started, or is closed.
func (a *acceptor) add(ctx context.Context, s *session) error {
	s.onEnd = func() {
		a.mu.Lock()
		delete(a.sessions, s)
		a.mu.Unlock()
	}
	a.mu.Lock()
	if a.isClosed {
		a.mu.Unlock()
		return ErrClosed
	}
	a.sessions[s] = struct{}{}
	s.start(ctx) // does not block, and does not fail, for a listener's session
	a.mu.Unlock()
	select {
	case a.queue <- s:
		return nil
	case <-a.closed:
		s.wait() // close ends it
		return ErrClosed
	case <-ctx.Done():
		s.CloseWithError(roq.GeneralError, "not accepted")
		return context.Cause(ctx)
	}
}

func (a *acceptor) close() {
	a.mu.Lock()
	if !a.isClosed {
		a.isClosed = true
		close(a.closed)
	}
	sessions := make([]*session, 0, len(a.sessions))
	for s := range a.sessions {
		sessions = append(sessions, s)
	}
	a.mu.Unlock()
	for _, s := range sessions {
		s.end(&Error{Code: roq.NoError, Reason: "listener closed"})
	}
	for _, s := range sessions {
		s.wait()
	}
}
