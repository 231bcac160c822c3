package engine_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// What the original's users complained about, and what its code got wrong.
// Numbers are those of its public issues. See also
// TestComplaint67LogoutAndLoginAgain.

// Issue 44: one hung up, and the other was still in the call.
func TestComplaint44OneSideHangsUp(t *testing.T) {
	for _, who := range []string{"alice", "bob"} {
		gather(t, nil, func(p *party) {
			p.ring("alice", "bob")
			p.accept("bob")
			p.hangup(who)
			for _, u := range []string{"alice", "bob"} {
				if n := count(p.r[u], "end hangup"); n != 1 {
					t.Errorf("%s hung up, and %s was told %d times", who, u, n)
				}
				if err := p.c[u].Hangup(p.ctx()); !errors.Is(err, engine.ErrNoCall) {
					t.Errorf("%s is still in a call: %v", u, err)
				}
			}
			p.ring("bob", "alice") // both are free
			p.r["alice"].wait(t, "invited by bob")
		}, "alice", "bob")
	}
}

// Issue 146: the first to answer hung up, and the call ended for all though a
// second still rang.
func TestComplaint146FirstAnswererLeavesOthersRing(t *testing.T) {
	for _, groupID := range []string{"", "friends"} {
		gather(t, nil, func(p *party) {
			p.group(groupID, "alice", "bob", "carol")
			p.accept("bob")
			p.hangup("bob")
			time.Sleep(10 * time.Second) // virtual
			if got := count(p.r["alice"], "end") + count(p.r["carol"], "cancel") + count(p.r["carol"], "end"); got != 0 {
				t.Errorf("it ended: alice was told %q, carol %q", p.r["alice"].all(), p.r["carol"].all())
			}
			p.accept("carol")
			p.r["carol"].wait(t, "enter alice")
			p.r["alice"].wait(t, "enter carol")
		}, "alice", "bob", "carol")
	}
}

// Issue 57: after a timeout the chat showed another "start call". Pull request
// 75: the duration in it was always 0.
func TestComplaint57PhantomMessages(t *testing.T) {
	var log chat
	gather(t, func(c *engine.ServerConfig) { c.Plugins = []hooks.Plugin{log.plugin()} }, func(p *party) {
		p.ring("alice", "bob")
		time.Sleep(40 * time.Second) // virtual
		log.want(t, "dial by alice of alice [bob] 0s", "timeout by alice of alice [bob] 0s")
	}, "alice", "bob")
}

func TestComplaint75DurationAlwaysZero(t *testing.T) {
	var log chat
	gather(t, func(c *engine.ServerConfig) { c.Plugins = []hooks.Plugin{log.plugin()} }, func(p *party) {
		p.ring("alice", "bob")
		time.Sleep(7 * time.Second) // virtual: ringing does not count
		p.accept("bob")
		time.Sleep(95 * time.Second) // virtual
		p.hangup("bob")
		synctest.Wait()
		log.mu.Lock()
		defer log.mu.Unlock()
		if last := log.lines[len(log.lines)-1]; last != "hangup by bob of alice [] 1m35s" && last != "hangup by bob of bob [] 1m35s" {
			t.Errorf("the chat's last line is %q", last)
		}
	}, "alice", "bob")
}

// Changelogs: the callback of a hang-up came twice.
func TestComplaintHangupToldTwice(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.group("", "alice", "bob", "carol")
		p.accept("bob", "carol")
		// All hang up at once, and twice.
		done := make(chan bool)
		for _, u := range []string{"alice", "bob", "carol"} {
			for range 2 {
				go func() { p.c[u].Hangup(p.ctx()); done <- true }()
			}
		}
		for range 6 {
			<-done
		}
		time.Sleep(time.Minute) // virtual
		for _, u := range []string{"alice", "bob", "carol"} {
			if n := count(p.r[u], "end"); n != 1 {
				t.Errorf("%s was told %d times of the end: %q", u, n, p.r[u].all())
			}
		}
	}, "alice", "bob", "carol")
}

