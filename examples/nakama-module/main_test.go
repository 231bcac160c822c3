package main

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
)

// player is a game's client: it asks Nakama how to sign in, and is in a call, as
// it sees it, while it is in a match.
type player struct {
	hooks.NopListener
	client    *engine.Client
	in, ended chan string // calls' IDs; of one that begins it is not told
}

func (p *player) OnEnterRoom(int)                                                { p.in <- "" }
func (p *player) OnCallEnd(c hooks.CallInfo, _ hooks.EndReason, _ time.Duration) { p.ended <- c.CallID }

func (n *nakama) ticket(t *testing.T, user string) (in ticket) {
	t.Helper()
	answer, err := n.call("voice_sign_in", user, "")
	if err == nil {
		err = json.Unmarshal([]byte(answer), &in)
	}
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func (in ticket) config() engine.ClientConfig {
	return engine.ClientConfig{
		Addr: in.Addr, Pin: in.Pins[0], SDKAppID: in.SDKAppID, UserID: in.UserID, UserSig: in.UserSig, Codec: pionopus.Driver{},
	}
}

// play signs a player in, who talks all the time or never.
func (n *nakama) play(t *testing.T, user string, talks bool) *player {
	t.Helper()
	p := &player{in: make(chan string, 9), ended: make(chan string, 9)}
	cfg := n.ticket(t, user).config()
	cfg.Listener = p
	if talks {
		cfg.OpusMicrophone = audio.NewPacketSource(speech.Packets(speech.Voices()[0]), true)
	}
	var err error
	if p.client, err = engine.Dial(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.Destroy() })
	return p
}

// heard is how many packets of others a player has got, and of how many others
// they have a track.
func (p *player) heard() (packets uint64, tracks int) {
	list := p.client.Stats().Tracks
	for _, tr := range list {
		packets += tr.Jitter.Received
	}
	return packets, len(list)
}

// hears waits until a player hears another.
func (p *player) hears(t *testing.T, what string) {
	t.Helper()
	before, _ := p.heard()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if now, _ := p.heard(); now >= before+15 {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

func receive(t *testing.T, what string, c chan string) (v string) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("not in time: %s", what)
	}
	return v
}

// leaves waits until a player is taken out.
func (p *player) leaves(t *testing.T, want, what string) {
	t.Helper()
	if id := receive(t, what, p.ended); id != want {
		t.Errorf("%s: it was %q, not %q", what, id, want)
	}
}

const (
	alice = "5a9d7a6e-0c1c-4b39-9d0b-b54fb40ca6a1"
	bob   = "5a9d7a6e-0c1c-4b39-9d0b-b54fb40ca6a2"
	carol = "5a9d7a6e-0c1c-4b39-9d0b-b54fb40ca6a3"
	dave  = "5a9d7a6e-0c1c-4b39-9d0b-b54fb40ca6a4"

	game  = "11111111-0c1c-4b39-9d0b-b54fb40ca6a4"
	other = "22222222-0c1c-4b39-9d0b-b54fb40ca6a4"
	node  = ".nakama1"
)

var env = map[string]string{"VOICE_ADDR": "127.0.0.1:0"}

// Three players of a match: who is near hears, who is far gets not a byte, and
// leaving, and the match's end, end it.
func TestMatch(t *testing.T) {
	n, err := start(t, env)
	if err != nil {
		t.Fatal(err)
	}
	m := n.create(game + node)
	if m.state == nil {
		t.Fatal("there is no match")
	}
	a := n.play(t, alice, true)
	m.join(alice, bob)
	b := n.play(t, bob, false) // who signs in to voice after they have joined
	c := n.play(t, carol, false)
	m.join(carol)
	m.loop(map[string]string{
		alice: `{"at": [1, 0, 0], "look": [0, 1, 0]}`, bob: `{"at": [20, 0, 0]}`, carol: `{"at": [400, 0, 0]}`,
		dave: `{"at": [0, 0, 0]}`, // who is not in the match
	})
	for _, p := range []*player{a, b, c} {
		receive(t, "a player is in", p.in)
	}
	b.hears(t, "the near one hears")
	if packets, tracks := c.heard(); packets > 0 || tracks > 0 {
		t.Errorf("the far one got %d packets, and knows of %d talkers", packets, tracks)
	}

	m.loop(map[string]string{bob: `{"at": [300, 0, 0]}`, carol: `{"at": [10, 0, 0]}`, alice: `no JSON`})
	c.hears(t, "who came hears")
	m.loop(map[string]string{carol: `{"at": [1e9, 0, 0]}`}) // nowhere
	far, _ := b.heard()
	c.hears(t, "who says that they are nowhere is where they were")
	if now, _ := b.heard(); now != far {
		t.Errorf("who went away got %d packets", now-far)
	}

	m.leave(carol)
	c.leaves(t, game, "who left is out")
	if got := m.Match.(*match).voice.seats[voiceID(carol)]; got != nil {
		t.Errorf("who left still has a seat: %+v", got)
	}
	m.join(bob) // from another device, too
	m.leave(bob)
	m.loop(map[string]string{bob: `{"at": [10, 0, 0]}`})
	b.hears(t, "who left with one of two sessions hears")

	next := n.create(other + node)
	next.join(bob)
	b.leaves(t, game, "who joins another match is out of the first")
	receive(t, "and in the other", b.in)
	m.leave(bob)
	m.terminate()
	a.leaves(t, game, "the match's end")
	for range emptyTicks {
		next.loop(nil)
	}
	if next.state == nil {
		t.Error("a match ended under its player")
	}
	next.leave(bob)
	b.leaves(t, other, "who left is out")
	for range emptyTicks {
		next.loop(nil)
	}
	if next.state != nil {
		t.Error("a match without players goes on")
	}
	if again := n.create(other + node); again.state == nil {
		t.Error("the match's room was left behind")
	}
	if n.create(other+node).state != nil {
		t.Error("two matches with one ID")
	}
}

