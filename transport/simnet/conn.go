package simnet

import (
	"container/heap"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// defaultReadBuffer is what Linux gives a UDP socket (net.core.rmem_default).
const defaultReadBuffer = 212992

// A Conn is an endpoint of a Network, a net.PacketConn much like a UDP socket.
// Any number of goroutines may read and write. Writes never block; a packet
// that does not arrive is no error.
type Conn struct {
	n      *Network
	id     int
	local  *net.UDPAddr
	public atomic.Pointer[net.UDPAddr] // what receivers see: see Rebind

	mu       sync.Mutex
	readable sync.Cond
	closed   bool
	flight   flight    // what is under way to here, next to arrive first
	seq      uint64    // of the next packet into flight
	ready    []*packet // what arrived and was not read, from next on
	next     int
	bytes    int // in ready
	limit    int // of bytes
	alarm    alarm

	deadline      time.Time
	deadlineAlarm alarm
}

// packet is one packet under way or waiting to be read.
type packet struct {
	data     []byte
	from     *net.UDPAddr
	at       time.Duration
	seq      uint64
	counters *counters
	client   *relayClient // whose it is, in a Relay, which sets neither from nor counters
}

func newConn(n *Network, id int, at netip.AddrPort) *Conn {
	c := &Conn{n: n, id: id, local: net.UDPAddrFromAddrPort(at), limit: defaultReadBuffer}
	c.public.Store(c.local)
	c.readable.L = &c.mu
	return c
}

// WriteTo sends a packet. addr is a *net.UDPAddr, or any address whose String
// is an IP address and a port. The error is a *net.OpError that wraps
// net.ErrClosed, or that says that the address is none; a packet above 65507
// bytes is lost, as by a Link's MTU.
func (c *Conn) WriteTo(p []byte, addr net.Addr) (int, error) {
	var to netip.AddrPort
	if udp, ok := addr.(*net.UDPAddr); ok && udp != nil {
		to = udp.AddrPort()
	} else if addr != nil {
		to, _ = netip.ParseAddrPort(addr.String())
	}
	if !to.IsValid() {
		return 0, c.opError("write", &net.AddrError{Err: "not an IP address and a port"})
	}
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return 0, c.opError("write", net.ErrClosed)
	}
	c.n.send(c, p, netip.AddrPortFrom(to.Addr().Unmap(), to.Port()))
	return len(p), nil
}

// ReadFrom waits for a packet, copies it to p, and returns its length and
// where it came from. What does not fit p is lost, as with UDP. The address is
// shared: do not change it. The error is a *net.OpError that wraps
// net.ErrClosed or os.ErrDeadlineExceeded.
func (c *Conn) ReadFrom(p []byte) (int, net.Addr, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if c.closed {
			return 0, nil, c.opError("read", net.ErrClosed)
		}
		if !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
			return 0, nil, c.opError("read", os.ErrDeadlineExceeded)
		}
		c.arrive()
		if c.next < len(c.ready) {
			pk := c.ready[c.next]
			c.ready[c.next] = nil
			if c.next++; c.next == len(c.ready) {
				c.ready, c.next = c.ready[:0], 0
			}
			c.bytes -= len(pk.data)
			n, from := copy(p, pk.data), pk.from
			c.n.pool.Put(pk)
			return n, from, nil
		}
		if len(c.flight) > 0 {
			c.alarm.set(c, c.flight[0].at-c.n.now())
		}
		c.readable.Wait()
	}
}

// push puts a packet under way to c.
func (c *Conn) push(pk *packet) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		c.lose(pk, DropClosed)
		return
	}
	pk.seq = c.seq
	c.seq++
	heap.Push(&c.flight, pk)
	if c.flight[0] == pk {
		// Only now does a waiting reader have to look again: it either finds
		// the packet there or sets its alarm to it.
		c.readable.Broadcast()
	}
	c.arrive()
}

// arrive moves what is due from flight to ready, or drops it where the buffer
// is full. Called before anything is read or looked at, it leaves what a call
// at each packet's own time would have left. It is called with the lock held.
func (c *Conn) arrive() {
	if len(c.flight) == 0 {
		return
	}
	for now := c.n.now(); len(c.flight) > 0 && c.flight[0].at <= now; {
		pk := heap.Pop(&c.flight).(*packet)
		if c.bytes+len(pk.data) > c.limit {
			c.lose(pk, DropReceiver)
			continue
		}
		pk.counters.underWay.Add(-1)
		pk.counters.delivered.Add(1)
		pk.counters.deliveredBytes.Add(uint64(len(pk.data)))
		c.bytes += len(pk.data)
		if c.next > 64 && c.next > len(c.ready)/2 { // a queue that never quite empties must not creep
			c.ready = append(c.ready[:0], c.ready[c.next:]...)
			c.next = 0
		}
		c.ready = append(c.ready, pk)
	}
}

