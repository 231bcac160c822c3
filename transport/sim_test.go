package transport_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// simulated is a session over a simulated network, with its parts.
type simulated struct {
	net            *simnet.Network
	clientConn     *simnet.Conn
	serverConn     *simnet.Conn
	listener       *transport.NetListener
	client, server transport.Session
}

// simulate makes one. Call it in a synctest bubble.
func simulate(t testing.TB, link simnet.Link, cfg transport.SessionConfig) *simulated {
	t.Helper()
	s := &simulated{net: simnet.New(simnet.Config{Seed: 1})}
	s.serverConn = must(s.net.Endpoint("10.0.0.1:4433"))
	s.clientConn = must(s.net.Endpoint("10.0.0.2:5000"))
	s.net.SetBoth(s.clientConn, s.serverConn, link)
	cert := newCert(t)
	s.listener = must(transport.Listen(transport.ListenConfig{Conn: s.serverConn, TLSConfig: cert.server(), Session: cfg}))
	dialer := &transport.QUICDialer{
		Pin:     cert.pin(),
		Conn:    func() (net.PacketConn, error) { return s.clientConn, nil },
		Session: cfg,
	}
	s.client = must(dialer.Dial(context.Background(), "10.0.0.1:4433"))
	s.server = must(s.listener.Accept(context.Background()))
	return s
}

func (s *simulated) close() {
	s.client.Close()
	s.server.Close()
	s.listener.Close()
	s.net.Close()
	time.Sleep(time.Minute) // the bubble's: lets quic-go's timers of closed connections run out
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func rtpPacket(n int, number uint16) []byte {
	p := make([]byte, n)
	p[0], p[1], p[2], p[3] = 0x80, 111, byte(number>>8), byte(number)
	return p
}
