package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// plugged adds plugins to a server's configuration.
func plugged(ps ...hooks.Plugin) func(*engine.ServerConfig) {
	return func(c *engine.ServerConfig) { c.Plugins = append(c.Plugins, ps...) }
}

// three signs alice, bob and carol in to a server with plugins, in virtual time.
func three(t *testing.T, change func(*engine.ServerConfig), test func(t *testing.T, srv *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder)) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, change)
		alice, a := dial(t, srv, "alice", nil)
		bob, b := dial(t, srv, "bob", nil)
		carol, c := dial(t, srv, "carol", nil)
		test(t, srv, alice, bob, carol, a, b, c)
	})
}

// invitedTo notes the calls that a client is invited to; the function returns
// the last one's ID.
func invitedTo(c *engine.Client) func() string {
	k := &callIDs{}
	c.SetCallingListener(k)
	return func() string {
		synctest.Wait()
		k.mu.Lock()
		defer k.mu.Unlock()
		return k.id
	}
}

type callIDs struct {
	hooks.NopListener
	mu sync.Mutex
	id string
}

func (k *callIDs) OnInvited(inv hooks.Invitation) {
	k.mu.Lock()
	k.id = inv.CallID
	k.mu.Unlock()
}

// answers are what a decider may do, and what the user must get of it.
var answers = map[string]struct {
	decide func(ctx context.Context) error
	code   hooks.Code // 0: let through
	words  string
}{
	"yes":            {func(context.Context) error { return nil }, 0, ""},
	"no, with words": {func(context.Context) error { return &hooks.Refusal{Code: hooks.CodeRefused, Message: "not today"} }, hooks.CodeRefused, "not today"},
	"no, wrapped": {func(context.Context) error {
		return fmt.Errorf("x: %w", &hooks.Refusal{Code: -77, Message: "own code"})
	}, -77, "own code"},
	"no, without words": {func(context.Context) error { return errors.New("secret: the database is down") }, hooks.CodeEnterRefused, "refused by the host"},
	"no, without code":  {func(context.Context) error { return &hooks.Refusal{Message: "no code"} }, hooks.CodeEnterRefused, "no code"},
	"no, as a warning":  {func(context.Context) error { return &hooks.Refusal{Code: 6007, Message: "odd code"} }, hooks.CodeEnterRefused, "odd code"},
	"a nil refusal":     {func(context.Context) error { return (*hooks.Refusal)(nil) }, hooks.CodeEnterRefused, "refused by the host"},
	"an endless no": {func(context.Context) error {
		return &hooks.Refusal{Code: hooks.CodeRefused, Message: strings.Repeat("no\xFF", 50_000)}
	}, hooks.CodeRefused, "nono"},
	"panic": {func(context.Context) error { panic("oh") }, hooks.CodeEnterRefused, "refused by the host"},
	"exit":  {func(context.Context) error { runtime.Goexit(); return nil }, hooks.CodeEnterRefused, "refused by the host"},
	"late": {func(context.Context) error {
		time.Sleep(time.Minute) // virtual
		return nil
	}, hooks.CodeEnterRefused, "refused by the host"},
	"late, but stops when told": {func(ctx context.Context) error { <-ctx.Done(); return nil }, hooks.CodeEnterRefused, "refused by the host"},
}

