package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/video"
)

// All callbacks of a client come on one goroutine, one at a time, in the order
// of what happened, however many others call at once.
func TestCallbacksComeInOrderOnOneGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		_, b := dial(t, srv, "bob", nil)
		var inside atomic.Int32
		var mu sync.Mutex
		on := make(map[string]bool)
		b.on = func(string) {
			if inside.Add(1) != 1 {
				t.Error("two callbacks at a time")
			}
			time.Sleep(time.Millisecond) // virtual
			var buf [64]byte
			id, _, _ := strings.Cut(string(buf[:runtime.Stack(buf[:], false)]), " [")
			mu.Lock()
			on[id] = true
			mu.Unlock()
			inside.Add(-1)
		}
		var wg sync.WaitGroup
		for i := range 8 {
			c, _ := dial(t, srv, fmt.Sprint("caller", i), nil)
			wg.Go(func() {
				for range 5 {
					if c.Call(t.Context(), "bob", hooks.MediaAudio) == nil {
						time.Sleep(time.Duration(i+1) * time.Millisecond) // virtual
						c.Hangup(t.Context())
					}
				}
			})
		}
		wg.Wait()
		time.Sleep(time.Second) // virtual
		events := b.all()
		for i, e := range events { // each invitation is followed by its own end
			if want := i%2 == 0; strings.HasPrefix(e, "invited") != want || !want && e != "cancel" {
				t.Fatalf("event %d is %q: %q", i, e, events)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if len(events) < 10 || len(on) != 1 {
			t.Errorf("%d events on %d goroutines", len(events), len(on))
		}
	})
}

