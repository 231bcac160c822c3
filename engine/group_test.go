package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// party is a server and some users, each on one device, in virtual time.
type party struct {
	t   *testing.T
	srv *engine.Server
	c   map[string]*engine.Client
	r   map[string]*recorder
	k   map[string]*keeper
}

// keeper keeps the payloads that a recorder leaves out.
type keeper struct {
	hooks.NopListener
	mu          sync.Mutex
	invitations []hooks.Invitation
	received    []hooks.CallInfo
	begun       []hooks.CallInfo
	ended       []hooks.CallInfo
}

func (k *keeper) keep(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
}
func (k *keeper) OnInvited(i hooks.Invitation) {
	k.keep(func() { k.invitations = append(k.invitations, i) })
}
func (k *keeper) OnCallReceived(c hooks.CallInfo) {
	k.keep(func() { k.received = append(k.received, c) })
}
func (k *keeper) OnCallBegin(c hooks.CallInfo) { k.keep(func() { k.begun = append(k.begun, c) }) }
func (k *keeper) OnCallEnd(c hooks.CallInfo, _ hooks.EndReason, _ time.Duration) {
	k.keep(func() { k.ended = append(k.ended, c) })
}

// invited is the last invitation.
func (k *keeper) invited() (i hooks.Invitation) {
	synctest.Wait()
	k.keep(func() {
		if n := len(k.invitations); n > 0 {
			i = k.invitations[n-1]
		}
	})
	return i
}

// callID is the call that the user was last invited to.
func (k *keeper) callID() string { return k.invited().CallID }

// calls are those that OnCallReceived, OnCallBegin and OnCallEnd last told of.
func (k *keeper) calls() (received, begun, ended hooks.CallInfo) {
	synctest.Wait()
	last := func(list []hooks.CallInfo) (c hooks.CallInfo) {
		if n := len(list); n > 0 {
			c = list[n-1]
		}
		return c
	}
	k.keep(func() { received, begun, ended = last(k.received), last(k.begun), last(k.ended) })
	return received, begun, ended
}

// gather makes a party.
func gather(t *testing.T, change func(*engine.ServerConfig), test func(p *party), users ...string) {
	synctest.Test(t, func(t *testing.T) {
		p := &party{t: t, srv: serve(t, change), c: map[string]*engine.Client{}, r: map[string]*recorder{}, k: map[string]*keeper{}}
		for _, u := range users {
			p.signIn(u)
		}
		test(p)
	})
}

func (p *party) signIn(u string) {
	p.t.Helper()
	p.c[u], p.r[u] = dial(p.t, p.srv, u, nil)
	p.k[u] = new(keeper)
	p.c[u].SetCallingListener(p.k[u])
}

func (p *party) ctx() context.Context { return p.t.Context() }

// group makes the first call the others.
func (p *party) group(groupID, from string, to ...string) {
	p.t.Helper()
	must(p.t, p.c[from].GroupCall(p.ctx(), to, hooks.MediaAudio, groupID))
	synctest.Wait()
}

func (p *party) accept(users ...string) {
	p.t.Helper()
	for _, u := range users {
		must(p.t, p.c[u].Accept(p.ctx()))
		synctest.Wait()
	}
}

func (p *party) hangup(users ...string) {
	p.t.Helper()
	for _, u := range users {
		must(p.t, p.c[u].Hangup(p.ctx()))
		synctest.Wait()
	}
}

// told fails unless the user was told exactly this since the last time.
func (p *party) told(u string, want ...string) {
	p.t.Helper()
	synctest.Wait()
	r := p.r[u]
	r.mu.Lock()
	got := r.events
	r.events = nil
	r.mu.Unlock()
	if !slices.Equal(got, want) {
		p.t.Errorf("%s was told\n %q, want\n %q", u, got, want)
	}
}

// forget drops what was told so far.
func (p *party) forget() {
	synctest.Wait()
	for _, r := range p.r {
		r.mu.Lock()
		r.events = nil
		r.mu.Unlock()
	}
}