// Every decider, asked at every request that it decides, with every answer it
// may give: what is not a yes is a no, it comes within 2 s, and the decider is
// asked again the next time.
func TestDecidersFailClosed(t *testing.T) {
	type users struct {
		alice, bob, carol *engine.Client
		b                 *recorder
		call              func() string // the ID of the one that bob is invited to
	}
	group := []string{"bob"}
	// ringing makes bob ring, while the decider says yes.
	ringing := func(t *testing.T, u users) {
		must(t, u.alice.GroupCall(t.Context(), group, hooks.MediaAudio, "g", engine.CallOptions{Timeout: 5 * time.Minute}))
		u.b.wait(t, "invited")
	}
	requests := map[string]struct {
		before func(t *testing.T, u users)
		ask    func(ctx context.Context, u users) error
	}{
		"call":      {nil, func(ctx context.Context, u users) error { return u.alice.Call(ctx, "bob", hooks.MediaAudio) }},
		"groupCall": {nil, func(ctx context.Context, u users) error { return u.alice.GroupCall(ctx, group, hooks.MediaAudio, "g") }},
		"accept":    {ringing, func(ctx context.Context, u users) error { return u.bob.Accept(ctx) }},
		"invite":    {ringing, func(ctx context.Context, u users) error { return u.alice.InviteUser(ctx, []string{"carol"}) }},
		"join": {ringing, func(ctx context.Context, u users) error {
			return u.carol.JoinCall(ctx, u.call())
		}},
	}
	for name, decider := range map[string]struct {
		at   []string
		make func(decide func(context.Context) error) hooks.Plugin
	}{
		"MayCall": {[]string{"call", "groupCall", "invite"}, func(decide func(context.Context) error) hooks.Plugin {
			return hooks.Plugin{MayCall: func(ctx context.Context, _ hooks.CallRequest) error { return decide(ctx) }}
		}},
		"Member": {[]string{"groupCall", "invite", "join"}, func(decide func(context.Context) error) hooks.Plugin {
			return hooks.Plugin{Member: func(ctx context.Context, _, _ string) error { return decide(ctx) }}
		}},
		"Admit": {[]string{"call", "groupCall", "accept", "join"}, func(decide func(context.Context) error) hooks.Plugin {
			return hooks.Plugin{Admit: func(ctx context.Context, _ hooks.AdmitRequest) error { return decide(ctx) }}
		}},
	} {
		for _, at := range decider.at {
			t.Run(name+"/"+at, func(t *testing.T) {
				var answer atomic.Pointer[func(context.Context) error]
				yes := answers["yes"].decide
				var asked atomic.Int32
				p := decider.make(func(ctx context.Context) error {
					asked.Add(1)
					return (*answer.Load())(ctx)
				})
				three(t, plugged(p), func(t *testing.T, srv *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder) {
					u := users{alice, bob, carol, b, invitedTo(bob)}
					req := requests[at]
					answer.Store(&yes)
					if req.before != nil {
						req.before(t, u)
					}
					for name, want := range answers {
						if want.code == 0 {
							continue
						}
						answer.Store(&want.decide)
						before, start := asked.Load(), time.Now()
						err := req.ask(t.Context(), u)
						if took := time.Since(start); took > 2*time.Second {
							t.Errorf("%s: decided after %v", name, took)
						}
						if asked.Load() == before { // it is never taken off
							t.Errorf("%s: was not asked", name)
						}
						var e *engine.Error
						if !errors.As(err, &e) || e.Code != want.code || !strings.Contains(e.Message, want.words) || strings.Contains(e.Message, "secret") || len(e.Message) > 1024 {
							t.Errorf("%s: got %.200v, want code %d and %q", name, err, want.code, want.words)
						}
					}
					answer.Store(&yes)
					must(t, req.ask(t.Context(), u))
					time.Sleep(2 * time.Minute) // virtual: the late ones end
				})
			})
		}
	}
}

// A device that is kicked while the host still decides does not enter: nobody
// would be there.
func TestKickedWhileTheHostDecides(t *testing.T) {
	p := hooks.Plugin{Admit: func(_ context.Context, r hooks.AdmitRequest) error {
		if r.UserID == "bob" {
			time.Sleep(time.Second) // virtual
		}
		return nil
	}}
	two(t, plugged(p), func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		accepted := make(chan error, 1)
		go func() { accepted <- bob.Accept(t.Context()) }()
		time.Sleep(500 * time.Millisecond) // virtual
		bob2, b2 := dial(t, srv, "bob", nil)
		if err := <-accepted; !errors.Is(err, engine.ErrKicked) {
			t.Errorf("accept: %v", err)
		}
		time.Sleep(time.Second) // virtual
		a.want(t, "entered")    // still rings
		b2.wait(t, "invited")
		must(t, bob2.Accept(t.Context()))
		a.wait(t, "begin")
	})
}

// Close, called again, waits for the first to end, observers too.
func TestCloseTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, plugged(hooks.Plugin{Observe: func(hooks.Event) { time.Sleep(time.Second) }}))
		dial(t, srv, "alice", nil)
		synctest.Wait()
		start := time.Now()
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				srv.Close()
				if took := time.Since(start); took < time.Second || took > 2*time.Second {
					t.Errorf("closed after %v", took)
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Minute) // virtual
	})
}

func TestFirstNoIsObeyed(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	ask := func(name string, err error) hooks.Plugin {
		return hooks.Plugin{Name: name, MayCall: func(context.Context, hooks.CallRequest) error {
			mu.Lock()
			defer mu.Unlock()
			asked = append(asked, name)
			return err
		}}
	}
	ps := plugged(ask("first", nil), hooks.Plugin{Name: "silent"},
		ask("second", &hooks.Refusal{Code: -50, Message: "the second"}), ask("third", &hooks.Refusal{Code: -51, Message: "the third"}))
	two(t, ps, func(t *testing.T, _ *engine.Server, alice, _ *engine.Client, _, _ *recorder) {
		var e *engine.Error
		if err := alice.Call(t.Context(), "bob", hooks.MediaAudio); !errors.As(err, &e) || e.Code != -50 {
			t.Errorf("got %v, want the second's", err)
		}
		if !slices.Equal(asked, []string{"first", "second"}) {
			t.Errorf("asked %q", asked)
		}
	})
}

