package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// A wtWorld is a listener and its clients on a simulated network. In a bubble
// of synctest a goroutine that is left over at the end fails the test.
type wtWorld struct {
	t      *testing.T
	net    *simnet.Network
	cert   *DevCertificate
	server *simnet.Conn
	ln     *NetListener
	log    *lockedBuffer
}

// lockedBuffer is a log's text.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newWTWorld(t *testing.T, link simnet.Link, origins ...string) *wtWorld {
	t.Helper()
	w := &wtWorld{t: t, net: simnet.New(simnet.Config{Seed: 1, Link: link}), log: new(lockedBuffer)}
	var err error
	if w.cert, err = NewDevCertificate(DevCertificateConfig{Hosts: []string{"10.0.0.1"}}); err != nil {
		t.Fatal(err)
	}
	if w.server, err = w.net.Endpoint("10.0.0.1:4433"); err != nil {
		t.Fatal(err)
	}
	w.ln, err = Listen(ListenConfig{
		Conn:           w.server,
		TLSConfig:      &tls.Config{GetCertificate: w.cert.GetCertificate},
		AllowedOrigins: origins,
		Logger:         slog.New(slog.NewTextHandler(w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// close ends the world, inside its bubble.
func (w *wtWorld) close() {
	w.ln.Close()
	w.net.Close()
}

func (w *wtWorld) pin() []byte {
	h := w.cert.Hashes()[0]
	return h[:]
}

func (w *wtWorld) socket() (net.PacketConn, error) { return w.net.Endpoint("") }

func (w *wtWorld) dialer() *WebTransportDialer {
	return &WebTransportDialer{Pin: w.pin(), Conn: w.socket}
}

// dial returns both ends of a session.
func (w *wtWorld) dial(d Dialer, addr string) (client, server Session) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := d.Dial(ctx, addr)
	if err != nil {
		w.t.Fatal(err)
	}
	if server, err = w.ln.Accept(ctx); err != nil {
		w.t.Fatal(err)
	}
	return client, server
}

const wtURL = "https://10.0.0.1:4433/earshot"

// rtpPacket is a packet that is RTP enough.
func rtpPacket(n int, mark byte) []byte {
	p := bytes.Repeat([]byte{mark}, n)
	p[0], p[1] = 0x80, 111
	return p
}

// sendTo sends packets on a flow and returns what the peer got.
func exchange(t *testing.T, from, to Session, flow uint64, sizes ...int) {
	t.Helper()
	got := make(chan []byte, len(sizes))
	if err := to.HandleFlow(flow, func(p []byte, _ time.Time) { got <- bytes.Clone(p) }); err != nil {
		t.Fatal(err)
	}
	for i, n := range sizes {
		want := rtpPacket(n, byte(i+1))
		if err := from.Send(Packet{Flow: flow, Payload: want}); err != nil {
			t.Fatal(err)
		}
		select {
		case p := <-got:
			if !bytes.Equal(p, want) {
				t.Errorf("flow %d: got %d bytes, sent %d", flow, len(p), n)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("flow %d: a packet of %d bytes did not come", flow, n)
		}
	}
	to.RemoveFlow(flow)
}

// talk writes on one control stream and reads on the other.
func talk(t *testing.T, from, to Session, text string) {
	t.Helper()
	if _, err := from.Control().Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(to.Control(), got); err != nil || string(got) != text {
		t.Fatalf("control: got %q, %v; want %q", got, err, text)
	}
}

func TestWebTransportSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 20 * time.Millisecond})
		defer w.close()
		client, server := w.dial(w.dialer(), wtURL)
		for _, s := range []Session{client, server} {
			if s.Protocol() != "webtransport" {
				t.Errorf("the protocol is %q", s.Protocol())
			}
		}
		if a, b := client.RemoteAddr().String(), server.LocalAddr().String(); a != b || a != "10.0.0.1:4433" {
			t.Errorf("the server is at %s and %s", a, b)
		}
		talk(t, client, server, "hello")
		talk(t, server, client, strings.Repeat("welcome", 1000))
		exchange(t, client, server, 1, 12, 160, MaxPacketSize)
		exchange(t, server, client, 1<<40, 12, 160, MaxPacketSize)
		exchange(t, client, server, 2, 3000, MaxStreamPacketSize)
		exchange(t, server, client, 2, 3000, MaxStreamPacketSize)
		if s := client.Stats(); s.RTT < 40*time.Millisecond || s.RTT > 80*time.Millisecond || s.MediaSent != 5 || s.MediaReceived != 5 {
			t.Errorf("statistics: %+v", s)
		}
	})
}