// Without a group, what the invited do is told to who invited them alone.
func TestGroupCallWithoutAGroup(t *testing.T) {
	gather(t, nil, func(p *party) {
		must(t, p.c["dave"].Call(p.ctx(), "erin", hooks.MediaAudio)) // dave is busy
		p.forget()
		p.group("", "alice", "bob", "carol", "dave", "frank")
		const invited = "invited by alice audio 30s"
		p.told("alice", "entered", "busy dave")
		p.told("bob", invited)
		p.told("carol", invited)
		p.told("dave")
		p.accept("bob")
		p.told("alice", "accept bob", "enter bob", "begin alice audio")
		p.told("bob", "entered", "enter alice", "begin alice audio")
		p.told("carol")
		must(t, p.c["carol"].Reject(p.ctx()))
		p.told("alice", "reject carol")
		p.told("bob")
		p.told("carol")
		time.Sleep(30 * time.Second) // virtual: frank does not answer
		p.told("alice", "noresp frank", "timeout [frank]")
		p.told("bob", "timeout [frank]")
		p.told("frank", invited, "timeout []")
		p.hangup("alice")
		p.told("alice", "end hangup 30s")
		p.told("bob", "leave alice 0", "end hangup 30s")
		p.told("carol")
	}, "alice", "bob", "carol", "dave", "erin", "frank")
}

// With a group, all who are in or ring are told.
func TestGroupCallOfAGroup(t *testing.T) {
	gather(t, nil, func(p *party) {
		must(t, p.c["dave"].Call(p.ctx(), "erin", hooks.MediaAudio))
		p.forget()
		p.group("friends", "alice", "bob", "carol", "dave", "frank")
		const invited = "invited by alice audio 30s"
		p.told("alice", "entered", "busy dave")
		p.told("bob", invited, "busy dave")
		p.told("carol", invited, "busy dave")
		p.told("frank", invited, "busy dave")
		p.accept("bob")
		p.told("alice", "accept bob", "enter bob", "begin alice audio")
		p.told("bob", "entered", "enter alice", "begin alice audio")
		p.told("carol", "accept bob")
		p.told("frank", "accept bob")
		must(t, p.c["carol"].Reject(p.ctx()))
		p.told("alice", "reject carol")
		p.told("bob", "reject carol")
		p.told("carol")
		p.told("frank", "reject carol")
		time.Sleep(30 * time.Second) // virtual
		p.told("alice", "noresp frank", "timeout [frank]")
		p.told("bob", "noresp frank", "timeout [frank]")
		p.told("carol")
		p.told("frank", "timeout []")
	}, "alice", "bob", "carol", "dave", "erin", "frank")
}

// What an invitation says, and what the call is called in later callbacks.
func TestGroupPayloads(t *testing.T) {
	gather(t, nil, func(p *party) {
		must(t, p.c["alice"].SetSelfInfo(p.ctx(), "Alice A.", "https://example.com/a.png"))
		must(t, p.c["alice"].GroupCall(p.ctx(), []string{"bob", "carol", "bob", "alice"}, hooks.MediaVideo, "friends",
			engine.CallOptions{Timeout: 12 * time.Second, UserData: `{"table":4}`}))
		p.r["bob"].wait(t, "invited by alice video 12s")
		inv := p.k["bob"].invited()
		id := inv.CallID
		want := inv // its ID and its room are the server's
		want.Sponsor, want.UserIDs, want.IsFromGroup, want.GroupID = "alice", []string{"carol"}, true, "friends"
		want.Media, want.Timeout, want.UserData = hooks.MediaVideo, 12*time.Second, `{"table":4}`
		want.SponsorInfo = hooks.UserInfo{UserID: "alice", Nick: "Alice A.", Avatar: "https://example.com/a.png"}
		if fmt.Sprint(inv) != fmt.Sprint(want) || id == "" {
			t.Errorf("bob's invitation:\n %+v, want\n %+v", inv, want)
		}
		if got := p.k["carol"].invited().UserIDs; !slices.Equal(got, []string{"bob"}) {
			t.Errorf("carol's invitation names %q besides", got)
		}
		p.accept("bob")
		p.hangup("alice")
		time.Sleep(12 * time.Second) // virtual: carol's time is up, and bob is alone
		synctest.Wait()
		info := hooks.CallInfo{CallID: id, GroupID: "friends", Media: hooks.MediaVideo, Inviter: "alice"}
		received, begun, ended := p.k["bob"].calls()
		_, _, hers := p.k["alice"].calls()
		if received != info || begun != info || ended != info || hers != info {
			t.Errorf("received %+v, begun %+v, ended %+v; alice's ended %+v; want %+v", received, begun, ended, hers, info)
		}
		p.told("bob", "invited by alice video 12s", "entered", "enter alice", "begin alice video",
			"leave alice 0", "noresp carol", "timeout [carol]", "end hangup 12s")
	}, "alice", "bob", "carol")
}

