package engine_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// viewer is a view that writes down what it is told, as a recorder does.
type viewer struct{ *recorder }

func newViewer() *viewer { return &viewer{newRecorder()} }

func (v *viewer) Present(s hooks.ViewState) { v.note("present %s", stateWords(s)) }
func (v *viewer) Dismiss(callID string) {
	if callID == "" {
		v.note("dismiss without a call")
	}
	v.note("dismiss")
}

// stateWords leaves out what is empty.
func stateWords(s hooks.ViewState) string {
	words := []string{s.Media.String(), "by " + s.Inviter}
	add := func(yes bool, format string, args ...any) {
		if yes {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	add(s.CallID == "", "without an ID")
	add(s.IsGroup, "group %s", s.GroupID)
	add(s.Ringing, "ringing")
	add(s.Sponsor != "", "sponsor %s", s.Sponsor)
	add(len(s.Invited) > 0, "invited %v", s.Invited)
	add(s.Begun, "begun %v ago", time.Since(s.BegunAt).Round(time.Second))
	add(len(s.Users) > 0, "users %v", s.Users)
	add(len(s.Audio) > 0, "audio %v", s.Audio)
	add(len(s.Video) > 0, "video %v", s.Video)
	return strings.Join(words, ", ")
}

// forget forgets what came so far.
func (r *recorder) forget() {
	synctest.Wait()
	r.mu.Lock()
	r.events = nil
	r.mu.Unlock()
}

// viewed is alice, bob and carol in virtual time; bob has a view.
func viewed(t *testing.T, change func(*engine.ClientConfig), test func(t *testing.T, alice, bob, carol *engine.Client, b *recorder, v *viewer)) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		alice, _ := dial(t, srv, "alice", nil)
		carol, _ := dial(t, srv, "carol", nil)
		v := newViewer()
		bob, b := dial(t, srv, "bob", func(c *engine.ClientConfig) {
			c.View = v
			if change != nil {
				change(c)
			}
		})
		v.client = bob
		test(t, alice, bob, carol, b, v)
	})
}

// ring makes a user call bob, and waits until it rings there.
func ring(t *testing.T, from *engine.Client, media hooks.MediaType) {
	t.Helper()
	must(t, from.Call(t.Context(), "bob", media))
	synctest.Wait()
}

// talk is ring, and bob accepts.
func talk(t *testing.T, from, bob *engine.Client) {
	t.Helper()
	ring(t, from, hooks.MediaAudio)
	must(t, bob.Accept(t.Context()))
	synctest.Wait()
}

func TestDefaultViewShowsEveryCall(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
		var mu sync.Mutex
		var order []string
		log := func(who string) func(string) {
			return func(e string) {
				mu.Lock()
				order = append(order, who+e)
				mu.Unlock()
			}
		}
		b.on, v.on = log(""), log("then ")
		talk(t, alice, bob)
		time.Sleep(10 * time.Second) // virtual
		must(t, alice.Hangup(t.Context()))
		synctest.Wait()
		v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s",
			"entered", "enter alice", "begin alice audio", "leave alice 0", "end hangup 10s", "dismiss")
		want := []string{"then present audio, by alice, ringing, sponsor alice"}
		for _, e := range b.all() {
			want = append(want, e, "then "+e)
		}
		if want = append(want, "then dismiss"); !slices.Equal(order, want) {
			t.Errorf("order:\n got %q\nwant %q", order, want)
		}
		if len(v.volumes) < 30 || len(v.volumes) != len(b.volumes) {
			t.Errorf("the view had %d volume callbacks, the listener %d", len(v.volumes), len(b.volumes))
		}
	})
}

func TestDefaultViewOfADialledCall(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, carol *engine.Client, b *recorder, v *viewer) {
		ctx := t.Context()
		must(t, bob.GroupCall(ctx, []string{"alice", "carol", "bob", "carol"}, hooks.MediaVideo, "g"))
		synctest.Wait()
		must(t, alice.Reject(ctx))
		must(t, carol.Accept(ctx))
		time.Sleep(time.Second)
		must(t, bob.Hangup(ctx))
		synctest.Wait()
		v.want(t, "present video, by bob, group g, invited [alice carol]", "entered", "reject alice", "accept carol",
			"enter carol", "begin bob video", "end hangup 1s", "dismiss")
		v.forget()
		must(t, bob.Call(ctx, "alice", hooks.MediaAudio))
		synctest.Wait()
		v.want(t, "present audio, by bob, invited [alice]", "entered")
	})
}