// What deciders are told, and that changing it changes nothing.
func TestWhatDecidersAreAsked(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	note := func(format string, args ...any) error {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, fmt.Sprintf(format, args...))
		return nil
	}
	took := func() []string {
		mu.Lock()
		defer mu.Unlock()
		out := asked
		asked = nil
		return out
	}
	p := hooks.Plugin{
		MayCall: func(_ context.Context, r hooks.CallRequest) error {
			defer func() { r.Callees[0] = "eve" }()
			return note("call %s %v %v %s %v %v", r.Caller, r.Callees, r.IsGroup, r.GroupID, r.Media, r.CallID != "")
		},
		Member: func(_ context.Context, group, user string) error { return note("member %s %s", group, user) },
		Admit: func(_ context.Context, r hooks.AdmitRequest) error {
			return note("admit %s %s %v %v", r.UserID, r.GroupID, r.Media, r.CallID != "")
		},
		Route: func(_ context.Context, r hooks.RouteRequest) (bool, error) {
			return false, note("route %s %s %v %s %v", r.UserID, r.Inviter, r.IsGroup, r.GroupID, r.Media)
		},
	}
	three(t, plugged(p), func(t *testing.T, srv *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder) {
		dave, _ := dial(t, srv, "dave", nil)
		id := invitedTo(bob)
		want := func(what string, lines ...string) {
			t.Helper()
			synctest.Wait()
			if got := took(); !slices.Equal(got, lines) {
				t.Errorf("%s:\n got %q\nwant %q", what, got, lines)
			}
		}
		must(t, alice.GroupCall(t.Context(), []string{"bob"}, hooks.MediaVideo, "g"))
		want("a group call", "call alice [bob] true g video false", "member g alice", "member g bob",
			"admit alice g video false", "route alice alice true g video", "route bob alice true g video")
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		want("accept", "admit bob g video true")
		must(t, bob.InviteUser(t.Context(), []string{"carol"}))
		want("invite", "call bob [carol] true g video true", "member g bob", "member g carol", "route carol bob true g video")
		must(t, dave.JoinCall(t.Context(), id()))
		want("join", "member g dave", "admit dave g video true", "route dave alice true g video")
		must(t, bob.Hangup(t.Context()))
		c.wait(t, "invited")
		must(t, carol.Reject(t.Context()))
		want("hang up and reject")
	})
}

// A group's call is for its members: neither may others be called into it, nor
// call, nor join.
func TestGroupMembership(t *testing.T) {
	members := map[string]bool{"alice": true, "bob": true}
	p := hooks.Plugin{Member: func(_ context.Context, group, user string) error {
		if group == "g" && members[user] {
			return nil
		}
		return &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: user + " is not in " + group}
	}}
	three(t, plugged(p), func(t *testing.T, _ *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder) {
		ctx, id := t.Context(), invitedTo(bob)
		no := func(what string, err error, words string) {
			t.Helper()
			var e *engine.Error
			if !errors.As(err, &e) || e.Code != hooks.CodeEnterRefused || !strings.Contains(e.Message, words) {
				t.Errorf("%s: %v, want %q", what, err, words)
			}
		}
		no("a stranger calls", carol.GroupCall(ctx, []string{"bob"}, hooks.MediaAudio, "g"), "carol is not in g")
		no("a stranger is called", alice.GroupCall(ctx, []string{"bob", "carol"}, hooks.MediaAudio, "g"), "carol is not in g")
		must(t, alice.GroupCall(ctx, []string{"bob"}, hooks.MediaAudio, "g"))
		b.wait(t, "invited")
		must(t, bob.Accept(ctx))
		no("a stranger is invited", alice.InviteUser(ctx, []string{"carol"}), "carol is not in g")
		no("a stranger joins", carol.JoinCall(ctx, id()), "carol is not in g")
		if err := carol.Call(ctx, "dave", hooks.MediaAudio); err != nil {
			t.Errorf("a call without a group: %v", err)
		}
		for _, e := range c.all() {
			if strings.HasPrefix(e, "invited") {
				t.Errorf("carol was told %q", e)
			}
		}
	})
}

// A route that fails leaves the default view, for that user alone; it never
// stops a call.
func TestRouteFailsToTheDefault(t *testing.T) {
	for name, c := range map[string]struct {
		route func(ctx context.Context, r hooks.RouteRequest) (bool, error)
		own   bool // bob's is shown by the host
	}{
		"yes":   {func(context.Context, hooks.RouteRequest) (bool, error) { return true, nil }, true},
		"no":    {func(context.Context, hooks.RouteRequest) (bool, error) { return false, nil }, false},
		"error": {func(context.Context, hooks.RouteRequest) (bool, error) { return true, errors.New("x") }, false},
		"panic": {func(context.Context, hooks.RouteRequest) (bool, error) { panic("x") }, false},
		"panic for another": {func(_ context.Context, r hooks.RouteRequest) (bool, error) {
			if r.UserID == "alice" {
				panic("x")
			}
			return true, nil
		}, true},
		"late": {func(context.Context, hooks.RouteRequest) (bool, error) { time.Sleep(time.Minute); return true, nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, plugged(hooks.Plugin{Route: c.route}))
				alice, _ := dial(t, srv, "alice", nil)
				bob := rawDial(t, srv)
				bob.signIn("bob")
				start := time.Now()
				must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("the call waited %v for its route", took)
				}
				_, inv := bob.read(signal.TypeInvited)
				if got := inv.(*signal.Invited).CustomView; got != c.own {
					t.Errorf("shown by the host: %v, want %v", got, c.own)
				}
				time.Sleep(2 * time.Minute) // virtual
			})
		})
	}
}