func TestInviteMidCall(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.group("friends", "alice", "bob")
		p.accept("bob")
		time.Sleep(10 * time.Second) // virtual
		p.forget()
		must(t, p.c["bob"].InviteUser(p.ctx(), []string{"carol", "alice", "dave", "carol"}, engine.CallOptions{Timeout: 20 * time.Second}))
		p.told("alice", "invitees [carol dave]")
		p.told("bob")
		p.told("carol", "invited by bob audio 20s")
		p.told("dave", "invited by bob audio 20s")
		if inv := p.k["carol"].invited(); inv.Sponsor != "bob" || !inv.IsFromGroup || inv.GroupID != "friends" || !slices.Equal(inv.UserIDs, []string{"dave"}) {
			t.Errorf("carol's invitation: %+v", inv)
		}
		if info, _, _ := p.k["carol"].calls(); info.Inviter != "alice" {
			t.Errorf("the call carol received is of %q, want alice, who started it", info.Inviter)
		}
		p.accept("carol")
		p.told("alice", "accept carol", "enter carol")
		p.told("bob", "accept carol", "enter carol")
		p.told("carol", "entered", "enter alice", "enter bob", "begin alice audio")
		p.told("dave", "accept carol")
		// Another is invited while dave rings: the list is of all who ring.
		must(t, p.c["alice"].InviteUser(p.ctx(), []string{"erin"}))
		p.told("bob", "invitees [dave erin]")
		p.told("carol", "invitees [dave erin]")
		p.told("erin", "invited by alice audio 30s")
		time.Sleep(20 * time.Second) // virtual: dave's time is up, erin's is not
		p.told("dave", "timeout []")
		p.told("erin", "noresp dave")
		time.Sleep(5 * time.Second) // virtual
		p.hangup("carol")
		p.told("carol", "noresp dave", "timeout [dave]", "end hangup 25s") // their own time
		p.told("alice", "noresp dave", "timeout [dave]", "leave carol 0")
		p.hangup("alice", "bob") // and nobody is in
		p.told("alice", "end hangup 35s")
		p.told("bob", "noresp dave", "timeout [dave]", "leave carol 0", "leave alice 0", "end hangup 35s")
		p.told("erin", "cancel")
	}, "alice", "bob", "carol", "dave", "erin")
}

func TestInvitationsThatCannotBe(t *testing.T) {
	gather(t, func(c *engine.ServerConfig) { c.MaxCallUsers = 3 }, func(p *party) {
		refused := func(what string, err error, want hooks.Code) {
			t.Helper()
			var e *engine.Error
			if !errors.As(err, &e) || e.Code != want {
				t.Errorf("%s: %v, want code %d", what, err, want)
			}
		}
		alice := p.c["alice"]
		if err := alice.InviteUser(p.ctx(), []string{"bob"}); !errors.Is(err, engine.ErrNoCall) {
			t.Errorf("without a call: %v", err)
		}
		refused("an empty group", alice.GroupCall(p.ctx(), nil, hooks.MediaAudio, ""), hooks.CodeBadParam)
		refused("a group of oneself", alice.GroupCall(p.ctx(), []string{"alice", "alice"}, hooks.MediaAudio, ""), hooks.CodeBadParam)
		refused("a bad user", alice.GroupCall(p.ctx(), []string{"bob", "b/b"}, hooks.MediaAudio, ""), hooks.CodeUserID)
		refused("too many", alice.GroupCall(p.ctx(), []string{"bob", "carol", "dave"}, hooks.MediaAudio, ""), hooks.CodeBadParam)
		refused("a group's ID that is too long", alice.GroupCall(p.ctx(), []string{"bob"}, hooks.MediaAudio, strings.Repeat("g", 65)), hooks.CodeBadParam)

		must(t, alice.Call(p.ctx(), "bob", hooks.MediaAudio))
		synctest.Wait()
		p.accept("bob")
		refused("into a one-to-one call", alice.InviteUser(p.ctx(), []string{"carol"}), hooks.CodeRefused)
		refused("joining a one-to-one call", p.c["carol"].JoinCall(p.ctx(), p.k["bob"].callID()), hooks.CodeRefused)
		p.hangup("alice")

		p.group("", "alice", "bob")
		p.accept("bob")
		refused("those who are in", alice.InviteUser(p.ctx(), []string{"bob"}), hooks.CodeRefused)
		refused("nobody", alice.InviteUser(p.ctx(), nil), hooks.CodeBadParam)
		refused("only oneself", alice.InviteUser(p.ctx(), []string{"alice"}), hooks.CodeBadParam)
		refused("too many", alice.InviteUser(p.ctx(), []string{"carol", "dave"}), hooks.CodeBadParam)
		must(t, alice.InviteUser(p.ctx(), []string{"carol"}))
		synctest.Wait()
		p.accept("carol")
		refused("into a full call", p.c["dave"].JoinCall(p.ctx(), p.k["bob"].callID()), hooks.CodeRefused)
		if n := len(p.r["dave"].all()); n != 0 {
			t.Errorf("dave was told %q", p.r["dave"].all())
		}
	}, "alice", "bob", "carol", "dave")
}

