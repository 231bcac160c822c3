package transport

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
)

// A RoQDialer opens sessions over plain RTP over QUIC (ALPN roq-14 to roq-10),
// with endpoints that need not be Earshot's: see [RoQSession] for how they
// differ from others. The flows are agreed with the peer by other means. The
// zero value trusts the system's certificate roots. It is safe for concurrent
// use.
type RoQDialer struct {
	// TLSConfig, Pin and Conn are as QUICDialer's.
	TLSConfig *tls.Config
	Pin       []byte
	Conn      func() (net.PacketConn, error)
	// Session tunes the sessions.
	Session SessionConfig
	// Logger takes what the sessions log. Default: silent.
	Logger *slog.Logger
}

// Dial connects to a RoQ endpoint at "host:port", as QUICDialer's does; its
// errors are the same. The session is a RoQSession, and a Migrator.
func (d *RoQDialer) Dial(ctx context.Context, addr string) (Session, error) {
	q := QUICDialer{TLSConfig: d.TLSConfig, Pin: d.Pin, Conn: d.Conn, Session: d.Session, Logger: d.Logger, plain: true}
	return q.Dial(ctx, addr)
}

var _ Dialer = (*RoQDialer)(nil)
