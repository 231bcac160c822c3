package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/quic-go"
)

// ListenConfig says how to listen. TLSConfig is required.
type ListenConfig struct {
	// Addr is the UDP address, "host:port"; without a host, all of the
	// machine's. Default: ":4433".
	Addr string
	// Conn is a socket to use instead of Addr's; Close closes it. Default: none.
	Conn net.PacketConn
	// TLSConfig has the server's Certificates, or a GetCertificate. Its
	// NextProtos is ignored: the protocols are the listener's.
	TLSConfig *tls.Config
	// AllowedOrigins are the web origins ("https://example.org") whose pages
	// may open WebTransport sessions; "*" stands for all. Default: none.
	AllowedOrigins []string
	// RoQ offers plain RTP over QUIC (roq.PlainALPNs) beside our own protocol, to
	// endpoints that may share no code with us. Their sessions have the Protocol
	// "roq" and are RoQSessions; who accepts them decides what becomes of them.
	// Default: not offered.
	RoQ bool
	// RequireRetry is asked for each connection attempt from an address not
	// yet validated, and answers whether to validate it first, at the cost of
	// a round trip (RFC 9000 section 8.1.2): say yes under load. The address may be
	// spoofed. It is called from several goroutines. Default: never.
	RequireRetry func(net.Addr) bool
	// MaxSessions is how many connections there may be, those in their
	// handshake included; more are refused. Default: 10,000 connections.
	MaxSessions int
	// QLog is asked at the beginning of each connection, whatever its protocol, for
	// where to write its qlog (draft-ietf-quic-qlog-main-schema-12, JSON text
	// sequences): every packet, what became of it, and the congestion controller. nil
	// writes nothing for this one. Until its handshake the address may be spoofed, so
	// say yes only to those that are sought. It must return at once; a writer that is
	// slow holds its own connection up. The listener closes the writer when the
	// connection has ended, before Close returns. Default: none.
	QLog func(remote net.Addr) io.WriteCloser
	// Session tunes the sessions.
	Session SessionConfig
	// Logger takes what the listener and its sessions log. Default: silent.
	Logger *slog.Logger
}

// A NetListener accepts sessions over QUIC, over WebTransport, and if
// ListenConfig.RoQ says so over plain RTP over QUIC, on one UDP port. It is safe for concurrent use.
type NetListener struct {
	cfg       ListenConfig
	log       *slog.Logger
	conn      net.PacketConn
	transport *quic.Transport
	ln        *quic.Listener
	h3        h3Server // nil: no WebTransport

	acceptor acceptor
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	workers  sync.WaitGroup
	conns    atomic.Int64
	qlogs    sync.WaitGroup
	closing  sync.Once
}

// An h3Server serves connections that negotiated HTTP/3, as WebTransport.
type h3Server interface {
	// serveH3 serves one connection until it ends. It hands each session to
	// the listener's acceptor.
	serveH3(conn *quic.Conn)
	// close ends what is left once the listener's sessions have ended.
	close()
}

// Listen opens a UDP socket and accepts connections from then on.
func Listen(cfg ListenConfig) (*NetListener, error) {
	if cfg.Addr == "" {
		cfg.Addr = ":4433"
	}
	if cfg.MaxSessions <= 0 {
		cfg.MaxSessions = 10_000
	}
	cfg.Session = cfg.Session.withDefaults(false)
	l := &NetListener{cfg: cfg, log: orSilent(cfg.Logger), conn: cfg.Conn}
	l.acceptor.init()
	l.ctx, l.cancel = context.WithCancel(context.Background())
	if err := l.open(); err != nil {
		l.cancel()
		if l.conn != nil {
			l.conn.Close()
		}
		return nil, err
	}
	l.workers.Go(l.serve)
	return l, nil
}

