package transport_test

import (
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// TestOverRelay has a session over real sockets with a bad network between
// them. A NAT that forgets the client in the middle does not end it.
func TestOverRelay(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{Addr: "127.0.0.1:0", TLSConfig: cert.server()})
	link := simnet.Link{Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.02}
	relay, err := simnet.NewRelay(simnet.RelayConfig{Target: ln.Addr().String(), Up: link, Down: link, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	start := time.Now()
	client, err := (&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), relay.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("the handshake took %v, less than a round trip", took)
	}
	server, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	up, down := make(chan struct{}, 1), make(chan struct{}, 1)
	came := func(c chan struct{}) transport.PacketHandler {
		return func([]byte, time.Time) {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
	server.HandleFlow(1, came(up))
	client.HandleFlow(1, came(down))
	// flows sends until so many packets have come in each direction.
	flows := func() {
		t.Helper()
		tick := time.NewTicker(2 * time.Millisecond)
		defer tick.Stop()
		late := time.After(10 * time.Second)
		for ups, downs := 0, 0; ups < 20 || downs < 20; {
			select {
			case <-tick.C:
				client.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 0)})
				server.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 0)})
			case <-up:
				ups++
			case <-down:
				downs++
			case <-late:
				t.Fatalf("%d packets came up and %d down", ups, downs)
			}
		}
	}
	flows()
	before := server.RemoteAddr().String()
	if at := relay.Clients()[0].Upstream.String(); at != before {
		t.Errorf("the server sees %s, want %s", before, at)
	}
	if err := relay.Rebind(); err != nil {
		t.Fatal(err)
	}
	flows()
	at := relay.Clients()[0].Upstream.String()
	eventually(t, "the server follows", func() bool { return server.RemoteAddr().String() == at })
	if at == before {
		t.Errorf("the relay's port is still %s", at)
	}
	flows()
	if client.Err() != nil || server.Err() != nil {
		t.Errorf("ended: %v, %v", client.Err(), server.Err())
	}
}
