package engine_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// street is a server on loopback and the devices of some users, over real QUIC
// and in real time: nothing here waits for longer than it must.
type street struct {
	t   *testing.T
	srv *engine.Server
	c   map[string]*engine.Client
	r   map[string]*recorder
	k   map[string]*keeper
	d   map[string]*breakable
	at  map[string]int // how many events of each device were looked at
}

// breakable is a dialer whose last session can be broken from outside.
type breakable struct {
	transport.Dialer
	mu   sync.Mutex
	last transport.Session
}

func (b *breakable) Dial(ctx context.Context, addr string) (transport.Session, error) {
	s, err := b.Dialer.Dial(ctx, addr)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last = s
	return s, err
}

func (b *breakable) breakOff() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.last.Close()
}

func newStreet(t *testing.T, multi bool, devices ...string) *street {
	s := &street{t: t, c: map[string]*engine.Client{}, r: map[string]*recorder{}, k: map[string]*keeper{}, d: map[string]*breakable{}, at: map[string]int{}}
	s.srv = serve(t, func(c *engine.ServerConfig) { c.InProcess, c.Addr, c.MultiDevice = false, "127.0.0.1:0", multi })
	for _, d := range devices {
		s.signIn(d)
	}
	return s
}

// signIn signs in a device such as "bob2", the second of bob's.
func (s *street) signIn(device string) {
	s.t.Helper()
	pin := s.srv.Pins()[0]
	s.d[device] = &breakable{Dialer: &transport.QUICDialer{Pin: pin[:]}}
	s.k[device] = new(keeper) // is told before the recorder
	s.c[device], s.r[device] = dial(s.t, s.srv, strings.TrimRight(device, "12"), func(c *engine.ClientConfig) {
		c.Addr, c.Dialer, c.Listener = s.srv.Addr().String(), s.d[device], s.k[device]
	})
	s.c[device].SetCallingListener(s.r[device])
}

// told waits until a device was told these things next, and fails if it was
// told others. Of "end hangup" the duration may be anything.
func (s *street) told(device string, want ...string) {
	s.t.Helper()
	r, late := s.r[device], time.After(15*time.Second)
	for {
		r.mu.Lock()
		got, changed := slices.Clone(r.events[s.at[device]:]), r.changed
		r.mu.Unlock()
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] && !strings.HasPrefix(got[i], want[i]+" ") {
				s.t.Fatalf("%s was told\n %q, want\n %q", device, got, want)
			}
		}
		if len(got) >= len(want) {
			s.at[device] += len(want)
			return
		}
		select {
		case <-changed:
		case <-late:
			s.t.Fatalf("%s was told\n %q, want\n %q", device, got, want)
		}
	}
}

// quiet fails if anybody was told more than was looked at. What the server said
// before it answers has arrived by then.
func (s *street) quiet() {
	s.t.Helper()
	for device, c := range s.c {
		if c.Err() != nil {
			continue
		}
		must(s.t, c.SetSelfInfo(s.t.Context(), device, ""))
	}
	for device, r := range s.r {
		if rest := r.all()[s.at[device]:]; len(rest) > 0 {
			s.t.Fatalf("%s was told %q besides", device, rest)
		}
	}
}

func (s *street) do(f func(*engine.Client, context.Context) error, devices ...string) {
	s.t.Helper()
	for _, d := range devices {
		if err := f(s.c[d], s.t.Context()); err != nil {
			s.t.Fatalf("%s: %v", d, err)
		}
	}
}

var (
	accept = (*engine.Client).Accept
	reject = (*engine.Client).Reject
	hangup = (*engine.Client).Hangup
)

func (s *street) call(from, to string, media hooks.MediaType, o ...engine.CallOptions) {
	s.t.Helper()
	must(s.t, s.c[from].Call(s.t.Context(), to, media, o...))
}