// Every function of a client may be called from inside a callback: it returns,
// and the client goes on, or ends as it should.
func TestEveryFunctionInsideACallback(t *testing.T) {
	ctx := context.Background()
	type call struct {
		during string // the callback of bob's
		f      func(t *testing.T, c *engine.Client) error
		ok     bool // it can be done there
	}
	calls := map[string]call{
		"Accept": {"invited", func(_ *testing.T, c *engine.Client) error { return c.Accept(ctx) }, true},
		"Reject": {"invited", func(_ *testing.T, c *engine.Client) error { return c.Reject(ctx) }, true},
		"Ignore": {"invited", func(_ *testing.T, c *engine.Client) error { return c.Ignore(ctx) }, true},
		"Hangup": {"begin", func(_ *testing.T, c *engine.Client) error { return c.Hangup(ctx) }, true},
		"Call": {"end", func(_ *testing.T, c *engine.Client) error {
			return c.Call(ctx, "carol", hooks.MediaAudio)
		}, true},
		"GroupCall": {"end", func(_ *testing.T, c *engine.Client) error {
			return c.GroupCall(ctx, []string{"alice", "carol"}, hooks.MediaAudio, "")
		}, true},
		"InviteUser": {"begin", func(_ *testing.T, c *engine.Client) error { return c.InviteUser(ctx, []string{"carol"}) }, true},
		"JoinCall":   {"begin", func(_ *testing.T, c *engine.Client) error { return c.JoinCall(ctx, "none") }, false},
		"SwitchMedia": {"begin", func(_ *testing.T, c *engine.Client) error {
			return c.SwitchMedia(ctx, hooks.MediaAudio)
		}, true},
		"OpenCamera": {"begin", func(t *testing.T, c *engine.Client) error { return c.OpenCamera(ctx, newCamera(t)) }, true},
		"CloseCamera": {"begin", func(t *testing.T, c *engine.Client) error {
			if err := c.OpenCamera(ctx, newCamera(t)); err != nil {
				return err
			}
			return c.CloseCamera(ctx)
		}, true},
		"StartRemoteView": {"video alice true", func(_ *testing.T, c *engine.Client) error {
			return c.StartRemoteView(ctx, "alice", new(video.Sink))
		}, true},
		"StopRemoteView": {"video alice true", func(_ *testing.T, c *engine.Client) error {
			c.StartRemoteView(ctx, "alice", new(video.Sink))
			return c.StopRemoteView(ctx, "alice")
		}, true},
		"SetPrivateMapKey": {"begin", func(_ *testing.T, c *engine.Client) error {
			c.SetPrivateMapKey("")
			return nil
		}, true},
		"SetMicMute":           {"begin", func(_ *testing.T, c *engine.Client) error { return c.SetMicMute(ctx, true) }, true},
		"SetRemoteAudioVolume": {"begin", func(_ *testing.T, c *engine.Client) error { return c.SetRemoteAudioVolume(ctx, "alice", 50) }, true},
		"SetReceiveMode":       {"begin", func(_ *testing.T, c *engine.Client) error { return c.SetReceiveMode(ctx, hooks.ModeForward) }, true},
		"UpdateSelf3DSpatialPosition": {"begin", func(_ *testing.T, c *engine.Client) error {
			if err := c.UpdateSelf3DSpatialPosition(ctx, nil); err == nil {
				return errors.New("a position was taken from a client")
			}
			return nil
		}, true},
		"Migrate": {"begin", func(_ *testing.T, c *engine.Client) error {
			if err := c.Migrate(ctx, nil); !errors.Is(err, engine.ErrCannotMigrate) {
				return fmt.Errorf("migrating a pipe: %w", err)
			}
			return nil
		}, true},
		"MuteRemoteAudio": {"begin", func(_ *testing.T, c *engine.Client) error { return c.MuteRemoteAudio(ctx, "alice", true) }, false},
		"SetSelfInfo":     {"begin", func(_ *testing.T, c *engine.Client) error { return c.SetSelfInfo(ctx, "B", "") }, true},
		"UserInfo": {"begin", func(_ *testing.T, c *engine.Client) error {
			_, err := c.UserInfo(ctx, "alice")
			return err
		}, true},
		"RecentCalls": {"begin", func(_ *testing.T, c *engine.Client) error {
			_, _, err := c.RecentCalls(ctx, engine.RecentQuery{})
			return err
		}, true},
		"EnableCustomViewRoute": {"begin", func(_ *testing.T, c *engine.Client) error { return c.EnableCustomViewRoute(true) }, false},
		"EnableAudioVolumeEvaluation": {"begin", func(_ *testing.T, c *engine.Client) error {
			c.EnableAudioVolumeEvaluation(time.Second)
			return nil
		}, true},
		"SetCallingListener": {"begin", func(_ *testing.T, c *engine.Client) error {
			c.SetCallingListener(newRecorder())
			return nil
		}, true},
		"RemoveCallingListener": {"begin", func(_ *testing.T, c *engine.Client) error {
			c.RemoveCallingListener(hooks.NopListener{})
			return nil
		}, true},
		"ReadPCM": {"begin", func(_ *testing.T, c *engine.Client) error { c.ReadPCM(make([]int16, 480)); return nil }, true},
		"Stats":   {"begin", func(_ *testing.T, c *engine.Client) error { c.Stats(); return nil }, true},
		"UserID":  {"begin", func(_ *testing.T, c *engine.Client) error { _ = c.UserID(); return nil }, true},
		"Err":     {"begin", func(_ *testing.T, c *engine.Client) error { return c.Err() }, true},
		"Done":    {"begin", func(_ *testing.T, c *engine.Client) error { c.Done(); return nil }, true},
		"Destroy": {"begin", func(_ *testing.T, c *engine.Client) error { return c.Destroy() }, true},
	}
	typ := reflect.TypeFor[*engine.Client]()
	for i := range typ.NumMethod() {
		if name := typ.Method(i).Name; calls[name].f == nil {
			t.Errorf("%s is not tried inside a callback", name)
		}
	}
	for name, c := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, nil)
				alice, a := dial(t, srv, "alice", nil)
				bob, b := dial(t, srv, "bob", nil)
				dial(t, srv, "carol", nil)
				done := make(chan error, 1)
				var once sync.Once
				b.on = func(e string) {
					if strings.HasPrefix(e, c.during) {
						once.Do(func() {
							start := time.Now()
							err := c.f(t, bob)
							if took := time.Since(start); took > 500*time.Millisecond {
								t.Errorf("%s took %v", name, took)
							}
							done <- err
						})
					}
				}
				must(t, alice.GroupCall(t.Context(), []string{"bob"}, hooks.MediaVideo, ""))
				if c.during != "invited" {
					b.wait(t, "invited")
					bob.Accept(t.Context())
					a.wait(t, "begin")
					if strings.HasPrefix(c.during, "video") {
						must(t, alice.OpenCamera(t.Context(), newCamera(t)))
					}
					if c.during == "end" {
						must(t, alice.Hangup(t.Context()))
					}
				}
				if err := <-done; (err == nil) != c.ok {
					t.Errorf("%s inside a callback: %v", name, err)
				}
				if name == "Destroy" {
					<-bob.Done()
					a.wait(t, "leave bob 0")
					return
				}
				// It lives on.
				synctest.Wait()
				bob.Hangup(t.Context())
				must(t, bob.SetSelfInfo(t.Context(), "still here", ""))
			})
		})
	}
}

