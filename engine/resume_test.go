package engine_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// world is a server and clients over real QUIC on a simulated network, in
// virtual time.
type world struct {
	net *simnet.Network
	srv *engine.Server
	at  *simnet.Conn

	mu    sync.Mutex
	ports int
	conns map[string][]*simnet.Conn
	cut   string // the user whose sockets are all cut off
	lines map[string]line
}

// line is what lies between a user and the server.
type line struct{ up, down simnet.Link }

func newWorld(t *testing.T, change func(*engine.ServerConfig)) *world {
	w := &world{net: simnet.New(simnet.Config{Link: simnet.Link{Delay: 20 * time.Millisecond}}), conns: make(map[string][]*simnet.Conn)}
	t.Cleanup(func() { w.net.Close() })
	var err error
	w.at, err = w.net.Endpoint("10.0.0.1:4433")
	must(t, err)
	w.srv = serve(t, func(c *engine.ServerConfig) {
		c.InProcess, c.Conn = false, w.at
		if change != nil {
			change(c)
		}
	})
	return w
}

// endpoint makes a new socket for a user.
func (w *world) endpoint(user string) (*simnet.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ports++
	c, err := w.net.Endpoint(fmt.Sprintf("10.0.%d.2:%d", 1+len(user), 5000+w.ports))
	if err == nil {
		w.conns[user] = append(w.conns[user], c)
		if user == w.cut {
			w.net.Cut(w.at, c)
		}
		if l, own := w.lines[user]; own {
			w.net.SetLink(c, w.at, l.up)
			w.net.SetLink(w.at, c, l.down)
		}
	}
	return c, err
}

// sever cuts a user off for good.
func (w *world) sever(user string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = user
	for _, c := range w.conns[user] {
		w.net.Cut(w.at, c)
	}
}

// setLine gives a user's sockets, those to come too, a line of their own.
func (w *world) setLine(user string, l line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.lines == nil {
		w.lines = make(map[string]line)
	}
	w.lines[user] = l
	for _, c := range w.conns[user] {
		w.net.SetLink(c, w.at, l.up)
		w.net.SetLink(w.at, c, l.down)
	}
}

// dial signs a user in over the network.
func (w *world) dial(t *testing.T, user string, change func(*engine.ClientConfig)) (*engine.Client, *recorder) {
	pin := w.srv.Pins()[0]
	return dial(t, w.srv, user, func(c *engine.ClientConfig) {
		c.Addr = "10.0.0.1:4433"
		c.Dialer = &transport.QUICDialer{
			Pin:  pin[:],
			Conn: func() (net.PacketConn, error) { return w.endpoint(user) },
		}
		if slices.Contains(speech.Voices(), user) {
			c.OpusMicrophone = audio.NewPacketSource(speech.Packets(user), true)
		}
		if change != nil {
			change(c)
		}
	})
}

// blackout cuts all of a user's sockets, those to come too, for a time.
func (w *world) blackout(d time.Duration) {
	down := w.net.Link(w.at, w.at)
	down.Down = true
	w.net.SetDefault(down)
	time.Sleep(d) // virtual
	down.Down = false
	w.net.SetDefault(down)
}

// meet makes the two talk.
func (w *world) meet(t *testing.T) (alice, bob *engine.Client, a, b *recorder) {
	alice, a = w.dial(t, "alice", nil)
	bob, b = w.dial(t, "bob", nil)
	must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
	b.wait(t, "invited")
	must(t, bob.Accept(t.Context()))
	a.wait(t, "audio bob true")
	b.wait(t, "audio alice true")
	return alice, bob, a, b
}

// talk makes the two talk, and both listen.
func (w *world) talk(t *testing.T) (alice, bob *engine.Client, a, b *recorder) {
	alice, bob, a, b = w.meet(t)
	listen(t, alice)
	listen(t, bob)
	time.Sleep(time.Second) // virtual
	return alice, bob, a, b
}

// listen reads what a client hears until the test ends.
func listen(t *testing.T, c *engine.Client) {
	_, stop := record(c)
	t.Cleanup(stop)
}

// heard is how many packets of the other have been played so far.
func heard(c *engine.Client) (n uint64) {
	for _, tr := range c.Stats().Tracks {
		n += tr.Jitter.Played
	}
	return n
}

// hearsOn fails unless the client goes on hearing the other.
func hearsOn(t *testing.T, c *engine.Client) {
	t.Helper()
	before := heard(c)
	time.Sleep(time.Second) // virtual
	if n := heard(c) - before; n < 40 {
		t.Errorf("%s: %d packets played in the second after, want about 50", c.UserID(), n)
	}
}

func TestBlackoutsAreSurvived(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 3 * time.Second, 4500 * time.Millisecond, 7 * time.Second, 10 * time.Second, 13 * time.Second} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				alice, bob, a, b := w.talk(t)
				before := len(a.all())
				w.blackout(d)
				time.Sleep(2 * time.Second) // virtual
				for _, r := range []*recorder{a, b} {
					for _, e := range r.all()[before:] {
						if !strings.HasPrefix(e, "warning 6007") && !strings.HasPrefix(e, "enter") && !strings.HasPrefix(e, "begin") && !strings.HasPrefix(e, "audio") {
							t.Errorf("somebody was told: %s", e)
						}
					}
				}
				hearsOn(t, alice)
				hearsOn(t, bob)
				must(t, alice.Hangup(t.Context()))
				b.wait(t, "end hangup")
			})
		})
	}
}

func TestLongBlackoutEndsTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, _, a, b := w.talk(t)
		start := time.Now()
		w.sever("alice")
		b.wait(t, "leave alice 1")
		if took := time.Since(start); took < 14*time.Second || took > 16*time.Second {
			t.Errorf("bob was told after %v, want 15 s from the last packet", took)
		}
		b.wait(t, "end offline")
		a.wait(t, "error -8")
		<-alice.Done()
		events := a.all()
		if !slices.Contains(events, "warning 6007") || !slices.ContainsFunc(events, func(e string) bool { return strings.HasPrefix(e, "end offline") }) {
			t.Errorf("alice was told %q", events)
		}
	})
}

// A page that is closed is gone soon, one that is loaded again is not: both
// close their connection with code 0.
func TestWhoClosesIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		bob, b := dial(t, srv, "bob", nil)
		page := rawDial(t, srv)
		token := page.signIn("alice").Token
		must(t, bob.Call(t.Context(), "alice", hooks.MediaAudio))
		_, inv := page.read(signal.TypeInvited)
		page.send(signal.TypeAccept, 1, signal.CallRef{CallID: inv.(*signal.Invited).CallID})
		page.read(signal.TypeResult)
		b.wait(t, "begin")

		page.sess.Close()
		time.Sleep(4 * time.Second)
		page = rawDial(t, srv)
		if w, no := page.resume(token, 0); no != nil || !w.Resumed {
			t.Fatalf("after 4 s: %+v", no)
		}
		closed := time.Now()
		page.sess.Close()
		b.wait(t, "leave alice 1")
		if took := time.Since(closed); took < 4*time.Second || took > 6*time.Second {
			t.Errorf("bob was told after %v, want 5 s", took)
		}
	})
}

// What happens while a client is away reaches it when it is back, and what it
// asked for is done once.
func TestEventsAndRequestsSurviveABlackout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob, a, b := w.talk(t)
		w.mu.Lock()
		w.net.Cut(w.at, w.conns["alice"][0])
		w.mu.Unlock()
		time.Sleep(100 * time.Millisecond) // virtual
		must(t, bob.SetMicMute(t.Context(), true))
		hung := make(chan error, 1)
		go func() { hung <- alice.Hangup(t.Context()) }()
		must(t, <-hung) // goes through on another socket
		a.wait(t, "audio bob false")
		a.wait(t, "end hangup")
		b.wait(t, "end hangup")
		count := func(r *recorder, prefix string) (n int) {
			for _, e := range r.all() {
				if strings.HasPrefix(e, prefix) {
					n++
				}
			}
			return n
		}
		time.Sleep(5 * time.Second) // virtual
		if n := count(a, "end"); n != 1 {
			t.Errorf("alice was told %d times of the end", n)
		}
		if n := count(b, "end"); n != 1 {
			t.Errorf("bob was told %d times of the end", n)
		}
	})
}

func TestNATRebinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob, a, b := w.talk(t)
		before := len(a.all()) + len(b.all())
		w.mu.Lock()
		_, err := w.conns["alice"][0].Rebind("10.0.9.9:777")
		w.mu.Unlock()
		must(t, err)
		time.Sleep(time.Second) // virtual
		hearsOn(t, alice)
		hearsOn(t, bob)
		if n := len(a.all()) + len(b.all()); n != before {
			t.Errorf("somebody was told: %q %q", a.all(), b.all())
		}
	})
}

// A native client's local address changes in the middle of a call.
func TestMigration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		var sess transport.Session
		bob, b := w.dial(t, "bob", nil)
		alice, a := w.dial(t, "alice", func(c *engine.ClientConfig) {
			c.Dialer = keep{c.Dialer, &sess}
		})
		listen(t, alice)
		listen(t, bob)
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		a.wait(t, "audio bob true")
		time.Sleep(time.Second) // virtual
		before := len(a.all()) + len(b.all())

		wifi := sess.LocalAddr().String()
		mobile, err := w.endpoint("alice-mobile")
		must(t, err)
		must(t, sess.(transport.Migrator).Migrate(t.Context(), mobile))
		w.net.Cut(w.at, w.conns["alice"][0]) // the old network is gone
		hearsOn(t, alice)
		hearsOn(t, bob)
		if now := sess.LocalAddr().String(); now == wifi {
			t.Errorf("the local address is still %s", now)
		}
		if n := len(a.all()) + len(b.all()); n != before {
			t.Errorf("somebody was told: %q %q", a.all(), b.all())
		}
		must(t, alice.Hangup(t.Context()))
	})
}

// keep is a dialer that remembers its last session.
type keep struct {
	transport.Dialer
	last *transport.Session
}

func (k keep) Dial(ctx context.Context, addr string) (transport.Session, error) {
	s, err := k.Dialer.Dial(ctx, addr)
	*k.last = s
	return s, err
}
