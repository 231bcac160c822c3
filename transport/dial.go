package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/quic-go"
)

// A QUICDialer opens sessions over QUIC. The zero value trusts the system's
// certificate roots. It is safe for concurrent use.
//
// Its sessions implement Migrator. One whose socket the dialer opened also
// moves by itself when the machine's address towards the server changes.
type QUICDialer struct {
	// TLSConfig may have RootCAs, ServerName and client Certificates. There is
	// no way to skip the check of the server's certificate: use Pin. Default:
	// the system's roots, the name dialled.
	TLSConfig *tls.Config
	// Pin is the SHA-256 hash of the server's certificate in DER form, 32
	// bytes (CertificatePin, ParsePin), or several of them one after another,
	// of which any will do. If it is set it alone decides whether the server is
	// trusted. Default: none.
	Pin []byte
	// Conn supplies the socket for a session, which then owns it. Default: a
	// UDP socket on any port.
	Conn func() (net.PacketConn, error)
	// Session tunes the sessions.
	Session SessionConfig
	// Logger takes what the sessions log. Default: silent.
	Logger *slog.Logger

	source func(remote *net.UDPAddr) (netip.Addr, error) // nil: sourceIP; set by tests
	plain  bool                                          // RoQDialer's
}

// Dial connects to a listener at "host:port". If the host has several
// addresses they are tried in turn, IPv4 first. Without an answer an address
// is given up after 5 s, or when ctx ends.
//
// Errors: those of a certificate that is not trusted unwrap to ErrPin or to
// the error of package crypto/x509.
func (d *QUICDialer) Dial(ctx context.Context, addr string) (Session, error) {
	host, addrs, err := resolve(ctx, addr)
	if err != nil {
		return nil, err
	}
	tlsConfig, err := clientTLS(d.TLSConfig, d.Pin, host, d.protocols())
	if err != nil {
		return nil, err
	}
	for _, remote := range addrs {
		var s *session
		if s, err = d.dial(ctx, net.UDPAddrFromAddrPort(remote), tlsConfig); err == nil {
			return s.public(), nil
		}
		if ctx.Err() != nil || !isTimeout(err) {
			break
		}
	}
	return nil, fmt.Errorf("transport: dial %s: %w", addr, err)
}

func (d *QUICDialer) protocols() []string {
	if d.plain {
		return roq.PlainALPNs()
	}
	return []string{roq.ALPNEarshot}
}

func (d *QUICDialer) dial(ctx context.Context, remote *net.UDPAddr, tlsConfig *tls.Config) (*session, error) {
	p := &paths{remote: remote, own: d.Conn == nil, source: d.source}
	var conn net.PacketConn
	var err error
	if p.own {
		conn, err = dialSocket(remote)
	} else {
		conn, err = d.Conn()
	}
	if err != nil {
		return nil, err
	}
	cfg := d.Session.withDefaults(true)
	current := newPath(conn)
	p.use(current, nil)
	qc, err := current.transport.Dial(ctx, remote, tlsConfig, quicConfig(cfg))
	if err != nil {
		p.close()
		return nil, dialError(err, d.protocols()[0])
	}
	p.conn = qc
	var link backend = &quicLink{conn: qc, paths: p}
	if d.plain {
		link = newPlainLink(&quicLink{conn: qc, paths: p})
	} else if !qc.ConnectionState().SupportsDatagrams.Remote {
		link.close(roq.ExpectationUnmet, "QUIC datagrams are required")
		return nil, errors.New("the server does not support QUIC datagrams")
	}
	s := newSession(link, cfg, true, d.Logger)
	p.log = s.log
	if err := s.start(ctx); err != nil {
		return nil, err
	}
	if p.own {
		from, _ := p.sourceIP()
		s.workers.start(func() { p.watch(s.ctx, from) })
	}
	return s, nil
}

// resolve finds the addresses behind host:port.
func resolve(ctx context.Context, addr string) (host string, addrs []netip.AddrPort, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, fmt.Errorf("transport: address %q is not host:port: %w", addr, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", nil, fmt.Errorf("transport: address %q: %q is not a port, 1 to 65535", addr, port)
	}
	if host == "" {
		return "", nil, fmt.Errorf("transport: address %q has no host", addr)
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", nil, fmt.Errorf("transport: address %q: %w", addr, err)
	}
	for _, ip := range ips {
		addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(n)))
	}
	slices.SortStableFunc(addrs, func(a, b netip.AddrPort) int { return a.Addr().BitLen() - b.Addr().BitLen() })
	return host, addrs, nil
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}

// errNoAnswer is a timeout, so that it reads well and still is one.
type errNoAnswer struct{}

func (errNoAnswer) Error() string {
	return "no answer within 5 s: is the server running, and is UDP let through?"
}
func (errNoAnswer) Timeout() bool   { return true }
func (errNoAnswer) Temporary() bool { return true }

const (
	tlsAlert      = quic.TransportErrorCode(0x100) // RFC 9001 section 4.8
	noApplication = tlsAlert + 120                 // RFC 7301 section 3.2
)

// dialError says in plain words why a handshake failed.
func dialError(err error, protocol string) error {
	var (
		handshake *quic.HandshakeTimeoutError
		idle      *quic.IdleTimeoutError
		tr        *quic.TransportError
		cert      *tls.CertificateVerificationError
		invalid   x509.CertificateInvalidError
	)
	switch {
	case errors.Is(err, ErrPin):
		return ErrPin
	case errors.As(err, &cert):
		if errors.As(cert.Err, &invalid) && invalid.Reason == x509.Expired {
			return fmt.Errorf("the server's certificate has expired or is not yet valid (is the clock right?): %w", cert.Err)
		}
		return fmt.Errorf("the server's certificate is not trusted; for one that no authority has signed give its pin: %w", cert.Err)
	case errors.As(err, &handshake), errors.As(err, &idle):
		return errNoAnswer{}
	case errors.As(err, &tr) && tr.ErrorCode == noApplication:
		return fmt.Errorf("the server does not speak %s: no application protocol in common", protocol)
	case errors.As(err, &tr) && tr.ErrorCode == quic.ConnectionRefused:
		return errors.New("the server refused the connection: it is full, or closing")
	case errors.As(err, &tr):
		return errors.New(strings.TrimSpace(tr.Error()))
	}
	return err
}
