// Package hookstest checks that a host's hooks keep what the engine expects of
// them: a conformance suite that the author of a plugin runs against it.
//
//	func TestPlugin(t *testing.T) {
//		hookstest.Run(t, func() hooks.Plugin { return ban.Plugin(ban.Config{File: "testdata/banned"}) })
//	}
//
// Run it with the race detector, and not beside parallel tests: it counts
// goroutines and allocations.
package hookstest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

const (
	// deadline is how long the engine waits for a decider, and at its end for
	// an observer.
	deadline = 2 * time.Second
	// grace is how soon after the end of its context a decider returns.
	grace = time.Second
)

// Run checks a plugin: that it has a name; that its deciders answer whatever
// they are asked within 2 s, stop when their context ends, may be asked from
// many goroutines at a time, and refuse in a form that users are shown as it
// is; that its observer returns; that its packet hooks leave headers and
// lengths alone, allocate nothing and keep within 1 ms; and that nothing panics
// or leaves goroutines behind. newPlugin is called anew for each check.
func Run(t testing.TB, newPlugin func() hooks.Plugin) {
	t.Helper()
	p := newPlugin()
	if p.Name == "" {
		t.Error("the plugin has no name: its logs would not say whose they are")
	}
	deciders := []struct {
		name string
		has  bool
		ask  func(p *hooks.Plugin, ctx context.Context, s string) error
	}{
		{"MayCall", p.MayCall != nil, func(p *hooks.Plugin, ctx context.Context, s string) error {
			return p.MayCall(ctx, hooks.CallRequest{Caller: s, Callees: []string{s, "bob", s}, IsGroup: true, GroupID: s, RoomID: hooks.RoomID{Name: s}, Media: hooks.MediaAudio, CallID: s})
		}},
		{"MayCall, nobody", p.MayCall != nil, func(p *hooks.Plugin, ctx context.Context, s string) error {
			return p.MayCall(ctx, hooks.CallRequest{Caller: s})
		}},
		{"Member", p.Member != nil, func(p *hooks.Plugin, ctx context.Context, s string) error { return p.Member(ctx, s, s) }},
		{"Admit", p.Admit != nil, func(p *hooks.Plugin, ctx context.Context, s string) error {
			return p.Admit(ctx, hooks.AdmitRequest{UserID: s, CallID: s, GroupID: s, Media: hooks.MediaVideo})
		}},
		{"AdmitRoQ", p.AdmitRoQ != nil, func(p *hooks.Plugin, ctx context.Context, s string) error {
			a, err := p.AdmitRoQ(ctx, hooks.RoQRequest{RemoteAddr: s, ALPN: s, ServerName: s, Certificates: [][]byte{[]byte(s), nil}})
			if err == nil && a.UserID != "" && ctx.Err() == nil {
				if wrong := a.Check(); wrong != nil {
					t.Errorf("AdmitRoQ: an answer that the engine refuses: %v", wrong)
				}
			}
			return err
		}},
		{"MayRecord", p.MayRecord != nil, func(p *hooks.Plugin, ctx context.Context, s string) error {
			return p.MayRecord(ctx, hooks.RecordRequest{UserID: s, CallID: s})
		}},
		{"Route", p.Route != nil, func(p *hooks.Plugin, ctx context.Context, s string) error {
			_, err := p.Route(ctx, hooks.RouteRequest{UserID: s, Inviter: s, IsGroup: true, GroupID: s, Media: hooks.MediaVideo})
			return err
		}},
		{"Push", p.Push != nil, func(p *hooks.Plugin, ctx context.Context, s string) error {
			return p.Push(ctx, hooks.PushRequest{UserID: s, CallID: s, Sponsor: s, GroupID: s, Media: hooks.MediaAudio, Until: time.Now().Add(30 * time.Second)})
		}},
	}
	some := p.Observe != nil || p.Volumes != nil || p.Packet != nil || p.Processor != nil ||
		p.PathProcessor != nil || p.MixProcessor != nil
	for _, d := range deciders {
		if !d.has {
			continue
		}
		some = true
		check(t, d.name, func(t testing.TB) func() {
			p := newPlugin()
			return func() { decider(t, func(ctx context.Context, s string) error { return d.ask(&p, ctx, s) }) }
		})
	}
	if p.Observe != nil {
		check(t, "Observe", func(t testing.TB) func() {
			p := newPlugin()
			return func() { observer(t, p.Observe) }
		})
	}
	if p.Volumes != nil {
		check(t, "Volumes", func(t testing.TB) func() {
			p := newPlugin()
			return func() { volumes(t, p.Volumes) }
		})
	}
	if p.Processor != nil {
		check(t, "Processor", func(t testing.TB) func() {
			p := newPlugin()
			return func() { processors(t, p.Processor) }
		})
	}
	if p.PathProcessor != nil {
		check(t, "PathProcessor", func(t testing.TB) func() {
			p := newPlugin()
			return func() {
				processors(t, func(i hooks.TrackInfo) hooks.PCMHook {
					return p.PathProcessor(hooks.PathInfo{CallID: i.CallID, Talker: i.UserID, Receiver: "r" + i.UserID})
				})
			}
		})
	}
	if p.MixProcessor != nil {
		check(t, "MixProcessor", func(t testing.TB) func() {
			p := newPlugin()
			return func() {
				for channels := 1; channels <= 2; channels++ {
					processors(t, func(i hooks.TrackInfo) hooks.PCMHook {
						h := p.MixProcessor(hooks.ReceiverInfo{CallID: i.CallID, UserID: i.UserID})
						if h == nil {
							return nil
						}
						return func(pcm []int16) { h(pcm, channels) }
					})
				}
			}
		})
	}
	if p.Packet != nil {
		check(t, "Packet", func(t testing.TB) func() {
			p := newPlugin()
			return func() { packets(t, p.Packet) }
		})
	}
	if !some {
		t.Error("the plugin has no function at all")
	}
}

