package simnet

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// two returns a network with two endpoints, in both senses joined by l.
func two(t testing.TB, l Link) (n *Network, a, b *Conn) {
	t.Helper()
	n = New(Config{Seed: 1, Link: l})
	t.Cleanup(func() { n.Close() })
	a, errA := n.Endpoint("10.0.0.1:1000")
	b, errB := n.Endpoint("10.0.0.2:2000")
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	return n, a, b
}

func send(t testing.TB, from *Conn, to net.Addr, s string) {
	t.Helper()
	if n, err := from.WriteTo([]byte(s), to); n != len(s) || err != nil {
		t.Fatalf("WriteTo: %d, %v", n, err)
	}
}

// receive returns one packet and its sender.
func receive(t testing.TB, c *Conn) (string, string) {
	t.Helper()
	p := make([]byte, 2000)
	n, from, err := c.ReadFrom(p)
	if err != nil {
		t.Fatal(err)
	}
	return string(p[:n]), from.String()
}

// quiet asserts that nothing comes for a second.
func quiet(t testing.TB, c *Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Second))
	if n, from, err := c.ReadFrom(make([]byte, 2000)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes from %v, %v; want nothing", n, from, err)
	}
	c.SetReadDeadline(time.Time{})
}

func TestDelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := two(t, Link{Delay: 30 * ms})
		start := time.Now()
		send(t, a, b.LocalAddr(), "one")
		send(t, a, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 2000}, "two") // in its 16-byte form
		if s := n.Stats(a, b); s.UnderWay != 2 || s.Delivered != 0 {
			t.Errorf("before the delay: %+v", s)
		}
		for _, want := range []string{"one", "two"} {
			if got, from := receive(t, b); got != want || from != "10.0.0.1:1000" {
				t.Errorf("got %q from %s, want %q", got, from, want)
			}
		}
		if took := time.Since(start); took != 30*ms {
			t.Errorf("it took %v, want 30 ms", took)
		}
		if s := n.Stats(a, b); s.Sent != 2 || s.SentBytes != 6 || s.Delivered != 2 || s.DeliveredBytes != 6 || s.UnderWay != 0 {
			t.Errorf("afterwards: %+v", s)
		}
		if s := n.Stats(b, a); s != (Stats{}) {
			t.Errorf("the other direction: %+v", s)
		}
	})
}

func TestPacketsAreCopiedAndCutToFit(t *testing.T) {
	_, a, b := two(t, Link{})
	p := []byte("hello")
	a.WriteTo(p, b.LocalAddr())
	p[0] = 'J'
	got := make([]byte, 4)
	if n, _, err := b.ReadFrom(got); n != 4 || string(got) != "hell" || err != nil {
		t.Errorf("%d, %q, %v", n, got, err)
	}
	quietNow(t, b) // the rest is gone
}

// quietNow asserts that nothing is there to be read.
func quietNow(t testing.TB, c *Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now())
	if n, from, err := c.ReadFrom(make([]byte, 2000)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %d bytes from %v, %v; want nothing", n, from, err)
	}
	c.SetReadDeadline(time.Time{})
}

func TestOvertakingWakesTheReaderInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := two(t, Link{Delay: 100 * ms})
		start := time.Now()
		send(t, a, b.LocalAddr(), "slow")
		go func() {
			time.Sleep(10 * ms)
			n.SetLink(a, b, Link{Delay: 20 * ms, JitterReorders: true})
			send(t, a, b.LocalAddr(), "fast")
		}()
		for _, want := range []struct {
			packet string
			at     time.Duration
		}{{"fast", 30 * ms}, {"slow", 100 * ms}} {
			if got, _ := receive(t, b); got != want.packet || time.Since(start) != want.at {
				t.Errorf("%q after %v, want %q after %v", got, time.Since(start), want.packet, want.at)
			}
		}
	})
}

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := two(t, Link{Delay: 50 * ms})
		start := time.Now()
		send(t, a, b.LocalAddr(), "late")
		b.SetReadDeadline(start.Add(20 * ms))
		_, _, err := b.ReadFrom(make([]byte, 10))
		var timeout net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no timeout", err)
		}
		if time.Since(start) != 20*ms {
			t.Errorf("the deadline came after %v", time.Since(start))
		}
		// One that is set while a read blocks, to be sooner, later, and never.
		b.SetReadDeadline(start.Add(time.Hour))
		go func() { time.Sleep(10 * ms); b.SetReadDeadline(time.Unix(1, 0)) }()
		if _, _, err := b.ReadFrom(make([]byte, 10)); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 30*ms {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		b.SetDeadline(time.Time{})
		if got, _ := receive(t, b); got != "late" || time.Since(start) != 50*ms {
			t.Errorf("%q after %v", got, time.Since(start))
		}
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := two(t, Link{Delay: 10 * ms})
		var readers sync.WaitGroup
		for range 3 {
			readers.Go(func() {
				if _, _, err := b.ReadFrom(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("ReadFrom: %v", err)
				}
			})
		}
		synctest.Wait()
		send(t, a, b.LocalAddr(), "under way")
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		readers.Wait()
		if s := n.Stats(a, b); s.Dropped[DropClosed] != 1 || s.UnderWay != 0 {
			t.Errorf("%+v", s)
		}
		send(t, a, b.LocalAddr(), "nobody there")
		if n.NoRoute() != 1 {
			t.Errorf("NoRoute is %d", n.NoRoute())
		}
		if err := b.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close: %v", err)
		}
		if _, err := b.WriteTo([]byte("x"), a.LocalAddr()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("WriteTo: %v", err)
		}
		if _, err := b.Rebind(""); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Rebind: %v", err)
		}
		if _, err := n.Endpoint("10.0.0.2:2000"); err != nil {
			t.Errorf("the address of a closed endpoint: %v", err)
		}
		n.Close()
		if _, _, err := a.ReadFrom(nil); !errors.Is(err, net.ErrClosed) {
			t.Errorf("after the network closed: %v", err)
		}
		if _, err := n.Endpoint(""); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Endpoint: %v", err)
		}
	})
}

