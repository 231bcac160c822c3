package simnet

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// relayClient is one client: an address that packets came from.
type relayClient struct {
	addr     netip.AddrPort
	upstream atomic.Pointer[net.UDPConn] // changed with the relay's lock held
	last     atomic.Int64                // when its last packet came, either way
	up, down link                        // each under its direction's lock
}

// A RelayClient is a client of a Relay, as both its sides see it.
type RelayClient struct {
	// Addr is the client's own address, Upstream the one that the target sees.
	Addr, Upstream netip.AddrPort
}

// Clients returns the clients there are, by address.
func (r *Relay) Clients() []RelayClient {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]RelayClient, 0, len(r.clients))
	for _, c := range r.clients {
		list = append(list, RelayClient{c.addr, c.upstream.Load().LocalAddr().(*net.UDPAddr).AddrPort()})
	}
	slices.SortFunc(list, func(a, b RelayClient) int {
		return cmp.Or(a.Addr.Addr().Compare(b.Addr.Addr()), cmp.Compare(a.Addr.Port(), b.Addr.Port()))
	})
	return list
}

// Rebind gives the clients at these addresses, or all if there are none,
// another port towards the target, as a NAT does that forgot a mapping. What
// the target sends to the old port is lost; what is under way towards it leaves
// from the new one. The error wraps net.ErrClosed, says that a client is not
// known, and then nothing is changed, or is the system's, if it has no sockets
// left: a client without a new one keeps its old one.
func (r *Relay) Rebind(clients ...netip.AddrPort) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errRelayClosed
	}
	chosen := make([]*relayClient, 0, len(r.clients))
	for _, addr := range clients {
		c := r.clients[unmap(addr)]
		if c == nil {
			return fmt.Errorf("simnet: relay: there is no client %v", addr)
		}
		chosen = append(chosen, c)
	}
	if len(clients) == 0 {
		for _, c := range r.clients {
			chosen = append(chosen, c)
		}
	}
	var errs []error
	for _, c := range chosen {
		old := c.upstream.Load()
		// The old one is closed after, so that the new one is not the same.
		if err := r.connect(c); err != nil {
			errs = append(errs, err)
			continue
		}
		old.Close()
	}
	return errors.Join(errs...)
}

// client finds or makes the client at an address, or returns nil.
func (r *Relay) client(addr netip.AddrPort) *relayClient {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[addr]; c != nil {
		return c
	}
	if r.closed || len(r.clients) >= r.most {
		return nil
	}
	c := &relayClient{
		addr: addr,
		up:   newLink(r.upLink, rand.New(rand.NewPCG(r.seed, r.made<<1))),
		down: newLink(r.downLink, rand.New(rand.NewPCG(r.seed, r.made<<1|1))),
	}
	c.up.counters, c.down.counters = &r.up.counters, &r.down.counters
	c.last.Store(int64(r.now()))
	if r.connect(c) != nil {
		return nil
	}
	r.made++
	r.clients[addr] = c
	return c
}

// connect opens a client's socket towards the target. It is called with the
// lock held.
func (r *Relay) connect(c *relayClient) error {
	conn, err := net.DialUDP("udp", nil, r.target)
	if err != nil {
		return fmt.Errorf("simnet: relay: %w", err)
	}
	bigBuffers(conn)
	c.upstream.Store(conn)
	r.workers.Go(func() { r.readTarget(c, conn) })
	return nil
}

// readClients takes what clients send.
func (r *Relay) readClients() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := r.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if !r.goesOn(err) {
				return
			}
			continue
		}
		now := r.now()
		c := r.client(unmap(from))
		if c == nil {
			r.refused.Add(1)
			continue
		}
		c.last.Store(int64(now))
		r.up.take(c, &c.up, now, buf[:n])
	}
}

// readTarget takes what the target sends to one client, and forgets the client
// when it is idle.
func (r *Relay) readTarget(c *relayClient, conn *net.UDPConn) {
	buf := make([]byte, 1<<16)
	conn.SetReadDeadline(time.Now().Add(r.idle))
	for {
		n, err := conn.Read(buf)
		now := r.now()
		switch {
		case err == nil:
			c.last.Store(int64(now))
			r.down.take(c, &c.down, now, buf[:n])
		case errors.Is(err, os.ErrDeadlineExceeded):
			left := r.idle - (now - time.Duration(c.last.Load()))
			if left <= 0 {
				r.forget(c, conn)
				return
			}
			conn.SetReadDeadline(time.Now().Add(left))
		case !r.goesOn(err):
			return
		}
	}
}

// forget removes a client, unless it was given another socket meanwhile.
func (r *Relay) forget(c *relayClient, conn *net.UDPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.upstream.Load() == conn {
		delete(r.clients, c.addr)
	}
	conn.Close()
}

// goesOn tells whether to read on after an error. One that is not the socket's
// end concerns a packet sent before, such as that nobody listens there.
func (r *Relay) goesOn(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	select {
	case <-r.done:
		return false
	case <-time.After(time.Millisecond): // lest one that stays keeps a core busy
		return true
	}
}

func (r *Relay) sendUp(pk *packet) (err error) {
	for range 3 {
		conn := pk.client.upstream.Load()
		if _, err = conn.Write(pk.data); err == nil {
			return nil
		}
		// A refusal is of a packet sent before, and this one has not been sent.
		// A socket that Rebind closed has a successor.
		if !errors.Is(err, syscall.ECONNREFUSED) && pk.client.upstream.Load() == conn {
			return err
		}
	}
	return err
}

func (r *Relay) sendDown(pk *packet) error {
	_, err := r.conn.WriteToUDPAddrPort(pk.data, pk.client.addr)
	return err
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