// Ends that no callback tells of: a call that the user declined, and a client
// that is destroyed.
func TestViewIsDismissed(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, carol *engine.Client, b *recorder, v *viewer) {
		ring(t, alice, hooks.MediaAudio)
		must(t, bob.Reject(t.Context()))
		synctest.Wait()
		v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s", "dismiss")
		v.forget()
		ring(t, carol, hooks.MediaAudio)
		must(t, bob.Destroy())
		<-bob.Done()
		v.want(t, "present audio, by carol, ringing, sponsor carol", "invited by carol audio 30s", "dismiss")
		if err := bob.EnableCustomViewRoute(true); !errors.Is(err, net.ErrClosed) {
			t.Errorf("EnableCustomViewRoute after Destroy: %v", err)
		}
	})
}

// In the original, Call and GroupCall did nothing with the custom route on.
func TestCustomViewRouteBeforeACall(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, carol *engine.Client, b *recorder, v *viewer) {
		ctx := t.Context()
		must(t, bob.EnableCustomViewRoute(true))
		must(t, bob.EnableCustomViewRoute(true))
		talk(t, alice, bob)
		must(t, alice.Hangup(ctx))
		synctest.Wait()
		must(t, bob.Call(ctx, "alice", hooks.MediaAudio))
		synctest.Wait()
		must(t, bob.Hangup(ctx))
		must(t, bob.GroupCall(ctx, []string{"alice", "carol"}, hooks.MediaAudio, ""))
		synctest.Wait()
		must(t, carol.Accept(ctx))
		synctest.Wait()
		must(t, bob.Hangup(ctx))
		must(t, carol.Hangup(ctx))
		synctest.Wait()
		v.want(t)
		b.want(t, "invited by alice audio 30s", "entered", "enter alice", "begin alice audio", "leave alice 0", "end hangup 0s",
			"entered", "end canceled 0s",
			"entered", "accept carol", "enter carol", "begin bob audio", "end hangup 0s")

		must(t, bob.EnableCustomViewRoute(false))
		ring(t, alice, hooks.MediaAudio)
		v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s")
	})
}

func TestCustomViewRouteInTheMiddleOfACall(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, carol *engine.Client, b *recorder, v *viewer) {
		ctx := t.Context()
		must(t, alice.GroupCall(ctx, []string{"bob"}, hooks.MediaVideo, "g"))
		synctest.Wait()
		must(t, bob.Accept(ctx))
		v.forget()
		b.forget()

		must(t, bob.EnableCustomViewRoute(true))
		synctest.Wait()
		v.want(t, "dismiss")
		must(t, alice.InviteUser(ctx, []string{"carol"}))
		synctest.Wait()
		must(t, carol.Accept(ctx))
		time.Sleep(5 * time.Second) // virtual
		must(t, alice.SwitchMedia(ctx, hooks.MediaAudio))
		must(t, bob.InviteUser(ctx, []string{"dave"}))
		synctest.Wait()
		b.want(t, "invitees [carol]", "accept carol", "enter carol", "media video audio")

		v.forget()
		must(t, bob.EnableCustomViewRoute(false))
		must(t, carol.Hangup(ctx))
		synctest.Wait()
		v.want(t, "present audio, by alice, group g, sponsor alice, invited [dave], begun 5s ago, users [alice carol]", "leave carol 0")

		v.forget()
		must(t, bob.EnableCustomViewRoute(false)) // is off already
		must(t, bob.EnableCustomViewRoute(true))
		must(t, bob.EnableCustomViewRoute(false))
		must(t, bob.EnableCustomViewRoute(true))
		must(t, bob.EnableCustomViewRoute(false))
		synctest.Wait()
		// Turns that are over before the view's goroutine comes to them are none.
		turn := []string{"dismiss", "present audio, by alice, group g, sponsor alice, invited [dave], begun 5s ago, users [alice]"}
		if got := v.all(); !slices.Equal(got, turn) && !slices.Equal(got, slices.Concat(turn, turn)) {
			t.Errorf("events:\n got %q\nwant %q once or twice", got, turn)
		}
	})
}

