package transport_test

import (
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// floor is the least MTU that QUIC works over, as bytes of UDP payload (RFC
// 9000 section 14).
const floor = 1200

// TestMTUFloor: a path that has never carried more than the floor carries all
// of a session, from its handshake on.
func TestMTUFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t, simnet.Link{Delay: 20 * time.Millisecond, MTU: floor}, transport.SessionConfig{})
		defer s.close()
		carriesAll(t, s.client, s.server)
		carriesAll(t, s.server, s.client)
	})
}

// TestMTUShrinks: a path whose MTU shrinks under a session, between real
// sockets on which quic-go could find out the MTU, goes on carrying all of it.
// Nobody says that what is larger is lost.
func TestMTUShrinks(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	wide := simnet.Link{Delay: 2 * time.Millisecond, MTU: 1472} // Ethernet's, IPv4
	relay := must(simnet.NewRelay(simnet.RelayConfig{Target: ln.Addr().String(), Up: wide, Down: wide}))
	defer relay.Close()
	client := must((&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), relay.Addr().String()))
	defer client.Close()
	server := must(ln.Accept(t.Context()))
	// Five round trips and more for each probe, if there are any.
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		carriesAll(t, client, server)
		carriesAll(t, server, client)
	}
	for _, mtu := range []int{1252, 1232, floor} { // an IPv4 and an IPv6 packet of 1280 bytes; QUIC's floor
		narrow := wide
		narrow.MTU = mtu
		if err := relay.SetLinks(narrow, narrow); err != nil {
			t.Fatal(err)
		}
		carriesAll(t, client, server)
		carriesAll(t, server, client)
	}
	if up, down := tooLarge(relay); up != 0 || down != 0 {
		t.Errorf("%d packets up and %d down were larger than the path", up, down)
	}
}

// TestDiscoverMTU: each side that is asked to looks for a larger MTU, and only
// that side.
func TestDiscoverMTU(t *testing.T) {
	cert := newCert(t)
	for _, c := range []struct{ client, server bool }{{true, false}, {false, true}} {
		ln := listen(t, transport.ListenConfig{TLSConfig: cert.server(), Session: transport.SessionConfig{DiscoverMTU: c.server}})
		narrow := simnet.Link{MTU: floor}
		relay := must(simnet.NewRelay(simnet.RelayConfig{Target: ln.Addr().String(), Up: narrow, Down: narrow}))
		defer relay.Close()
		d := transport.QUICDialer{Pin: cert.pin(), Session: transport.SessionConfig{DiscoverMTU: c.client}}
		client := must(d.Dial(t.Context(), relay.Addr().String()))
		defer client.Close()
		server := must(ln.Accept(t.Context()))
		eventually(t, "a probe comes", func() bool {
			client.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 0)})
			server.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 0)})
			up, down := tooLarge(relay)
			return up+down > 0
		})
		if up, down := tooLarge(relay); up > 0 != c.client || down > 0 != c.server {
			t.Errorf("%+v: %d probes up, %d down", c, up, down)
		}
	}
}

// tooLarge is how many packets a relay has lost for their size.
func tooLarge(r *simnet.Relay) (up, down uint64) {
	s := r.Stats()
	return s.Up.Dropped[simnet.DropMTU], s.Down.Dropped[simnet.DropMTU]
}

// carriesAll sends the largest packet that is promised to fit a datagram, a
// full bundle, a long control message, and a long packet on a stream.
func carriesAll(t *testing.T, from, to transport.Session) {
	t.Helper()
	from.SetBundles(true)
	var datagrams, streams atomic.Int32
	to.HandleFlow(1, func(p []byte, _ time.Time) {
		if len(p) == transport.MaxPacketSize || len(p) == 180 {
			datagrams.Add(1)
		}
	})
	to.HandleFlow(2, func(p []byte, _ time.Time) { streams.Add(int32(len(p))) })
	defer to.RemoveFlow(1)
	defer to.RemoveFlow(2)
	var batch []transport.Packet
	for i := range 6 {
		batch = append(batch, transport.Packet{Flow: 1, Payload: rtpPacket(180, uint16(i))})
	}
	from.Send(transport.Packet{Flow: 1, Payload: rtpPacket(transport.MaxPacketSize, 100)})
	from.SendBatch(batch)
	const long = 8000
	wrote := make(chan error, 1)
	go func() {
		_, err := from.Control().Write(make([]byte, long))
		wrote <- err
	}()
	st, err := from.OpenFlowStream(t.Context(), 2)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		st.WritePacket(rtpPacket(long, 1))
		st.Close()
	}()
	read := make(chan error, 1)
	go func() {
		_, err := io.ReadFull(to.Control(), make([]byte, long))
		read <- err
	}()
	for _, c := range []chan error{wrote, read} {
		select {
		case err := <-c:
			if err != nil {
				t.Fatal(err)
			}
		case <-time.After(6 * time.Second):
			t.Fatal("the control stream stands still")
		}
	}
	eventually(t, "all is there", func() bool { return datagrams.Load() == 7 && streams.Load() == long })
}
