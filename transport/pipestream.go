package transport

import (
	"io"
	"os"
	"sync"
	"time"
)

// pipeWindow is how many bytes of a pipe's stream may wait to be read.
const pipeWindow = 64 << 10

// A pipeStream carries bytes one way. One goroutine reads, one writes; any may
// cancel.
type pipeStream struct {
	link     *pipeLink // of the writer
	announce func()    // called at the first write

	mu       sync.Mutex
	buf      []byte
	eof      bool
	err      error         // cancelled, as the writer sees it
	readErr  error         // cancelled, as the reader sees it
	readable chan struct{} // signals the reader
	writable chan struct{} // signals the writer
	limit    deadline
}

func newPipeStream(l *pipeLink) *pipeStream {
	return &pipeStream{link: l, readable: make(chan struct{}, 1), writable: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

type (
	pipeSender   pipeStream
	pipeReceiver pipeStream
)

func (r *pipeReceiver) Read(p []byte) (int, error) {
	s := (*pipeStream)(r)
	for {
		s.mu.Lock()
		switch {
		case s.readErr != nil:
			defer s.mu.Unlock()
			return 0, s.readErr
		case len(s.buf) > 0:
			defer s.mu.Unlock()
			n := copy(p, s.buf)
			if s.buf = s.buf[n:]; len(s.buf) == 0 {
				s.buf = nil
			}
			signal(s.writable)
			return n, nil
		case s.eof:
			s.mu.Unlock()
			return 0, io.EOF
		}
		s.mu.Unlock()
		select {
		case <-s.readable:
		case <-s.link.shared.done:
			return 0, s.link.peer.err
		}
	}
}

func (r *pipeReceiver) cancelRead(code ErrorCode) {
	(*pipeStream)(r).cancel(&StreamError{Code: code, Remote: true}, &StreamError{Code: code})
}

func (s *pipeStream) cancel(writer, reader error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || s.eof && len(s.buf) == 0 {
		return
	}
	s.err, s.readErr, s.buf = writer, reader, nil
	signal(s.readable)
	signal(s.writable)
}

func (w *pipeSender) writeThrough(p []byte) (int, error) { return w.Write(p) }

func (w *pipeSender) Write(p []byte) (n int, err error) {
	s := (*pipeStream)(w)
	if s.announce != nil && len(p) > 0 {
		s.announce()
		s.announce = nil
	}
	expired := s.limit.wait()
	for len(p) > 0 {
		select {
		case <-s.link.shared.done:
			return n, s.link.err
		case <-expired:
			return n, os.ErrDeadlineExceeded
		default:
		}
		s.mu.Lock()
		switch {
		case s.err != nil:
			defer s.mu.Unlock()
			return n, s.err
		case s.eof:
			s.mu.Unlock()
			return n, errStreamClosed
		}
		if room := min(pipeWindow-len(s.buf), len(p)); room > 0 {
			s.buf = append(s.buf, p[:room]...)
			p, n = p[room:], n+room
			s.link.count(room)
			signal(s.readable)
			s.mu.Unlock()
			continue
		}
		s.mu.Unlock()
		select {
		case <-s.writable:
		case <-expired:
		case <-s.link.shared.done:
		}
	}
	return n, nil
}

func (w *pipeSender) Close() error {
	s := (*pipeStream)(w)
	if s.announce != nil {
		s.announce()
		s.announce = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	s.eof = true
	signal(s.readable)
	return nil
}

func (w *pipeSender) SetWriteDeadline(t time.Time) error {
	(*pipeStream)(w).limit.set(t)
	return nil
}

func (w *pipeSender) cancelWrite(code ErrorCode) {
	(*pipeStream)(w).cancel(&StreamError{Code: code}, &StreamError{Code: code, Remote: true})
}
