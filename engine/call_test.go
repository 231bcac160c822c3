package engine_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

// two signs alice and bob in to a server, in virtual time.
func two(t *testing.T, change func(*engine.ServerConfig), test func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder)) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, change)
		alice, a := dial(t, srv, "alice", nil)
		bob, b := dial(t, srv, "bob", nil)
		test(t, srv, alice, bob, a, b)
	})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnsweredCall(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(ctx))
		time.Sleep(90 * time.Second) // virtual
		must(t, alice.Hangup(ctx))
		synctest.Wait()
		a.want(t, "entered", "accept bob", "enter bob", "begin alice audio", "end hangup 1m30s")
		b.want(t, "invited by alice audio 30s", "entered", "enter alice", "begin alice audio", "leave alice 0", "end hangup 1m30s")
	})
}

func TestCalleeHangsUp(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		must(t, alice.Call(ctx, "bob", hooks.MediaVideo))
		b.wait(t, "invited")
		must(t, bob.Accept(ctx))
		must(t, bob.Hangup(ctx))
		synctest.Wait()
		a.want(t, "entered", "accept bob", "enter bob", "begin alice video", "leave bob 0", "end hangup 0s")
		b.want(t, "invited by alice video 30s", "entered", "enter alice", "begin alice video", "end hangup 0s")
	})
}

func TestRejectedCall(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Reject(ctx))
		synctest.Wait()
		a.want(t, "entered", "reject bob", "end reject 0s")
		b.want(t, "invited by alice audio 30s")
		if err := bob.Reject(ctx); !errors.Is(err, engine.ErrNoCall) {
			t.Errorf("second reject: %v", err)
		}
		must(t, bob.Call(ctx, "alice", hooks.MediaAudio)) // both are free again
	})
}

func TestCancelledCall(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, alice.Hangup(ctx))
		synctest.Wait()
		a.want(t, "entered", "end canceled 0s")
		b.want(t, "invited by alice audio 30s", "cancel")
		if err := bob.Accept(ctx); !errors.Is(err, engine.ErrNoCall) {
			t.Errorf("accept of a cancelled call: %v", err)
		}
	})
}

func TestUnansweredCall(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		start := time.Now()
		a.wait(t, "end")
		if took := time.Since(start).Round(time.Second); took != 30*time.Second {
			t.Errorf("rang for %v", took)
		}
		synctest.Wait()
		a.want(t, "entered", "noresp bob", "timeout [bob]", "end no response 0s")
		b.want(t, "invited by alice audio 30s", "timeout []")
	})
}

func TestBusyLine(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		carol, c := dial(t, srv, "carol", nil)
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, carol.Call(ctx, "bob", hooks.MediaAudio)) // bob rings
		must(t, bob.Accept(ctx))
		must(t, carol.Call(ctx, "alice", hooks.MediaAudio)) // alice talks
		if err := alice.Call(ctx, "carol", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("calling while in a call: %v", err)
		}
		if err := bob.Call(ctx, "carol", hooks.MediaAudio); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("calling while in a call: %v", err)
		}
		synctest.Wait()
		c.want(t, "entered", "busy bob", "end line busy 0s", "entered", "busy alice", "end line busy 0s")
		b.want(t, "invited by alice audio 30s", "entered", "enter alice", "begin alice audio")
		a.want(t, "entered", "accept bob", "enter bob", "begin alice audio")
	})
}

// Two users who call each other at once: the first to reach the server rings,
// the other is busy (semantics: rule 4).
func TestCrossedCalls(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		errs := make(chan error, 2)
		go func() { errs <- alice.Call(ctx, "bob", hooks.MediaAudio) }()
		go func() { errs <- bob.Call(ctx, "alice", hooks.MediaAudio) }()
		busy := 0
		for range 2 {
			if err := <-errs; errors.Is(err, engine.ErrBusy) {
				busy++
			} else {
				must(t, err)
			}
		}
		if busy != 1 {
			t.Errorf("%d of two crossed calls were busy, want 1", busy)
		}
	})
}

