package main

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"

	"github.com/heroiclabs/nakama-common/runtime"
)

// Nakama is not here: what follows stands in for its runtime. It keeps what a
// module registers, and calls it as Nakama's documentation says that it does.

type nakama struct {
	runtime.Initializer // what the module does not use is nil
	ctx                 context.Context
	rpcs                map[string]rpc
	newMatch            func() runtime.Match
	shutdown            func()
	streams             streams
}

type rpc = func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule, string) (string, error)

func start(t *testing.T, env map[string]string) (*nakama, error) {
	n := &nakama{ctx: with(t.Context(), runtime.RUNTIME_CTX_ENV, env), rpcs: make(map[string]rpc)}
	err := InitModule(n.ctx, quiet{}, nil, &n.streams, n)
	if err == nil {
		t.Cleanup(func() { n.shutdown() })
	}
	return n, err
}

func (n *nakama) RegisterRpc(id string, f func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule, string) (string, error)) error {
	n.rpcs[id] = f
	return nil
}

func (n *nakama) RegisterMatch(name string, f func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule) (runtime.Match, error)) error {
	n.newMatch = func() runtime.Match {
		m, err := f(n.ctx, quiet{}, nil, &n.streams)
		if err != nil || name != "voice" {
			panic(fmt.Sprint(name, err))
		}
		return m
	}
	return nil
}

func (n *nakama) RegisterShutdown(f func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule)) error {
	n.shutdown = func() { f(context.Background(), quiet{}, nil, &n.streams) }
	return nil
}

// call is an RPC from a user's session, or from none.
func (n *nakama) call(id, user, payload string) (string, error) {
	ctx := n.ctx
	if user != "" {
		ctx = with(ctx, runtime.RUNTIME_CTX_USER_ID, user)
	}
	return n.rpcs[id](ctx, quiet{}, nil, &n.streams, payload)
}

// A running match, with what Nakama keeps of it.
type running struct {
	runtime.Match
	n     *nakama
	ctx   context.Context
	tick  int64
	state any
}

// create makes a match, which does not run if its state is nil.
func (n *nakama) create(id string) *running {
	r := &running{Match: n.newMatch(), n: n, ctx: with(n.ctx, runtime.RUNTIME_CTX_MATCH_ID, id)}
	r.state, _, _ = r.MatchInit(r.ctx, quiet{}, nil, &n.streams, nil)
	return r
}

func (r *running) join(users ...string) {
	r.state = r.MatchJoin(r.ctx, quiet{}, nil, &r.n.streams, nil, r.tick, r.state, presences(users...))
}

func (r *running) leave(users ...string) {
	r.state = r.MatchLeave(r.ctx, quiet{}, nil, &r.n.streams, nil, r.tick, r.state, presences(users...))
}

// loop is a tick, with a message of each user named.
func (r *running) loop(sent map[string]string) {
	var list []runtime.MatchData
	for user, data := range sent {
		list = append(list, presence{user: user, data: data})
	}
	r.tick++
	r.state = r.MatchLoop(r.ctx, quiet{}, nil, &r.n.streams, nil, r.tick, r.state, list)
}

func (r *running) terminate() {
	r.state = r.MatchTerminate(r.ctx, quiet{}, nil, &r.n.streams, nil, r.tick, r.state, 0)
}

// streams are who is in which party.
type streams struct {
	runtime.NakamaModule
	mu   sync.Mutex
	list map[stream][]string
}

func (s *streams) set(st stream, users ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.list == nil {
		s.list = make(map[stream][]string)
	}
	s.list[st] = users
}

func (s *streams) StreamUserList(mode uint8, subject, _, label string, _, _ bool) ([]runtime.Presence, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(subject) != 36 {
		return nil, fmt.Errorf("%q is no UUID", subject)
	}
	return presences(s.list[stream{mode, subject, label}]...), nil
}

// with puts a value into a context; the runtime's keys are strings.
func with(ctx context.Context, key, value any) context.Context {
	return context.WithValue(ctx, key, value)
}

// quiet is a logger that says nothing.
type quiet struct{ runtime.Logger }

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

// presence is a user in a match, and what they send.
type presence struct {
	runtime.MatchData
	user string
	data string
}

func (p presence) GetUserId() string { return p.user }
func (p presence) GetOpCode() int64  { return opPosition }
func (p presence) GetData() []byte   { return []byte(p.data) }

func presences(users ...string) (list []runtime.Presence) {
	for _, u := range users {
		list = append(list, presence{user: u})
	}
	return list
}
