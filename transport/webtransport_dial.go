package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
)

// A WebTransportDialer opens sessions over WebTransport, as a page would: for
// tests of what pages meet, and for programs whose network lets only HTTP/3
// through. Others use a QUICDialer, whose sessions cost less and can migrate.
// The zero value trusts the system's certificate roots. It is safe for
// concurrent use.
type WebTransportDialer struct {
	// TLSConfig may have RootCAs, ServerName and client Certificates. There is
	// no way to skip the check of the server's certificate: use Pin. Default:
	// the system's roots, the name dialled.
	TLSConfig *tls.Config
	// Pin is the SHA-256 hash of the server's certificate in DER form, 32
	// bytes. If it is set it alone decides whether the server is trusted.
	// Default: none.
	Pin []byte
	// Origin is what to send as the page's origin, such as
	// "https://game.example". Default: none, which servers accept.
	Origin string
	// Conn supplies the socket for a session, which then owns it. Default: a
	// UDP socket on any port.
	Conn func() (net.PacketConn, error)
	// Session tunes the sessions.
	Session SessionConfig
	// Logger takes what the sessions log. Default: silent.
	Logger *slog.Logger
}

// Dial connects to a listener at a URL, "https://host:port/earshot"; without a
// path it is WebTransportPath, without a port 443. If the host has several
// addresses they are tried in turn, IPv4 first. Errors are as for QUICDialer.
func (d *WebTransportDialer) Dial(ctx context.Context, addr string) (Session, error) {
	u, err := url.Parse(addr)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("transport: address %q is not a URL such as https://host:4433%s", addr, WebTransportPath)
	}
	if u.Path == "" {
		u.Path = WebTransportPath
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	host, addrs, err := resolve(ctx, net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, err
	}
	tlsConfig, err := clientTLS(d.TLSConfig, d.Pin, host, []string{alpnH3})
	if err != nil {
		return nil, err
	}
	for _, remote := range addrs {
		var s *session
		if s, err = d.dial(ctx, net.UDPAddrFromAddrPort(remote), u, tlsConfig); err == nil {
			return s, nil
		}
		if ctx.Err() != nil || !isTimeout(err) {
			break
		}
	}
	return nil, fmt.Errorf("transport: dial %s: %w", addr, err)
}

func (d *WebTransportDialer) dial(ctx context.Context, remote *net.UDPAddr, u *url.URL, tlsConfig *tls.Config) (*session, error) {
	var conn net.PacketConn
	var err error
	if d.Conn != nil {
		conn, err = d.Conn()
	} else {
		conn, err = dialSocket(remote)
	}
	if err != nil {
		return nil, err
	}
	p := &paths{remote: remote}
	current := newPath(conn)
	p.use(current, nil)
	cfg := d.Session.withDefaults(true)
	qc, err := current.transport.Dial(ctx, remote, tlsConfig, quicConfig(cfg))
	if err != nil {
		p.close()
		return nil, dialError(err, alpnH3)
	}
	sess, err := d.connect(ctx, qc, u)
	if err != nil {
		qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		p.close()
		return nil, err
	}
	link := newWTLink(qc, sess, p)
	link.paced = true
	s := newSession(link, cfg, true, d.Logger)
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// connect opens the session on a connection.
func (d *WebTransportDialer) connect(ctx context.Context, qc *quic.Conn, u *url.URL) (*webtransport.Session, error) {
	// Waiting for the response knows no context.
	stop := context.AfterFunc(ctx, func() {
		qc.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeRequestCanceled), "")
	})
	defer stop()
	t := webtransport.Transport{ApplicationProtocols: []string{WebTransportProtocol}}
	defer t.Close()
	client, err := t.NewClientConn(qc)
	if err != nil {
		return nil, err
	}
	header := make(http.Header)
	if d.Origin != "" {
		header.Set("Origin", d.Origin)
	}
	rsp, sess, err := client.Dial(ctx, u.String(), header)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err == nil:
		return sess, nil
	case rsp != nil && rsp.StatusCode == http.StatusForbidden:
		return nil, fmt.Errorf("the server does not allow the origin %q", d.Origin)
	case rsp != nil && rsp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("the server has nothing at %s; sessions are at %s", u.Path, WebTransportPath)
	case rsp != nil && rsp.StatusCode >= 300:
		return nil, fmt.Errorf("the server answered %d %s", rsp.StatusCode, http.StatusText(rsp.StatusCode))
	}
	var app *quic.ApplicationError
	if errors.As(err, &app) && app.Remote {
		return nil, errors.New("the server closed the connection: " + strings.TrimSpace(app.ErrorMessage))
	}
	return nil, dialError(err, alpnH3)
}