// Destroy ends the client in whatever callback it comes.
func TestDestroyInEachCallback(t *testing.T) {
	for _, during := range []string{"invited", "entered", "enter alice", "begin", "video alice true", "video alice false", "media", "leave", "end"} {
		t.Run(during, func(t *testing.T) {
			two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
				b.on = func(e string) {
					if strings.HasPrefix(e, during) {
						bob.Destroy()
						bob.Destroy() // is idempotent
					}
				}
				ctx := t.Context()
				must(t, alice.GroupCall(ctx, []string{"bob"}, hooks.MediaVideo, ""))
				b.wait(t, "invited")
				bob.Accept(ctx)
				synctest.Wait()
				alice.OpenCamera(ctx, newCamera(t))
				synctest.Wait()
				alice.CloseCamera(ctx)
				alice.SwitchMedia(ctx, hooks.MediaAudio)
				alice.Hangup(ctx)
				<-bob.Done()
				if err := bob.Err(); !errors.Is(err, engine.ErrClosed) {
					t.Errorf("Err() = %v", err)
				}
				if got := count(b, "end") + count(b, "cancel"); during != "invited" && got != 1 {
					t.Errorf("bob was told %d times of the end: %q", got, b.all())
				}
			})
		})
	}
}

// logs is a logger that keeps what it is told.
type logs struct {
	mu sync.Mutex
	bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.Write(p)
}

func (l *logs) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// A slow listener is reported while it is slow, delays its own client, and
// nobody else's.
func TestSlowListenerDelaysOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logs
		srv := serve(t, nil)
		alice, a := dial(t, srv, "alice", nil)
		bob, b := dial(t, srv, "bob", func(c *engine.ClientConfig) { c.Logger = log.logger() })
		carol, c := dial(t, srv, "carol", nil)
		wake := make(chan bool)
		wakeUp := sync.OnceFunc(func() { close(wake) })
		defer wakeUp()
		b.on = func(e string) {
			if strings.HasPrefix(e, "invited") {
				<-wake
			}
		}
		must(t, alice.GroupCall(t.Context(), []string{"bob", "carol"}, hooks.MediaAudio, ""))
		b.wait(t, "invited")
		c.wait(t, "invited")
		must(t, carol.Accept(t.Context()))
		must(t, bob.Accept(t.Context())) // from elsewhere it goes on working
		a.wait(t, "enter bob")
		c.wait(t, "enter bob")
		time.Sleep(1900 * time.Millisecond) // virtual
		if s := bob.Stats().SlowCallbacks; s != 0 || strings.Contains(log.text(), "slow") {
			t.Errorf("reported after 1.9 s: %d %s", s, log.text())
		}
		time.Sleep(10 * time.Second) // virtual
		if s := bob.Stats().SlowCallbacks; s != 1 || strings.Count(log.text(), "listener is slow") != 1 {
			t.Errorf("after 12 s: %d slow callbacks, log:\n%s", s, log.text())
		}
		b.want(t, "invited by alice audio 30s")
		wakeUp()
		b.wait(t, "begin")
		if s := bob.Stats(); s.SlowCallbacks != 1 || s.CallbackPanics != 0 {
			t.Errorf("%+v", s)
		}
		if alice.Stats().SlowCallbacks+carol.Stats().SlowCallbacks != 0 {
			t.Error("others are slow, too")
		}
	})
}

func TestPanicsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logs
		srv := serve(t, nil)
		alice, _ := dial(t, srv, "alice", nil)
		bob, b := dial(t, srv, "bob", func(c *engine.ClientConfig) { c.Logger = log.logger() })
		calm := newRecorder()
		bob.SetCallingListener(calm)
		b.on = func(string) { panic("a listener's fault") }
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		calm.wait(t, "invited")
		must(t, alice.Hangup(t.Context()))
		calm.wait(t, "cancel")
		if n := bob.Stats().CallbackPanics; n != 2 || !strings.Contains(log.text(), "a listener's fault") {
			t.Errorf("%d panics counted, log:\n%s", n, log.text())
		}
	})
}