// A party hears its members wherever they are, but for those who play, and for
// whom Nakama says are none.
func TestParty(t *testing.T) {
	n, err := start(t, env)
	if err != nil {
		t.Fatal(err)
	}
	party, chat, relayed := stream{partyMode, game, node[1:]}, stream{groupMode, other, ""}, stream{relayedMode, alice, ""}
	n.streams.set(party, alice, bob)
	n.streams.set(chat, carol, alice)
	n.streams.set(relayed, alice)
	ask := func(user, payload string) {
		t.Helper()
		if _, err := n.call("voice_party", user, payload); err != nil {
			t.Errorf("%s: %v", payload, err)
		}
	}
	for user, payload := range map[string]string{
		carol: `{"party_id": "` + game + node + `"}`, // not hers
		bob:   `{"group_id": "` + other + `"}`,
		dave:  `{"party_id": "` + game + `"}`,
		"":    `{"party_id": "` + game + node + `"}`,
		alice: `{"match_id": "` + alice + node + `"}`,
	} {
		_, err := n.call("voice_party", user, payload) // they are no members of that
		var code *runtime.Error
		if !errors.As(err, &code) || code.Code == codeInternal {
			t.Errorf("%s: %v", payload, err)
		}
	}
	for _, payload := range []string{"", "7", `{"party_id": 7}`, `{"party_id": "."}`, `{"group_id": "x"}`} {
		if _, err := n.call("voice_party", alice, payload); err == nil {
			t.Errorf("%q is taken", payload)
		}
	}

	a, b := n.play(t, alice, true), n.play(t, bob, false)
	ask(alice, `{"party_id": "`+game+node+`"}`)
	ask(bob, `{"party_id": "`+game+node+`"}`)
	receive(t, "alice is in", a.in)
	receive(t, "bob is in", b.in)
	b.hears(t, "a member hears another")

	m := n.create(game + node)
	m.join(bob)
	b.leaves(t, "party-"+game, "who plays is out of the party's voice")
	receive(t, "who plays is in the match's", b.in)
	m.leave(bob)
	b.leaves(t, game, "who has played is out of the match's")
	receive(t, "who has played is back", b.in)
	b.hears(t, "who has played hears the party again")

	v := m.Match.(*match).voice
	n.streams.set(party, alice)
	v.checkParties()
	b.leaves(t, "party-"+game, "who left the party is out")
	ask(alice, `{"group_id": "`+other+`"}`)
	a.leaves(t, "party-"+game, "who goes to a group is out of the party")
	v.checkParties()
	if len(v.parties) != 1 {
		t.Errorf("%d parties are left, want the group", len(v.parties))
	}
	ask(alice, `{"match_id": "`+alice+`."}`)
	a.leaves(t, "party-"+other, "who goes to a relayed match is out of the group")
	ask(alice, `{}`)
	v.checkParties()
	if len(v.parties) != 0 || len(v.seats) != 0 {
		t.Errorf("%d parties and %d seats are left", len(v.parties), len(v.seats))
	}
}

// Only who has a ticket of the RPC's gets in, as the session's own user, and
// then into nothing by themselves.
func TestSignIn(t *testing.T) {
	if _, err := start(t, map[string]string{"VOICE_ADDR": "nowhere"}); err == nil {
		t.Error("it starts without an address")
	}
	n, err := start(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := n.call("voice_sign_in", "", `{"userID":"`+alice+`"}`); err == nil {
		t.Errorf("without a session: %s", answer)
	}
	mine, theirs := n.ticket(t, alice), n.ticket(t, bob)
	for what, sig := range map[string]string{"no ticket": "", "a made up ticket": "eJyrVgrxCdYrSy1SslIy0jNQ0gHzM1NS80oy0zLBwqUpSlZKGSWpKUpWhiYGBmYmpiYmJkpWtQDvLxFC", "another's ticket": theirs.UserSig} {
		cfg := mine.config()
		cfg.UserSig = sig
		if c, err := engine.Dial(t.Context(), cfg); err == nil {
			t.Errorf("let in with %s", what)
			c.Destroy()
		}
	}

	m := n.create(game + node)
	a := n.play(t, alice, false)
	m.join(alice)
	receive(t, "alice is in", a.in)
	b := n.play(t, bob, false)
	if err := b.client.JoinCall(t.Context(), game); err == nil {
		t.Error("who is not in the match got into its voice")
	}
	if err := b.client.Call(t.Context(), voiceID(carol), hooks.MediaAudio); err == nil {
		t.Error("a player could ring another")
	}
	if err := a.client.InviteUser(t.Context(), []string{voiceID(bob)}, engine.CallOptions{}); err == nil {
		t.Error("a player could bring another into the match's voice")
	}
}