// Changelogs: a call of which no callback ever came.
func TestComplaintCallWithoutCallback(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.ring("alice", "nobody") // never signs in
		time.Sleep(time.Minute)   // virtual
		p.told("alice", "entered", "noresp nobody", "timeout [nobody]", "end no response 0s")
		p.group("", "alice", "nobody", "nobody2")
		time.Sleep(time.Minute) // virtual
		p.told("alice", "entered", "noresp nobody", "noresp nobody2", "timeout [nobody nobody2]", "end no response 0s")
	}, "alice")
}

// Changelogs: no word when one called a user who was busy.
func TestComplaintNoWordOfABusyUser(t *testing.T) {
	var seen events
	gather(t, func(c *engine.ServerConfig) { c.Plugins = []hooks.Plugin{{Observe: seen.observe}} }, func(p *party) {
		p.ring("bob", "carol")
		p.told("carol", "invited by bob audio 30s")
		p.ring("alice", "carol") // rings
		p.told("alice", "entered", "busy carol", "end line busy 0s")
		p.ring("alice", "bob") // dials
		p.told("alice", "entered", "busy bob", "end line busy 0s")
		p.accept("carol")
		p.ring("alice", "carol") // talks
		p.told("alice", "entered", "busy carol", "end line busy 0s")
		if err := p.c["bob"].Call(p.ctx(), "alice", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("bob calls while in a call: %v", err)
		}
		// The one who is busy is not bothered; the host may tell them.
		p.told("carol", "entered", "enter bob", "begin bob audio")
		synctest.Wait()
		busy := 0
		seen.mu.Lock()
		defer seen.mu.Unlock()
		for _, e := range seen.list {
			if e.Kind == hooks.EventLineBusy && e.UserID == "carol" {
				busy++
			}
		}
		if busy != 2 {
			t.Errorf("observers heard %d times that carol was called while busy, want 2", busy)
		}
	}, "alice", "bob", "carol")
}

// Changelogs: calls were rejected by themselves in some scenarios, because
// something of an earlier call had been left behind.
func TestComplaintAutomaticRejection(t *testing.T) {
	gather(t, nil, func(p *party) {
		ctx := p.ctx()
		for name, end := range map[string]func(){
			"hung up by the caller":  func() { p.accept("bob"); p.hangup("alice") },
			"hung up by the callee":  func() { p.accept("bob"); p.hangup("bob") },
			"taken back":             func() { p.hangup("alice") },
			"rejected":               func() { must(t, p.c["bob"].Reject(ctx)) },
			"ignored":                func() { must(t, p.c["bob"].Ignore(ctx)) },
			"not answered":           func() { time.Sleep(31 * time.Second) }, // virtual
			"accepted after its end": func() { p.hangup("alice"); p.c["bob"].Accept(ctx) },
			"switched":               func() { p.accept("bob"); must(t, p.c["bob"].SwitchMedia(ctx, hooks.MediaVideo)); p.hangup("bob") },
		} {
			p.ring("alice", "bob")
			end()
			p.forget()
			for _, way := range [][2]string{{"alice", "bob"}, {"bob", "alice"}} {
				p.ring(way[0], way[1])
				time.Sleep(time.Second) // virtual
				p.told(way[0], "entered")
				p.told(way[1], "invited by "+way[0]+" audio 30s")
				p.accept(way[1])
				p.hangup(way[0])
				if n := count(p.r[way[0]], "reject") + count(p.r[way[0]], "busy"); n != 0 {
					t.Errorf("after a call that was %s: %s was told %q", name, way[0], p.r[way[0]].all())
				}
				p.forget()
			}
		}
	}, "alice", "bob")
}

