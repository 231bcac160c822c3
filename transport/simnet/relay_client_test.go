package simnet

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Two clients have two ports, lines of their own, and get their own answers.
func TestRelayTwoClients(t *testing.T) {
	// One line for both would have no room for the second packet.
	w := relay(t, RelayConfig{Up: Link{Rate: 64_000, QueueTime: ms}})
	other := w.newClient()
	start := time.Now()
	put(t, w.client, strings.Repeat("a", 972))
	put(t, other, strings.Repeat("b", 972))
	seen := make(map[netip.AddrPort]bool)
	for range 2 {
		p, from := get(t, w.target)
		seen[from] = true
		w.target.WriteToUDPAddrPort([]byte("to "+p[:1]), from)
	}
	if took := time.Since(start); took < 125*ms {
		t.Errorf("1000 bytes took %v at 64 kbit/s", took)
	}
	for client, want := range map[*net.UDPConn]string{w.client: "to a", other: "to b"} {
		if p, from := get(t, client); p != want || from != w.Addr().AddrPort() {
			t.Errorf("got %q from %v, want %q", p, from, want)
		}
		nothing(t, client)
	}
	for _, c := range w.Clients() {
		if !seen[c.Upstream] {
			t.Errorf("the target did not see %v", c.Upstream)
		}
	}
	if len(seen) != 2 || len(w.Clients()) != 2 {
		t.Errorf("the target saw %v", seen)
	}
}

func TestRelayRebind(t *testing.T) {
	w := relay(t, RelayConfig{Listen: ":0"}) // on a socket of both families, clients' addresses have 16 bytes
	other, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: w.Addr().Port})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	w.client = other
	ask := func() netip.AddrPort {
		t.Helper()
		put(t, w.client, "ping")
		_, from := get(t, w.target)
		w.target.WriteToUDPAddrPort([]byte("pong"), from)
		get(t, w.client)
		return from
	}
	first := ask()
	if second := ask(); second != first {
		t.Errorf("the target sees %v, then %v", first, second)
	}
	own := w.client.LocalAddr().(*net.UDPAddr).AddrPort()
	for _, err := range []error{w.Rebind(), w.Rebind(own)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	second := ask()
	if second == first {
		t.Errorf("the target still sees %v", second)
	}
	if c := w.Clients(); len(c) != 1 || c[0] != (RelayClient{own, second}) {
		t.Errorf("clients are %v, want %v at %v", c, own, second)
	}
	w.target.WriteToUDPAddrPort([]byte("too late"), first)
	w.target.WriteToUDPAddrPort([]byte("in time"), second)
	if p, _ := get(t, w.client); p != "in time" {
		t.Errorf("got %q", p)
	}
	if err := w.Rebind(netip.MustParseAddrPort("127.0.0.1:1")); err == nil {
		t.Error("somebody who is no client is rebound")
	}
	if third := ask(); third != second {
		t.Errorf("the target sees %v after %v", third, second)
	}
}

func TestRelayMaxClients(t *testing.T) {
	w := relay(t, RelayConfig{MaxClients: 1})
	put(t, w.client, "1")
	get(t, w.target)
	put(t, w.newClient(), "2")
	eventually(t, "the second is refused", func() bool { return w.Stats().Refused == 1 })
	put(t, w.client, "3")
	if p, _ := get(t, w.target); p != "3" {
		t.Errorf("got %q", p)
	}
}

func TestRelayIdleTimeout(t *testing.T) {
	t.Parallel()
	const idle = 200 * ms
	w := relay(t, RelayConfig{IdleTimeout: idle, MaxClients: 1})
	put(t, w.client, "1")
	_, first := get(t, w.target)
	// Who sends is not idle, unless this machine was.
	start := time.Now()
	last := start
	for last.Sub(start) < 2*idle {
		<-time.After(10 * ms)
		put(t, w.client, "2")
		_, from := get(t, w.target)
		now := time.Now()
		if now.Sub(last) > idle/2 {
			first = from
		}
		if from != first {
			t.Fatalf("the target sees %v after %v", from, first)
		}
		last = now
	}
	eventually(t, "the client is forgotten", func() bool { return w.Stats().Clients == 0 })
	if since := time.Since(last); since < idle/2 {
		t.Errorf("forgotten %v after its last packet", since)
	}
	other := w.newClient() // there is room now
	put(t, other, "3")
	if p, _ := get(t, w.target); p != "3" {
		t.Errorf("got %q", p)
	}
}