// The device of who is called while offline is woken. Push neither holds the
// call up nor stops it.
func TestPush(t *testing.T) {
	for name, push := range map[string]func() error{
		"ok": func() error { return nil }, "error": func() error { return errors.New("x") },
		"panic": func() error { panic("x") }, "late": func() error { time.Sleep(time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan hooks.PushRequest, 1)
			p := hooks.Plugin{Push: func(_ context.Context, r hooks.PushRequest) error {
				got <- r
				return push()
			}}
			two(t, plugged(p), func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, _, b *recorder) {
				id, start := invitedTo(bob), time.Now()
				must(t, alice.GroupCall(t.Context(), []string{"bob", "carol"}, hooks.MediaVideo, "g"))
				if took := time.Since(start); took != 0 {
					t.Errorf("the call waited %v for the push", took)
				}
				r := <-got
				if r.UserID != "carol" || r.Sponsor != "alice" || r.GroupID != "g" || r.Media != hooks.MediaVideo || r.CallID != id() || !r.Until.Equal(start.Add(30*time.Second)) {
					t.Errorf("asked to push %+v", r)
				}
				_, c := dial(t, srv, "carol", nil)
				c.wait(t, "invited by alice video 30s")
				b.wait(t, "invited")
				time.Sleep(2 * time.Minute) // virtual
			})
		})
	}
}

func TestMayRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		req := hooks.RecordRequest{UserID: "alice", CallID: "c"}
		if err := serve(t, nil).MayRecord(t.Context(), req); err == nil {
			t.Error("recorded without anybody's consent")
		}
		for name, want := range answers {
			srv := serve(t, plugged(hooks.Plugin{MayRecord: func(ctx context.Context, r hooks.RecordRequest) error {
				if r != req {
					t.Errorf("asked about %+v", r)
				}
				return want.decide(ctx)
			}}))
			err := srv.MayRecord(t.Context(), req)
			var r *hooks.Refusal
			if want.code == 0 && err != nil || want.code != 0 && (!errors.As(err, &r) || r.Code != want.code) {
				t.Errorf("%s: %v, want code %d", name, err, want.code)
			}
		}
		srv := serve(t, plugged(hooks.Plugin{MayRecord: func(context.Context, hooks.RecordRequest) error {
			time.Sleep(time.Second) // virtual
			return nil
		}}))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := srv.MayRecord(ctx, req); err == nil {
			t.Error("recorded although nobody waits for the answer")
		}
		time.Sleep(2 * time.Minute) // virtual
	})
}

// A host may ask more than a UserSig before it lets a user in.
func TestDefaultSignInWrapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		standard := engine.UserSigSignIn(testApp, testKey)
		srv := serve(t, func(c *engine.ServerConfig) {
			c.SDKAppID, c.Key = 0, ""
			c.SignIn = func(ctx context.Context, r hooks.SignInRequest) (hooks.SignIn, error) {
				if r.UserID == "banned" {
					return hooks.SignIn{}, &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: "banned"}
				}
				return standard(ctx, r)
			}
		})
		_, a := dial(t, srv, "alice", nil)
		for user, c := range map[string]struct {
			sig  string
			code hooks.Code
		}{
			"banned": {sign(t, "banned"), hooks.CodeEnterRefused},
			"bob":    {sign(t, "alice"), hooks.CodeUserSigCheck},
			"carol":  {"junk", hooks.CodeUserSig},
		} {
			_, err := engine.Dial(t.Context(), engine.ClientConfig{Dialer: srv.Pipe(), SDKAppID: testApp, UserID: user, UserSig: c.sig})
			var e *engine.Error
			if !errors.As(err, &e) || e.Code != c.code {
				t.Errorf("%s: %v, want code %d", user, err, c.code)
			}
		}
		time.Sleep(2 * time.Hour) // virtual
		a.wait(t, "expired")      // the default's expiry came through
	})
}

// A nil *Refusal in an error is an error to Go. It lets nobody in.
func TestNilRefusalLetsNobodyIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, want := range answers {
			if want.code == 0 {
				continue
			}
			srv := serve(t, func(c *engine.ServerConfig) {
				c.SignIn = func(ctx context.Context, _ hooks.SignInRequest) (hooks.SignIn, error) {
					return hooks.SignIn{}, want.decide(ctx)
				}
			})
			_, err := engine.Dial(t.Context(), engine.ClientConfig{Dialer: srv.Pipe(), UserID: "alice", UserSig: "x"})
			var e *engine.Error
			if !errors.As(err, &e) || e.Code != want.code {
				t.Errorf("%s: %.200v, want code %d", name, err, want.code)
			}
		}
		time.Sleep(2 * time.Minute) // virtual
	})
}

// events collects what a plugin observes, without what depends on chance.
type events struct {
	mu   sync.Mutex
	list []hooks.Event
}

func (e *events) observe(ev hooks.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.list = append(e.list, ev)
}

