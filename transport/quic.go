package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/quic-go"
)

// alpnH3 is WebTransport's application protocol.
const alpnH3 = "h3"

// quicConfig is the one QUIC configuration of all protocols on a socket. There
// is no 0-RTT: it can be replayed (RFC 9001 section 9.2). The windows bound
// what a peer can make us hold: control messages are small, and a key frame
// on a stream is below 1 MiB.
//
// Packets stay at the least that QUIC works over (RFC 9000 section 14) unless
// DiscoverMTU says otherwise. quic-go begins with 1280 bytes, which an IPv6 path
// of 1280 does not carry, and once discovery has gone up it never comes down
// but by a migration: a path whose MTU shrinks swallows whatever a stream sends,
// again and again. Media is cut to MaxPacketSize, so larger packets are no gain.
func quicConfig(c SessionConfig) *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:             5 * time.Second,
		MaxIdleTimeout:                   c.IdleTimeout,
		KeepAlivePeriod:                  c.KeepAlive,
		InitialStreamReceiveWindow:       128 << 10,
		MaxStreamReceiveWindow:           1 << 20,
		InitialConnectionReceiveWindow:   256 << 10,
		MaxConnectionReceiveWindow:       2 << 20,
		MaxIncomingStreams:               4,
		MaxIncomingUniStreams:            int64(c.MaxStreams),
		EnableDatagrams:                  true,
		InitialPacketSize:                minMTU,
		DisablePathMTUDiscovery:          !c.DiscoverMTU,
		EnableStreamResetPartialDelivery: true,
	}
}

// minMTU is the least that every path of QUIC carries, as bytes of UDP payload.
const minMTU = 1200

// A quicLink is a QUIC connection that speaks our own protocol.
type quicLink struct {
	conn *quic.Conn
	// paths are the sockets of a dialled connection; nil on a listener's side,
	// where many connections share one.
	paths *paths
}

func (l *quicLink) protocol() string { return "quic" }
func (l *quicLink) queues() bool     { return true }
func (l *quicLink) prompt() bool     { return true }

func (l *quicLink) localAddr() net.Addr {
	if l.paths != nil {
		return l.paths.localAddr()
	}
	return l.conn.LocalAddr()
}

func (l *quicLink) remoteAddr() net.Addr {
	if l.paths != nil {
		return l.paths.remote // conn.RemoteAddr races with a migration
	}
	return l.conn.RemoteAddr()
}

func (l *quicLink) stats() linkStats { return quicStats(l.conn) }

// quicStats reads a connection's counters. quic-go goes on sending meanwhile, and
// counts a packet's bytes, then the packet (sent_packet_handler.go, SentPacket). So
// bytes that are read while the packets stay the same are those of these packets or
// of one more, and in any case of no fewer.
func quicStats(conn interface {
	ConnectionStats() quic.ConnectionStats
}) linkStats {
	const tries = 4 // a packet takes longer than a look
	s := conn.ConnectionStats()
	packets := s.PacketsSent
	for range tries {
		if s = conn.ConnectionStats(); s.PacketsSent == packets {
			break
		}
		packets, s.PacketsSent = s.PacketsSent, packets
	}
	return linkStats{
		rtt: s.SmoothedRTT, minRTT: s.MinRTT, cwnd: s.CongestionWindow,
		packetsSent: s.PacketsSent, packetsReceived: s.PacketsReceived, packetsLost: s.PacketsLost,
		bytesSent: s.BytesSent, bytesReceived: s.BytesReceived,
	}
}

func (l *quicLink) sendDatagram(b []byte) error {
	err := l.conn.SendDatagram(b)
	if err == nil {
		return nil
	}
	if _, ok := err.(*quic.DatagramTooLargeError); ok {
		return errTooLarge
	}
	return connError(err)
}

func (l *quicLink) receiveDatagram(ctx context.Context) ([]byte, error) {
	b, err := l.conn.ReceiveDatagram(ctx)
	return b, connError(err)
}