func (l *NetListener) open() error {
	protocols := []string{roq.ALPNEarshot}
	if l.cfg.RoQ {
		protocols = append(protocols, roq.PlainALPNs()...)
	}
	if l.h3 = l.newH3Server(); l.h3 != nil {
		protocols = append(protocols, alpnH3)
	}
	tlsConfig, err := serverTLS(l.cfg.TLSConfig, protocols)
	if err != nil {
		return err
	}
	if l.conn == nil {
		if l.conn, err = listenUDP(l.cfg.Addr); err != nil {
			return err
		}
	}
	l.transport = &quic.Transport{
		Conn:                l.conn,
		VerifySourceAddress: l.cfg.RequireRetry,
		ConnContext:         l.admit,
	}
	quicConf := quicConfig(l.cfg.Session)
	if l.cfg.QLog != nil {
		quicConf.Tracer = l.trace
	}
	if l.ln, err = l.transport.Listen(tlsConfig, quicConf); err != nil {
		l.transport.Close()
		return fmt.Errorf("transport: listen on %v: %w", l.conn.LocalAddr(), err)
	}
	return nil
}

func listenUDP(addr string) (net.PacketConn, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("transport: listen address %q is not host:port: %w", addr, err)
	}
	conn, err := net.ListenPacket("udp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("transport: UDP port %s is in use by another program, or another listener of this one: %w", addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("transport: cannot listen on UDP %s: %w", addr, err)
	}
	return conn, nil
}

// serverTLS returns a copy of the host's configuration with our protocols.
func serverTLS(c *tls.Config, protocols []string) (*tls.Config, error) {
	if c == nil || len(c.Certificates) == 0 && c.GetCertificate == nil && c.GetConfigForClient == nil {
		return nil, errors.New("transport: ListenConfig.TLSConfig has no certificate")
	}
	c = c.Clone()
	c.NextProtos = protocols
	if inner := c.GetConfigForClient; inner != nil {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			c, err := inner(hello)
			if c != nil {
				c = c.Clone()
				c.NextProtos = protocols
			}
			return c, err
		}
	}
	return c, nil
}

var errFull = errors.New("transport: MaxSessions reached")

// admit counts a connection before its handshake, or refuses it.
func (l *NetListener) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	if l.conns.Add(1) > int64(l.cfg.MaxSessions) {
		l.conns.Add(-1)
		l.log.Debug("transport: connection refused", "remote", info.RemoteAddr, "cause", errFull)
		return nil, errFull
	}
	context.AfterFunc(ctx, func() { l.conns.Add(-1) })
	if l.cfg.QLog != nil {
		ctx = context.WithValue(ctx, remoteAddrKey{}, info.RemoteAddr)
	}
	return ctx, nil
}

// serve takes connections whose handshake is complete.
func (l *NetListener) serve() {
	for {
		conn, err := l.ln.Accept(l.ctx)
		if err != nil {
			return
		}
		state := conn.ConnectionState()
		link := probed(&quicLink{conn: conn}, l.conn)
		switch {
		case state.TLS.NegotiatedProtocol == alpnH3:
			l.workers.Go(func() { l.h3.serveH3(conn) })
			continue
		case l.cfg.RoQ && state.TLS.NegotiatedProtocol != roq.ALPNEarshot:
			link = newPlainLink(&quicLink{conn: conn})
		case !state.SupportsDatagrams.Remote:
			l.workers.Go(func() {
				conn.CloseWithError(quic.ApplicationErrorCode(roq.ExpectationUnmet), "QUIC datagrams are required")
			})
			continue
		}
		s := newSession(link, l.cfg.Session, false, l.log)
		if err := l.acceptor.add(l.ctx, s); err != nil {
			s.CloseWithError(roq.NoError, "listener closed")
		}
	}
}

// Accept implements Listener.
func (l *NetListener) Accept(ctx context.Context) (Session, error) { return l.acceptor.accept(ctx) }

// Addr implements Listener: it is the socket's local address.
func (l *NetListener) Addr() net.Addr { return l.conn.LocalAddr() }

// Close implements Listener.
func (l *NetListener) Close() error {
	l.closing.Do(func() {
		l.cancel()
		l.acceptor.close()
		l.ln.Close() // no new connections; those in their handshake are refused
		if l.h3 != nil {
			l.h3.close()
		}
		l.workers.Wait()
		l.acceptor.close()
		l.transport.Close()
		l.qlogs.Wait()
		l.conn.Close()
	})
	return nil
}
