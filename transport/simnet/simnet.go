// Package simnet is a bad network inside the process: packet connections
// joined by links that delay, lose, reorder and squeeze what goes over them.
// Use it to find out how your game sounds over a train's Wi-Fi, in a test that
// gives the same result each time.
//
//	n := simnet.New(simnet.Config{Seed: 1})
//	defer n.Close()
//	server, _ := n.Endpoint("10.0.0.1:4433")
//	client, _ := n.Endpoint("10.0.0.2:5000")
//	n.SetBoth(server, client, simnet.Link{
//		Delay:  40 * time.Millisecond,
//		Jitter: 15 * time.Millisecond,
//		Loss:   0.02,
//	})
//
// A [Conn] is a net.PacketConn: give it to whatever takes a UDP socket, such
// as quic.Transport. The zero [Link] is perfect: no delay, no loss. Links may
// be set anew at any time, in each direction apart.
//
// Inside a testing/synctest bubble the clock is the bubble's, and ten seconds
// of a call take some milliseconds; outside, the network runs in real time.
// Make the network inside the bubble that uses it. It has no goroutine: who
// reads waits for the packet that is due next.
//
// A [Relay] does the same to real UDP packets, between programs that know
// nothing of it; "earshot impair" starts one.
//
// What is drawn by chance comes from Config.Seed and, for each direction, from
// the order in which its two endpoints were made: with the same packets in the
// same order the same ones are lost.
package simnet

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Config configures a Network. The zero value works.
type Config struct {
	// Seed makes chance repeat: two networks with one seed lose the same
	// packets. Default 0, which is a seed like any other.
	Seed uint64
	// Link is what every link is until SetDefault or SetLink says otherwise.
	// Default: a perfect link.
	Link Link
}

// A Network joins endpoints. All its methods may be called from any goroutine.
type Network struct {
	seed  uint64
	start time.Time
	pool  sync.Pool // of *packet

	noRoute atomic.Uint64

	mu     sync.RWMutex
	closed bool
	def    Link
	made   int // endpoints so far, open or not
	routes map[netip.AddrPort]*Conn
	links  map[pair]*direction
}

type pair struct{ from, to *Conn }

// direction is one direction between two endpoints: a link and its lock.
type direction struct {
	mu  sync.Mutex
	own bool // set by SetLink: SetDefault leaves it alone
	link
}

// New returns a network with no endpoints. It panics if c.Link is not valid.
func New(c Config) *Network {
	c.Link.mustBeValid()
	return &Network{
		seed: c.Seed, start: time.Now(), def: c.Link,
		pool:   sync.Pool{New: func() any { return new(packet) }},
		routes: make(map[netip.AddrPort]*Conn), links: make(map[pair]*direction),
	}
}

// Endpoint adds an endpoint. The address is an IP address and a port; with
// port 0 the network picks a free port, and with "" an address too, from
// 10.0.0.0/8. The error wraps net.ErrClosed if the network is closed, and is
// else a bad address or one that is in use.
func (n *Network) Endpoint(addr string) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, fmt.Errorf("simnet: %w", net.ErrClosed)
	}
	if addr == "" {
		id := n.made + 1
		addr = fmt.Sprintf("10.%d.%d.%d:0", id>>16&255, id>>8&255, id&255)
	}
	at, err := n.freeAddress(addr)
	if err != nil {
		return nil, err
	}
	n.made++
	c := newConn(n, n.made, at)
	n.routes[at] = c
	return c, nil
}

// freeAddress parses an address and, if its port is 0, picks one. It is called
// with the lock held.
func (n *Network) freeAddress(addr string) (netip.AddrPort, error) {
	at, err := netip.ParseAddrPort(addr)
	if err != nil {
		return at, fmt.Errorf("simnet: address %q is not an IP address and a port", addr)
	}
	at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	for port := uint16(49152); at.Port() == 0; port++ { // the dynamic ports, RFC 6335 section 6
		if port == 0 {
			return at, fmt.Errorf("simnet: no port is free at %v", at.Addr())
		}
		if _, used := n.routes[netip.AddrPortFrom(at.Addr(), port)]; !used {
			at = netip.AddrPortFrom(at.Addr(), port)
		}
	}
	if _, used := n.routes[at]; used {
		return at, fmt.Errorf("simnet: address %v is in use", at)
	}
	return at, nil
}

