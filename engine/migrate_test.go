package engine_test

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
)

// A socket that is handed to Migrate is the client's, whatever comes of it.
func TestMigrateFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		inside, _ := dial(t, w.srv, "carol", nil)
		alice, bob, a, b := w.talk(t)
		told := len(a.all()) + len(b.all())
		closed := func(what string, conn net.PacketConn) {
			t.Helper()
			if _, err := conn.WriteTo([]byte{1}, w.at.LocalAddr()); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: the socket is still open: %v", what, err)
			}
		}

		conn, err := w.endpoint("mobile")
		must(t, err)
		err = inside.Migrate(t.Context(), conn)
		if !errors.Is(err, engine.ErrCannotMigrate) || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("inside the process: %v", err)
		}
		closed("inside the process", conn)
		if err := inside.Migrate(t.Context(), nil); !errors.Is(err, engine.ErrCannotMigrate) {
			t.Errorf("inside the process, without a socket: %v", err)
		}

		w.sever("nowhere")
		conn, err = w.endpoint("nowhere")
		must(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := alice.Migrate(ctx, conn); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("to a network without a way to the server: %v", err)
		}
		closed("no way", conn)
		hearsOn(t, alice)
		hearsOn(t, bob)
		if n := len(a.all()) + len(b.all()); n != told {
			t.Errorf("somebody was told: %q %q", a.all(), b.all())
		}

		conn, err = w.endpoint("mobile")
		must(t, err)
		alice.Destroy()
		if err := alice.Migrate(t.Context(), conn); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("after Destroy: %v", err)
		}
		closed("after Destroy", conn)
	})
}