func TestJoinARunningGroupCall(t *testing.T) {
	members := hooks.Plugin{Member: func(_ context.Context, groupID, userID string) error {
		if userID == "mallory" {
			return &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: "not in " + groupID}
		}
		return nil
	}}
	gather(t, func(c *engine.ServerConfig) { c.Plugins = []hooks.Plugin{members} }, func(p *party) {
		p.group("friends", "alice", "bob", "dave")
		p.accept("bob")
		p.forget()
		id := p.k["bob"].callID()
		must(t, p.c["carol"].JoinCall(p.ctx(), id))
		p.told("carol", "entered", "enter alice", "enter bob", "begin alice audio")
		p.told("alice", "enter carol")
		p.told("bob", "enter carol")
		p.told("dave")
		var e *engine.Error
		for who, want := range map[string]hooks.Code{"mallory": hooks.CodeEnterRefused, "carol": hooks.CodeRefused} {
			if err := p.c[who].JoinCall(p.ctx(), id); !errors.As(err, &e) || e.Code != want {
				t.Errorf("%s joins: %v, want code %d", who, err, want)
			}
		}
		if err := p.c["erin"].JoinCall(p.ctx(), "nothing"); !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("joining nothing: %v", err)
		}
		// One who rings may join as well as accept.
		must(t, p.c["dave"].JoinCall(p.ctx(), id))
		p.told("dave", "entered", "enter alice", "enter bob", "enter carol", "begin alice audio")
		p.told("alice", "accept dave", "enter dave")
		// One who left may come back.
		p.hangup("carol")
		must(t, p.c["carol"].JoinCall(p.ctx(), id))
		p.told("carol", "accept dave", "enter dave", "end hangup 0s", "entered", "enter alice", "enter bob", "enter dave", "begin alice audio")
		must(t, p.c["erin"].Call(p.ctx(), "frank", hooks.MediaAudio))
		if err := p.c["erin"].JoinCall(p.ctx(), id); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("joining while dialling: %v", err)
		}
	}, "alice", "bob", "carol", "dave", "erin", "frank", "mallory")
}

// Taking a group call back ends all its ringing at once.
func TestGroupCancel(t *testing.T) {
	for _, groupID := range []string{"", "friends"} {
		gather(t, nil, func(p *party) {
			p.group(groupID, "alice", "bob", "carol")
			p.hangup("alice")
			p.told("alice", "entered", "end canceled 0s")
			for _, u := range []string{"bob", "carol"} {
				p.told(u, "invited by alice audio 30s", "cancel")
				if err := p.c[u].Accept(p.ctx()); !errors.Is(err, engine.ErrNoCall) {
					t.Errorf("%s accepts what was taken back: %v", u, err)
				}
			}
			time.Sleep(time.Minute) // virtual
			for _, u := range []string{"alice", "bob", "carol"} {
				p.told(u)
			}
		}, "alice", "bob", "carol")
	}
}