// Changelogs: accept was not debounced. Two presses of the button answer once,
// and the second says so.
func TestComplaintAcceptTwice(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.ring("alice", "bob")
		errs := make(chan error, 5)
		for range cap(errs) {
			go func() { errs <- p.c["bob"].Accept(p.ctx()) }()
		}
		ok := 0
		for range cap(errs) {
			err := <-errs
			var e *engine.Error
			if err == nil {
				ok++
			} else if !errors.As(err, &e) && !errors.Is(err, engine.ErrNoCall) {
				t.Errorf("another accept: %v", err)
			}
		}
		if ok != 1 {
			t.Errorf("%d accepts of 5 succeeded, want 1", ok)
		}
		p.told("bob", ringsBob, "entered", "enter alice", "begin alice audio")
		p.told("alice", "entered", "accept bob", "enter bob", "begin alice audio")
		if err := p.c["bob"].Accept(p.ctx()); !errors.Is(err, engine.ErrNoCall) {
			t.Errorf("accepting what was accepted: %v", err)
		}
	}, "alice", "bob")
}

// Changelogs: when the server dissolved a room or kicked somebody, the view
// stayed open.
func TestComplaintViewStaysOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		v := newViewer()
		alice, a := dial(t, srv, "alice", func(c *engine.ClientConfig) { c.View = v })
		bob, b := dial(t, srv, "bob", nil)
		connect(t, alice, bob, b, hooks.MediaAudio)
		dial(t, srv, "alice", nil) // kicks the first
		<-alice.Done()
		b.wait(t, "end ended by server")
		a.wait(t, "end ended by server")
		v.wait(t, "end ended by server")
	})
}

// Issues 200, 23 and TIMSDK 1044: an app in the background, or without a
// network for a moment, missed the call.
func TestComplaint200MissedInTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, a := w.dial(t, "alice", nil)
		bob, b := w.dial(t, "bob", nil)
		w.mu.Lock()
		away := slices.Clone(w.conns["bob"])
		w.mu.Unlock()
		for _, c := range away {
			w.net.Cut(w.at, c)
		}
		time.Sleep(time.Second) // virtual
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited by alice") // on another connection
		must(t, bob.Accept(t.Context()))
		a.wait(t, "begin")
		b.wait(t, "begin")
	})
}

// A calls B, who is offline, takes it back and calls again: B's second call did
// not show. And a user who signed in late missed a group call.
func TestComplaintCalledAgainWhileOffline(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.ring("alice", "bob")
		p.hangup("alice")
		time.Sleep(2 * time.Second) // virtual
		p.ring("alice", "bob")
		time.Sleep(3 * time.Second) // virtual
		p.signIn("bob")
		p.told("bob", "invited by alice audio 27s") // once, and not the first
		p.accept("bob")
		p.told("alice", "entered", "end canceled 0s", "entered", "accept bob", "enter bob", "begin alice audio")
		p.hangup("alice")
		p.group("friends", "alice", "bob", "carol")
		time.Sleep(12 * time.Second) // virtual
		p.signIn("carol")
		p.told("carol", "invited by alice audio 18s")
	}, "alice")
}

// Pull request 114 and issue 362: leaks. What signs out is gone, here and on
// the server.
func TestComplaint114NothingLeaks(t *testing.T) {
	gather(t, func(c *engine.ServerConfig) { c.MaxUsers = 3 }, func(p *party) {
		round := func() {
			p.signIn("bob")
			p.signIn("carol")
			must(t, p.c["alice"].GroupCall(p.ctx(), []string{"bob", "carol"}, hooks.MediaVideo, ""))
			synctest.Wait()
			p.accept("bob")
			must(t, p.c["bob"].OpenCamera(p.ctx(), newCamera(t)))
			p.r["alice"].wait(t, "video bob true")
			must(t, p.c["bob"].Destroy())
			<-p.c["bob"].Done()
			must(t, p.c["carol"].Destroy()) // while ringing
			<-p.c["carol"].Done()
			p.hangup("alice")
			p.forget()
			synctest.Wait()
		}
		round()
		before := runtime.NumGoroutine()
		for range 20 { // more devices than the server takes at a time
			round()
		}
		time.Sleep(time.Minute) // virtual: what lingers
		if now := runtime.NumGoroutine(); now > before+2 {
			t.Errorf("%d goroutines after 20 rounds, %d before", now, before)
		}
		// No call is left that would hold the server up.
		start := time.Now()
		must(t, p.srv.Shutdown(p.ctx()))
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("Shutdown took %v", took)
		}
	}, "alice")
}

