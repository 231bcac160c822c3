package engine_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/transport"
)

// from opens a connection from an IP address and says nothing on it.
func (w *world) from(t *testing.T, ip string) (transport.Session, error) {
	pin := w.srv.Pins()[0]
	d := &transport.QUICDialer{Pin: pin[:], Conn: func() (net.PacketConn, error) {
		w.mu.Lock()
		w.ports++
		port := 20000 + w.ports
		w.mu.Unlock()
		return w.net.Endpoint(fmt.Sprintf("%s:%d", ip, port))
	}}
	s, err := d.Dial(t.Context(), "10.0.0.1:4433")
	if err == nil {
		t.Cleanup(func() { s.Close() })
	}
	return s, err
}

// refused fails unless the session is closed at once, and says why.
func refused(t *testing.T, s transport.Session, words string) {
	t.Helper()
	select {
	case <-s.Done():
		if !strings.Contains(s.Err().Error(), words) {
			t.Errorf("closed with %v, want %q", s.Err(), words)
		}
	case <-time.After(time.Second): // virtual; the sign-in timeout is 5 s
		t.Errorf("still open, want %q", words)
	}
}

func TestStrangersAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *engine.ServerConfig) { c.MaxPending, c.MaxPendingPerAddr = 5, 3 })
		var open []transport.Session
		dial := func(ip string) transport.Session {
			s, err := w.from(t, ip)
			must(t, err)
			return s
		}
		for range 3 {
			open = append(open, dial("10.1.1.1"))
		}
		refused(t, dial("10.1.1.1"), "too many connections from 10.1.1.1")
		open = append(open, dial("10.1.1.2"), dial("10.1.1.3"))
		refused(t, dial("10.1.1.4"), "too many connections are signing in")
		for _, s := range open {
			if s.Err() != nil {
				t.Errorf("one within the limits was closed: %v", s.Err())
			}
		}
		time.Sleep(5 * time.Second) // virtual: they had their time
		for _, s := range open {
			refused(t, s, "no sign-in within 5s")
		}
		w.dial(t, "alice", nil) // and there is room again
	})
}

func TestSignInsAreRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *engine.ServerConfig) { c.SignInsPerSecond = 1 })
		tries := func() (n int) {
			for range 20 {
				s, err := w.from(t, "10.1.1.1")
				must(t, err)
				m := &raw{t, s, signal.NewReader(s.Control())}
				m.send(signal.TypeSignIn, 0, signal.SignIn{Version: 1, SDKAppID: testApp, UserID: "alice", UserSig: "guess"})
				if _, err := m.in.Read(); err == nil {
					n++ // an answer, though it is no
				}
				s.Close()
			}
			return n
		}
		if n := tries(); n < 6 || n > 9 {
			t.Errorf("%d of 20 tries were answered, want 6 and one a second", n)
		}
		w.dial(t, "alice", nil)      // another address is not held up
		time.Sleep(10 * time.Second) // virtual
		if n := tries(); n < 6 || n > 9 {
			t.Errorf("%d of 20 tries were answered after a pause", n)
		}
	})
}

// From half of MaxPending on, a new address must show that it is there, which
// costs one more round trip.
func TestRetryUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *engine.ServerConfig) { c.MaxPending = 8 })
		took := func() time.Duration {
			start := time.Now()
			_, err := w.from(t, "10.1.1.1")
			must(t, err)
			took := time.Since(start)
			time.Sleep(100 * time.Millisecond) // virtual: the server has it, too
			return took
		}
		calm := took()
		for range 3 {
			took()
		}
		loaded := took()
		if extra := loaded - calm; extra < 35*time.Millisecond || extra > 60*time.Millisecond {
			t.Errorf("a handshake takes %v in calm and %v under load, want a round trip of 40 ms more", calm, loaded)
		}
	})
}
