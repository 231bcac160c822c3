package simnet

import (
	"encoding/binary"
	"errors"
	"math"
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

// upload sends numbered packets of size bytes, a few at a time, and returns
// the numbers that arrive, in order.
func (w *relayed) upload(packets, size int) (got []uint32) {
	w.t.Helper()
	p, in := make([]byte, size), make([]byte, 1<<16)
	before := w.Stats().Up
	for i := range packets {
		binary.BigEndian.PutUint32(p, uint32(i))
		if _, err := w.client.Write(p); err != nil {
			w.t.Fatal(err)
		}
		if (i+1)%100 != 0 && i+1 != packets { // what a socket's buffer holds in any case
			continue
		}
		s := w.settled(before.Sent + uint64(i) + 1)
		for uint64(len(got)) < s.Delivered-before.Delivered {
			w.target.SetReadDeadline(time.Now().Add(10 * time.Second))
			n, err := w.target.Read(in)
			if err != nil || n != size {
				w.t.Fatalf("got %d bytes, %v", n, err)
			}
			got = append(got, binary.BigEndian.Uint32(in))
		}
	}
	return got
}

// overtaken counts the packets that come before one sent earlier.
func overtaken(got []uint32) (n int) {
	for i := range got[1:] {
		if got[i+1] < got[i] {
			n++
		}
	}
	return n
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

func TestRelayLoss(t *testing.T) {
	t.Parallel()
	const packets = 4000
	for name, link := range map[string]Link{"loss": {Loss: 0.1}, "bursts": {Burst: Bursts(0.1, 4)}} {
		w := relay(t, RelayConfig{Up: link, Seed: 1})
		got := w.upload(packets, 60)
		bursts, next := 0, uint32(0)
		for _, n := range got {
			if n > next {
				bursts++
			}
			next = n + 1
		}
		lost := packets - len(got)
		within := 4 * math.Sqrt(0.1*0.9/packets)
		reason := DropLoss
		if name == "bursts" {
			reason = DropBurst
			within *= 3 // a burst is one event
			near(t, "burst length", float64(lost)/float64(bursts), 4, 1)
		}
		near(t, name, float64(lost)/packets, 0.1, within)
		if s := w.Stats().Up; s.Dropped[reason] != uint64(lost) || s.DroppedTotal() != uint64(lost) || s.Sent != packets {
			t.Errorf("%s: %d lost, counted %+v", name, lost, s)
		}
	}
}

// With one seed the same packets are lost, whatever the other direction does.
func TestRelaySeed(t *testing.T) {
	t.Parallel()
	lossy := Link{Loss: 0.3, Duplicate: 0.1}
	first := relay(t, RelayConfig{Up: lossy, Seed: 7}).upload(200, 60)
	if again := relay(t, RelayConfig{Up: lossy, Down: Link{Loss: 1}, Seed: 7}).upload(200, 60); !slices.Equal(first, again) {
		t.Error("a second relay with the same seed loses others")
	}
	if other := relay(t, RelayConfig{Up: lossy, Seed: 8}).upload(200, 60); slices.Equal(first, other) {
		t.Error("another seed loses the same")
	}
}

// A line of 1 Mbit/s takes 8 ms for each packet of 1000 bytes, and 100 ms hold
// 13 of them.
func TestRelayRate(t *testing.T) {
	t.Parallel()
	w := relay(t, RelayConfig{Up: Link{Rate: 1_000_000, QueueTime: 100 * ms}})
	start := time.Now()
	p := make([]byte, 1000-headerBytes)
	for range 60 {
		w.client.Write(p)
	}
	eventually(t, "all came in", func() bool { return w.Stats().Up.Sent == 60 })
	s := w.Stats().Up
	spent := time.Since(start)
	if spent < 50*ms && (s.QueueTime < 50*ms || s.QueueBytes < 6000) {
		t.Errorf("after %v there wait %v and %d bytes", spent, s.QueueTime, s.QueueBytes)
	}
	s = w.settled(60)
	for i := range int(s.Delivered) {
		get(t, w.target)
		if took := time.Since(start); took < time.Duration(i+1)*8*ms {
			t.Errorf("packet %d came after %v", i, took)
		}
	}
	// While they come in, the line works some off.
	if most := 14 + uint64(spent/(8*ms)); s.Delivered < 13 || s.Delivered > most {
		t.Errorf("%d came, want 13 to %d", s.Delivered, most)
	}
	if s.Dropped[DropQueue]+s.Delivered != 60 {
		t.Errorf("counted %+v", s)
	}
	// QueueBytes, and a rate that changes.
	if err := w.SetLinks(Link{Rate: 500_000, QueueBytes: 3500}, Link{}); err != nil {
		t.Fatal(err)
	}
	before := w.settled(60)
	for range 40 {
		w.client.Write(p)
	}
	after := w.settled(100)
	if n := after.Delivered - before.Delivered; n < 3 || n == 40 {
		t.Errorf("%d of 40 came through a queue of 3500 bytes", n)
	}
	for range after.Delivered - before.Delivered {
		get(t, w.target)
	}
	nothing(t, w.target)
}

func TestRelayOrder(t *testing.T) {
	t.Parallel()
	const packets = 300
	w := relay(t, RelayConfig{Up: Link{Jitter: 10 * ms}, Seed: 1})
	if n := overtaken(w.upload(packets, 60)); n != 0 {
		t.Errorf("%d packets overtook others", n)
	}
	for name, link := range map[string]Link{
		"jitter": {Jitter: 10 * ms, JitterReorders: true},
		"some":   {Reorder: 0.2, ReorderDelay: 5 * ms},
	} {
		if err := w.SetLinks(link, Link{}); err != nil {
			t.Fatal(err)
		}
		got := w.upload(packets, 60)
		if n := overtaken(got); len(got) != packets || n == 0 {
			t.Errorf("%s: %d packets came, %d overtook others", name, len(got), n)
		}
	}
	near(t, "reordered", share(w.Stats().Up.Reordered, packets), 0.2, 0.1)
}

func TestRelayDuplicate(t *testing.T) {
	t.Parallel()
	w := relay(t, RelayConfig{Up: Link{Duplicate: 1}})
	got := w.upload(50, 60)
	if len(got) != 100 || w.Stats().Up.Duplicated != 50 {
		t.Errorf("%d came of 50 that are doubled", len(got))
	}
}

func TestRelayMTU(t *testing.T) {
	t.Parallel()
	w := relay(t, RelayConfig{Up: Link{MTU: 1200}})
	sizes := []int{0, 1, 1200, 1201, 9000, 65507}
	for _, size := range sizes {
		put(t, w.client, strings.Repeat("x", size))
	}
	for _, want := range sizes[:3] {
		if p, _ := get(t, w.target); len(p) != want {
			t.Errorf("got %d bytes, want %d", len(p), want)
		}
	}
	if s := w.settled(6); s.Dropped[DropMTU] != 3 {
		t.Errorf("counted %+v", s)
	}
	if err := w.SetLinks(Link{}, Link{}); err != nil {
		t.Fatal(err)
	}
	put(t, w.client, strings.Repeat("x", 65507))
	if p, _ := get(t, w.target); len(p) != 65507 {
		t.Errorf("got %d bytes of UDP's largest packet", len(p))
	}
}

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