// Call events wait for a slow listener and are never dropped; with 1,024
// waiting its client is closed, and the others go on.
func TestCallEventsAreNeverDropped(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		wake, stuck := make(chan bool), true
		wakeUp := sync.OnceFunc(func() { close(wake) })
		defer wakeUp()
		b.on = func(string) {
			if stuck {
				<-wake
				stuck = false
			}
		}
		ring := func(n int) { // each is three callbacks of bob's
			for range n {
				if alice.Call(t.Context(), "bob", hooks.MediaAudio) != nil || alice.Hangup(t.Context()) != nil {
					t.Fatal("alice cannot call")
				}
				time.Sleep(50 * time.Millisecond) // virtual: below the limit of requests
			}
		}
		ring(340)
		if n := len(b.all()); n != 1 {
			t.Fatalf("bob was told %d things while stuck", n)
		}
		wake <- true
		synctest.Wait()
		if n := len(b.all()); n != 680 {
			t.Errorf("bob was told %d things of 340 calls, want 680", n)
		}
		must(t, bob.Err())

		b.on = func(string) { <-wake }
		ring(345)
		synctest.Wait()
		if err := bob.Err(); !errors.Is(err, engine.ErrSlowListener) {
			t.Errorf("after 1,035 callbacks: %v", err)
		}
		select {
		case <-bob.Done():
			t.Error("done while a callback runs")
		default:
		}
		if err := srv.Kick("bob", "still here?"); err == nil {
			t.Error("bob is still signed in: the others wait for him")
		}
		wakeUp()
		<-bob.Done()
		carol, c := dial(t, srv, "carol", nil)
		connect(t, alice, carol, c, hooks.MediaAudio)
	})
}

// ears counts the callbacks that coalesce, and is stuck in one other.
type ears struct {
	hooks.NopListener
	wake               chan bool
	volumes, qualities atomic.Int32
}

func (e *ears) OnCallBegin(hooks.CallInfo) { <-e.wake }
func (e *ears) OnUserVoiceVolume([]hooks.UserVolume, int) {
	e.volumes.Add(1)
}
func (e *ears) OnNetworkQuality(hooks.UserQuality, []hooks.UserQuality) { e.qualities.Add(1) }

// Of volumes and qualities a slow listener hears the newest alone; they never
// close its client.
func TestVolumesAndQualitiesCoalesce(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		slow := &ears{wake: make(chan bool)}
		defer close(slow.wake)
		bob.SetCallingListener(slow)
		bob.EnableAudioVolumeEvaluation(100 * time.Millisecond)
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		a.wait(t, "begin")
		time.Sleep(5*time.Minute + 50*time.Millisecond) // virtual: 3,000 volumes
		if n := slow.volumes.Load() + slow.qualities.Load(); n != 0 {
			t.Fatalf("%d callbacks while one runs", n)
		}
		slow.wake <- true
		synctest.Wait()
		if v, q := slow.volumes.Load(), slow.qualities.Load(); v != 1 || q > 1 {
			t.Errorf("%d volumes and %d qualities were kept, want the newest of each", v, q)
		}
		must(t, bob.Err())
		time.Sleep(time.Second) // virtual
		if v := slow.volumes.Load(); v != 11 {
			t.Errorf("%d volumes, want 11: it goes on", v)
		}
	})
}

// byValue cannot be compared.
type byValue struct {
	hooks.NopListener
	told  []string
	heard *atomic.Int32
}

func (b byValue) OnInvited(hooks.Invitation) { b.heard.Add(1) }

// Listeners are a set: one that is added twice is told once, and one that is
// removed inside a callback is told nothing more, not even of this.
func TestListenersAreASet(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		second, third, late := newRecorder(), newRecorder(), newRecorder()
		odd := byValue{told: []string{"x"}, heard: new(atomic.Int32)}
		bob.SetCallingListener(b) // again
		for range 3 {
			bob.SetCallingListener(second)
		}
		bob.SetCallingListener(third)
		bob.SetCallingListener(odd)
		bob.SetCallingListener(nil)
		bob.RemoveCallingListener(newRecorder()) // is none
		bob.RemoveCallingListener(nil)
		b.on = func(e string) {
			if strings.HasPrefix(e, "invited") {
				bob.RemoveCallingListener(b) // itself
				bob.RemoveCallingListener(third)
				bob.SetCallingListener(late)
			}
		}
		ctx := t.Context()
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		second.wait(t, "invited")
		must(t, alice.Hangup(ctx))
		second.wait(t, "cancel")
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		synctest.Wait()
		const invited = "invited by alice audio 30s"
		b.want(t, invited)
		second.want(t, invited, "cancel", invited)
		third.want(t)
		if got := late.all(); !slices.Equal(got, []string{"cancel", invited}) && !slices.Equal(got, []string{invited, "cancel", invited}) {
			t.Errorf("the one that was added inside a callback was told %q", got)
		}
		if n := odd.heard.Load(); n != 2 {
			t.Errorf("the listener that cannot be compared was told of %d invitations, want 2", n)
		}
	})
}