// Four users on two devices each: every kind of call, and each callback of it
// by who was told, in which order, with what.
func TestEndToEnd(t *testing.T) {
	s := newStreet(t, true, "alice1", "alice2", "bob1", "bob2", "carol1", "carol2", "dave1", "dave2")

	// One to one, answered on the second device.
	s.call("alice1", "bob", hooks.MediaVideo, engine.CallOptions{UserData: "hello"})
	const rings = "invited by alice video 30s"
	s.told("alice1", "entered")
	s.told("bob1", rings)
	s.told("bob2", rings)
	for _, d := range []string{"bob1", "bob2"} {
		var inv hooks.Invitation
		s.k[d].keep(func() { inv = s.k[d].invitations[0] })
		if inv.Sponsor != "alice" || inv.IsFromGroup || inv.GroupID != "" || len(inv.UserIDs) != 0 || inv.UserData != "hello" || inv.Media != hooks.MediaVideo {
			t.Errorf("%s was invited by %+v", d, inv)
		}
	}
	s.do(accept, "bob2")
	s.told("alice1", "accept bob", "enter bob", "begin alice video")
	s.told("bob1", "end other device accepted")
	s.told("bob2", "entered", "enter alice", "begin alice video")

	// Busy: alice dials no other, and bob's other device does not ring.
	s.call("carol1", "bob", hooks.MediaAudio)
	s.told("carol1", "entered", "busy bob", "end line busy")
	if err := s.c["alice2"].Call(t.Context(), "dave", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
		t.Errorf("alice calls from her other device: %v", err)
	}
	must(t, s.c["bob2"].SwitchMedia(t.Context(), hooks.MediaAudio))
	s.told("alice1", "media video audio")
	s.told("bob2", "media video audio")
	s.do(hangup, "bob2")
	s.told("alice1", "leave bob 0", "end hangup")
	s.told("bob2", "end hangup")
	s.quiet()

	// Taken back.
	s.call("alice2", "carol", hooks.MediaAudio)
	s.told("carol1", "invited by alice audio 30s")
	s.told("carol2", "invited by alice audio 30s")
	s.do(hangup, "alice2")
	s.told("alice2", "entered", "end canceled")
	s.told("carol1", "cancel")
	s.told("carol2", "cancel")

	// Not answered.
	s.call("dave1", "alice", hooks.MediaAudio, engine.CallOptions{Timeout: 250 * time.Millisecond})
	s.told("dave1", "entered", "noresp alice", "timeout [alice]", "end no response 0s")
	s.told("alice1", "invited by dave audio 0s", "timeout []")
	s.told("alice2", "invited by dave audio 0s", "timeout []")

	// Rejected on one device.
	s.call("dave2", "bob", hooks.MediaAudio)
	s.told("bob1", "invited by dave audio 30s")
	s.told("bob2", "invited by dave audio 30s")
	s.do(reject, "bob1")
	s.told("dave2", "entered", "reject bob", "end reject 0s")
	s.told("bob2", "end other device rejected 0s")
	s.quiet()

	// A group, into which more are invited in the middle.
	must(t, s.c["alice1"].GroupCall(t.Context(), []string{"bob"}, hooks.MediaAudio, "friends"))
	s.told("bob1", "invited by alice audio 30s")
	s.told("bob2", "invited by alice audio 30s")
	s.do(accept, "bob1")
	s.told("alice1", "entered", "accept bob", "enter bob", "begin alice audio")
	s.told("bob1", "entered", "enter alice", "begin alice audio")
	s.told("bob2", "end other device accepted")
	must(t, s.c["bob1"].InviteUser(t.Context(), []string{"carol", "dave"}))
	s.told("alice1", "invitees [carol dave]")
	for _, d := range []string{"carol1", "carol2", "dave1", "dave2"} {
		s.told(d, "invited by bob audio 30s")
	}
	s.do(accept, "carol2")
	for _, d := range []string{"alice1", "bob1"} {
		s.told(d, "accept carol", "enter carol")
	}
	s.told("carol1", "end other device accepted")
	s.told("carol2", "entered", "enter alice", "enter bob", "begin alice audio")
	s.told("dave1", "accept carol")
	s.told("dave2", "accept carol")
	s.do(reject, "dave2")
	for _, d := range []string{"alice1", "bob1", "carol2"} {
		s.told(d, "reject dave")
	}
	s.told("dave1", "end other device rejected")
	s.quiet()

	// Carol's connection breaks, and nobody else notices. What happens
	// meanwhile reaches her.
	s.d["carol2"].breakOff()
	must(t, s.c["alice1"].InviteUser(t.Context(), []string{"dave"}))
	s.told("carol2", "warning 6007", "invitees [dave]")
	s.told("bob1", "invitees [dave]")
	for _, d := range []string{"dave1", "dave2"} {
		s.told(d, "invited by alice audio 30s")
	}
	s.do(accept, "dave1")
	for _, d := range []string{"alice1", "bob1", "carol2"} {
		s.told(d, "accept dave", "enter dave")
	}
	s.told("dave1", "entered", "enter alice", "enter bob", "enter carol", "begin alice audio")
	s.told("dave2", "end other device accepted")
	s.quiet()

	// One after the other leaves.
	s.do(hangup, "alice1")
	s.told("alice1", "end hangup")
	for _, d := range []string{"bob1", "carol2", "dave1"} {
		s.told(d, "leave alice 0")
	}
	must(t, s.c["carol2"].Destroy())
	s.told("carol2", "end hangup")
	s.told("bob1", "leave carol 0")
	s.do(hangup, "dave1")
	s.told("dave1", "leave carol 0", "end hangup")
	s.told("bob1", "leave dave 0", "end hangup")
	for _, d := range []string{"alice1", "bob1", "dave1"} {
		s.k[d].keep(func() {
			ended := s.k[d].ended[len(s.k[d].ended)-1]
			if ended.GroupID != "friends" || ended.Inviter != "alice" || ended.Media != hooks.MediaAudio || ended.CallID == "" {
				t.Errorf("%s: the call that ended is %+v", d, ended)
			}
		})
	}
	s.quiet()
}

// A second sign-in kicks the first, out of its call, too.
func TestEndToEndKick(t *testing.T) {
	s := newStreet(t, false, "alice1", "bob1", "carol1")
	must(t, s.c["alice1"].GroupCall(t.Context(), []string{"bob", "carol"}, hooks.MediaAudio, ""))
	for _, d := range []string{"bob1", "carol1"} {
		s.told(d, "invited by alice audio 30s")
	}
	s.do(accept, "bob1")
	s.told("alice1", "entered", "accept bob", "enter bob", "begin alice audio")
	s.told("bob1", "entered", "enter alice", "begin alice audio")
	s.do(accept, "carol1")
	s.told("alice1", "accept carol", "enter carol")
	s.told("bob1", "enter carol")
	s.told("carol1", "entered", "enter alice", "enter bob", "begin alice audio")
	s.signIn("bob2")
	s.told("bob1", "end ended by server", "kicked")
	s.told("alice1", "leave bob 2")
	s.told("carol1", "leave bob 2")
	<-s.c["bob1"].Done()
	if err := s.c["bob1"].Err(); !errors.Is(err, engine.ErrKicked) {
		t.Errorf("Err() = %v", err)
	}
	s.do(hangup, "alice1")
	s.told("alice1", "end hangup")
	s.told("carol1", "leave alice 0", "end hangup")
	s.call("carol1", "bob", hooks.MediaAudio)
	s.told("bob2", "invited by carol audio 30s")
	s.told("carol1", "entered")
	s.quiet()
}