func (e *events) lines() (out []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.list {
		if ev.Kind == hooks.EventCallMessage {
			continue
		}
		s := string(ev.Kind)
		if ev.UserID != "" {
			s += " " + ev.UserID
		}
		if len(ev.Users) > 0 {
			s += fmt.Sprint(" ", ev.Users)
		}
		switch ev.Kind {
		case hooks.EventCallStarted, hooks.EventMediaChanged:
			s += fmt.Sprintf(" %v", ev.Media)
		case hooks.EventCallEnded:
			s += fmt.Sprintf(" %v %v %v", ev.Media, ev.Reason, ev.Duration)
		case hooks.EventSignedOut:
			s += " " + ev.Text
		}
		out = append(out, s)
	}
	return out
}

func TestObserversAreToldEverythingInOrder(t *testing.T) {
	var first, second events
	spoiler := hooks.Plugin{Name: "spoiler", Observe: func(e hooks.Event) {
		for i := range e.Users {
			e.Users[i] = "eve"
		}
	}}
	change := func(c *engine.ServerConfig) {
		c.Plugins = []hooks.Plugin{{Observe: first.observe}, spoiler, {Observe: second.observe}}
	}
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, change)
		start := time.Now()
		alice, a := dial(t, srv, "alice", nil)
		bob, b := dial(t, srv, "bob", nil)
		carol, c := dial(t, srv, "carol", nil)
		dave, d := dial(t, srv, "dave", nil)
		ctx := t.Context()
		must(t, alice.GroupCall(ctx, []string{"bob", "carol", "dave"}, hooks.MediaVideo, "g"))
		b.wait(t, "invited")
		c.wait(t, "invited")
		d.wait(t, "invited")
		must(t, bob.Accept(ctx))
		must(t, carol.Reject(ctx))
		must(t, dave.Ignore(ctx))
		must(t, bob.SwitchMedia(ctx, hooks.MediaAudio))
		must(t, carol.Call(ctx, "bob", hooks.MediaAudio)) // busy
		must(t, alice.InviteUser(ctx, []string{"erin"}))
		time.Sleep(time.Minute) // virtual: erin never comes
		must(t, bob.Hangup(ctx))
		a.wait(t, "end")
		must(t, dave.Destroy())
		synctest.Wait()
		want := []string{
			"signed in alice", "signed in bob", "signed in carol", "signed in dave",
			"call started alice [bob carol dave] video", "user entered alice",
			"accepted bob [bob]", "user entered bob",
			"rejected carol [carol]", "line busy dave [dave]",
			"media changed bob audio",
			"call started carol [bob] audio", "user entered carol", "line busy bob [bob]", "user left carol", "call ended audio line busy 0s",
			"no response alice [erin]",
			"user left bob", "user left alice", "call ended audio hangup 1m0s",
			"signed out dave by will",
		}
		for _, e := range []*events{&first, &second} {
			if got := e.lines(); !slices.Equal(got, want) {
				t.Errorf("observed\n got %q\nwant %q", got, want)
			}
		}
		ids := map[string]bool{}
		last := start
		for _, e := range first.list {
			if e.Time.Before(last) {
				t.Errorf("%v at %v, after one at %v", e.Kind, e.Time, last)
			}
			last = e.Time
			switch e.Kind {
			case hooks.EventSignedIn, hooks.EventSignedOut:
				if e.Device == "" {
					t.Errorf("no device in %+v", e)
				}
			case hooks.EventCallStarted:
				ids[e.CallID] = true
			default:
				if !ids[e.CallID] {
					t.Errorf("call %q in %+v", e.CallID, e)
				}
			}
		}
		// The server's end is told, too.
		srv.Close()
		got := first.lines()[len(want):]
		slices.Sort(got)
		if !slices.Equal(got, []string{"signed out alice server", "signed out bob server", "signed out carol server"}) {
			t.Errorf("at the end: %q", got)
		}
	})
}

func TestObserversAreToldOfLossAndReturn(t *testing.T) {
	var told events
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, plugged(hooks.Plugin{Observe: told.observe}))
		r := rawDial(t, srv)
		token := r.signIn("alice").Token
		r.sess.Close()
		synctest.Wait()
		r = rawDial(t, srv)
		if w, bye := r.resume(token, 0); w == nil {
			t.Fatalf("not resumed: %+v", bye)
		}
		r.sess.Close()
		time.Sleep(20 * time.Second) // virtual
		r = rawDial(t, srv)
		r.signIn("alice")
		rawDial(t, srv).signIn("alice")
		synctest.Wait()
		want := []string{"signed in alice", "lost alice", "resumed alice", "lost alice", "signed out alice lost",
			"signed in alice", "signed out alice kicked", "signed in alice"}
		if got := told.lines(); !slices.Equal(got, want) {
			t.Errorf("observed\n got %q\nwant %q", got, want)
		}
	})
}