func TestCustomViewRouteTellsWhoIsHeard(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, carol *engine.Client, b *recorder, v *viewer) {
		ring(t, alice, hooks.MediaVideo)
		must(t, bob.Accept(t.Context()))
		must(t, bob.EnableCustomViewRoute(true))
		must(t, alice.OpenCamera(t.Context(), stillCamera{}))
		b.wait(t, "video alice true")
		v.forget()
		must(t, bob.EnableCustomViewRoute(false))
		synctest.Wait()
		v.want(t, "present video, by alice, sponsor alice, begun 0s ago, users [alice], video [alice]")
	})
}

// stillCamera is a camera without a picture.
type stillCamera struct{}

func (stillCamera) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	<-ctx.Done()
	return engine.VideoFrame{}, ctx.Err()
}

func TestCustomViewRouteWhileRinging(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
		must(t, bob.EnableCustomViewRoute(true))
		ring(t, alice, hooks.MediaVideo)
		v.want(t)
		must(t, bob.EnableCustomViewRoute(false))
		must(t, alice.Hangup(t.Context()))
		synctest.Wait()
		v.want(t, "present video, by alice, ringing, sponsor alice", "cancel", "dismiss")
	})
}

// A turn inside a callback counts from that callback on: a view that goes is
// told no more, and one that comes is shown the call with all that its
// listener was just told.
func TestCustomViewRouteInsideACallback(t *testing.T) {
	t.Run("off", func(t *testing.T) {
		viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
			b.on = func(e string) {
				if e == "begin alice audio" {
					bob.EnableCustomViewRoute(true)
				}
			}
			talk(t, alice, bob)
			v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s", "entered", "enter alice", "dismiss")
		})
	})
	t.Run("on", func(t *testing.T) {
		viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
			must(t, bob.EnableCustomViewRoute(true))
			b.on = func(e string) {
				if e == "entered" { // "enter alice" comes at once with it
					bob.EnableCustomViewRoute(false)
				}
			}
			talk(t, alice, bob)
			v.want(t, "present audio, by alice, sponsor alice, users [alice]", "begin alice audio")
		})
	})
	t.Run("on at the end", func(t *testing.T) {
		viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
			must(t, bob.EnableCustomViewRoute(true))
			b.on = func(e string) {
				if strings.HasPrefix(e, "end") {
					bob.EnableCustomViewRoute(false)
				}
			}
			talk(t, alice, bob)
			must(t, alice.Hangup(t.Context()))
			synctest.Wait()
			v.want(t)
			ring(t, alice, hooks.MediaAudio)
			v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s")
		})
	})
	t.Run("in the view itself", func(t *testing.T) {
		viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
			v.on = func(e string) {
				switch e {
				case "entered":
					bob.EnableCustomViewRoute(true)
				case "dismiss":
					bob.EnableCustomViewRoute(false)
				}
			}
			talk(t, alice, bob)
			v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s",
				"entered", "dismiss", "present audio, by alice, sponsor alice, users [alice]", "begin alice audio")
		})
	})
}

// What waits for a slow listener no longer reaches a view that was turned off.
func TestCustomViewRouteOvertakesWhatWaits(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
		blocked := make(chan struct{})
		b.on = func(e string) {
			if strings.HasPrefix(e, "invited") {
				<-blocked
			}
		}
		ring(t, alice, hooks.MediaAudio)
		must(t, bob.Accept(t.Context()))
		synctest.Wait()
		must(t, bob.EnableCustomViewRoute(true))
		close(blocked)
		synctest.Wait()
		v.want(t, "present audio, by alice, ringing, sponsor alice", "dismiss")
		b.want(t, "invited by alice audio 30s", "entered", "enter alice", "begin alice audio")
	})
}

func TestNoView(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, _ *engine.Client, _, _ *recorder) {
		for _, on := range []bool{true, false} {
			if err := alice.EnableCustomViewRoute(on); !errors.Is(err, engine.ErrNoView) {
				t.Errorf("without a view: %v", err)
			}
		}
		routed, _ := dial(t, srv, "carol", func(c *engine.ClientConfig) {
			c.ViewRoute = func(hooks.ViewState, hooks.View) hooks.View { return nil }
		})
		must(t, routed.EnableCustomViewRoute(true))
	})
}

