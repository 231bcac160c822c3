package transport

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/earshotrtc/earshot/transport/roq"
)

// A PipeListener is a Listener and a Dialer at once: sessions inside the
// process, with no socket at all, for a server that its own program talks to
// and for tests. Its sessions keep every promise of a Session, with the same
// bounded queues; only RTT and congestion window are zero. It is safe for
// concurrent use.
type PipeListener struct {
	// Session tunes the sessions of both sides. Set it before the first Dial.
	Session SessionConfig
	// Logger takes what the sessions log. Default: silent.
	Logger *slog.Logger

	acceptor acceptor
}

// NewPipeListener returns a listener to Accept from and to Dial.
func NewPipeListener() *PipeListener {
	l := new(PipeListener)
	l.acceptor.init()
	return l
}

// Accept implements Listener.
func (l *PipeListener) Accept(ctx context.Context) (Session, error) { return l.acceptor.accept(ctx) }

// Addr implements Listener.
func (l *PipeListener) Addr() net.Addr { return pipeAddr("listener") }

// Dial implements Dialer. The address is ignored. It blocks while the listener
// has too many sessions waiting for Accept.
func (l *PipeListener) Dial(ctx context.Context, _ string) (Session, error) {
	a, b := newPipe()
	client := newSession(a, l.Session, true, l.Logger)
	server := newSession(b, l.Session, false, l.Logger)
	if err := l.acceptor.add(ctx, server); err != nil {
		// Neither was started.
		client.cancel()
		server.cancel()
		return nil, err
	}
	if err := client.start(ctx); err != nil {
		return nil, err
	}
	return client, nil
}

// Close implements Listener. The dialled ends of its sessions see the peer close.
func (l *PipeListener) Close() error {
	l.acceptor.close()
	return nil
}

type pipeAddr string

func (a pipeAddr) Network() string { return "pipe" }
func (a pipeAddr) String() string  { return string(a) }

const (
	pipeDatagrams   = 64   // how many may be on their way
	pipeMaxDatagram = 1200 // bytes
	pipeStreams     = 16   // how many may wait to be accepted
)

// A pipeLink is one end of a pipe.
type pipeLink struct {
	peer      *pipeLink
	name      pipeAddr
	datagrams chan *buffer // to this end
	uni       chan *pipeReceiver
	bidi      chan *pipeBidi
	current   *buffer // what receiveDatagram returned last

	shared *pipeShared
	err    *endError // valid once shared.done is closed

	packets, bytes atomic.Uint64 // sent by this end
}

type pipeShared struct {
	once sync.Once
	done chan struct{}
}

func newPipe() (dialer, listener *pipeLink) {
	shared := &pipeShared{done: make(chan struct{})}
	end := func(name pipeAddr) *pipeLink {
		return &pipeLink{
			name:      name,
			datagrams: make(chan *buffer, pipeDatagrams),
			uni:       make(chan *pipeReceiver, pipeStreams),
			bidi:      make(chan *pipeBidi, pipeStreams),
			shared:    shared,
		}
	}
	dialer, listener = end("dialer"), end("listener")
	dialer.peer, listener.peer = listener, dialer
	return dialer, listener
}

func (p *pipeLink) sendDatagram(b []byte) error {
	if len(b) > pipeMaxDatagram {
		return errTooLarge
	}
	d := getBuffer(len(b))
	d.b = append(d.b, b...)
	select {
	case p.peer.datagrams <- d:
		p.count(len(b))
		return nil
	case <-p.shared.done:
		d.release()
		return p.err
	}
}

func (p *pipeLink) count(n int) {
	p.packets.Add(1)
	p.bytes.Add(uint64(n))
}

func (p *pipeLink) receiveDatagram(ctx context.Context) ([]byte, error) {
	if p.current != nil {
		p.current.release()
		p.current = nil
	}
	select {
	case d := <-p.datagrams:
		p.current = d
		return d.b, nil
	case <-p.shared.done:
		return nil, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipeLink) openUni(ctx context.Context) (sendStream, error) {
	st := newPipeStream(p)
	select {
	case <-p.shared.done:
		return nil, p.err
	default:
	}
	select {
	case p.peer.uni <- (*pipeReceiver)(st):
		return (*pipeSender)(st), nil
	case <-p.shared.done:
		return nil, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipeLink) acceptUni(ctx context.Context) (receiveStream, error) {
	select {
	case st := <-p.uni:
		return st, nil
	case <-p.shared.done:
		return nil, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipeLink) openBidi(context.Context) (bidiStream, error) {
	out, in := newPipeStream(p), newPipeStream(p.peer)
	local := &pipeBidi{(*pipeReceiver)(in), (*pipeSender)(out)}
	remote := &pipeBidi{(*pipeReceiver)(out), (*pipeSender)(in)}
	out.announce = func() { // the peer learns of it with the first byte
		select {
		case p.peer.bidi <- remote:
		case <-p.shared.done:
		}
	}
	return local, nil
}

func (p *pipeLink) acceptBidi(ctx context.Context) (bidiStream, error) {
	select {
	case st := <-p.bidi:
		return st, nil
	case <-p.shared.done:
		return nil, p.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipeLink) queues() bool { return false }
func (p *pipeLink) prompt() bool { return false }

func (p *pipeLink) stats() linkStats {
	return linkStats{
		packetsSent: p.packets.Load(), bytesSent: p.bytes.Load(),
		packetsReceived: p.peer.packets.Load(), bytesReceived: p.peer.bytes.Load(),
		alive: true,
	}
}

func (p *pipeLink) protocol() string     { return "pipe" }
func (p *pipeLink) localAddr() net.Addr  { return p.name }
func (p *pipeLink) remoteAddr() net.Addr { return p.peer.name }

func (p *pipeLink) close(code ErrorCode, reason string) {
	p.shared.once.Do(func() {
		p.err = &endError{&Error{Code: code, Reason: reason}}
		p.peer.err = &endError{&Error{Code: code, Reason: reason, Remote: true}}
		close(p.shared.done)
	})
}

// pipeBidi is one end of a bidirectional stream.
type pipeBidi struct {
	*pipeReceiver
	*pipeSender
}

var errStreamClosed = &StreamError{Code: roq.NoError}
