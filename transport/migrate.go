package transport

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// netSession is a dialled session, which can migrate.
type netSession struct{ *session }

// public returns the session as its dialer or listener hands it out.
func (s *session) public() Session {
	switch l := s.link.(type) {
	case *plainLink:
		return l.public(s)
	case *quicLink:
		if l.paths != nil {
			return netSession{s}
		}
	}
	return s
}

var _ Migrator = netSession{}

// Migrate implements Migrator.
func (s netSession) Migrate(ctx context.Context, conn net.PacketConn) error {
	err := s.link.(*quicLink).paths.migrate(ctx, conn)
	if err != nil && s.ended() {
		return ErrClosed
	}
	return err
}

const (
	// watchInterval is how often the local address is looked at.
	watchInterval = time.Second
	// probeTime is how long a new path has to prove itself when the session
	// moves by itself.
	probeTime = 5 * time.Second
	// lingerTime is how long a socket that the session has left stays open for
	// packets that were on their way to it.
	lingerTime = time.Second
)

// A path is a socket with the quic.Transport that uses it.
type path struct {
	socket    *socket
	transport *quic.Transport
}

func newPath(conn net.PacketConn) *path {
	s := newSocket(conn)
	return &path{s, &quic.Transport{Conn: wrapSocket(s), ConnectionIDGenerator: noConnectionID{}}}
}

// noConnectionID gives the client connection IDs of no length: each of its
// sockets serves one connection, so there is nothing to tell apart (RFC 9000
// section 5.1). It is also what makes a third migration possible: a server of
// quic-go (v0.64.1, path_manager.go, SwitchToPath) does not retire the ID of
// the path it has switched to, and soon has none left for another.
type noConnectionID struct{}

func (noConnectionID) GenerateConnectionID() (quic.ConnectionID, error) {
	return quic.ConnectionID{}, nil
}
func (noConnectionID) ConnectionIDLen() int { return 0 }

// close may be called only when no connection needs the path: see socket.
func (p *path) close() {
	p.socket.finish()
	p.transport.Close()
}

// paths are the sockets of a dialled connection: the one in use, and those it
// has left, whose transports quic-go needs until the connection ends.
type paths struct {
	conn   *quic.Conn
	remote *net.UDPAddr
	own    bool                                          // the dialer opened the socket
	source func(remote *net.UDPAddr) (netip.Addr, error) // nil: sourceIP
	log    *slog.Logger
	local  addrBox

	mu      sync.Mutex // held while migrating
	stateMu sync.Mutex
	current *path
	active  *quic.Path // quic-go's handle of current; nil for the first
	left    []*path
	closed  bool
}

// use makes p the current path. It fails when the paths are closed.
func (p *paths) use(next *path, handle *quic.Path) bool {
	p.stateMu.Lock()
	defer p.stateMu.Unlock()
	if p.closed {
		return false
	}
	if p.current != nil {
		p.left = append(p.left, p.current)
	}
	p.current, p.active = next, handle
	p.local.store(p.sourceOf(next))
	return true
}

func (p *paths) localAddr() net.Addr { return p.local.load() }

// sourceOf is the address that packets from a path's socket carry.
func (p *paths) sourceOf(q *path) net.Addr {
	udp, ok := q.socket.LocalAddr().(*net.UDPAddr)
	if !ok || !udp.IP.IsUnspecified() {
		return q.socket.LocalAddr()
	}
	if ip, err := p.sourceIP(); err == nil {
		return &net.UDPAddr{IP: ip.AsSlice(), Port: udp.Port, Zone: ip.Zone()}
	}
	return udp
}

var errPathsClosed = errors.New("transport: the session has ended")