// A host wraps the default view: what it does not claim stays there.
func TestViewRoute(t *testing.T) {
	own := newViewer()
	var asked []string
	claim := func(call hooks.ViewState, standard hooks.View) hooks.View {
		asked = append(asked, stateWords(call))
		switch {
		case call.IsGroup, call.Media == hooks.MediaVideo:
			return own
		case call.Sponsor == "carol":
			return nil
		}
		return standard
	}
	viewed(t, func(c *engine.ClientConfig) { c.ViewRoute = claim }, func(t *testing.T, alice, bob, carol *engine.Client, b *recorder, v *viewer) {
		ctx := t.Context()
		hangup := func(c *engine.Client) { must(t, c.Hangup(ctx)); synctest.Wait() }
		ring(t, alice, hooks.MediaVideo)
		hangup(alice)
		must(t, alice.GroupCall(ctx, []string{"bob"}, hooks.MediaAudio, "g"))
		synctest.Wait()
		must(t, bob.Accept(ctx))
		hangup(bob)
		v.want(t)
		own.want(t, "present video, by alice, ringing, sponsor alice", "invited by alice video 30s", "cancel", "dismiss",
			"present audio, by alice, group g, ringing, sponsor alice", "invited by alice audio 30s",
			"entered", "enter alice", "begin alice audio", "end hangup 0s", "dismiss")
		own.forget()

		ring(t, carol, hooks.MediaAudio)
		hangup(carol)
		ring(t, alice, hooks.MediaAudio)
		hangup(alice)
		own.want(t)
		v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s", "cancel", "dismiss")
		if len(asked) != 4 {
			t.Errorf("asked %q, want once for each of 4 calls", asked)
		}

		// The custom route goes before ViewRoute, which is asked late then.
		v.forget()
		asked = nil
		must(t, bob.EnableCustomViewRoute(true))
		ring(t, alice, hooks.MediaVideo)
		must(t, bob.Accept(ctx))
		synctest.Wait()
		if len(asked) != 0 {
			t.Errorf("asked %q with the custom route on", asked)
		}
		for range 2 {
			must(t, bob.EnableCustomViewRoute(false))
			synctest.Wait()
			must(t, bob.EnableCustomViewRoute(true))
			synctest.Wait()
		}
		state := "video, by alice, sponsor alice, begun 0s ago, users [alice]"
		own.want(t, "present "+state, "dismiss", "present "+state, "dismiss")
		if !slices.Equal(asked, []string{state}) {
			t.Errorf("asked %q, want once", asked)
		}
		v.want(t)
	})
}

func TestViewRouteThatPanics(t *testing.T) {
	fault := func(hooks.ViewState, hooks.View) hooks.View { panic("a route's fault") }
	viewed(t, func(c *engine.ClientConfig) { c.ViewRoute = fault }, func(t *testing.T, alice, _, _ *engine.Client, _ *recorder, v *viewer) {
		ring(t, alice, hooks.MediaAudio)
		v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s")
	})
}

func TestViewThatPanics(t *testing.T) {
	viewed(t, nil, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, v *viewer) {
		v.on = func(string) { panic("a view's fault") }
		talk(t, alice, bob)
		must(t, bob.EnableCustomViewRoute(true))
		must(t, alice.Hangup(t.Context()))
		synctest.Wait()
		v.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s", "entered", "enter alice", "begin alice audio", "dismiss")
		b.want(t, "invited by alice audio 30s", "entered", "enter alice", "begin alice audio", "leave alice 0", "end hangup 0s")
	})
}

// A struct with a func in it cannot be compared with ==.
type funcView struct {
	*viewer
	_ func()
}

func TestListenersThatCannotBeCompared(t *testing.T) {
	v := newViewer()
	viewed(t, func(c *engine.ClientConfig) { c.View = funcView{viewer: v} }, func(t *testing.T, alice, bob, _ *engine.Client, b *recorder, _ *viewer) {
		l := newRecorder()
		bob.SetCallingListener(funcView{viewer: &viewer{l}})
		bob.SetCallingListener(funcView{viewer: &viewer{l}})
		bob.SetCallingListener(l)
		bob.RemoveCallingListener(l)
		must(t, bob.EnableCustomViewRoute(true))
		ring(t, alice, hooks.MediaAudio)
		must(t, bob.EnableCustomViewRoute(false))
		synctest.Wait()
		v.want(t, "present audio, by alice, ringing, sponsor alice")
		l.want(t, "invited by alice audio 30s", "invited by alice audio 30s")
	})
}

