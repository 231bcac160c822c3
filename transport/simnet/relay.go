package simnet

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// socketBuffer is asked of the system for each socket, so that a burst waits
// in the link and not before it. A system may give less, and then drops what
// the link never sees.
const socketBuffer = 4 << 20

// RelayConfig configures a Relay. Target is required.
type RelayConfig struct {
	// Listen is the UDP address that clients send to, "host:port"; without a
	// host, all of the machine's. Default: 127.0.0.1 and any port.
	Listen string
	// Target is where their packets go, "host:port".
	Target string
	// Up is the link towards the target, Down the one towards the clients. Each
	// client has one of its own of either, as each player has a line of their
	// own. Default: perfect links.
	Up, Down Link
	// Seed makes chance repeat: what is lost depends on it, on how many clients
	// came before, and on the client's packets. Default 0, a seed like any
	// other.
	Seed uint64
	// MaxClients is how many clients there may be at a time; packets from more
	// are dropped (RelayStats.Refused). Each has a socket, a goroutine and 64 KiB.
	// Default: 256 clients.
	MaxClients int
	// IdleTimeout is after how long without a packet in either direction a
	// client is forgotten. If it comes back it is a new one. Default: 2 min, the
	// least of RFC 4787 section 4.3.
	IdleTimeout time.Duration
}

// A Relay is a bad network between real UDP sockets: what clients send to Addr
// reaches the target, and what the target answers reaches the client it is for,
// as their Link has it. The target sees each client at a port of its own, as
// from behind a NAT.
//
// It carries payloads alone: ECN marks and the don't-fragment bit end at it,
// so the path's MTU is Link.MTU. A packet leaves at its time or up to about a
// millisecond later, as Go's timers have it, and never earlier. Packets due in
// one direction leave from one goroutine. At most 32 MiB are under way in each
// direction; what exceeds that counts as DropQueue.
//
// All methods may be called from any goroutine.
type Relay struct {
	target *net.UDPAddr
	conn   *net.UDPConn
	seed   uint64
	most   int // clients
	idle   time.Duration
	start  time.Time
	pool   sync.Pool // of *packet

	up, down relayDirection
	refused  atomic.Uint64
	done     chan struct{}
	workers  sync.WaitGroup

	mu               sync.Mutex // taken before a direction's
	closed           bool
	upLink, downLink Link // for clients to come
	made             uint64
	clients          map[netip.AddrPort]*relayClient
}

// NewRelay opens a socket and relays from then on, until Close. The error says
// which field is wrong, or wraps the system's.
func NewRelay(c RelayConfig) (*Relay, error) {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.MaxClients == 0 {
		c.MaxClients = 256
	}
	if c.IdleTimeout == 0 {
		c.IdleTimeout = 2 * time.Minute
	}
	if c.MaxClients < 0 || c.IdleTimeout < 0 {
		return nil, errors.New("simnet: RelayConfig.MaxClients or IdleTimeout is negative")
	}
	if err := validateBoth(c.Up, c.Down); err != nil {
		return nil, err
	}
	target, err := net.ResolveUDPAddr("udp", c.Target)
	if err != nil {
		return nil, fmt.Errorf("simnet: RelayConfig.Target: %w", err)
	}
	if target.Port == 0 || target.IP == nil || target.IP.IsUnspecified() {
		return nil, fmt.Errorf("simnet: RelayConfig.Target %q lacks a host or a port", c.Target)
	}
	local, err := net.ResolveUDPAddr("udp", c.Listen)
	if err != nil {
		return nil, fmt.Errorf("simnet: RelayConfig.Listen: %w", err)
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, fmt.Errorf("simnet: %w", err)
	}
	r := &Relay{
		target: target, conn: conn, seed: c.Seed, most: c.MaxClients, idle: c.IdleTimeout, start: time.Now(),
		pool:   sync.Pool{New: func() any { return new(packet) }},
		upLink: c.Up, downLink: c.Down,
		done: make(chan struct{}), clients: make(map[netip.AddrPort]*relayClient),
	}
	if r.isOwn(target) {
		conn.Close()
		return nil, fmt.Errorf("simnet: RelayConfig.Target %q is the relay's own address", c.Target)
	}
	bigBuffers(conn)
	r.up.init(r, r.sendUp)
	r.down.init(r, r.sendDown)
	r.workers.Go(r.up.run)
	r.workers.Go(r.down.run)
	r.workers.Go(r.readClients)
	return r, nil
}

// isOwn tells whether a packet to addr comes back to the relay.
func (r *Relay) isOwn(addr *net.UDPAddr) bool {
	own := r.conn.LocalAddr().(*net.UDPAddr)
	return addr.Port == own.Port && (addr.IP.Equal(own.IP) || own.IP.IsUnspecified() && addr.IP.IsLoopback())
}

func validateBoth(up, down Link) error {
	if err := up.Validate(); err != nil {
		return fmt.Errorf("%w, towards the target", err)
	}
	if err := down.Validate(); err != nil {
		return fmt.Errorf("%w, towards clients", err)
	}
	return nil
}

func bigBuffers(conn *net.UDPConn) {
	conn.SetReadBuffer(socketBuffer) // an error leaves what there was
	conn.SetWriteBuffer(socketBuffer)
}

// Addr returns the address that clients send to. The caller must not change
// it.
func (r *Relay) Addr() *net.UDPAddr { return r.conn.LocalAddr().(*net.UDPAddr) }

// Links returns how the directions are set, to be changed and given to
// SetLinks.
func (r *Relay) Links() (up, down Link) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.upLink, r.downLink
}

// SetLinks sets both directions, for the clients there are and those to come.
// It concerns packets that come from now on: those under way arrive as they
// would have. The error says which field makes no sense, and then nothing is
// changed, or wraps net.ErrClosed.
func (r *Relay) SetLinks(up, down Link) error {
	if err := validateBoth(up, down); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errRelayClosed
	}
	r.upLink, r.downLink = up, down
	for _, c := range r.clients {
		r.up.set(&c.up, up)
		r.down.set(&c.down, down)
	}
	return nil
}

// RelayStats is what happened since a Relay was made.
type RelayStats struct {
	// Up counts what clients sent, Down what the target sent, of all clients
	// together. Delivered is what the system took to send on; QueueBytes is the
	// sum over clients, QueueTime the longest of them.
	Up, Down Stats
	// Clients is how many there are now.
	Clients int
	// Refused counts packets from clients that were not let in: those beyond
	// MaxClients, and those for whom the system had no socket.
	Refused uint64
}

// Stats returns what happened so far. It may be called after Close.
func (r *Relay) Stats() RelayStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := RelayStats{Up: r.up.snapshot(), Down: r.down.snapshot(), Clients: len(r.clients), Refused: r.refused.Load()}
	for _, c := range r.clients {
		r.up.addQueue(&s.Up, &c.up)
		r.down.addQueue(&s.Down, &c.down)
	}
	return s
}

var errRelayClosed = fmt.Errorf("simnet: relay: %w", net.ErrClosed)

// Close closes the sockets and returns when every goroutine has ended. What was
// under way is lost (DropClosed). It may be called more than once, and always
// returns nil.
func (r *Relay) Close() error {
	r.mu.Lock()
	if !r.closed {
		r.closed = true
		close(r.done)
		r.conn.Close()
		for _, c := range r.clients {
			c.upstream.Load().Close()
		}
		clear(r.clients)
	}
	r.mu.Unlock()
	r.workers.Wait()
	r.up.drain()
	r.down.drain()
	return nil
}

func (r *Relay) now() time.Duration { return time.Since(r.start) }