func (p *paths) migrate(ctx context.Context, conn net.PacketConn) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if conn == nil {
		if conn, err = dialSocket(p.remote); err != nil {
			return err
		}
	}
	next := newPath(conn)
	handle, err := p.probe(ctx, next)
	if err != nil {
		// A transport that has probed may already know the connection, and must
		// live as long as that does.
		next.socket.retire()
		p.leave(next)
		return fmt.Errorf("transport: migrate to %v: %w", conn.LocalAddr(), err)
	}
	p.stateMu.Lock()
	old, oldHandle := p.current, p.active
	p.stateMu.Unlock()
	if !p.use(next, handle) {
		next.socket.retire()
		p.leave(next)
		return errPathsClosed
	}
	if oldHandle != nil {
		oldHandle.Close()
	} else if kick, err := p.conn.AddPath(next.transport); err == nil {
		kick.Close() // wakes quic-go, which switches when it next has something to do
	}
	time.AfterFunc(lingerTime, old.socket.retire)
	return nil
}

// probeRound is how long a path is probed before the old one is muted for as
// long, once.
const probeRound = 700 * time.Millisecond

// probe validates a path and switches to it.
//
// quic-go takes a packet for a duplicate that comes a round trip after later
// ones (received_packet_history.go), so while packets and their
// acknowledgements flow on a quick path, what proves a slow one may be dropped
// each time. Without what we send on the old path nothing overtakes it.
func (p *paths) probe(ctx context.Context, next *path) (*quic.Path, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stop := context.AfterFunc(p.conn.Context(), func() { cancel(errPathsClosed) })
	defer stop()
	handle, err := p.conn.AddPath(next.transport)
	if err != nil {
		return nil, err
	}
	p.stateMu.Lock()
	old := p.current.socket
	p.stateMu.Unlock()
	defer old.muted.Store(false)
	for round := 0; ; round++ {
		old.muted.Store(round == 1)
		try, end := context.WithTimeout(ctx, probeRound)
		err := handle.Probe(try)
		end()
		if handle.Switch() == nil { // also if it was validated just now
			return handle, nil
		}
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		} else if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		handle.Close()
		return nil, err
	}
}

// leave keeps a path that is not used until the connection ends.
func (p *paths) leave(q *path) {
	p.stateMu.Lock()
	closed := p.closed
	if !closed {
		p.left = append(p.left, q)
	}
	p.stateMu.Unlock()
	if closed {
		q.close()
	}
}

// close is called when the connection has ended.
func (p *paths) close() {
	p.stateMu.Lock()
	p.closed = true
	all := append(p.left, p.current)
	p.left = nil
	p.stateMu.Unlock()
	for _, q := range all {
		q.close()
	}
}

// watch moves the session when the address that the machine would use to reach
// the server changes from what it was: Wi-Fi to mobile, a new lease, a VPN that
// comes or goes.
func (p *paths) watch(ctx context.Context, last netip.Addr) {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		ip, err := p.sourceIP()
		if err != nil || ip == last {
			continue // no way to the server at all: wait for one
		}
		if !last.IsValid() {
			last = ip
			continue
		}
		probe, cancel := context.WithTimeout(ctx, probeTime)
		err = p.migrate(probe, nil)
		cancel()
		p.log.Info("transport: the local address changed", "from", last, "to", ip, "err", err)
		if err == nil {
			last = ip
		}
	}
}

// sourceIP returns the address the machine would send from. Connecting a UDP
// socket asks the routing table and sends nothing.
func sourceIP(remote *net.UDPAddr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, remote)
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}

func (p *paths) sourceIP() (netip.Addr, error) {
	if p.source != nil {
		return p.source(p.remote)
	}
	return sourceIP(p.remote)
}

// dialSocket opens a socket towards remote. It is not bound to an address, so
// that packets leave on whatever way there is.
func dialSocket(remote *net.UDPAddr) (net.PacketConn, error) {
	network := "udp4"
	if remote.IP.To4() == nil {
		network = "udp6"
	}
	conn, err := net.ListenUDP(network, nil)
	if err != nil {
		return nil, fmt.Errorf("transport: cannot open a UDP socket: %w", err)
	}
	return conn, nil
}
