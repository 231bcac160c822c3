package simnet

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// udp opens a socket of this machine.
func udp(t testing.TB) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadBuffer(socketBuffer)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// relayed is a relay with a target and a client.
type relayed struct {
	*Relay
	t              testing.TB
	target, client *net.UDPConn
}

func relay(t testing.TB, c RelayConfig) *relayed {
	t.Helper()
	w := &relayed{t: t, target: udp(t)}
	c.Target = w.target.LocalAddr().String()
	r, err := NewRelay(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	w.Relay = r
	w.client = w.newClient()
	return w
}

func (w *relayed) newClient() *net.UDPConn {
	w.t.Helper()
	conn, err := net.DialUDP("udp", nil, w.Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	conn.SetReadBuffer(socketBuffer)
	w.t.Cleanup(func() { conn.Close() })
	return conn
}

// put sends a packet on a connected socket.
func put(t testing.TB, from *net.UDPConn, s string) {
	t.Helper()
	if _, err := from.Write([]byte(s)); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
}

// get waits for a packet.
func get(t testing.TB, at *net.UDPConn) (string, netip.AddrPort) {
	t.Helper()
	p := make([]byte, 1<<16)
	at.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, from, err := at.ReadFromUDPAddrPort(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(p[:n]), from
}

// nothing asserts that no packet has come.
func nothing(t testing.TB, at *net.UDPConn) {
	t.Helper()
	at.SetReadDeadline(time.Now().Add(time.Millisecond))
	if n, from, err := at.ReadFromUDPAddrPort(make([]byte, 1<<16)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes from %v, %v; want nothing", n, from, err)
	}
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("it did not come to pass: " + what)
		}
	}
}

// settled waits until the relay has dealt with so many packets of the client.
func (w *relayed) settled(sent uint64) Stats {
	w.t.Helper()
	var s Stats
	eventually(w.t, "the packets are through", func() bool {
		s = w.Stats().Up
		return s.Sent >= sent && s.UnderWay == 0
	})
	return s
}

func TestRelayDelay(t *testing.T) {
	w := relay(t, RelayConfig{Up: Link{Delay: 20 * ms}, Down: Link{Delay: 10 * ms}})
	var up, round []time.Duration
	for range 20 {
		sent := time.Now()
		put(t, w.client, "ping")
		_, from := get(t, w.target)
		up = append(up, time.Since(sent))
		w.target.WriteToUDPAddrPort([]byte("pong"), from)
		if answer, _ := get(t, w.client); answer != "pong" {
			t.Fatalf("got %q", answer)
		}
		round = append(round, time.Since(sent))
	}
	slices.Sort(up)
	slices.Sort(round)
	t.Logf("20 ms took %v to %v, p50 %v", up[0], up[19], up[10])
	// Never early. How late depends on what else the machine does: the best of
	// twenty is late by the relay alone.
	if up[0] < 20*ms || up[0] > 30*ms {
		t.Errorf("20 ms took at least %v", up[0])
	}
	if round[0] < 30*ms || round[0] > 45*ms {
		t.Errorf("20 + 10 ms took at least %v", round[0])
	}
	eventually(t, "all are counted", func() bool { return w.Stats().Down.Delivered == 20 })
	s := w.Stats()
	if s.Up.Sent != 20 || s.Up.SentBytes != 80 || s.Up.Delivered != 20 || s.Up.DeliveredBytes != 80 || s.Up.DroppedTotal() != 0 || s.Clients != 1 {
		t.Errorf("counted %+v", s)
	}
}

func TestRelayDown(t *testing.T) {
	w := relay(t, RelayConfig{})
	put(t, w.client, "1")
	_, from := get(t, w.target)
	up, down := w.Links()
	up.Down, down.Down = true, true
	if err := w.SetLinks(up, down); err != nil {
		t.Fatal(err)
	}
	put(t, w.client, "2")
	w.target.WriteToUDPAddrPort([]byte("2"), from)
	eventually(t, "both are lost", func() bool {
		s := w.Stats()
		return s.Up.Dropped[DropDown] == 1 && s.Down.Dropped[DropDown] == 1
	})
	up.Down, down.Down = false, false
	if err := w.SetLinks(up, down); err != nil {
		t.Fatal(err)
	}
	put(t, w.client, "3")
	if p, again := get(t, w.target); p != "3" || again != from {
		t.Errorf("got %q from %v", p, again)
	}
	w.target.WriteToUDPAddrPort([]byte("3"), from)
	if p, _ := get(t, w.client); p != "3" {
		t.Errorf("got %q", p)
	}
}

// Close in the middle of traffic ends everything (TestMain looks for
// goroutines), and every packet is accounted for.
func TestRelayClose(t *testing.T) {
	w := relay(t, RelayConfig{Up: Link{Jitter: 20 * ms, JitterReorders: true, Loss: 0.1, Duplicate: 0.1}, Down: Link{Delay: time.Hour}})
	addr := w.Addr().String()
	for range 300 {
		put(t, w.client, "ping")
	}
	_, from := get(t, w.target)
	for range 10 {
		w.target.WriteToUDPAddrPort([]byte("pong"), from)
	}
	eventually(t, "packets are under way to the client", func() bool { return w.Stats().Down.UnderWay == 10 })
	for range 2 {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	}
	s := w.Stats()
	if s.Down.Dropped[DropClosed] != 10 || s.Clients != 0 {
		t.Errorf("afterwards: %+v", s)
	}
	for _, d := range []Stats{s.Up, s.Down} {
		if d.UnderWay != 0 || d.Sent+d.Duplicated != d.Delivered+d.DroppedTotal() {
			t.Errorf("afterwards: %+v", d)
		}
	}
	for _, err := range []error{w.SetLinks(Link{}, Link{}), w.Rebind()} {
		if !errors.Is(err, net.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	again, err := NewRelay(RelayConfig{Listen: addr, Target: w.target.LocalAddr().String()})
	if err != nil {
		t.Fatal("the port is not free: ", err)
	}
	again.Close()
}

// A target that is away for a while is no end.
func TestRelayTargetAway(t *testing.T) {
	w := relay(t, RelayConfig{})
	put(t, w.client, "1")
	get(t, w.target)
	addr := w.target.LocalAddr().(*net.UDPAddr)
	w.target.Close()
	for range 20 {
		put(t, w.client, "2")
	}
	w.settled(21)
	target, err := net.ListenUDP("udp", addr)
	if err != nil {
		t.Skip("the port was given away: ", err)
	}
	defer target.Close()
	put(t, w.client, "3")
	if p, _ := get(t, target); p != "3" {
		t.Errorf("got %q", p)
	}
}

func TestRelayMemoryIsBounded(t *testing.T) {
	w := relay(t, RelayConfig{Up: Link{Delay: time.Hour}})
	put(t, w.client, "the first packet makes the client")
	eventually(t, "it is there", func() bool { return w.Stats().Up.Sent == 1 })
	w.mu.Lock()
	c := w.clients[w.client.LocalAddr().(*net.UDPAddr).AddrPort()]
	w.mu.Unlock()
	p := make([]byte, 65507)
	const packets = maxUnderWay/65507 + 10
	for range packets {
		w.up.take(c, &c.up, w.now(), p)
	}
	if s := w.Stats().Up; s.Dropped[DropQueue] != 10 || s.UnderWay != packets-9 {
		t.Errorf("%d dropped, %d under way", s.Dropped[DropQueue], s.UnderWay)
	}
}

func TestRelayErrors(t *testing.T) {
	taken := udp(t)
	in := taken.LocalAddr().String()
	free := udp(t)
	own := free.LocalAddr().String()
	free.Close()
	for _, c := range []struct {
		name   string
		config RelayConfig
		want   string
	}{
		{"no target", RelayConfig{}, "Target"},
		{"no host", RelayConfig{Target: ":4433"}, "lacks a host"},
		{"any host", RelayConfig{Target: "0.0.0.0:4433"}, "lacks a host"},
		{"port 0", RelayConfig{Target: "127.0.0.1:0"}, "lacks a host or a port"},
		{"itself", RelayConfig{Target: own, Listen: own}, "own address"},
		{"no address", RelayConfig{Target: in, Listen: "here"}, "Listen"},
		{"in use", RelayConfig{Target: "127.0.0.1:1", Listen: in}, "in use"},
		{"up", RelayConfig{Target: in, Up: Link{Loss: 2}}, "Link.Loss is 2, want a share between 0 and 1, towards the target"},
		{"down", RelayConfig{Target: in, Down: Link{Delay: -1}}, "Link.Delay is negative, towards clients"},
		{"clients", RelayConfig{Target: in, MaxClients: -1}, "negative"},
		{"idle", RelayConfig{Target: in, IdleTimeout: -1}, "negative"},
	} {
		r, err := NewRelay(c.config)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", c.name, err, c.want)
		}
		if err == nil {
			r.Close()
		}
	}
	w := relay(t, RelayConfig{Up: Link{Delay: ms}})
	if err := w.SetLinks(Link{}, Link{MTU: -1}); err == nil {
		t.Error("SetLinks takes a negative MTU")
	}
	if up, _ := w.Links(); up.Delay != ms {
		t.Errorf("a SetLinks that fails has set %+v", up)
	}
}

func TestRelayAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	w := relay(t, RelayConfig{Up: Link{Jitter: 1000}, Down: Link{Jitter: 1000, Rate: 1 << 30}})
	p, in := make([]byte, 1000), make([]byte, 2000)
	fail := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := testing.AllocsPerRun(500, func() {
		_, err := w.client.Write(p)
		fail(err)
		_, from, err := w.target.ReadFromUDPAddrPort(in)
		fail(err)
		_, err = w.target.WriteToUDPAddrPort(p, from)
		fail(err)
		_, err = w.client.Read(in)
		fail(err)
	}); n != 0 {
		t.Errorf("there and back takes %v allocations", n)
	}
}

// BenchmarkRelay sends one packet at a time through a relay and back.
func BenchmarkRelay(b *testing.B) {
	w := relay(b, RelayConfig{})
	p, in := make([]byte, 100), make([]byte, 2000)
	b.ReportAllocs()
	for b.Loop() {
		w.client.Write(p)
		_, from, err := w.target.ReadFromUDPAddrPort(in)
		if err != nil {
			b.Fatal(err)
		}
		w.target.WriteToUDPAddrPort(p, from)
		w.client.Read(in)
	}
}