// Issue 61: hanging up crashed. It may come at any time.
func TestComplaint61HangupAtAnyTime(t *testing.T) {
	gather(t, nil, func(p *party) {
		hang := func(when string, ok bool) {
			t.Helper()
			if err := p.c["bob"].Hangup(p.ctx()); (err == nil) != ok {
				t.Errorf("hanging up %s: %v", when, err)
			}
			synctest.Wait()
		}
		hang("without a call", false)
		p.ring("bob", "alice")
		hang("while dialling", true)
		hang("again", false)
		p.ring("alice", "bob")
		hang("while ringing", true)
		p.ring("alice", "bob")
		p.accept("bob")
		p.hangup("alice")
		hang("after the other", false)
		must(t, p.c["bob"].Destroy())
		hang("after Destroy", false)
		if err := p.c["bob"].Hangup(p.ctx()); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("after Destroy: %v, want ErrClosed", err)
		}
	}, "alice", "bob")
}

// Issues 244 and 436: "not login", without a way to know. Whoever is not signed
// in is told so by each function.
func TestComplaint244NotSignedIn(t *testing.T) {
	gather(t, nil, func(p *party) {
		if c, err := engine.SharedInstance(); c != nil || !errors.Is(err, engine.ErrNotInit) {
			t.Errorf("SharedInstance before Init: %v, %v", c, err)
		}
		alice := p.c["alice"]
		must(t, alice.Destroy())
		for name, err := range map[string]error{
			"Call":      alice.Call(p.ctx(), "bob", hooks.MediaAudio),
			"GroupCall": alice.GroupCall(p.ctx(), []string{"bob"}, hooks.MediaAudio, ""),
			"Accept":    alice.Accept(p.ctx()), "Reject": alice.Reject(p.ctx()), "Hangup": alice.Hangup(p.ctx()),
			"JoinCall": alice.JoinCall(p.ctx(), "x"), "SetSelfInfo": alice.SetSelfInfo(p.ctx(), "", ""),
			"OpenCamera": alice.OpenCamera(p.ctx(), newCamera(t)), "InviteUser": alice.InviteUser(p.ctx(), []string{"bob"}),
		} {
			if !errors.Is(err, engine.ErrClosed) {
				t.Errorf("%s after Destroy: %v, want ErrClosed", name, err)
			}
		}
	}, "alice")
}

// Nine people were the limit, and beyond it nothing happened, without a word.
func TestComplaintNinePersonCap(t *testing.T) {
	names := many(40)
	gather(t, func(c *engine.ServerConfig) { c.MaxCallUsers = 41 }, func(p *party) {
		p.group("", "alice", names...)
		p.accept(names...)
		for _, u := range names {
			p.r[u].wait(t, "enter alice")
		}
		if n := count(p.r["alice"], "enter user"); n != 40 {
			t.Errorf("alice saw %d enter, want 40", n)
		}
		p.hangup("alice")
		var e *engine.Error
		err := p.c["alice"].GroupCall(p.ctx(), append(names, "one-more"), hooks.MediaAudio, "")
		if !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
			t.Errorf("one more than allowed: %v", err)
		}
	}, append([]string{"alice"}, names...)...)
}

// The ringing took 30 s, whatever one wished.
func TestComplaintFixedTimeout(t *testing.T) {
	gather(t, func(c *engine.ServerConfig) { c.CallTimeout = 20 * time.Second }, func(p *party) {
		for _, c := range []struct{ ask, want time.Duration }{
			{0, 20 * time.Second}, {time.Second, time.Second}, {90 * time.Second, 90 * time.Second}, {10 * time.Minute, 10 * time.Minute},
		} {
			must(t, p.c["alice"].Call(p.ctx(), "bob", hooks.MediaAudio, engine.CallOptions{Timeout: c.ask}))
			time.Sleep(c.want - time.Millisecond) // virtual
			p.told("bob", fmt.Sprintf("invited by alice audio %v", c.want))
			time.Sleep(time.Millisecond) // virtual
			p.told("bob", "timeout []")
			p.r["alice"].wait(t, "end no response")
			p.forget()
		}
		var e *engine.Error
		for _, d := range []time.Duration{-time.Second, 11 * time.Minute} {
			if err := p.c["alice"].Call(p.ctx(), "bob", hooks.MediaAudio, engine.CallOptions{Timeout: d}); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
				t.Errorf("a timeout of %v: %v", d, err)
			}
		}
	}, "alice", "bob")
}