func (c *Conn) lose(pk *packet, r DropReason) {
	pk.counters.underWay.Add(-1)
	pk.counters.dropped[r].Add(1)
	c.n.pool.Put(pk)
}

// settle makes the counters true as of now.
func (c *Conn) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.arrive()
}

// Rebind gives the endpoint another address on the network, as a NAT does that
// forgot a mapping: peers see packets from the new address from now on, and
// what they send to the old one is lost. LocalAddr stays, since the endpoint
// itself cannot tell. The address is as for Network.Endpoint; with "" it is
// another port of the same host. It returns the new address.
func (c *Conn) Rebind(addr string) (*net.UDPAddr, error) {
	c.n.mu.Lock()
	defer c.n.mu.Unlock()
	old := c.public.Load().AddrPort()
	if c.n.routes[old] != c {
		return nil, c.opError("rebind", net.ErrClosed)
	}
	if addr == "" {
		addr = netip.AddrPortFrom(old.Addr(), 0).String()
	}
	at, err := c.n.freeAddress(addr)
	if err != nil {
		return nil, err
	}
	delete(c.n.routes, old)
	c.n.routes[at] = c
	udp := net.UDPAddrFromAddrPort(at)
	c.public.Store(udp)
	return udp, nil
}

// LocalAddr returns the address the endpoint was made with, a *net.UDPAddr
// that the caller must not change.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// PublicAddr returns the address that peers see: LocalAddr until Rebind. The
// caller must not change it.
func (c *Conn) PublicAddr() *net.UDPAddr { return c.public.Load() }

// SetReadBuffer sets how many bytes of packets may wait to be read; more are
// dropped (DropReceiver). Default 212992, Linux's.
func (c *Conn) SetReadBuffer(bytes int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limit = bytes
	return nil
}

// SetWriteBuffer does nothing: writes never block.
func (c *Conn) SetWriteBuffer(int) error { return nil }

// SetDeadline is SetReadDeadline: writes never block.
func (c *Conn) SetDeadline(t time.Time) error { return c.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes never block.
func (c *Conn) SetWriteDeadline(time.Time) error { return nil }

// SetReadDeadline makes reads that are blocked at t, or begin later, fail with
// os.ErrDeadlineExceeded. The zero time means none.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	c.deadline = t
	if t.IsZero() {
		c.deadlineAlarm.stop()
	} else {
		c.deadlineAlarm.set(c, time.Until(t))
	}
	c.readable.Broadcast()
	return nil
}

// Close frees the address and makes reads and writes fail. What was not read
// is lost.
func (c *Conn) Close() error {
	c.n.mu.Lock()
	if at := c.public.Load().AddrPort(); c.n.routes[at] == c {
		delete(c.n.routes, at)
	}
	c.n.mu.Unlock()

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.arrive()
	c.closed = true
	c.alarm.stop()
	c.deadlineAlarm.stop()
	for _, pk := range c.flight {
		c.lose(pk, DropClosed)
	}
	c.flight, c.ready = nil, nil
	c.readable.Broadcast()
	return nil
}

func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "simnet", Addr: c.local, Err: err}
}

// An alarm wakes the readers of a connection once. It is used with the
// connection's lock held.
type alarm struct{ timer *time.Timer }

func (a *alarm) set(c *Conn, d time.Duration) {
	if a.timer == nil {
		a.timer = time.AfterFunc(d, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.readable.Broadcast()
		})
		return
	}
	a.timer.Reset(d)
}

func (a *alarm) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}

// flight is a heap of packets by arrival, first sent first where equal.
type flight []*packet

func (f flight) Len() int { return len(f) }
func (f flight) Less(i, j int) bool {
	return f[i].at < f[j].at || (f[i].at == f[j].at && f[i].seq < f[j].seq)
}
func (f flight) Swap(i, j int) { f[i], f[j] = f[j], f[i] }
func (f *flight) Push(x any)   { *f = append(*f, x.(*packet)) }
func (f *flight) Pop() any {
	old := *f
	last := len(old) - 1
	p := old[last]
	old[last] = nil
	*f = old[:last]
	return p
}

var _ net.PacketConn = (*Conn)(nil)
