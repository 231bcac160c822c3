package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// Nakama is not here: what follows stands in for its runtime. It keeps what a
// module registers, and calls it as Nakama's documentation says that it does.

type nakama struct {
	runtime.Initializer // what the module does not use is nil
	ctx                 context.Context
	rpcs                map[string]rpc
	match               func() runtime.Match
	shutdown            func()
}

type rpc = func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule, string) (string, error)

func start(t *testing.T, env map[string]string) (*nakama, error) {
	n := &nakama{ctx: with(t.Context(), runtime.RUNTIME_CTX_ENV, env), rpcs: make(map[string]rpc)}
	err := InitModule(n.ctx, quiet{}, nil, nil, n)
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
	n.match = func() runtime.Match {
		m, err := f(n.ctx, quiet{}, nil, nil)
		if err != nil || name != "voice" {
			panic(fmt.Sprint(name, err))
		}
		return m
	}
	return nil
}

func (n *nakama) RegisterShutdown(f func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule)) error {
	n.shutdown = func() { f(context.Background(), quiet{}, nil, nil) }
	return nil
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

// player is a game's client: it asks Nakama how to sign in, and accepts what its
// match rings.
type player struct {
	hooks.NopListener
	client *engine.Client
	ready  chan struct{} // client is set
	in     chan string   // the call's ID
	kicked chan struct{}
}

func (p *player) OnInvited(hooks.Invitation) {
	<-p.ready
	p.client.Accept(context.Background())
}
func (p *player) OnCallBegin(c hooks.CallInfo) { p.in <- c.CallID }
func (p *player) OnKickedOffline()             { close(p.kicked) }

// tone is a microphone.
type tone struct{ n int }

func (s *tone) ReadPCM(ctx context.Context, pcm []int16) error {
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(s.n)/48000))
		s.n++
	}
	select {
	case <-time.After(time.Duration(len(pcm)) * time.Second / 48000):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (n *nakama) play(t *testing.T, user string, mic engine.PCMSource) *player {
	t.Helper()
	answer, err := n.rpcs["voice_sign_in"](with(n.ctx, runtime.RUNTIME_CTX_USER_ID, user), quiet{}, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	var in signIn
	if err := json.Unmarshal([]byte(answer), &in); err != nil {
		t.Fatal(err)
	}
	p := &player{ready: make(chan struct{}), in: make(chan string, 1), kicked: make(chan struct{})}
	p.client, err = engine.Dial(t.Context(), engine.ClientConfig{
		Addr: in.Addr, Pin: in.Pins[0], SDKAppID: in.SDKAppID, UserID: in.UserID, UserSig: in.UserSig,
		Codec: libopus.Driver{}, Microphone: mic, Listener: p,
	})
	if err != nil {
		t.Fatal(err)
	}
	close(p.ready)
	t.Cleanup(func() { p.client.Destroy() })
	return p
}

// heard is how many packets of others a player has got.
func (p *player) heard() (n uint64) {
	for _, tr := range p.client.Stats().Tracks {
		n += tr.Jitter.Received
	}
	return n
}

// until waits for something that comes over the network.
func until(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func receive[T any](t *testing.T, what string, c chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in time: %s", what)
	}
	return v
}

const (
	alice = "5a9d7a6e-0c1c-4b39-9d0b-b54fb40ca6a1"
	bob   = "5a9d7a6e-0c1c-4b39-9d0b-b54fb40ca6a2"
	carol = "5a9d7a6e-0c1c-4b39-9d0b-b54fb40ca6a3"
	game  = "11111111-0c1c-4b39-9d0b-b54fb40ca6a4.nakama1"
)

var env = map[string]string{"VOICE_KEY": "a key for tests only", "VOICE_ADDR": "127.0.0.1:0", "VOICE_APP_ID": "1400000000"}

// A match from its beginning to its end: who is in it hears the others, the near
// ones once it is known where they are; who is not is let in nowhere.
func TestMatch(t *testing.T) {
	n, err := start(t, env)
	if err != nil {
		t.Fatal(err)
	}
	ctx := with(n.ctx, runtime.RUNTIME_CTX_MATCH_ID, game)
	m := n.match()
	state, rate, _ := m.MatchInit(ctx, quiet{}, nil, nil, nil)
	if state == nil || rate != tickRate {
		t.Fatalf("state %v, %d ticks a second", state, rate)
	}
	a := n.play(t, alice, &tone{})
	state = m.MatchJoin(ctx, quiet{}, nil, nil, nil, 1, state, presences(alice))
	call := receive(t, "alice is in", a.in)
	state = m.MatchJoin(ctx, quiet{}, nil, nil, nil, 2, state, presences(bob))
	b := n.play(t, bob, nil) // who signs in after they have joined
	receive(t, "bob is in", b.in)
	until(t, "bob hears alice", func() bool { return b.heard() > 10 })

	c := n.play(t, carol, nil) // not in the match
	if err := c.client.JoinCall(ctx, call); err == nil {
		t.Error("who is not in the match was let in")
	}
	if err := c.client.Call(ctx, voiceID(alice), hooks.MediaAudio); err == nil {
		t.Error("a player could ring another")
	}

	tick := func(where map[string]string) {
		var sent []runtime.MatchData
		for user, at := range where {
			sent = append(sent, presence{user: user, data: at})
		}
		state = m.MatchLoop(ctx, quiet{}, nil, nil, nil, 3, state, sent)
	}
	tick(map[string]string{alice: `{"x": 0, "y": 0}`, bob: `{"x": 40, "y": 0}`, carol: `no JSON`})
	time.Sleep(100 * time.Millisecond) // for what is under way
	far := b.heard()
	time.Sleep(300 * time.Millisecond)
	if now := b.heard(); now != far {
		t.Errorf("bob got %d packets of alice from afar", now-far)
	}
	tick(map[string]string{bob: `{"x": 20, "y": 0}`})
	until(t, "bob hears alice again", func() bool { return b.heard() > far+10 })

	state = m.MatchLeave(ctx, quiet{}, nil, nil, nil, 4, state, presences(bob))
	receive(t, "bob's voice has ended", b.kicked)
	m.MatchTerminate(ctx, quiet{}, nil, nil, nil, 5, state, 0)
	receive(t, "alice's voice has ended", a.kicked)
}

// A sign-in is for the session's own user; without a session there is none, and
// without a key no module.
func TestSignIn(t *testing.T) {
	if _, err := start(t, nil); err == nil {
		t.Error("it starts without a key")
	}
	if _, err := start(t, map[string]string{"VOICE_KEY": "k", "VOICE_APP_ID": "zero"}); err == nil {
		t.Error("it starts with an app ID that is none")
	}
	n, err := start(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := n.rpcs["voice_sign_in"](n.ctx, quiet{}, nil, nil, `{"userID":"`+alice+`"}`); err == nil {
		t.Errorf("without a session: %s", answer)
	}
}