func TestInvitedWhileOffline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		alice, a := dial(t, srv, "alice", nil)
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		time.Sleep(10 * time.Second) // virtual
		bob, b := dial(t, srv, "bob", nil)
		b.wait(t, "invited by alice audio 20s")
		must(t, bob.Accept(t.Context()))
		a.wait(t, "begin")
	})
}

func TestImpossibleCalls(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		for callee, want := range map[string]hooks.Code{"alice": hooks.CodeBadParam, "": hooks.CodeUserID, "b b": hooks.CodeUserID} {
			var e *engine.Error
			if err := alice.Call(ctx, callee, hooks.MediaAudio); !errors.As(err, &e) || e.Code != want {
				t.Errorf("calling %q: %v, want code %d", callee, err, want)
			}
		}
		var e *engine.Error
		if err := alice.Call(ctx, "bob", 7); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
			t.Errorf("calling with media 7: %v", err)
		}
		for name, f := range map[string]func(context.Context) error{"accept": bob.Accept, "reject": bob.Reject, "hangup": bob.Hangup} {
			if err := f(ctx); !errors.Is(err, engine.ErrNoCall) {
				t.Errorf("%s without a call: %v", name, err)
			}
		}
		a.want(t)
		b.want(t)
	})
}

func TestSecondSignInKicksTheFirst(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(ctx))
		a.wait(t, "begin")
		dial(t, srv, "alice", nil)
		<-alice.Done()
		synctest.Wait()
		a.want(t, "entered", "accept bob", "enter bob", "begin alice audio", "end ended by server 0s", "kicked")
		b.want(t, "invited by alice audio 30s", "entered", "enter alice", "begin alice audio", "leave alice 2", "end ended by server 0s")
		if err := alice.Call(ctx, "bob", hooks.MediaAudio); !errors.Is(err, engine.ErrKicked) {
			t.Errorf("call after being kicked: %v", err)
		}
	})
}

func TestDestroyEndsTheCall(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		ctx := t.Context()
		must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(ctx))
		a.wait(t, "begin")
		must(t, alice.Destroy())
		b.wait(t, "end hangup")
		if err := alice.Hangup(ctx); err == nil {
			t.Error("hangup after Destroy succeeded")
		}
		if err := alice.Err(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("Err after Destroy: %v", err)
		}
	})
}

func TestDestroyInsideACallback(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		b.on = func(e string) {
			if e == "invited by alice audio 30s" {
				bob.Destroy()
			}
		}
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		<-bob.Done()
	})
}

func TestCallbackMayCallTheClient(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		b.on = func(e string) {
			if e == "invited by alice audio 30s" {
				if err := bob.Accept(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		a.wait(t, "begin")
		synctest.Wait()
	})
}

func TestPanickingListenerIsContained(t *testing.T) {
	two(t, nil, func(t *testing.T, _ *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		b.on = func(string) { panic("a listener's fault") }
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		a.wait(t, "begin")
		b.wait(t, "begin")
	})
}

func TestShutdown(t *testing.T) {
	t.Run("waits for calls", func(t *testing.T) {
		two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
			ctx := t.Context()
			must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
			b.wait(t, "invited")
			must(t, bob.Accept(ctx))
			time.AfterFunc(time.Minute, func() { alice.Hangup(context.Background()) })
			start := time.Now()
			must(t, srv.Shutdown(ctx))
			if took := time.Since(start); took < time.Minute || took > 2*time.Minute {
				t.Errorf("shut down after %v", took)
			}
			b.wait(t, "end hangup 1m0s")
			b.wait(t, "error -7")
		})
	})
	t.Run("ends calls when its time is up", func(t *testing.T) {
		two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
			must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
			b.wait(t, "invited")
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Shutdown: %v", err)
			}
			a.wait(t, "end ended by server")
			b.wait(t, "cancel")
		})
	})
}

func TestUserSigExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		sig, err := usersig.Sign(testKey, usersig.Claims{SDKAppID: testApp, UserID: "alice", Issued: time.Now(), Lifetime: time.Minute})
		must(t, err)
		_, a := dial(t, srv, "alice", func(c *engine.ClientConfig) { c.UserSig = sig })
		start := time.Now()
		a.wait(t, "expired")
		if took := time.Since(start).Round(time.Second); took != time.Minute {
			t.Errorf("told after %v", took)
		}
	})
}