// RunSignIn checks a sign-in decider as Run does deciders, and that it lets
// nobody in who shows nothing, or what no host would give out.
func RunSignIn(t testing.TB, newDecider func() hooks.SignInDecider) {
	t.Helper()
	check(t, "SignIn", func(t testing.TB) func() {
		decide := newDecider()
		return func() {
			decider(t, func(ctx context.Context, s string) error {
				_, err := decide(ctx, hooks.SignInRequest{UserID: "alice", UserSig: s, SDKAppID: 1, Agent: s, RemoteAddr: s, Protocol: s})
				if err == nil {
					t.Errorf("lets in who shows %.40q", s)
				}
				return err
			})
		}
	})
}

// RunPCM checks a hook on a talker's sound: that it takes blocks of every
// length, allocates nothing, keeps within 1 ms, does not panic, and leaves no
// goroutines behind.
func RunPCM(t testing.TB, newHook func() hooks.PCMHook) {
	t.Helper()
	check(t, "PCM", func(t testing.TB) func() {
		hook := newHook()
		return func() {
			blocks(t, "PCM hook", hook)
		}
	})
}

// blocks checks how a hook takes blocks of sound.
func blocks(t testing.TB, what string, hook hooks.PCMHook) {
	t.Helper()
	media(t, what, func(n int) {
		block := make([]int16, []int{480, 960, 120, 2880, 1, 0}[n%6])
		for i := range block {
			block[i] = int16(rand.Uint32())
		}
		hook(block)
	}, func() func() {
		block := make([]int16, 960)
		return func() { hook(block) }
	})
}

// check runs one check, as a test of its own where that can be, and looks for
// goroutines that it left. prepare makes the hook.
func check(t testing.TB, name string, prepare func(t testing.TB) func()) {
	t.Helper()
	body := func(t testing.TB) {
		run := prepare(t)
		before := runtime.NumGoroutine()
		run()
		var now int
		for range 100 {
			if now = runtime.NumGoroutine(); now <= before {
				return
			}
			time.Sleep(deadline / 100)
		}
		buf := make([]byte, 64<<10)
		t.Errorf("%s: %d goroutines before, %d after:\n%s", name, before, now, buf[:runtime.Stack(buf, true)])
	}
	if tt, ok := t.(*testing.T); ok {
		tt.Run(name, func(t *testing.T) { body(t) })
		return
	}
	body(t)
}

