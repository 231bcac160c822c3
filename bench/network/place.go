package network

import (
	"fmt"
	"net"
	"sync"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// place is where a server and its users are: each user behind a path of their
// own.
type place interface {
	// listen opens the server's socket.
	listen() (net.PacketConn, error)
	// connect returns the address at which a user reaches the server, and what
	// opens sockets for that.
	connect(user string, p Path) (addr string, open func() (net.PacketConn, error), err error)
	// set changes a user's path.
	set(user string, p Path) error
	close()
}

// simulated is in virtual time, if it is made in a synctest bubble.
type simulated struct {
	net    *simnet.Network
	server *simnet.Conn

	mu    sync.Mutex
	paths map[string]Path
	conns map[string][]*simnet.Conn
}

const serverAddr = "10.0.0.1:4433"

func newSimulated(seed uint64) *simulated {
	return &simulated{net: simnet.New(simnet.Config{Seed: seed}), paths: make(map[string]Path), conns: make(map[string][]*simnet.Conn)}
}

func (s *simulated) listen() (_ net.PacketConn, err error) {
	s.server, err = s.net.Endpoint(serverAddr)
	return s.server, err
}

func (s *simulated) connect(user string, p Path) (string, func() (net.PacketConn, error), error) {
	if err := s.set(user, p); err != nil {
		return "", nil, err
	}
	return serverAddr, func() (net.PacketConn, error) {
		c, err := s.net.Endpoint("")
		if err != nil {
			return nil, err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conns[user] = append(s.conns[user], c)
		s.net.SetBoth(s.server, c, s.paths[user].link())
		return c, nil
	}, nil
}

func (s *simulated) set(user string, p Path) error {
	if err := p.link().Validate(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paths[user] = p
	for _, c := range s.conns[user] {
		s.net.SetBoth(s.server, c, p.link())
	}
	return nil
}

func (s *simulated) close() { s.net.Close() }

// relayed is real sockets on loopback, with a relay for each user, in real
// time.
type relayed struct {
	seed   uint64
	server net.PacketConn
	relays map[string]*simnet.Relay
}

func newRelayed(seed uint64) *relayed {
	return &relayed{seed: seed, relays: make(map[string]*simnet.Relay)}
}

func (r *relayed) listen() (_ net.PacketConn, err error) {
	r.server, err = net.ListenPacket("udp", "127.0.0.1:0")
	return r.server, err
}

func (r *relayed) connect(user string, p Path) (string, func() (net.PacketConn, error), error) {
	relay, err := simnet.NewRelay(simnet.RelayConfig{
		Target: r.server.LocalAddr().String(), Up: p.link(), Down: p.link(), Seed: r.seed,
	})
	if err != nil {
		return "", nil, err
	}
	r.relays[user] = relay
	return relay.Addr().String(), func() (net.PacketConn, error) { return net.ListenPacket("udp", "127.0.0.1:0") }, nil
}

func (r *relayed) set(user string, p Path) error {
	relay := r.relays[user]
	if relay == nil {
		return fmt.Errorf("network: %s has no relay", user)
	}
	return relay.SetLinks(p.link(), p.link())
}

func (r *relayed) close() {
	for _, relay := range r.relays {
		relay.Close()
	}
}