func TestAddresses(t *testing.T) {
	n, a, _ := two(t, Link{})
	for _, bad := range []string{"10.0.0.1", "localhost:1", "10.0.0.1:99999", "10.0.0.1:1000"} {
		if _, err := n.Endpoint(bad); err == nil {
			t.Errorf("Endpoint(%q) gives no error", bad)
		}
	}
	seen := map[string]bool{}
	for _, addr := range []string{"", "", "10.0.0.1:0", "10.0.0.1:0", "[2001:db8::1]:0"} {
		c, err := n.Endpoint(addr)
		if err != nil {
			t.Fatal(err)
		}
		at := c.LocalAddr().String()
		if seen[at] || c.LocalAddr().(*net.UDPAddr).Port == 0 {
			t.Errorf("Endpoint(%q) is at %s", addr, at)
		}
		seen[at] = true
		send(t, a, c.LocalAddr(), "hi")
		if got, from := receive(t, c); got != "hi" || from != "10.0.0.1:1000" {
			t.Errorf("at %s: %q from %s", at, got, from)
		}
	}
	for _, to := range []net.Addr{nil, (*net.UDPAddr)(nil), &net.UDPAddr{}, &net.UnixAddr{Name: "x"}} {
		if _, err := a.WriteTo([]byte("x"), to); err == nil {
			t.Errorf("WriteTo(%v) gives no error", to)
		}
	}
}

func TestReceiveBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := two(t, Link{Delay: ms})
		b.SetReadBuffer(30)
		for i := range 5 {
			send(t, a, b.LocalAddr(), fmt.Sprintf("packet %03d", i))
		}
		time.Sleep(2 * ms)
		for i := range 3 { // the oldest are kept
			if got, _ := receive(t, b); got != fmt.Sprintf("packet %03d", i) {
				t.Errorf("packet %d is %q", i, got)
			}
		}
		quiet(t, b)
		if s := n.Stats(a, b); s.Dropped[DropReceiver] != 2 || s.Delivered != 3 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCutAndRestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := two(t, Link{})
		n.SetBoth(a, b, Link{Delay: 5 * ms})
		send(t, a, b.LocalAddr(), "under way") // arrives all the same
		n.Cut(a, b)
		send(t, a, b.LocalAddr(), "lost")
		send(t, b, a.LocalAddr(), "lost")
		if got, _ := receive(t, b); got != "under way" {
			t.Errorf("got %q", got)
		}
		quiet(t, a)
		quiet(t, b)
		n.Restore(a, b)
		start := time.Now()
		send(t, b, a.LocalAddr(), "back")
		if got, _ := receive(t, a); got != "back" || time.Since(start) != 5*ms {
			t.Errorf("%q after %v", got, time.Since(start))
		}
		if s := n.Stats(a, b); s.Dropped[DropDown] != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, a, b := two(t, Link{Delay: 5 * ms})
		send(t, a, b.LocalAddr(), "before")
		at, err := a.Rebind("192.0.2.7:7777")
		if err != nil || at.String() != "192.0.2.7:7777" || a.PublicAddr().String() != at.String() {
			t.Fatal(at, err)
		}
		if a.LocalAddr().String() != "10.0.0.1:1000" {
			t.Errorf("LocalAddr is %v", a.LocalAddr())
		}
		send(t, a, b.LocalAddr(), "after")
		for _, want := range []string{"10.0.0.1:1000", "192.0.2.7:7777"} {
			if got, from := receive(t, b); from != want {
				t.Errorf("%q comes from %s, want %s", got, from, want)
			}
		}
		send(t, b, a.LocalAddr(), "to the old address")
		send(t, b, at, "to the new one")
		if got, _ := receive(t, a); got != "to the new one" {
			t.Errorf("got %q", got)
		}
		if n.NoRoute() != 1 {
			t.Errorf("NoRoute is %d", n.NoRoute())
		}
		if _, err := a.Rebind(b.LocalAddr().String()); err == nil {
			t.Error("an address in use is free")
		}
		port, err := a.Rebind("")
		if err != nil || port.Port == 7777 || !port.IP.Equal(at.IP) {
			t.Errorf("another port of the same host is %v, %v", port, err)
		}
		// The link is the endpoint's, whatever its address.
		if s := n.Stats(a, b); s.Sent != 2 {
			t.Errorf("%+v", s)
		}
	})
}