// No records of calls, in the old plugin.
func TestComplaintNoRecords(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.ring("alice", "bob")
		p.accept("bob")
		time.Sleep(42 * time.Second) // virtual
		p.hangup("bob")
		time.Sleep(time.Second) // virtual
		p.ring("alice", "bob")
		p.hangup("alice")
		for u, want := range map[string]string{"alice": "[outgoing 0s outgoing 42s]", "bob": "[missed 0s incoming 42s]"} {
			time.Sleep(time.Second) // virtual
			list, next, err := p.c[u].RecentCalls(p.ctx(), engine.RecentQuery{})
			must(t, err)
			var got []string
			names := map[hooks.RecordResult]string{hooks.RecordMissed: "missed", hooks.RecordIncoming: "incoming", hooks.RecordOutgoing: "outgoing"}
			for _, r := range list {
				got = append(got, names[r.Result], r.Duration.Round(time.Second).String())
			}
			if fmt.Sprint(got) != want || next != "" {
				t.Errorf("%s: %v, next %q; want %v", u, got, next, want)
			}
		}
	}, "alice", "bob")
}

// The duration of a group call began anew with each who joined, was told in
// milliseconds here and seconds there, or was made up.
func TestComplaintWrongGroupDuration(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.group("", "alice", "bob", "carol", "dave")
		for _, u := range []string{"bob", "carol", "dave"} {
			p.accept(u)
			time.Sleep(10 * time.Second) // virtual
		}
		p.hangup("bob", "carol", "dave")
		for u, want := range map[string]string{"alice": "end hangup 30s", "bob": "end hangup 30s", "carol": "end hangup 20s", "dave": "end hangup 10s"} {
			if got := p.r[u].wait(t, "end"); got != want {
				t.Errorf("%s: %q, want %q", u, got, want)
			}
		}
	}, "alice", "bob", "carol", "dave")
}

// Functions returned nothing and did nothing: with the custom view route, with
// too many users, when busy.
func TestComplaintSilentNoOps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, func(c *engine.ServerConfig) { c.MaxCallUsers = 3 })
		alice, a := dial(t, srv, "alice", func(c *engine.ClientConfig) { c.View = newViewer() })
		_, b := dial(t, srv, "bob", nil)
		ctx := t.Context()
		must(t, alice.EnableCustomViewRoute(true))
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		b.wait(t, "invited by alice")
		if err := alice.Call(ctx, "carol", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("calling while busy: %v", err)
		}
		must(t, alice.Hangup(ctx))
		must(t, alice.GroupCall(ctx, []string{"bob", "carol"}, hooks.MediaAudio, ""))
		synctest.Wait()
		if count(b, "invited") != 2 {
			t.Errorf("bob was told %q", b.all())
		}
		must(t, alice.Hangup(ctx))
		synctest.Wait()
		told := len(a.all())
		for name, f := range map[string]func() error{
			"too many":    func() error { return alice.GroupCall(ctx, many(3), hooks.MediaAudio, "") },
			"nobody":      func() error { return alice.GroupCall(ctx, nil, hooks.MediaAudio, "") },
			"oneself":     func() error { return alice.Call(ctx, "alice", hooks.MediaAudio) },
			"no media":    func() error { return alice.Call(ctx, "bob", hooks.MediaUnknown) },
			"accept":      func() error { return alice.Accept(ctx) },
			"ignore":      func() error { return alice.Ignore(ctx) },
			"invite":      func() error { return alice.InviteUser(ctx, []string{"bob"}) },
			"switch":      func() error { return alice.SwitchMedia(ctx, hooks.MediaVideo) },
			"no camera":   func() error { return alice.CloseCamera(ctx) },
			"remote":      func() error { return alice.StopRemoteView(ctx, "bob") },
			"remote mute": func() error { return alice.MuteRemoteAudio(ctx, "bob", true) },
			"ended ctx": func() error {
				done, end := context.WithCancel(ctx)
				end()
				return alice.Call(done, "bob", hooks.MediaAudio)
			},
		} {
			if f() == nil {
				t.Errorf("%s: nothing was done, and no error", name)
			}
		}
		if n := len(a.all()); n != told {
			t.Errorf("alice was told %q", a.all()[told:])
		}
	})
}