// A call ends when fewer than two are in it and nobody rings; with nobody in
// it, at once.
func TestGroupEnds(t *testing.T) {
	t.Run("when everyone declined", func(t *testing.T) {
		gather(t, nil, func(p *party) {
			p.group("", "alice", "bob", "carol", "dave")
			must(t, p.c["bob"].Reject(p.ctx()))
			must(t, p.c["carol"].Ignore(p.ctx()))
			p.told("alice", "entered", "reject bob", "busy carol")
			p.told("carol", "invited by alice audio 30s")
			time.Sleep(30 * time.Second) // virtual
			p.told("alice", "noresp dave", "timeout [dave]", "end no response 0s")
			p.told("dave", "invited by alice audio 30s", "timeout []")
		}, "alice", "bob", "carol", "dave")
	})
	t.Run("not while somebody rings", func(t *testing.T) {
		gather(t, nil, func(p *party) {
			p.group("", "alice", "bob", "carol")
			p.accept("bob")
			p.hangup("bob")
			p.told("alice", "entered", "accept bob", "enter bob", "begin alice audio", "leave bob 0")
			time.Sleep(10 * time.Second) // virtual
			p.accept("carol")
			p.told("carol", "invited by alice audio 30s", "entered", "enter alice", "begin alice audio")
			p.hangup("carol")
			p.told("alice", "accept carol", "enter carol", "leave carol 0", "end hangup 10s")
		}, "alice", "bob", "carol")
	})
	t.Run("when nobody is in", func(t *testing.T) {
		gather(t, nil, func(p *party) {
			p.group("", "alice", "bob", "carol")
			p.accept("bob")
			p.hangup("alice", "bob")
			p.told("carol", "invited by alice audio 30s", "cancel")
			p.told("bob", "invited by alice audio 30s", "entered", "enter alice", "begin alice audio", "leave alice 0", "end hangup 0s")
		}, "alice", "bob", "carol")
	})
}

// A user who signs in elsewhere is kicked out of a group call, which goes on.
func TestGroupKick(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.group("", "alice", "bob", "carol", "dave")
		p.accept("bob", "carol")
		time.Sleep(5 * time.Second) // virtual
		p.forget()
		old, r := p.c["bob"], p.r["bob"]
		p.signIn("bob")
		<-old.Done()
		r.want(t, "end ended by server 5s", "kicked")
		p.told("bob") // the new one is in no call
		p.told("alice", "leave bob 2")
		p.told("carol", "leave bob 2")
		p.told("dave")
		if err := old.Err(); !errors.Is(err, engine.ErrKicked) {
			t.Errorf("Err() = %v", err)
		}
		must(t, p.c["bob"].JoinCall(p.ctx(), p.k["carol"].callID()))
		p.told("alice", "enter bob")
	}, "alice", "bob", "carol", "dave")
}

func TestGroupSwitchMedia(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.group("", "alice", "bob", "carol")
		p.accept("bob")
		p.forget()
		if err := p.c["carol"].SwitchMedia(p.ctx(), hooks.MediaVideo); !errors.Is(err, engine.ErrNoCall) {
			t.Errorf("one who rings switches: %v", err)
		}
		var e *engine.Error
		for _, m := range []hooks.MediaType{hooks.MediaAudio, hooks.MediaUnknown, 7} {
			if err := p.c["bob"].SwitchMedia(p.ctx(), m); !errors.As(err, &e) {
				t.Errorf("switching an audio call to %v: %v", m, err)
			}
		}
		must(t, p.c["bob"].SwitchMedia(p.ctx(), hooks.MediaVideo))
		p.told("alice", "media audio video")
		p.told("bob", "media audio video")
		p.told("carol", "media audio video") // is asked to a video call now
		p.accept("carol")
		p.told("carol", "entered", "enter alice", "enter bob", "begin alice video")
		must(t, p.c["alice"].SwitchMedia(p.ctx(), hooks.MediaAudio))
		for _, u := range []string{"bob", "carol"} {
			p.r[u].wait(t, "media video audio")
		}
	}, "alice", "bob", "carol")
}

