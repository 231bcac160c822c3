package engine_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// several makes a party whose users may be on several devices: "bob" and
// "bob2" are two of bob's.
func several(t *testing.T, test func(p *party), devices ...string) {
	gather(t, func(c *engine.ServerConfig) { c.MultiDevice = true }, func(p *party) {
		for _, d := range devices {
			p.device(d)
		}
		p.forget()
		test(p)
	})
}

// device signs a device in; a digit at the end of its name tells it from the
// user's others.
func (p *party) device(name string) {
	p.t.Helper()
	user := name
	if last := name[len(name)-1]; last >= '0' && last <= '9' {
		user = name[:len(name)-1]
	}
	p.signIn(user)
	p.c[name], p.r[name], p.k[name] = p.c[user], p.r[user], p.k[user]
	if name != user {
		delete(p.c, user)
		delete(p.r, user)
		delete(p.k, user)
	}
}

const ringsBob = "invited by alice audio 30s"

func (p *party) ring(from, to string) {
	p.t.Helper()
	must(p.t, p.c[from].Call(p.ctx(), to, hooks.MediaAudio))
	synctest.Wait()
}

func TestAnsweredElsewhere(t *testing.T) {
	several(t, func(p *party) {
		p.ring("alice1", "bob")
		for _, d := range []string{"bob1", "bob2", "bob3"} {
			p.told(d, ringsBob)
		}
		p.accept("bob2")
		p.told("alice1", "entered", "accept bob", "enter bob", "begin alice audio")
		p.told("alice2")
		p.told("bob2", "entered", "enter alice", "begin alice audio")
		for _, d := range []string{"bob1", "bob3"} {
			p.told(d, "end other device accepted 0s")
			for name, f := range map[string]func(context.Context) error{"accept": p.c[d].Accept, "reject": p.c[d].Reject, "hangup": p.c[d].Hangup} {
				if err := f(p.ctx()); !errors.Is(err, engine.ErrNoCall) {
					t.Errorf("%s: %s: %v", d, name, err)
				}
			}
		}
		p.hangup("bob2")
		p.told("alice1", "leave bob 0", "end hangup 0s")
		p.told("bob2", "end hangup 0s")
		for _, d := range []string{"alice2", "bob1", "bob3"} {
			p.told(d)
		}
	}, "alice1", "alice2", "bob1", "bob2", "bob3")
}

func TestRejectedElsewhere(t *testing.T) {
	for name, f := range map[string]func(*engine.Client, context.Context) error{
		"reject": (*engine.Client).Reject, "hangup": (*engine.Client).Hangup,
	} {
		t.Run(name, func(t *testing.T) {
			several(t, func(p *party) {
				p.ring("alice1", "bob")
				must(t, f(p.c["bob1"], p.ctx()))
				p.told("alice1", "entered", "reject bob", "end reject 0s")
				p.told("bob1", ringsBob)
				p.told("bob2", ringsBob, "end other device rejected 0s")
			}, "alice1", "bob1", "bob2")
		})
	}
}

func TestIgnoredElsewhere(t *testing.T) {
	several(t, func(p *party) {
		p.ring("alice1", "bob")
		must(t, p.c["bob1"].Ignore(p.ctx()))
		p.told("alice1", "entered", "busy bob", "end line busy 0s")
		p.told("bob1", ringsBob)
		p.told("bob2", ringsBob, "end other device rejected 0s")
	}, "alice1", "bob1", "bob2")
}

func TestAllDevicesStopRinging(t *testing.T) {
	several(t, func(p *party) {
		p.ring("alice1", "bob")
		p.hangup("alice1")
		p.told("bob1", ringsBob, "cancel")
		p.told("bob2", ringsBob, "cancel")
		p.ring("alice1", "bob")
		time.Sleep(30 * time.Second) // virtual
		p.told("bob1", ringsBob, "timeout []")
		p.told("bob2", ringsBob, "timeout []")
		p.told("alice1", "entered", "end canceled 0s", "entered", "noresp bob", "timeout [bob]", "end no response 0s")
		p.told("alice2")
	}, "alice1", "alice2", "bob1", "bob2")
}

// Busy is the user, not the device.
func TestBusyOnAnotherDevice(t *testing.T) {
	several(t, func(p *party) {
		p.ring("alice1", "bob")
		if err := p.c["alice2"].Call(p.ctx(), "carol", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("alice calls from her other device while dialling: %v", err)
		}
		if err := p.c["bob2"].Call(p.ctx(), "carol", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("bob calls from his other device while ringing: %v", err)
		}
		p.accept("bob1")
		p.ring("carol1", "bob")
		p.told("carol1", "entered", "busy bob", "end line busy 0s")
		p.told("bob2", ringsBob, "end other device accepted 0s") // and no invitation
		if err := p.c["bob2"].Call(p.ctx(), "carol", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("bob calls from his other device while talking: %v", err)
		}
		var e *engine.Error
		if err := p.c["bob2"].JoinCall(p.ctx(), p.k["bob2"].callID()); !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("bob joins his call on his other device: %v", err)
		}
		p.hangup("alice1")
		must(t, p.c["bob2"].Call(p.ctx(), "carol", hooks.MediaAudio)) // free again
	}, "alice1", "alice2", "bob1", "bob2", "carol1")
}

