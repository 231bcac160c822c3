package engine_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

func TestKick(t *testing.T) {
	two(t, func(c *engine.ServerConfig) { c.MultiDevice = true },
		func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
			ctx := t.Context()
			_, b2 := dial(t, srv, "bob", nil)
			must(t, alice.Call(ctx, "bob", hooks.MediaAudio))
			b.wait(t, "invited")
			must(t, bob.Accept(ctx))
			a.wait(t, "begin")
			must(t, srv.Kick("bob", "bad language"))
			<-bob.Done()
			synctest.Wait()
			a.want(t, "entered", "accept bob", "enter bob", "begin alice audio", "leave bob 2", "end ended by server 0s")
			b.wait(t, "kicked")
			b2.wait(t, "kicked")
			if err := bob.Err(); !errors.Is(err, engine.ErrKicked) {
				t.Errorf("bob's client ended with %v", err)
			}
			var e *engine.Error
			if err := srv.Kick("bob", "again"); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
				t.Errorf("kicking one who is gone: %v", err)
			}
			dial(t, srv, "bob", nil) // and may come again
		})
}