// After joining in the middle of a call, who was there and who could be heard
// or seen was shown wrong.
func TestComplaintStateAfterJoiningMidCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		dialled := make(map[string]*engine.Client)
		rec := make(map[string]*recorder)
		for _, u := range []string{"alice", "bob", "carol", "dave"} {
			dialled[u], rec[u] = dial(t, srv, u, func(c *engine.ClientConfig) {
				if u != "carol" {
					c.OpusMicrophone = silence{}
				}
			})
		}
		ctx := t.Context()
		must(t, dialled["alice"].GroupCall(ctx, []string{"bob", "carol"}, hooks.MediaVideo, ""))
		for _, u := range []string{"bob", "carol"} {
			rec[u].wait(t, "invited")
			must(t, dialled[u].Accept(ctx))
		}
		must(t, dialled["alice"].OpenCamera(ctx, newCamera(t)))
		must(t, dialled["bob"].OpenCamera(ctx, newCamera(t)))
		must(t, dialled["bob"].CloseCamera(ctx))
		must(t, dialled["bob"].SetMicMute(ctx, true))
		synctest.Wait()
		must(t, dialled["carol"].InviteUser(ctx, []string{"dave"}))
		rec["dave"].wait(t, "invited by carol video 30s")
		must(t, dialled["dave"].Accept(ctx))
		synctest.Wait()
		got := rec["dave"].all()
		want := []string{"invited by carol video 30s", "entered", "enter alice", "enter bob", "enter carol",
			"audio alice true", "audio bob false", "begin alice video", "video alice true"}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("dave was told\n %q, want, in some order,\n %q", got, want)
		}
		must(t, dialled["bob"].SetMicMute(ctx, false))
		rec["dave"].wait(t, "audio bob true")
	})
}

// silence is a microphone on which nobody speaks.
type silence struct{}

func (silence) ReadOpus(ctx context.Context, _ []byte) (int, time.Duration, error) {
	select {
	case <-ctx.Done():
		return 0, 0, ctx.Err()
	case <-time.After(20 * time.Millisecond):
		return 0, 20 * time.Millisecond, nil
	}
}

// The code: taking a group call back looked its ID up by the wrong key, and it
// rang until the timeout; a second group call overwrote the first's list.
func TestComplaintGroupCancelRangOn(t *testing.T) {
	gather(t, nil, func(p *party) {
		for range 2 {
			p.group("friends", "alice", "bob", "carol")
			must(t, p.c["alice"].InviteUser(p.ctx(), []string{"dave"})) // a second list
			synctest.Wait()
			p.hangup("alice")
			for _, u := range []string{"bob", "carol", "dave"} {
				if n := count(p.r[u], "cancel"); n != 1 {
					t.Errorf("%s was told %q", u, p.r[u].all())
				}
			}
			p.forget()
		}
	}, "alice", "bob", "carol", "dave")
}

// The code: the list of users in OnInvited was a bool, and those who were named
// twice rang twice.
func TestComplaintInvitedUserIDs(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.group("", "alice", "bob", "carol", "bob", "alice", "carol")
		for u, other := range map[string]string{"bob": "carol", "carol": "bob"} {
			p.told(u, "invited by alice audio 30s")
			if inv := p.k[u].invited(); !slices.Equal(inv.UserIDs, []string{other}) {
				t.Errorf("%s is invited with %q", u, inv.UserIDs)
			}
		}
	}, "alice", "bob", "carol")
}