// SetDefault sets all links that SetLink has not set, those of endpoints to
// come too. It panics if l is not valid.
func (n *Network) SetDefault(l Link) {
	l.mustBeValid()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.def = l
	for _, d := range n.links {
		d.mu.Lock()
		if !d.own {
			d.set(n.now(), l)
		}
		d.mu.Unlock()
	}
}

// SetLink sets one direction. It concerns packets sent from now on: those
// under way arrive as they would have. It panics if l is not valid.
func (n *Network) SetLink(from, to *Conn, l Link) {
	l.mustBeValid()
	d := n.direction(from, to)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.own = true
	d.set(n.now(), l)
}

// SetBoth sets both directions between two endpoints to the same link.
func (n *Network) SetBoth(a, b *Conn, l Link) {
	n.SetLink(a, b, l)
	n.SetLink(b, a, l)
}

// Link returns how one direction is set, to be changed and given to SetLink.
func (n *Network) Link(from, to *Conn) Link {
	d := n.direction(from, to)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.Link
}

// Cut loses all packets between two endpoints, in both directions, until
// Restore. The links' other settings stay.
func (n *Network) Cut(a, b *Conn) { n.setDown(a, b, true) }

// Restore ends what Cut began.
func (n *Network) Restore(a, b *Conn) { n.setDown(a, b, false) }

func (n *Network) setDown(a, b *Conn, down bool) {
	for _, p := range []pair{{a, b}, {b, a}} {
		l := n.Link(p.from, p.to)
		l.Down = down
		n.SetLink(p.from, p.to, l)
	}
}

// Stats returns what happened in one direction since its endpoints were made.
func (n *Network) Stats(from, to *Conn) Stats {
	to.settle()
	d := n.direction(from, to)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.snapshot(n.now())
}

// NoRoute returns how many packets were sent to addresses without an endpoint.
func (n *Network) NoRoute() uint64 { return n.noRoute.Load() }

// Close closes all endpoints. It always returns nil.
func (n *Network) Close() error {
	n.mu.Lock()
	n.closed = true
	conns := make([]*Conn, 0, len(n.routes))
	for _, c := range n.routes {
		conns = append(conns, c)
	}
	n.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	return nil
}

func (n *Network) now() time.Duration { return time.Since(n.start) }

// direction finds or makes the state of one direction.
func (n *Network) direction(from, to *Conn) *direction {
	key := pair{from, to}
	n.mu.RLock()
	d := n.links[key]
	n.mu.RUnlock()
	if d != nil {
		return d
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if d = n.links[key]; d == nil {
		// Chance depends on the endpoints alone, not on which pair talks first.
		rng := rand.New(rand.NewPCG(n.seed, uint64(from.id)<<32|uint64(to.id)))
		d = &direction{link: newLink(n.def, rng)}
		n.links[key] = d
	}
	return d
}

// send is the way of a packet: p is copied.
func (n *Network) send(from *Conn, p []byte, to netip.AddrPort) {
	n.mu.RLock()
	dst := n.routes[to]
	d := n.links[pair{from, dst}]
	n.mu.RUnlock()
	if dst == nil {
		n.noRoute.Add(1)
		return
	}
	if d == nil {
		d = n.direction(from, dst)
	}
	d.mu.Lock()
	v := d.admit(n.now(), len(p))
	d.mu.Unlock()
	for _, at := range v.at[:v.copies] {
		pk := n.pool.Get().(*packet)
		pk.data = append(pk.data[:0], p...)
		pk.from, pk.at, pk.counters = from.public.Load(), at, d.counters
		dst.push(pk)
	}
}