// An observer that is slow, hangs or panics delays neither the others nor the
// calls, and Close waits 2 s for it at most.
func TestBadObserverHoldsNobodyUp(t *testing.T) {
	hang := make(chan struct{})
	for name, bad := range map[string]func(hooks.Event){
		"slow":   func(hooks.Event) { time.Sleep(10 * time.Second) },
		"hangs":  func(hooks.Event) { <-hang },
		"panics": func(hooks.Event) { panic("oh") },
		"exits":  func(hooks.Event) { runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			var good events
			synctest.Test(t, func(t *testing.T) {
				hang = make(chan struct{})
				srv := serve(t, plugged(hooks.Plugin{Name: "bad", Observe: bad}, hooks.Plugin{Observe: good.observe}))
				alice, a := dial(t, srv, "alice", nil)
				bob, _ := dial(t, srv, "bob", nil)
				start := time.Now()
				for range 3 {
					must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
					synctest.Wait()
					must(t, bob.Accept(t.Context()))
					must(t, alice.Hangup(t.Context()))
					synctest.Wait()
				}
				synctest.Wait()
				if took := time.Since(start); took != 0 {
					t.Errorf("calls took %v", took)
				}
				if n := len(good.lines()); n != 2+3*7 {
					t.Errorf("the good one saw %d events: %q", n, good.lines())
				}
				a.wait(t, "end")
				alice.Destroy()
				bob.Destroy()
				start = time.Now()
				srv.Close()
				if took := time.Since(start); took > 2*time.Second {
					t.Errorf("Close took %v", took)
				}
				close(hang)
				time.Sleep(10 * time.Minute) // virtual: the slow one ends
			})
		})
	}
}

// With 1,024 events waiting further ones are dropped, and counted; the oldest
// are kept, in order.
func TestObserverThatFallsBehind(t *testing.T) {
	var good, slow events
	hang := make(chan struct{})
	synctest.Test(t, func(t *testing.T) {
		hang = make(chan struct{})
		var logged lockedBuffer
		srv := serve(t, func(c *engine.ServerConfig) {
			c.Plugins = []hooks.Plugin{{Observe: good.observe}, {Observe: func(e hooks.Event) { <-hang; slow.observe(e) }}}
			c.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelWarn}))
		})
		alice, _ := dial(t, srv, "alice", nil)
		for range 250 {
			must(t, alice.Call(t.Context(), "offline", hooks.MediaAudio))
			must(t, alice.Hangup(t.Context()))
			time.Sleep(50 * time.Millisecond) // virtual
		}
		synctest.Wait()
		want := good.list
		if dropped := srv.DroppedEvents(); len(want) < 1100 || dropped != uint64(len(want)-1024-1) { // one is being told
			t.Errorf("%d of %d events dropped", dropped, len(want))
		}
		close(hang)
		synctest.Wait()
		if len(slow.list) != 1025 {
			t.Fatalf("observed %d", len(slow.list))
		}
		for i, e := range slow.list {
			if e.Kind != want[i].Kind || e.CallID != want[i].CallID {
				t.Fatalf("observed %+v in place %d, want %+v", e, i, want[i])
			}
		}
		if c := strings.Count(logged.String(), "does not keep up"); c != 1 {
			t.Errorf("warned %d times", c)
		}
	})
}

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

// Every hook may ask the server what needs its lock: it is never held.
func TestNoHookIsCalledWithTheServersLockHeld(t *testing.T) {
	var srv atomic.Pointer[engine.Server]
	var asked sync.Map
	touch := func(who string) {
		if s := srv.Load(); s != nil {
			s.Addr() // takes the lock
			asked.Store(who, true)
		}
	}
	p := hooks.Plugin{
		MayCall:   func(context.Context, hooks.CallRequest) error { touch("MayCall"); return nil },
		Member:    func(context.Context, string, string) error { touch("Member"); return nil },
		Admit:     func(context.Context, hooks.AdmitRequest) error { touch("Admit"); return nil },
		MayRecord: func(context.Context, hooks.RecordRequest) error { touch("MayRecord"); return nil },
		Route:     func(context.Context, hooks.RouteRequest) (bool, error) { touch("Route"); return false, nil },
		Push:      func(context.Context, hooks.PushRequest) error { touch("Push"); return nil },
		Observe:   func(hooks.Event) { touch("Observe") },
		Packet: func(hooks.TrackInfo) hooks.PacketHook {
			touch("Packet")
			return func([]byte) bool { touch("PacketHook"); return true }
		},
	}
	synctest.Test(t, func(t *testing.T) {
		standard := engine.UserSigSignIn(testApp, testKey)
		s := serve(t, func(c *engine.ServerConfig) {
			c.Plugins = []hooks.Plugin{p}
			c.SignIn = func(ctx context.Context, r hooks.SignInRequest) (hooks.SignIn, error) {
				touch("SignIn")
				return standard(ctx, r)
			}
		})
		srv.Store(s)
		_, b := dial(t, s, "bob", nil)
		r := rawDial(t, s)
		// Packets that come before the server knows what they belong to.
		pli, err := (&rtcp.PictureLossIndication{MediaSSRC: 1}).Marshal()
		must(t, err)
		r.sess.Send(transport.Packet{Flow: 63, Payload: pli})
		r.sess.Send(transport.Packet{Flow: 1, Payload: rtpPacket(&signal.Track{}, 1)})
		synctest.Wait()
		token := r.signIn("mallory").Token
		r.send(signal.TypeCall, 1, signal.Call{UserIDs: []string{"bob", "offline"}, IsGroup: true, GroupID: "g", Media: 2})
		_, res := r.read(signal.TypeResult)
		call := res.(*signal.Result).CallID
		b.wait(t, "invited")
		must(t, b.client.Accept(t.Context()))
		r.send(signal.TypePublish, 2, signal.Publish{CallID: call, Kind: signal.KindAudio})
		var track *signal.Track
		for track == nil {
			_, res := r.read(signal.TypeResult)
			track = res.(*signal.Result).Track
		}
		r.sess.Send(transport.Packet{Flow: track.Flow, Payload: rtpPacket(track, 1)})
		synctest.Wait()
		r.sess.Close()
		r = rawDial(t, s)
		r.sess.Send(transport.Packet{Flow: 63, Payload: pli})
		r.sess.Send(transport.Packet{Flow: track.Flow, Payload: rtpPacket(track, 2)}) // before the resume
		synctest.Wait()
		if w, bye := r.resume(token, 0); w == nil {
			t.Fatalf("not resumed: %+v", bye)
		}
		must(t, s.MayRecord(t.Context(), hooks.RecordRequest{}))
		must(t, b.client.Hangup(t.Context()))
		synctest.Wait()
		for _, who := range []string{"SignIn", "MayCall", "Member", "Admit", "MayRecord", "Route", "Push", "Observe", "Packet", "PacketHook"} {
			if _, ok := asked.Load(who); !ok {
				t.Errorf("%s was not called", who)
			}
		}
	})
}