// Two devices that answer at once: one has the call, the other is told so.
func TestAcceptOnTwoDevicesAtOnce(t *testing.T) {
	several(t, func(p *party) {
		p.ring("alice1", "bob")
		errs := map[string]chan error{"bob1": make(chan error, 1), "bob2": make(chan error, 1)}
		for d, err := range errs {
			go func() { err <- p.c[d].Accept(p.ctx()) }()
		}
		won := 0
		for d, err := range errs {
			if err := <-err; err == nil {
				won++
				p.told(d, ringsBob, "entered", "enter alice", "begin alice audio")
			} else {
				p.told(d, ringsBob, "end other device accepted 0s")
			}
		}
		if won != 1 {
			t.Errorf("%d devices have the call", won)
		}
		p.told("alice1", "entered", "accept bob", "enter bob", "begin alice audio")
	}, "alice1", "bob1", "bob2")
}

// A device that signs in while its user rings, rings for the time that is left;
// one that signs out leaves the others ringing.
func TestDevicesComeAndGoWhileRinging(t *testing.T) {
	several(t, func(p *party) {
		p.ring("alice1", "bob")
		time.Sleep(10 * time.Second) // virtual
		p.device("bob2")
		p.told("bob2", "invited by alice audio 20s")
		must(t, p.c["bob1"].Destroy())
		<-p.c["bob1"].Done()
		p.told("bob1", ringsBob)
		must(t, p.c["bob2"].Destroy()) // nobody is left, and it rings on
		time.Sleep(5 * time.Second)    // virtual
		p.told("alice1", "entered")
		p.device("bob3")
		p.told("bob3", "invited by alice audio 15s")
		p.accept("bob3")
		p.told("alice1", "accept bob", "enter bob", "begin alice audio")
	}, "alice1", "bob1")
}

// The device in the call is lost: the user is out after the window, though
// another device of theirs is there.
func TestDeviceInTheCallIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *engine.ServerConfig) { c.MultiDevice = true })
		alice, a := w.dial(t, "alice", nil)
		_, other := w.dial(t, "bob", nil)
		w.mu.Lock()
		spared := slices.Clone(w.conns["bob"])
		w.mu.Unlock()
		bob, b := w.dial(t, "bob", nil)
		connect(t, alice, bob, b, hooks.MediaAudio)
		other.wait(t, "end other device accepted")
		w.sever("bob")
		for _, c := range spared {
			w.net.Restore(w.at, c)
		}
		a.wait(t, "leave bob 1")
		a.wait(t, "end offline")
		b.wait(t, "error -8")
		synctest.Wait()
		other.want(t, ringsBob, "end other device accepted 0s")
	})
}

// Without MultiDevice a second sign-in while ringing takes the ringing over.
func TestSecondSignInWhileRinging(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.ring("alice", "bob")
		time.Sleep(4 * time.Second) // virtual
		old, r := p.c["bob"], p.r["bob"]
		p.signIn("bob")
		<-old.Done()
		synctest.Wait()
		if got := r.all(); len(got) != 3 || got[0] != ringsBob || got[2] != "kicked" {
			t.Errorf("the first was told %q", got)
		}
		p.told("bob", "invited by alice audio 26s")
		p.accept("bob")
		p.told("alice", "entered", "accept bob", "enter bob", "begin alice audio")
	}, "alice", "bob")
}

// An invitation to a user who is offline waits for them, in groups too; the
// host is asked to wake them.
func TestOfflineInvitation(t *testing.T) {
	pushed := make(chan hooks.PushRequest, 4)
	wake := hooks.Plugin{Push: func(_ context.Context, r hooks.PushRequest) error { pushed <- r; return nil }}
	gather(t, func(c *engine.ServerConfig) { c.Plugins = []hooks.Plugin{wake} }, func(p *party) {
		start := time.Now()
		must(t, p.c["alice"].GroupCall(p.ctx(), []string{"bob", "carol"}, hooks.MediaVideo, "friends"))
		r := <-pushed
		if r.UserID != "carol" || r.Sponsor != "alice" || r.GroupID != "friends" || r.Media != hooks.MediaVideo ||
			r.CallID != p.k["bob"].callID() || r.Until.Sub(start) != 30*time.Second {
			t.Errorf("pushed %+v", r)
		}
		time.Sleep(29 * time.Second) // virtual
		p.signIn("carol")
		p.told("carol", "invited by alice video 1s")
		if inv := p.k["carol"].invited(); inv.Sponsor != "alice" || !slices.Equal(inv.UserIDs, []string{"bob"}) || inv.GroupID != "friends" {
			t.Errorf("carol's invitation: %+v", inv)
		}
		time.Sleep(2 * time.Second) // virtual
		p.told("carol", "timeout []")
		p.signIn("dave") // was not invited
		p.told("dave")
		must(t, p.c["carol"].Destroy())
		p.signIn("carol") // too late
		p.told("carol")
		select {
		case r := <-pushed:
			t.Errorf("pushed again: %+v", r)
		default:
		}
	}, "alice", "bob")
}
