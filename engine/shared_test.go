package engine_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// initShared signs a user in with Init, and destroys the client with the test.
func initShared(t *testing.T, srv *engine.Server, user string) (*engine.Client, *recorder) {
	t.Helper()
	rec := newRecorder()
	c, err := engine.Init(t.Context(), sharedConfig(t, srv, user, rec))
	must(t, err)
	t.Cleanup(func() { c.Destroy(); <-c.Done() })
	return c, rec
}

func sharedConfig(t *testing.T, srv *engine.Server, user string, l hooks.Listener) engine.ClientConfig {
	return engine.ClientConfig{
		Dialer: srv.Pipe(), SDKAppID: testApp, UserID: user, UserSig: sign(t, user),
		Codec: pionopus.Driver{}, Listener: l,
	}
}

func wantNoShared(t *testing.T, when string, why error) {
	t.Helper()
	c, err := engine.SharedInstance()
	if c != nil || !errors.Is(err, engine.ErrNotInit) {
		t.Errorf("%s: SharedInstance() = %v, %v; want nil and ErrNotInit", when, c, err)
	}
	if why != nil && !errors.Is(err, why) {
		t.Errorf("%s: SharedInstance says %v, not %v", when, err, why)
	}
}

func TestSharedInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		wantNoShared(t, "before Init", nil)

		alice, _ := initShared(t, srv, "alice")
		if c, err := engine.SharedInstance(); c != alice || err != nil {
			t.Errorf("SharedInstance() = %p, %v; want the client of Init, %p", c, err, alice)
		}
		if _, err := engine.Init(t.Context(), sharedConfig(t, srv, "bob", nil)); !errors.Is(err, engine.ErrInitTwice) {
			t.Errorf("a second Init: %v", err)
		}
		// Dial does not touch it.
		bob, _ := dial(t, srv, "bob", nil)
		must(t, bob.Destroy())
		if c, err := engine.SharedInstance(); c != alice || err != nil {
			t.Errorf("after Dial and Destroy of another: %p, %v", c, err)
		}

		must(t, alice.Destroy())
		wantNoShared(t, "after Destroy", net.ErrClosed)

		carol, _ := initShared(t, srv, "carol")
		if c, _ := engine.SharedInstance(); c != carol {
			t.Error("after Destroy, Init does not set another")
		}
	})
}

func TestSharedInstanceThatEndedByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		_, a := initShared(t, srv, "alice")
		dial(t, srv, "alice", nil) // kicks the first
		a.wait(t, "kicked")
		synctest.Wait()
		wantNoShared(t, "after a kick", engine.ErrKicked)
		initShared(t, srv, "alice")
		if _, err := engine.SharedInstance(); err != nil {
			t.Error(err)
		}
	})
}

// What fails leaves nothing behind, and what is on its way counts.
func TestInitFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		cfg := sharedConfig(t, srv, "alice", nil)
		cfg.UserSig = "forged"
		var e *engine.Error
		if c, err := engine.Init(t.Context(), cfg); c != nil || !errors.As(err, &e) || e.Code != hooks.CodeUserSig {
			t.Errorf("Init = %v, %v", c, err)
		}
		wantNoShared(t, "after a failed Init", nil)

		errs := make(chan error, 5)
		for range cap(errs) {
			go func() {
				c, err := engine.Init(context.Background(), sharedConfig(t, srv, "alice", nil))
				if err == nil {
					t.Cleanup(func() { c.Destroy(); <-c.Done() })
				}
				errs <- err
			}()
		}
		ok := 0
		for range cap(errs) {
			if err := <-errs; err == nil {
				ok++
			} else if !errors.Is(err, engine.ErrInitTwice) {
				t.Error(err)
			}
		}
		if ok != 1 {
			t.Errorf("%d of 5 Inits at once succeeded, want 1", ok)
		}
	})
}

// A callback may end the shared instance and sign in the next user.
func TestInitInsideACallback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		_, a := initShared(t, srv, "alice")
		next := make(chan error, 1)
		a.on = func(e string) {
			if e != "invited by bob audio 30s" {
				return
			}
			c, err := engine.SharedInstance()
			if err == nil {
				err = c.Destroy()
			}
			if err == nil {
				c, err = engine.Init(context.Background(), sharedConfig(t, srv, "alice", nil))
				t.Cleanup(func() { c.Destroy(); <-c.Done() })
			}
			next <- err
		}
		bob, _ := dial(t, srv, "bob", nil)
		must(t, bob.Call(t.Context(), "alice", hooks.MediaAudio))
		must(t, <-next)
		if _, err := engine.SharedInstance(); err != nil {
			t.Error(err)
		}
	})
}

// Logging out and in again must not lose the calls that come to the new
// instance, nor bring them to the listeners of the old one.
func TestComplaint67LogoutAndLoginAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		bob, _ := dial(t, srv, "bob", nil)
		old, before := initShared(t, srv, "alice")
		for range 3 {
			must(t, old.Destroy())
			<-old.Done()
			told := before.all()
			now, after := initShared(t, srv, "alice")
			extra := newRecorder()
			now.SetCallingListener(extra)
			must(t, bob.Call(t.Context(), "alice", hooks.MediaAudio))
			after.wait(t, "invited by bob")
			extra.wait(t, "invited by bob")
			must(t, now.Accept(t.Context()))
			after.wait(t, "begin")
			must(t, bob.Hangup(t.Context()))
			after.wait(t, "end hangup")
			synctest.Wait()
			if again := before.all(); !slices.Equal(again, told) {
				t.Errorf("the listener of the old instance was told %q", again[len(told):])
			}
			old, before = now, after
		}
	})
}
