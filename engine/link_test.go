package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/transport"
)

// A client that gives up an attempt to resume has its whole window left: with
// code 0 the server would shorten it, as for a page that is closed.
func TestAttemptGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := transport.NewPipeListener()
		defer l.Close()
		sess, err := l.Dial(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		server, err := l.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := newLink(sess).open(ctx, signal.TypeResume, signal.Resume{Version: signal.Version}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("open: %v, want the deadline's error", err)
		}
		<-server.Done()
		var e *transport.Error
		if !errors.As(server.Err(), &e) || !e.Remote || e.Code != codeReplaced {
			t.Errorf("the server sees %v, want %v", server.Err(), codeReplaced)
		}
	})
}
