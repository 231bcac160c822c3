package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
)

// A backend is one network connection (or the imitation of one) under a
// session. The session core, which is the same for all of them, holds queue,
// writer, reader, flow table and statistics; a backend only moves bytes.
//
// Once its connection has ended, every method of a backend and of its streams
// returns an *endError, whose cause becomes Session.Err. Methods that take a
// context return its error when it ends first. All but sendDatagram and
// receiveDatagram may be called from any goroutine.
type backend interface {
	// sendDatagram hands over one datagram and does not keep b. It may block
	// while the backend's own queue is full. errTooLarge: the path's datagrams
	// are smaller than b. One goroutine at a time calls it.
	sendDatagram(b []byte) error
	// receiveDatagram returns the next datagram, valid until the next call.
	// Only the reader calls it.
	receiveDatagram(ctx context.Context) ([]byte, error)

	openUni(ctx context.Context) (sendStream, error)
	acceptUni(ctx context.Context) (receiveStream, error)
	// openBidi opens the control stream; only a dialer's session calls it. The
	// peer learns of it with the first byte written.
	openBidi(ctx context.Context) (bidiStream, error)
	acceptBidi(ctx context.Context) (bidiStream, error)

	// queues reports whether handed datagrams wait in a FIFO of the backend's,
	// before stream data, so that the session must not hand over too many.
	queues() bool
	// prompt reports whether sendDatagram blocks for no other reason than that the
	// FIFO is full.
	prompt() bool
	// stats is cheap: the writer calls it for each packet.
	stats() linkStats
	protocol() string
	localAddr() net.Addr
	remoteAddr() net.Addr
	// close ends the connection, tells the peer, makes all other methods
	// return, and gives back what belongs to the connection. It is called once,
	// also when the connection has ended by itself.
	close(code ErrorCode, reason string)
}

type receiveStream interface {
	io.Reader
	// cancelRead asks the peer to stop (STOP_SENDING).
	cancelRead(code ErrorCode)
}

type sendStream interface {
	io.WriteCloser
	// writeThrough is Write that returns only when all of p is in packets.
	writeThrough(p []byte) (int, error)
	SetWriteDeadline(t time.Time) error
	// cancelWrite abandons the stream (RESET_STREAM).
	cancelWrite(code ErrorCode)
}

type bidiStream interface {
	receiveStream
	sendStream
}

// linkStats are the connection's own figures.
type linkStats struct {
	rtt, minRTT time.Duration
	cwnd        uint64

	packetsSent, packetsReceived, packetsLost uint64
	bytesSent, bytesReceived                  uint64

	// alive says that the peer cannot vanish (a pipe).
	alive bool
}

// endError wraps why a connection has ended.
type endError struct{ cause error }

func (e *endError) Error() string { return e.cause.Error() }
func (e *endError) Unwrap() error { return e.cause }

var errTooLarge = errors.New("transport: datagram too large")