func TestSelfInfo(t *testing.T) {
	gather(t, nil, func(p *party) {
		must(t, p.c["alice"].SetSelfInfo(p.ctx(), "爱丽丝", "a.png"))
		got, err := p.c["bob"].UserInfo(p.ctx(), "alice")
		if want := (hooks.UserInfo{UserID: "alice", Nick: "爱丽丝", Avatar: "a.png"}); err != nil || got != want {
			t.Errorf("UserInfo = %+v, %v, want %+v", got, err, want)
		}
		for _, u := range []string{"bob", "nobody"} { // has said nothing, is not there
			if got, err := p.c["alice"].UserInfo(p.ctx(), u); err != nil || got != (hooks.UserInfo{UserID: u}) {
				t.Errorf("UserInfo(%s) = %+v, %v", u, got, err)
			}
		}
		var e *engine.Error
		if _, err := p.c["alice"].UserInfo(p.ctx(), "a/b"); !errors.As(err, &e) || e.Code != hooks.CodeUserID {
			t.Errorf("UserInfo of a bad user: %v", err)
		}
		for _, big := range [][2]string{{strings.Repeat("n", 501), ""}, {"", strings.Repeat("a", 501)}} {
			if err := p.c["alice"].SetSelfInfo(p.ctx(), big[0], big[1]); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
				t.Errorf("501 bytes: %v", err)
			}
		}
		must(t, p.c["bob"].Call(p.ctx(), "alice", hooks.MediaAudio))
		p.r["alice"].wait(t, "invited")
		if inv := p.k["alice"].invited(); inv.SponsorInfo != (hooks.UserInfo{}) {
			t.Errorf("bob said nothing of himself, and the invitation says %+v", inv.SponsorInfo)
		}
	}, "alice", "bob")
}

// A server that shuts down ends the call for who is in it and who rings.
func TestShutdownDuringAGroupCall(t *testing.T) {
	gather(t, nil, func(p *party) {
		p.group("", "alice", "bob", "carol")
		p.accept("bob")
		time.Sleep(3 * time.Second) // virtual
		p.forget()
		ctx, cancel := context.WithTimeout(p.ctx(), 2*time.Second)
		defer cancel()
		down := make(chan error, 1)
		go func() { down <- p.srv.Shutdown(ctx) }()
		time.Sleep(time.Second) // virtual
		var e *engine.Error
		if err := p.c["dave"].Call(p.ctx(), "erin", hooks.MediaAudio); !errors.As(err, &e) || e.Code != hooks.CodeServerFailed {
			t.Errorf("calling while the server shuts down: %v", err)
		}
		must(t, p.c["alice"].SetSelfInfo(p.ctx(), "goes on", "")) // until then
		if err := <-down; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		for _, u := range []string{"alice", "bob", "carol", "dave"} {
			<-p.c[u].Done()
		}
		p.told("alice", "end ended by server 5s", "error -7")
		p.told("bob", "end ended by server 5s", "error -7")
		p.told("carol", "cancel", "error -7")
		p.told("dave", "entered -3301", "error -3301", "error -7")
	}, "alice", "bob", "carol", "dave", "erin")
}

// One who does not want to hear somebody does not: nobody else notices.
func TestMuteRemoteAudio(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob, a, b := w.talk(t)
		told := len(a.all()) + len(b.all())
		must(t, alice.MuteRemoteAudio(t.Context(), "bob", true))
		time.Sleep(200 * time.Millisecond) // virtual: what was on its way
		received := func(c *engine.Client) uint64 { return c.Stats().Tracks[0].Jitter.Received }
		before := received(alice)
		time.Sleep(time.Second) // virtual
		if n := received(alice) - before; n != 0 {
			t.Errorf("%d packets of a muted user were sent to alice", n)
		}
		hearsOn(t, bob)
		must(t, alice.MuteRemoteAudio(t.Context(), "bob", false))
		time.Sleep(time.Second) // virtual
		hearsOn(t, alice)
		if n := len(a.all()) + len(b.all()); n != told {
			t.Errorf("somebody was told: %q %q", a.all(), b.all())
		}
		var e *engine.Error
		for _, u := range []string{"carol", "alice"} {
			if err := alice.MuteRemoteAudio(t.Context(), u, true); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
				t.Errorf("muting %s: %v", u, err)
			}
		}
	})
}