func TestDefaultAndOwnLinks(t *testing.T) {
	n, a, b := two(t, Link{Delay: 1})
	n.SetLink(a, b, Link{Delay: 2})
	n.Link(b, a) // made, but not set
	n.SetDefault(Link{Delay: 3})
	c, _ := n.Endpoint("")
	for _, w := range []struct {
		from, to *Conn
		want     time.Duration
	}{{a, b, 2}, {b, a, 3}, {a, c, 3}} {
		if got := n.Link(w.from, w.to).Delay; got != w.want {
			t.Errorf("from %v to %v the delay is %d, want %d", w.from.LocalAddr(), w.to.LocalAddr(), got, w.want)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a nonsense link did not panic")
		}
	}()
	n.SetDefault(Link{Loss: 2})
}

// One seed loses the same packets, whichever direction talks first; another
// seed loses others.
func TestSeed(t *testing.T) {
	outcome := func(seed uint64, first bool) (got string) {
		n := New(Config{Seed: seed, Link: Link{Loss: 0.5}})
		defer n.Close()
		a, _ := n.Endpoint("")
		b, _ := n.Endpoint("")
		if first {
			b.WriteTo([]byte("x"), a.LocalAddr())
		}
		for i := range 64 {
			a.WriteTo([]byte{byte(i)}, b.LocalAddr())
		}
		b.SetReadDeadline(time.Now().Add(time.Hour))
		for p := make([]byte, 1); n.Stats(a, b).Delivered > uint64(len(got)); {
			b.ReadFrom(p)
			got += string(p)
		}
		return got
	}
	if outcome(1, false) != outcome(1, true) {
		t.Error("one seed, two outcomes")
	}
	if outcome(1, false) == outcome(2, false) {
		t.Error("two seeds, one outcome")
	}
}

func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, testConcurrentUse)
}

func testConcurrentUse(t *testing.T) {
	n, a, b := two(t, Link{Delay: ms, Jitter: ms, Duplicate: 0.1})
	b.SetReadBuffer(1 << 20)
	const writers, each = 4, 500
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				a.WriteTo(make([]byte, 100), b.PublicAddr())
				time.Sleep(5 * time.Microsecond)
			}
		})
	}
	all.Go(func() {
		for i := range 50 {
			n.SetDefault(Link{Delay: time.Duration(i%3) * ms, Duplicate: 0.1})
			b.Rebind("")
			n.Stats(a, b)
			time.Sleep(50 * time.Microsecond)
		}
	})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for p := make([]byte, 200); ; {
				if _, _, err := b.ReadFrom(p); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for s := n.Stats(a, b); s.UnderWay > 0; s = n.Stats(a, b) {
		time.Sleep(ms)
	}
	b.Close()
	readers.Wait()
	s := n.Stats(a, b)
	if s.Delivered+s.DroppedTotal() != s.Sent+s.Duplicated || s.Sent+n.NoRoute() != writers*each {
		t.Errorf("%+v, and %d without a route", s, n.NoRoute())
	}
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	_, a, b := two(t, Link{Jitter: 1, Duplicate: 0.5, Rate: 1e12})
	p, buf, to := make([]byte, 1000), make([]byte, 1500), b.LocalAddr()
	b.SetReadDeadline(time.Now().Add(time.Hour))
	if n := testing.AllocsPerRun(2000, func() {
		a.WriteTo(p, to)
		b.ReadFrom(buf)
	}); n > 0.01 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkConn(b *testing.B) {
	_, from, to := two(b, Link{Jitter: 1, Loss: 0})
	p, buf, addr := make([]byte, 160), make([]byte, 1500), to.LocalAddr()
	b.ReportAllocs()
	for b.Loop() {
		from.WriteTo(p, addr)
		to.ReadFrom(buf)
	}
}