// A packet hook that hangs stops its own talker, and nobody else; not even the
// end of that talker's call.
func TestHungPacketHookStopsOnlyItsTalker(t *testing.T) {
	hang := make(chan struct{})
	p := hooks.Plugin{Packet: func(tr hooks.TrackInfo) hooks.PacketHook {
		if tr.UserID != "mallory" {
			return nil
		}
		return func([]byte) bool { <-hang; return true }
	}}
	synctest.Test(t, func(t *testing.T) {
		hang = make(chan struct{})
		srv := serve(t, plugged(p))
		r, track, _ := talker(t, srv, "mallory", "bob")
		r.sess.Send(transport.Packet{Flow: track.Flow, Payload: rtpPacket(track, 1)})
		synctest.Wait()
		r.send(signal.TypeHangup, 3, signal.CallRef{CallID: track.CallID})
		r.read(signal.TypeCallEnd)
		wellAfter(t, srv)
		close(hang)
		synctest.Wait()
	})
}

// talker makes a raw client call another, who accepts, and publishes audio.
func talker(t *testing.T, srv *engine.Server, user, callee string) (*raw, *signal.Track, *recorder) {
	t.Helper()
	_, b := dial(t, srv, callee, nil)
	r := rawDial(t, srv)
	r.signIn(user)
	r.send(signal.TypeCall, 1, signal.Call{UserIDs: []string{callee}, Media: 1})
	_, res := r.read(signal.TypeResult)
	call := res.(*signal.Result).CallID
	b.wait(t, "invited")
	must(t, b.client.Accept(t.Context()))
	r.send(signal.TypePublish, 2, signal.Publish{CallID: call, Kind: signal.KindAudio})
	for {
		_, res := r.read(signal.TypeResult)
		if track := res.(*signal.Result).Track; track != nil {
			b.wait(t, "audio "+user+" true")
			return r, track, b
		}
	}
}

// Packet hooks see each packet of the tracks they chose, in the plugins' order,
// may change it, and may drop it.
func TestPacketHooksSeeChangeAndDrop(t *testing.T) {
	var bound []hooks.TrackInfo
	var first, second [][]byte
	p1 := hooks.Plugin{Packet: func(tr hooks.TrackInfo) hooks.PacketHook {
		bound = append(bound, tr)
		return func(p []byte) bool {
			first = append(first, slices.Clone(p))
			p[len(p)-1] ^= 0xFF
			return len(first) != 2 // the second is dropped
		}
	}}
	p2 := hooks.Plugin{Packet: func(hooks.TrackInfo) hooks.PacketHook {
		return func(p []byte) bool { second = append(second, slices.Clone(p)); return true }
	}}
	p3 := hooks.Plugin{Packet: func(hooks.TrackInfo) hooks.PacketHook { return nil }}
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, plugged(p1, hooks.Plugin{}, p2, p3))
		r, track, b := talker(t, srv, "alice", "bob")
		for seq := range uint16(3) {
			r.sess.Send(transport.Packet{Flow: track.Flow, Payload: rtpPacket(track, seq+1)})
			synctest.Wait()
		}
		if len(bound) != 1 || bound[0] != (hooks.TrackInfo{CallID: track.CallID, UserID: "alice"}) {
			t.Errorf("bound to %+v", bound)
		}
		if len(first) != 3 || !bytes.Equal(first[0], rtpPacket(track, 1)) {
			t.Errorf("the first saw %d packets: %x", len(first), first)
		}
		if len(second) != 2 || second[0][len(second[0])-1] != 0xFE^0xFF {
			t.Errorf("the second saw %d packets: %x", len(second), second)
		}
		if got := b.client.Stats().Tracks[0].Jitter.Received; got != 2 {
			t.Errorf("bob got %d packets, want 2", got)
		}
	})
}