func (l *quicLink) openUni(ctx context.Context) (sendStream, error) {
	st, err := l.conn.OpenUniStreamSync(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return &quicSender{st}, nil
}

func (l *quicLink) acceptUni(ctx context.Context) (receiveStream, error) {
	st, err := l.conn.AcceptUniStream(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return &quicReceiver{st}, nil
}

func (l *quicLink) openBidi(ctx context.Context) (bidiStream, error) {
	st, err := l.conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return newQUICBidi(st), nil
}

func (l *quicLink) acceptBidi(ctx context.Context) (bidiStream, error) {
	st, err := l.conn.AcceptStream(ctx)
	if err != nil {
		return nil, connError(err)
	}
	return newQUICBidi(st), nil
}

func (l *quicLink) close(code ErrorCode, reason string) {
	// It waits for the connection's run loop, also if it ended before.
	l.conn.CloseWithError(quic.ApplicationErrorCode(code), reason)
	if l.paths != nil {
		l.paths.close()
	}
}

// quicSender and quicReceiver are the halves of QUIC's streams. The interfaces
// let a bidirectional stream be both.
type (
	quicSender struct {
		st interface {
			io.WriteCloser
			WriteWithLimit([]byte, func(int) int) (int, error)
			SetWriteDeadline(time.Time) error
			CancelWrite(quic.StreamErrorCode)
		}
	}
	quicReceiver struct {
		st interface {
			io.Reader
			CancelRead(quic.StreamErrorCode)
		}
	}
	quicBidi struct {
		quicReceiver
		quicSender
	}
)

// newQUICBidi makes the control stream: it goes before other streams.
func newQUICBidi(st *quic.Stream) *quicBidi {
	st.SetPriority(0, false)
	return &quicBidi{quicReceiver{st}, quicSender{st}}
}

func (r *quicReceiver) Read(p []byte) (int, error) {
	n, err := r.st.Read(p)
	return n, streamError(err)
}

func (r *quicReceiver) cancelRead(code ErrorCode) { r.st.CancelRead(quic.StreamErrorCode(code)) }

func (w *quicSender) Write(p []byte) (int, error) {
	n, err := w.st.Write(p)
	return n, streamError(err)
}

// writeThrough uses a limiter that limits nothing: with one, quic-go does not
// copy the last packetful aside and return early (send_stream.go, canBufferStreamFrame).
func (w *quicSender) writeThrough(p []byte) (int, error) {
	n, err := w.st.WriteWithLimit(p, unlimited)
	return n, streamError(err)
}

func unlimited(n int) int { return n }

func (w *quicSender) Close() error                       { return streamError(w.st.Close()) }
func (w *quicSender) SetWriteDeadline(t time.Time) error { return w.st.SetWriteDeadline(t) }
func (w *quicSender) cancelWrite(code ErrorCode)         { w.st.CancelWrite(quic.StreamErrorCode(code)) }

// connError translates an error of a connection's method: unless a context
// ended, the connection has.
func connError(err error) error {
	if err == nil {
		return nil
	}
	if translated := streamError(err); translated != err || isContextError(err) {
		return translated
	}
	return &endError{fmt.Errorf("transport: connection lost: %w", err)}
}

func isContextError(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// streamError translates an error of a stream's method, which may be the
// stream's own or the connection's.
func streamError(err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	var (
		stream *quic.StreamError
		app    *quic.ApplicationError
		tr     *quic.TransportError
		idle   *quic.IdleTimeoutError
		reset  *quic.StatelessResetError
	)
	switch {
	case errors.As(err, &stream):
		return &StreamError{Code: ErrorCode(stream.ErrorCode), Remote: stream.Remote}
	case errors.As(err, &app):
		return &endError{&Error{Code: ErrorCode(app.ErrorCode), Reason: clip(app.ErrorMessage, 200), Remote: app.Remote}}
	case errors.As(err, &idle):
		return &endError{ErrIdleTimeout}
	case errors.As(err, &reset):
		return &endError{fmt.Errorf("%w: it has forgotten this connection (stateless reset)", ErrIdleTimeout)}
	case errors.As(err, &tr):
		return &endError{&Error{Code: roq.InternalError, Reason: clip(tr.Error(), 200), Remote: tr.Remote}}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return os.ErrDeadlineExceeded
	}
	return err
}

// addrBox lets a net.Addr change under readers.
type addrBox struct{ v atomic.Value }

type boxedAddr struct{ net.Addr }

func (a *addrBox) store(addr net.Addr) { a.v.Store(boxedAddr{addr}) }
func (a *addrBox) load() net.Addr      { return a.v.Load().(boxedAddr).Addr }
