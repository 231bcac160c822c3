package transport_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

// TestMigrate moves a session to other ports, and to another address, in the
// middle of a stream of packets.
func TestMigrate(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{Addr: "0.0.0.0:0", TLSConfig: cert.server()})
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	client, err := (&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	migrator, ok := client.(transport.Migrator)
	if !ok {
		t.Fatal("a session of QUICDialer is no Migrator")
	}

	var up, down atomic.Uint64
	count := func(n *atomic.Uint64) transport.PacketHandler {
		return func(p []byte, _ time.Time) { n.Store(binary.BigEndian.Uint64(p[12:])) }
	}
	server.HandleFlow(1, count(&up))
	client.HandleFlow(1, count(&down))
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		for i := uint64(1); ; i++ {
			p := rtpPacket(100, 0)
			binary.BigEndian.PutUint64(p[12:], i)
			client.Send(transport.Packet{Flow: 1, Payload: p})
			server.Send(transport.Packet{Flow: 1, Payload: p})
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	flowing := func() {
		t.Helper()
		u, d := up.Load(), down.Load()
		eventually(t, "packets flow both ways", func() bool { return up.Load() > u+20 && down.Load() > d+20 })
	}
	flowing()
	for _, addr := range []string{"", "127.0.0.1:0", "127.0.0.2:0", ""} {
		before := client.LocalAddr().String()
		var conn net.PacketConn
		if addr != "" {
			if conn, err = net.ListenPacket("udp4", addr); err != nil {
				t.Skipf("this machine has no %s: %v", addr, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := migrator.Migrate(ctx, conn); err != nil {
			t.Fatalf("Migrate to %q: %v", addr, err)
		}
		cancel()
		flowing()
		if client.LocalAddr().String() == before {
			t.Errorf("the local address is still %v", before)
		}
		if conn != nil && client.LocalAddr().String() != conn.LocalAddr().String() {
			t.Errorf("the local address is %v, want %v", client.LocalAddr(), conn.LocalAddr())
		}
		eventually(t, "the server follows", func() bool {
			return server.RemoteAddr().String() == client.LocalAddr().String()
		})
	}
	if client.Err() != nil || server.Err() != nil {
		t.Errorf("ended: %v, %v", client.Err(), server.Err())
	}

	// A way that leads nowhere changes nothing.
	before := client.LocalAddr().String()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := migrator.Migrate(ctx, &deafConn{PacketConn: must(net.ListenPacket("udp4", "127.0.0.1:0"))}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Migrate to a socket that sends nothing: %v", err)
	}
	if client.LocalAddr().String() != before {
		t.Errorf("moved to %v all the same", client.LocalAddr())
	}
	flowing()

	client.Close()
	if err := migrator.Migrate(t.Context(), nil); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("Migrate after Close: %v, want ErrClosed", err)
	}
}

// deafConn is a socket whose packets go nowhere.
type deafConn struct{ net.PacketConn }

func (deafConn) WriteTo(p []byte, _ net.Addr) (int, error) { return len(p), nil }

// TestSocketFailure: a socket that fails to write for a while, as when the
// Wi-Fi goes, does not end the session.
func TestSocketFailure(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	conn := &failingConn{PacketConn: must(net.ListenPacket("udp4", "127.0.0.1:0"))}
	d := transport.QUICDialer{Pin: cert.pin(), Conn: func() (net.PacketConn, error) { return conn, nil }}
	client, err := d.Dial(t.Context(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{}, 100)
	server.HandleFlow(1, func([]byte, time.Time) { got <- struct{}{} })
	conn.failing.Store(true)
	for range 20 {
		client.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 1)})
	}
	eventually(t, "writes fail", func() bool { return conn.failed.Load() > 0 })
	conn.failing.Store(false)
	eventually(t, "the session goes on", func() bool {
		client.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 2)})
		return len(got) > 0
	})
	if client.Err() != nil {
		t.Errorf("ended: %v", client.Err())
	}
}

type failingConn struct {
	net.PacketConn
	failing atomic.Bool
	failed  atomic.Int32
}

func (c *failingConn) WriteTo(p []byte, a net.Addr) (int, error) {
	if c.failing.Load() {
		c.failed.Add(1)
		return 0, errors.New("network is unreachable")
	}
	return c.PacketConn.WriteTo(p, a)
}

// TestMovesByItself: a session whose machine has a new address moves to a new
// socket without being told.
func TestMovesByItself(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	var moved atomic.Bool
	d := &transport.QUICDialer{Pin: cert.pin()}
	transport.SetSource(d, func() netip.Addr {
		if moved.Load() {
			return netip.MustParseAddr("127.0.0.9")
		}
		return netip.MustParseAddr("127.0.0.1")
	})
	client, err := d.Dial(t.Context(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := server.RemoteAddr().String()
	moved.Store(true)
	eventually(t, "the server sees another port", func() bool {
		client.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 1)})
		return server.RemoteAddr().String() != before
	})
	if a := client.LocalAddr().(*net.UDPAddr).IP.String(); a != "127.0.0.9" {
		t.Errorf("the local address is %s", a)
	}
	if client.Err() != nil {
		t.Errorf("ended: %v", client.Err())
	}
}