// hostile are strings that clients may send where a host expects a name.
var hostile = []string{
	"alice", "", " ", "\x00", "a\x00b", "\xff\xfe", "..", "../../etc/passwd", "C:\\con", "%s%n%d", "${HOME}",
	"'; DROP TABLE users; --", "\r\nX-Admin: 1", `{"userID":`, "<script>alert(1)</script>", "😀", "\u202eecila",
	"-1", "NaN", "18446744073709551616", "eyJhbGciOiJub25lIn0.e30.", strings.Repeat("x", 64), strings.Repeat("ü", 32<<10),
}

// contained calls a hook on a goroutine of its own, and reports a panic, or
// that it has not returned in time.
func contained(limit time.Duration, f func()) error {
	done := make(chan error, 1)
	go func() {
		returned := false
		defer func() {
			if r := recover(); r != nil {
				done <- fmt.Errorf("panicked: %v\n%s", r, debug.Stack())
			} else if !returned {
				done <- errors.New("ended its goroutine")
			}
		}()
		f()
		returned = true
		done <- nil
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		return fmt.Errorf("did not return within %v", limit)
	}
}

// decider checks one decider, which ask asks about a name.
func decider(t testing.TB, ask func(ctx context.Context, s string) error) {
	t.Helper()
	for _, s := range hostile {
		var answer error
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		err := contained(deadline, func() { answer = ask(ctx, s) })
		cancel()
		if err != nil {
			t.Errorf("asked about %.40q: %v", s, err)
			return
		}
		if r := (*hooks.Refusal)(nil); errors.As(answer, &r) {
			switch {
			case r == nil:
				t.Errorf("asked about %.40q: a nil *hooks.Refusal as an error is a no; return nil for a yes", s)
				return
			case r.Code >= 0:
				t.Errorf("asked about %.40q: refuses with code %d, which users see as %d: a Refusal's code is negative", s, r.Code, hooks.CodeEnterRefused)
			case len(r.Message) > 1024:
				t.Errorf("asked about %.40q: refuses with %d bytes of words, of which users see 1024", s, len(r.Message))
			}
		}
	}
	// A context that ends while it thinks, and one that has ended.
	for _, patience := range []time.Duration{50 * time.Millisecond, 0} {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		err := contained(patience+grace, func() { ask(ctx, "alice") })
		cancel()
		if err != nil {
			t.Errorf("asked with a context that ends after %v: %v", patience, err)
			return
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	together(t, func(int) {
		for _, s := range hostile {
			ask(ctx, s)
		}
	})
}

// together calls f on eight goroutines at a time.
func together(t testing.TB, f func(i int)) {
	t.Helper()
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := contained(5*deadline, func() { f(i) }); err != nil {
				t.Errorf("on eight goroutines at a time: %v", err)
			}
		})
	}
	wg.Wait()
}

var kinds = []hooks.EventKind{
	hooks.EventSignedIn, hooks.EventSignedOut, hooks.EventLost, hooks.EventResumed, hooks.EventCallStarted,
	hooks.EventLineBusy, hooks.EventAccepted, hooks.EventRejected, hooks.EventNoResponse, hooks.EventUserEntered,
	hooks.EventUserLeft, hooks.EventMediaChanged, hooks.EventCallEnded, hooks.EventCallMessage, "of a later version", "",
}

// observer checks Observe, which is called on one goroutine.
// volumes tells an observer how loud hostile users are.
func volumes(t testing.TB, tell func(hooks.RoomVolumes)) {
	t.Helper()
	for _, s := range hostile {
		v := hooks.RoomVolumes{CallID: s, Total: len(s) % 101}
		for i := range len(s) % 4 {
			v.Users = append(v.Users, hooks.UserVolume{UserID: s, Volume: 1 + i, Voice: i%2 == 0})
		}
		if err := contained(deadline, func() { tell(v) }); err != nil {
			t.Errorf("told of the volumes of %.40q: %v", s, err)
			return
		}
	}
}

func observer(t testing.TB, observe func(hooks.Event)) {
	t.Helper()
	for _, k := range kinds {
		for _, s := range hostile {
			e := hooks.Event{
				Kind: k, Time: time.Now(), UserID: s, Device: s, CallID: s, GroupID: s, Users: []string{s, s},
				Media: hooks.MediaVideo, Reason: hooks.EndHangup, Duration: time.Hour, Text: s,
			}
			if s == "" {
				e = hooks.Event{Kind: k}
			}
			if err := contained(deadline, func() { observe(e) }); err != nil {
				t.Errorf("told of %q: %v", k, err)
				return
			}
		}
	}
}