// The server's Route sends a call to the host's own view, at the caller and at
// who is invited; it holds for that call alone.
func TestServerRoute(t *testing.T) {
	var mu sync.Mutex
	var asked []hooks.RouteRequest
	custom := map[string]bool{"bob": true}
	route := func(_ context.Context, req hooks.RouteRequest) (bool, error) {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, req)
		return custom[req.UserID], nil
	}
	set := func(user string) {
		mu.Lock()
		custom = map[string]bool{user: true}
		mu.Unlock()
	}
	routed(t, route, func(t *testing.T, alice, bob *engine.Client, av, bv *viewer, b *recorder) {
		ctx := t.Context()
		must(t, alice.GroupCall(ctx, []string{"bob"}, hooks.MediaVideo, "g"))
		synctest.Wait()
		must(t, bob.Accept(ctx))
		synctest.Wait()
		want := hooks.RouteRequest{UserID: "bob", Inviter: "alice", IsGroup: true, GroupID: "g", Media: hooks.MediaVideo}
		if !slices.Contains(asked, want) {
			t.Errorf("asked %+v, want %+v in it", asked, want)
		}
		must(t, bob.EnableCustomViewRoute(true))
		must(t, bob.EnableCustomViewRoute(false)) // the server's answer stands
		synctest.Wait()
		bv.want(t)
		av.want(t, "present video, by alice, group g, invited [bob]", "entered", "accept bob", "enter bob", "begin alice video")
		b.want(t, "invited by alice video 30s", "entered", "enter alice", "begin alice video")

		// Bob leaves and is invited again: he is asked for anew.
		set("nobody")
		must(t, alice.InviteUser(ctx, []string{"carol"}))
		must(t, bob.Hangup(ctx))
		must(t, alice.InviteUser(ctx, []string{"bob"}))
		synctest.Wait()
		bv.want(t, "present video, by alice, group g, ringing, sponsor alice", "invited by alice video 30s")
		must(t, alice.Hangup(ctx))
		av.forget()
		bv.forget()

		set("alice") // it travels in entered, too
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		synctest.Wait()
		must(t, alice.Hangup(ctx))
		synctest.Wait()
		av.want(t)
		bv.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s", "cancel", "dismiss")
		set("nobody")
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		synctest.Wait()
		av.want(t, "present audio, by alice, invited [bob]", "entered")
	})
}

func TestServerRouteThatFails(t *testing.T) {
	for name, route := range map[string]func(context.Context, hooks.RouteRequest) (bool, error){
		"error":  func(context.Context, hooks.RouteRequest) (bool, error) { return true, errors.New("no") },
		"panics": func(context.Context, hooks.RouteRequest) (bool, error) { panic("no") },
		"late":   func(ctx context.Context, _ hooks.RouteRequest) (bool, error) { <-ctx.Done(); return true, nil },
	} {
		t.Run(name, func(t *testing.T) {
			routed(t, route, func(t *testing.T, alice, bob *engine.Client, av, bv *viewer, _ *recorder) {
				must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
				synctest.Wait()
				av.want(t, "present audio, by alice, invited [bob]", "entered")
				bv.want(t, "present audio, by alice, ringing, sponsor alice", "invited by alice audio 30s")
			})
		})
	}
}

// routed is alice and bob with a view each, at a server with a Route.
func routed(t *testing.T, route func(context.Context, hooks.RouteRequest) (bool, error), test func(t *testing.T, alice, bob *engine.Client, av, bv *viewer, b *recorder)) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, func(c *engine.ServerConfig) { c.Plugins = []hooks.Plugin{{Name: "route", Route: route}} })
		av, bv := newViewer(), newViewer()
		alice, _ := dial(t, srv, "alice", func(c *engine.ClientConfig) { c.View = av })
		bob, b := dial(t, srv, "bob", func(c *engine.ClientConfig) { c.View = bv })
		test(t, alice, bob, av, bv, b)
	})
}

// What is not of a call goes to the default view, unless that is turned off.
func TestViewBetweenCalls(t *testing.T) {
	for _, custom := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			srv := serve(t, nil)
			v := newViewer()
			bob, b := dial(t, srv, "bob", func(c *engine.ClientConfig) { c.View = v })
			must(t, bob.EnableCustomViewRoute(custom))
			if custom {
				dial(t, srv, "bob", nil)
				b.wait(t, "kicked")
				v.want(t)
				return
			}
			carol, w := newViewer(), newViewer()
			dial(t, srv, "carol", func(c *engine.ClientConfig) { c.View = carol })
			dial(t, srv, "bob", func(c *engine.ClientConfig) { c.View = w })
			v.wait(t, "kicked")
			v.want(t, "kicked")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			must(t, srv.Shutdown(ctx))
			w.wait(t, "error -7")
			carol.want(t, "error -7")
		})
	}
}