// Either side learns of the other's code and reason, also where packets get lost.
func TestWebTransportCloseWithError(t *testing.T) {
	for _, loss := range []float64{0, 0.2} {
		synctest.Test(t, func(t *testing.T) {
			w := newWTWorld(t, simnet.Link{Delay: 30 * time.Millisecond})
			defer w.close()
			for _, fromServer := range []bool{false, true} {
				for i := range 5 {
					closer, other := w.dial(w.dialer(), wtURL)
					if fromServer {
						closer, other = other, closer
					}
					w.net.SetDefault(simnet.Link{Delay: 30 * time.Millisecond, Loss: loss})
					reason := fmt.Sprintf("for reason %d", i)
					closer.CloseWithError(0x123, reason)
					<-other.Done()
					var e *Error
					if !errors.As(other.Err(), &e) || e.Code != 0x123 || e.Reason != reason || !e.Remote {
						t.Errorf("loss %v: the peer sees %v", loss, other.Err())
					}
					if !errors.Is(closer.Err(), ErrClosed) {
						t.Errorf("the closer sees %v", closer.Err())
					}
					other.Close()
					w.net.SetDefault(simnet.Link{Delay: 30 * time.Millisecond})
				}
			}
		})
	}
}

func TestWebTransportPeerVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 10 * time.Millisecond})
		defer w.close()
		client, server := w.dial(w.dialer(), wtURL)
		talk(t, client, server, "hello")
		start := time.Now()
		w.net.SetDefault(simnet.Link{Down: true})
		<-server.Done()
		<-client.Done()
		if took := time.Since(start); took < 7*time.Second || took > 10*time.Second {
			t.Errorf("noticed after %v, want 8 s", took)
		}
		for _, s := range []Session{client, server} {
			if !errors.Is(s.Err(), ErrIdleTimeout) {
				t.Errorf("the session ended with %v", s.Err())
			}
			s.Close()
		}
	})
}

// One port, raw QUIC and WebTransport at once: packets go from each to each.
func TestMixedClientsOnOnePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond, Jitter: 5 * time.Millisecond})
		defer w.close()
		var clients, servers []Session
		for i := range 6 {
			var d Dialer = w.dialer()
			addr := wtURL
			if i%2 == 0 {
				d, addr = &QUICDialer{Pin: w.pin(), Conn: w.socket}, "10.0.0.1:4433"
			}
			c, s := w.dial(d, addr)
			if want := []string{"quic", "webtransport"}[i%2]; c.Protocol() != want || s.Protocol() != want {
				t.Errorf("client %d speaks %s, the server %s", i, c.Protocol(), s.Protocol())
			}
			clients, servers = append(clients, c), append(servers, s)
		}
		for i, s := range servers {
			s.HandleFlow(1, func(p []byte, _ time.Time) {
				for j, to := range servers {
					if j != i {
						to.Send(Packet{Flow: uint64(10 + i), Payload: p})
					}
				}
			})
		}
		var mu sync.Mutex
		got := make(map[[2]int]int)
		for j, c := range clients {
			for i := range clients {
				c.HandleFlow(uint64(10+i), func([]byte, time.Time) {
					mu.Lock()
					defer mu.Unlock()
					got[[2]int{i, j}]++
				})
			}
		}
		const packets = 50
		for range packets {
			for _, c := range clients {
				c.Send(Packet{Flow: 1, Payload: rtpPacket(100, 1)})
			}
			time.Sleep(20 * time.Millisecond)
		}
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		for i := range clients {
			for j := range clients {
				if want := packets; i != j && got[[2]int{i, j}] != want {
					t.Errorf("client %d heard %d packets of client %d, want %d", j, got[[2]int{i, j}], i, want)
				}
			}
		}
		for _, c := range clients[:3] {
			c.Close()
		}
	})
}

func TestWebTransportOrigins(t *testing.T) {
	for _, c := range []struct {
		allowed []string
		origin  string
		ok      bool
	}{
		{nil, "", true}, // no page
		{nil, "https://game.example", false},
		{[]string{"https://game.example"}, "https://game.example", true},
		{[]string{"https://Game.example:443/"}, "https://game.example", true},
		{[]string{"http://localhost:8080"}, "http://localhost:8080", true},
		{[]string{"http://localhost:8080"}, "http://localhost:8081", false},
		{[]string{"https://game.example"}, "http://game.example", false},
		{[]string{"https://game.example"}, "https://evil.game.example", false},
		{[]string{"https://game.example"}, "https://game.example.evil", false},
		{[]string{"https://game.example"}, "null", false},
		{[]string{"*"}, "https://anything.example", true},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWTWorld(t, simnet.Link{Delay: time.Millisecond}, c.allowed...)
			defer w.close()
			d := w.dialer()
			d.Origin = c.origin
			s, err := d.Dial(context.Background(), wtURL)
			if (err == nil) != c.ok {
				t.Fatalf("allowed %q, origin %q: %v", c.allowed, c.origin, err)
			}
			if err == nil {
				s.Close()
				return
			}
			if !strings.Contains(err.Error(), "does not allow the origin") {
				t.Errorf("the client is told %q", err)
			}
			if log := w.log.String(); !strings.Contains(log, "AllowedOrigins") || !strings.Contains(log, c.origin) {
				t.Errorf("the log says %q", log)
			}
		})
	}
}

func TestWebTransportDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: time.Millisecond})
		defer w.close()
		for _, c := range []struct {
			addr, says string
			is         error
			change     func(*WebTransportDialer)
		}{
			{addr: "10.0.0.1:4433", says: "not a URL"},
			{addr: "http://10.0.0.1:4433/earshot", says: "not a URL"},
			{addr: "https://10.0.0.1:4433/elsewhere", says: "/earshot"},
			{addr: "https://10.0.0.1:99/earshot", says: "no answer"},
			{addr: wtURL, is: ErrPin, change: func(d *WebTransportDialer) { d.Pin = make([]byte, 32) }},
			{addr: wtURL, says: "not trusted", change: func(d *WebTransportDialer) { d.Pin = nil }},
			{addr: wtURL, says: "out of sockets", change: func(d *WebTransportDialer) {
				d.Conn = func() (net.PacketConn, error) { return nil, errors.New("out of sockets") }
			}},
		} {
			d := w.dialer()
			if c.change != nil {
				c.change(d)
			}
			s, err := d.Dial(context.Background(), c.addr)
			if err == nil {
				s.Close()
				t.Errorf("%s: no error", c.addr)
				continue
			}
			if !strings.Contains(err.Error(), c.says) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("%s: %v, want %q and %v", c.addr, err, c.says, c.is)
			}
		}
		// Without a path the default one is meant.
		s, err := w.dialer().Dial(context.Background(), "https://10.0.0.1:4433")
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	})
}

func TestWebTransportDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 100 * time.Millisecond})
		defer w.close()
		for _, wait := range []time.Duration{50, 150, 250, 350} { // in the handshake, and at the request
			ctx, cancel := context.WithTimeout(context.Background(), wait*time.Millisecond)
			start := time.Now()
			_, err := w.dialer().Dial(ctx, wtURL)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > (wait+10)*time.Millisecond {
				t.Errorf("after %v of %v ms: %v", time.Since(start), int(wait), err)
			}
		}
	})
}

func TestWebTransportListenerClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond})
		client, server := w.dial(w.dialer(), wtURL)
		talk(t, client, server, "hello")
		w.ln.Close()
		if _, err := w.ln.Accept(context.Background()); !errors.Is(err, ErrClosed) {
			t.Errorf("Accept: %v", err)
		}
		<-client.Done()
		var e *Error
		if !errors.As(client.Err(), &e) || !e.Remote || e.Code != roq.NoError || e.Reason != "listener closed" {
			t.Errorf("the client sees %v", client.Err())
		}
		client.Close()
		w.net.Close()
	})
}

// A NAT that gives a browser another address does not end its session.
func TestWebTransportSurvivesRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 10 * time.Millisecond})
		defer w.close()
		socket, err := w.net.Endpoint("10.0.0.2:5000")
		if err != nil {
			t.Fatal(err)
		}
		d := w.dialer()
		d.Conn = func() (net.PacketConn, error) { return socket, nil }
		client, server := w.dial(d, wtURL)
		talk(t, client, server, "hello")
		at, err := socket.Rebind("192.0.2.9:999")
		if err != nil {
			t.Fatal(err)
		}
		for flow := uint64(1); flow <= 3; flow++ {
			exchange(t, client, server, flow, 100)
			time.Sleep(100 * time.Millisecond)
		}
		exchange(t, server, client, 9, 100, MaxPacketSize)
		if got := server.RemoteAddr().String(); got != at.String() {
			t.Errorf("the server sees %s, want %v", got, at)
		}
	})
}

// A peer that is no browser is sent datagrams in bursts with pauses, for which no
// sender waits.
func TestWebTransportSendNeverWaitsForPauses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: time.Millisecond})
		defer w.close()
		client, server := w.dial(w.dialer(), wtURL)
		got := 0
		client.HandleFlow(1, func([]byte, time.Time) { got++ })
		client.Control().Write([]byte("hello"))
		time.Sleep(time.Second)
		start := time.Now()
		for range 5 * maxBurst {
			server.Send(Packet{Flow: 1, Payload: rtpPacket(52, 1)})
			synctest.Wait()
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("they were waited with for %v", took)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got != 5*maxBurst {
			t.Errorf("%d of %d came", got, 5*maxBurst)
		}
	})
}
