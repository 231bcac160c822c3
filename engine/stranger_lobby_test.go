package engine_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// A lobby is a server on loopback that admits strangers by the name that they
// dial, and a group call of alice and bob.
type lobby struct {
	srv        *engine.Server
	alice, bob *engine.Client
	a, b       *recorder
	call       string

	mu      sync.Mutex
	answers map[string]hooks.RoQAnswer
	asked   []hooks.RoQRequest
}

func newLobby(t *testing.T, media hooks.MediaType, change func(*engine.ServerConfig), client func(*engine.ClientConfig)) *lobby {
	l := &lobby{answers: map[string]hooks.RoQAnswer{}}
	l.srv = serve(t, func(c *engine.ServerConfig) {
		c.InProcess, c.Addr = false, "127.0.0.1:0"
		c.Plugins = []hooks.Plugin{{Name: "strangers", AdmitRoQ: l.admit}}
		if change != nil {
			change(c)
		}
	})
	l.meet(t, media, client)
	return l
}

// meet lets alice and bob begin a group call.
func (l *lobby) meet(t *testing.T, media hooks.MediaType, client func(*engine.ClientConfig)) {
	l.alice, l.a = dial(t, l.srv, "alice", client)
	l.bob, l.b = dial(t, l.srv, "bob", nil)
	must(t, l.alice.GroupCall(t.Context(), []string{"bob"}, media, ""))
	l.b.wait(t, "invited")
	l.call = l.b.callID()
	must(t, l.bob.Accept(t.Context()))
	l.a.wait(t, "begin")
}

func (l *lobby) admit(_ context.Context, req hooks.RoQRequest) (hooks.RoQAnswer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, req)
	a, ok := l.answers[req.ServerName]
	if !ok {
		return hooks.RoQAnswer{}, &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: "nobody knows " + req.ServerName}
	}
	return a, nil
}

// expect admits who dials a name.
func (l *lobby) expect(name string, a hooks.RoQAnswer) {
	if a.CallID == "" {
		a.CallID = l.call
	}
	if a.UserID == "" {
		a.UserID = name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[name] = a
}

// enter dials as a stranger who is expected, and waits until alice is told.
func (l *lobby) enter(t *testing.T, name string, a hooks.RoQAnswer) *foreign {
	t.Helper()
	l.expect(name, a)
	f := dialStranger(t, l.srv, name)
	l.a.wait(t, "enter "+name)
	return f
}

// stats are a stranger's.
func (l *lobby) stats(user string) (s engine.RoQStats) {
	for _, s := range l.srv.RoQEndpoints() {
		if s.UserID == user {
			return s
		}
	}
	return s
}

func soon(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick, late := time.NewTicker(2*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it did not come to pass: " + what)
		}
	}
}
