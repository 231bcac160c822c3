package engine_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// TestOnline: who is signed in, on whatever devices, and no longer.
func TestOnline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, func(c *engine.ServerConfig) { c.MultiDevice = true })
		want := func(when string, got []string, want ...string) {
			t.Helper()
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q are online, want %q", when, got, want)
			}
		}
		want("before anybody came", srv.Online())
		want("asked for nobody who is", srv.Online("alice"))
		carol, _ := dial(t, srv, "carol", nil)
		alice, _ := dial(t, srv, "alice", nil)
		dial(t, srv, "bob", nil)
		second, _ := dial(t, srv, "alice", nil)
		want("all", srv.Online(), "alice", "bob", "carol")
		want("some", srv.Online("dave", "carol", "", "alice"), "carol", "alice")
		must(t, alice.Destroy())
		want("one device left", srv.Online("alice"), "alice")
		must(t, second.Destroy())
		want("the last device left", srv.Online(), "bob", "carol")
		must(t, srv.Kick("carol", "out"))
		<-carol.Done()
		want("kicked", srv.Online(), "bob")
		srv.Close()
		want("closed", srv.Online())
	})
}

// TestOnlineInsideHooks: deciders, observers and listeners may ask.
func TestOnlineInsideHooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var srv *engine.Server
		decided, observed := make(chan []string, 2), make(chan []string, 2)
		srv = serve(t, func(c *engine.ServerConfig) {
			c.SignIn = func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
				decided <- srv.Online()
				return hooks.SignIn{}, nil
			}
			c.Plugins = []hooks.Plugin{{Name: "asks", Observe: func(e hooks.Event) {
				if e.Kind == hooks.EventSignedIn {
					observed <- srv.Online("bob", "alice")
				}
			}}}
		})
		dial(t, srv, "alice", nil)
		if d, o := <-decided, <-observed; len(d) != 0 || !slices.Equal(o, []string{"alice"}) {
			t.Errorf("while alice signs in %q are online, and then %q", d, o)
		}
		dial(t, srv, "bob", nil)
		if d, o := <-decided, <-observed; !slices.Equal(d, []string{"alice"}) || !slices.Equal(o, []string{"bob", "alice"}) {
			t.Errorf("while bob signs in %q are online, and then %q", d, o)
		}
	})
}