// A packet hook that panics again and again, or takes too long, is taken off
// with one warning; the sound goes on, and a hook that is only now and then
// late stays.
func TestBadPacketHooksAreTakenOff(t *testing.T) {
	for name, c := range map[string]struct {
		hook  func(n int) bool
		calls int // of 100
		heard uint64
		words string
	}{
		"panics":            {func(int) bool { panic("oh") }, 3, 100, "panicked 3 times"},
		"overruns":          {func(int) bool { time.Sleep(2 * time.Millisecond); return true }, 25, 100, "took longer than 1ms"},
		"late now and then": {func(n int) bool { time.Sleep(time.Duration(n%24/4) * time.Millisecond); return true }, 100, 100, ""},
		"drops all":         {func(int) bool { return false }, 100, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			p := hooks.Plugin{Name: "bad", Packet: func(hooks.TrackInfo) hooks.PacketHook {
				return func([]byte) bool { calls++; return c.hook(calls) }
			}}
			synctest.Test(t, func(t *testing.T) {
				var logged lockedBuffer
				srv := serve(t, func(cfg *engine.ServerConfig) {
					cfg.Plugins = []hooks.Plugin{p}
					cfg.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelWarn}))
				})
				r, track, b := talker(t, srv, "alice", "bob")
				for seq := range uint16(100) {
					r.sess.Send(transport.Packet{Flow: track.Flow, Payload: rtpPacket(track, seq+1)})
					time.Sleep(20 * time.Millisecond) // virtual
				}
				synctest.Wait()
				if calls != c.calls {
					t.Errorf("called %d times, want %d", calls, c.calls)
				}
				if got := b.client.Stats().Tracks[0].Jitter.Received; got != c.heard {
					t.Errorf("bob got %d packets, want %d", got, c.heard)
				}
				n := strings.Count(logged.String(), "media hook taken off")
				if c.words == "" && n != 0 || c.words != "" && (n != 1 || !strings.Contains(logged.String(), c.words)) {
					t.Errorf("warned %d times:\n%s", n, logged.String())
				}
			})
		})
	}
}

// A Packet that fails, or does not return, binds no hook; publishing goes on.
func TestPacketHookThatIsNotBound(t *testing.T) {
	for name, bind := range map[string]func(hooks.TrackInfo) hooks.PacketHook{
		"panics": func(hooks.TrackInfo) hooks.PacketHook { panic("oh") },
		"late":   func(hooks.TrackInfo) hooks.PacketHook { time.Sleep(time.Minute); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, plugged(hooks.Plugin{Packet: bind}))
				r, track, b := talker(t, srv, "alice", "bob")
				r.sess.Send(transport.Packet{Flow: track.Flow, Payload: rtpPacket(track, 1)})
				synctest.Wait()
				if got := b.client.Stats().Tracks[0].Jitter.Received; got != 1 {
					t.Errorf("bob got %d packets", got)
				}
				time.Sleep(2 * time.Minute) // virtual
			})
		})
	}
}

// Remote is asked once for each talker; its hooks see and change that talker's
// sound. A Remote that panics binds none.
func TestRemotePCMHooks(t *testing.T) {
	for name, c := range map[string]struct {
		bind func(user string, calls *int) hooks.PCMHook
		loud bool
	}{
		"changes": {func(_ string, calls *int) hooks.PCMHook {
			return func(pcm []int16) {
				*calls++
				for i := range pcm {
					pcm[i] = 1000
				}
			}
		}, true},
		"none":   {func(string, *int) hooks.PCMHook { return nil }, false},
		"panics": {func(string, *int) hooks.PCMHook { panic("oh") }, false},
		"panics later": {func(_ string, calls *int) hooks.PCMHook {
			return func([]int16) { *calls++; panic("oh") }
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, nil)
				var bound []string
				calls := 0
				r := rawDial(t, srv)
				bob, b := dial(t, srv, "bob", func(cfg *engine.ClientConfig) {
					cfg.Codec = pionopus.Driver{}
					cfg.Remote = func(user string) hooks.PCMHook {
						bound = append(bound, user)
						return c.bind(user, &calls)
					}
				})
				r.signIn("alice")
				r.send(signal.TypeCall, 1, signal.Call{UserIDs: []string{"bob"}, Media: 1})
				_, res := r.read(signal.TypeResult)
				b.wait(t, "invited")
				must(t, bob.Accept(t.Context()))
				r.send(signal.TypePublish, 2, signal.Publish{CallID: res.(*signal.Result).CallID, Kind: signal.KindAudio})
				b.wait(t, "audio alice true")
				pcm := make([]int16, 480)
				loud := false
				for range 50 {
					bob.ReadPCM(pcm)
					loud = loud || pcm[479] > 500
				}
				if !slices.Equal(bound, []string{"alice"}) {
					t.Errorf("bound to %q", bound)
				}
				if loud != c.loud {
					t.Errorf("the hook's sound was heard: %v", loud)
				}
				if name == "changes" && calls != 50 || name == "panics later" && calls != 3 {
					t.Errorf("called %d times", calls)
				}
			})
		})
	}
}
