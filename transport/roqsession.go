package transport

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// A RoQSession is a session over plain RTP over QUIC, whose peer may share no
// code with this package. Sessions of a [RoQDialer], and those of a listener
// whose Protocol is "roq" (ListenConfig.RoQ), are RoQSessions. They differ from
// others in this:
//
//   - There is no control stream: Control's methods return ErrNoControl. A
//     bidirectional stream from the peer ends the session (roq.StreamCreation),
//     and so does a datagram whose flow identifier is cut short (roq.PacketError).
//   - Each packet is in a datagram of its own. A peer without QUIC datagrams is
//     sent a stream for each packet.
type RoQSession interface {
	Session
	// ConnectionState is the connection's TLS state: NegotiatedProtocol is one
	// of roq.PlainALPNs, ServerName what the dialer asked for, and
	// PeerCertificates what the peer showed, if it was asked to.
	ConnectionState() tls.ConnectionState
}

// A plainLink is a QUIC connection that speaks plain RTP over QUIC.
type plainLink struct {
	*quicLink
	datagrams bool // the peer takes them
}

func newPlainLink(l *quicLink) *plainLink {
	return &plainLink{l, l.conn.ConnectionState().SupportsDatagrams.Remote}
}

func (l *plainLink) protocol() string { return "roq" }

func (l *plainLink) sendDatagram(b []byte) error {
	if !l.datagrams {
		return errTooLarge // it goes on a stream
	}
	return l.quicLink.sendDatagram(b)
}

// plainSession is a listener's RoQSession, dialledPlain a dialer's.
type (
	plainSession struct{ *session }
	dialledPlain struct{ plainSession }
)

var (
	_ RoQSession = plainSession{}
	_ RoQSession = dialledPlain{}
	_ Migrator   = dialledPlain{}
)

func (l *plainLink) public(s *session) Session {
	if l.paths != nil {
		return dialledPlain{plainSession{s}}
	}
	return plainSession{s}
}

func (s plainSession) Control() ControlStream { return noControl{} }

func (s plainSession) ConnectionState() tls.ConnectionState {
	return s.link.(*plainLink).conn.ConnectionState().TLS
}

// Migrate implements Migrator.
func (s dialledPlain) Migrate(ctx context.Context, conn net.PacketConn) error {
	err := s.link.(*plainLink).paths.migrate(ctx, conn)
	if err != nil && s.ended() {
		return ErrClosed
	}
	return err
}

// noControl is the control stream of a session that has none.
type noControl struct{}

func (noControl) Read([]byte) (int, error)         { return 0, ErrNoControl }
func (noControl) Write([]byte) (int, error)        { return 0, ErrNoControl }
func (noControl) SetWriteDeadline(time.Time) error { return ErrNoControl }
