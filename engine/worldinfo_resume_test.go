package engine_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// camp is a world, over a simulated network, in which alice, bob and carol talk
// to one another.
type camp struct {
	*world
	village *engine.World
	handle  engine.Handle // alice's
	clients map[string]*engine.Client
	told    map[string]*recorder
}

func newCamp(t *testing.T, change func(*engine.ServerConfig)) *camp {
	c := &camp{world: newWorld(t, change), clients: map[string]*engine.Client{}, told: map[string]*recorder{}}
	var err error
	c.village, err = c.srv.NewWorld(engine.WorldConfig{ID: "village", Range: 20})
	must(t, err)
	h, err := c.village.Join(engine.Player{UserID: "alice", Position: east(3)}, engine.Player{UserID: "bob"}, engine.Player{UserID: "carol", Position: east(-3)})
	must(t, err)
	c.handle = h[0]
	for _, u := range []string{"alice", "bob", "carol"} {
		c.come(t, u)
	}
	for _, u := range []string{"alice", "bob", "carol"} {
		for _, v := range []string{"alice", "bob", "carol"} {
			if u != v {
				c.told[u].wait(t, "audio "+v+" true")
			}
		}
	}
	time.Sleep(time.Second) // virtual
	return c
}

// come signs a user in, who listens.
func (c *camp) come(t *testing.T, user string) {
	c.clients[user], c.told[user] = c.dial(t, user, nil)
	listen(t, c.clients[user])
}

// events are what a user has been told of rooms and tracks since there were so
// many events.
func (c *camp) events(user string, from int) []string {
	return slices.DeleteFunc(slices.Clone(c.told[user].all()[from:]), func(e string) bool { return strings.HasPrefix(e, "warning 6007") })
}

// played is how many packets of another a user has played.
func (c *camp) played(user, of string) (n uint64) {
	for _, tr := range c.clients[user].Stats().Tracks {
		if tr.UserID == of {
			n += tr.Jitter.Played
		}
	}
	return n
}

// hear fails unless each of these "user<other" hears on, and the others of the
// three, but for those who are away, do not.
func (c *camp) hear(t *testing.T, what string, pairs ...string) {
	t.Helper()
	before := make(map[string]uint64)
	all := []string{"alice<bob", "alice<carol", "bob<alice", "bob<carol", "carol<alice", "carol<bob"}
	for _, p := range all {
		u, of, _ := strings.Cut(p, "<")
		before[p] = c.played(u, of)
	}
	time.Sleep(2 * time.Second) // virtual; some pause for breath
	for _, p := range all {
		u, of, _ := strings.Cut(p, "<")
		n := int64(c.played(u, of) - before[p])
		switch want := slices.Contains(pairs, p); {
		case want && n < 60:
			t.Errorf("%s: %s is %d packets of about 100", what, p, n)
		case !want && n > 0:
			t.Errorf("%s: %s is %d packets", what, p, n)
		}
	}
}

// TestWorldResume: a player whose connection breaks comes back to where they
// were, with their tracks and mutes, and nobody is told anything.
func TestWorldResume(t *testing.T) {
	for _, away := range []time.Duration{4 * time.Second, 9 * time.Second} {
		t.Run(away.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCamp(t, nil)
				must(t, c.village.SetMute(audience.MutedByModerator, true, "carol"))
				must(t, c.village.SetVolume("alice", 0.5, "bob"))
				must(t, c.clients["alice"].MuteRemoteAudio(t.Context(), "carol", true))
				c.hear(t, "before", "alice<bob", "bob<alice", "carol<alice", "carol<bob")
				from := map[string]int{}
				for u, r := range c.told {
					from[u] = len(r.all())
				}
				lost := lostFrom(c.clients["bob"], "carol")

				good := simnet.Link{Delay: 20 * time.Millisecond}
				c.setLine("alice", line{simnet.Link{Down: true}, simnet.Link{Down: true}})
				time.Sleep(away / 2)                                                               // virtual
				must(t, c.village.Move([]engine.Placement{{Player: c.handle, Position: east(4)}})) // she is pushed
				must(t, c.village.SetMute(audience.MutedByModerator, false, "carol"))
				time.Sleep(away - away/2) // virtual
				c.setLine("alice", line{good, good})
				time.Sleep(3 * time.Second) // virtual: a dial
				for _, u := range []string{"alice", "bob", "carol"} {
					if e := c.events(u, from[u]); len(e) > 0 {
						t.Errorf("%s was told %q", u, e)
					}
				}
				// Alice has carol muted herself; the moderator's is lifted.
				c.hear(t, "after", "alice<bob", "bob<alice", "bob<carol", "carol<alice", "carol<bob")
				must(t, c.clients["alice"].MuteRemoteAudio(t.Context(), "carol", false))
				c.hear(t, "in the end", "alice<bob", "alice<carol", "bob<alice", "bob<carol", "carol<alice", "carol<bob")
				if n := lostFrom(c.clients["bob"], "carol") - lost; n > 0 {
					t.Errorf("bob lost %d packets of carol's", n)
				}
				if h, in := c.village.Handle("alice"); !in || h != c.handle {
					t.Errorf("alice's handle was %d and is %d", c.handle, h)
				}
				s := c.srv.Snapshot()
				if s.Worlds.Connected != 3 || s.AudioTracks != 3 || s.Worlds.Announced != 6 || away > 5*time.Second && s.Resumes == 0 {
					t.Errorf("%+v, %d tracks, %d resumes", s.Worlds, s.AudioTracks, s.Resumes)
				}
			})
		})
	}
}

// lostFrom is how many packets of another a client has missed.
func lostFrom(c *engine.Client, of string) (n uint64) {
	for _, tr := range c.Stats().Tracks {
		if tr.UserID == of {
			n += tr.Jitter.Lost
		}
	}
	return n
}

// TestWorldMovesOnWhileAway: who walks out of hearing while a player is away is
// gone when they are back, and who came is there.
func TestWorldMovesOnWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamp(t, nil)
		from := len(c.told["alice"].all())
		c.setLine("alice", line{simnet.Link{Down: true}, simnet.Link{Down: true}})
		time.Sleep(time.Second) // virtual
		must(t, c.village.Move([]engine.Placement{{UserID: "bob", Position: east(500)}}))
		time.Sleep(9 * time.Second) // virtual
		good := simnet.Link{Delay: 20 * time.Millisecond}
		c.setLine("alice", line{good, good})
		time.Sleep(3 * time.Second) // virtual
		if e := c.events("alice", from); !slices.Equal(e, []string{"audio bob false"}) {
			t.Errorf("alice was told %q", e)
		}
		c.hear(t, "without bob", "alice<carol", "carol<alice")
	})
}

// TestWorldAfterTheWindow: a player who does not come back in time is not
// connected any more, but has their place and their mutes when they sign in.
func TestWorldAfterTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamp(t, nil)
		must(t, c.village.SetMute(audience.MutedByModerator, true, "alice"))
		from := len(c.told["bob"].all())
		c.sever("alice")
		<-c.clients["alice"].Done()
		time.Sleep(time.Second) // virtual
		if e := c.events("bob", from); !slices.Equal(e, []string{"audio alice false"}) {
			t.Errorf("bob was told %q", e)
		}
		if st := c.village.Stats(); st.Players != 3 || st.Connected != 2 {
			t.Errorf("%+v", st)
		}
		c.mu.Lock()
		c.cut = ""
		c.mu.Unlock()
		c.come(t, "alice")
		c.told["alice"].wait(t, "audio bob true")
		time.Sleep(time.Second) // virtual
		c.hear(t, "muted as before", "alice<bob", "alice<carol", "bob<carol", "carol<bob")
		must(t, c.village.SetMute(audience.MutedByModerator, false, "alice"))
		c.told["bob"].wait(t, "audio alice true")
		c.hear(t, "as ever", "alice<bob", "alice<carol", "bob<alice", "bob<carol", "carol<alice", "carol<bob")
		if h, in := c.village.Handle("alice"); !in || h != c.handle {
			t.Errorf("alice's handle was %d and is %d", c.handle, h)
		}
	})
}

// TestWorldOnAnotherDevice: a player is on one device at a time, that on which
// they signed in last; when they leave it, the one before takes its place. Those
// who hear them have their track changed once.
func TestWorldOnAnotherDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamp(t, func(cfg *engine.ServerConfig) { cfg.MultiDevice = true })
		must(t, c.village.Block("alice", true, "carol"))
		phone, onPhone := c.clients["alice"], c.told["alice"]
		from, fromPhone := len(c.told["bob"].all()), len(onPhone.all())
		c.come(t, "alice")
		c.told["alice"].wait(t, "audio bob true")
		time.Sleep(2 * time.Second) // virtual
		if e := onPhone.all()[fromPhone:]; !slices.ContainsFunc(e, func(e string) bool { return strings.HasPrefix(e, "end ") }) || slices.Contains(e, "entered") {
			t.Errorf("the first device was told %q", e)
		}
		if e := c.events("bob", from); !slices.Equal(e, []string{"audio alice false", "audio alice true"}) {
			t.Errorf("bob was told %q", e)
		}
		before := c.played("bob", "alice")
		c.hear(t, "on the second", "alice<bob", "bob<alice", "bob<carol", "carol<alice", "carol<bob")
		if n := c.played("bob", "alice") - before; n > 110 {
			t.Errorf("bob hears alice %d times in 2 s", n)
		}

		from, fromPhone = len(c.told["bob"].all()), len(onPhone.all())
		must(t, c.clients["alice"].Destroy())
		c.clients["alice"], c.told["alice"] = phone, onPhone
		time.Sleep(2 * time.Second) // virtual
		if e := c.events("alice", fromPhone); !slices.Contains(e, "entered") || !slices.Contains(e, "audio bob true") {
			t.Errorf("the first device was told %q", e)
		}
		if e := c.events("bob", from); !slices.Equal(e, []string{"audio alice false", "audio alice true"}) {
			t.Errorf("bob was told %q", e)
		}
		c.hear(t, "on the first again", "alice<bob", "bob<alice", "bob<carol", "carol<alice", "carol<bob")
	})
}

// TestWorldSignOutAndIn: who signs out is not heard and hears nothing, and is
// where they were when they sign in; a sign-in over a broken connection takes
// its place at once.
func TestWorldSignOutAndIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCamp(t, nil)
		must(t, c.village.SetVolume("alice", 0, "carol"))
		from := len(c.told["bob"].all())
		must(t, c.clients["alice"].Destroy())
		time.Sleep(time.Second) // virtual
		c.come(t, "alice")
		c.told["alice"].wait(t, "audio bob true")
		time.Sleep(2 * time.Second) // virtual
		all := []string{"alice<bob", "bob<alice", "bob<carol", "carol<alice", "carol<bob"}
		c.hear(t, "signed in again", all...)

		c.sever("alice")
		time.Sleep(time.Second) // virtual
		c.mu.Lock()
		c.cut = ""
		c.mu.Unlock()
		old := c.clients["alice"]
		c.come(t, "alice") // another program of hers, which knows of no session
		c.told["alice"].wait(t, "audio bob true")
		<-old.Done()
		time.Sleep(2 * time.Second) // virtual
		c.hear(t, "signed in over a broken connection", all...)
		want := []string{"audio alice false", "audio alice true", "audio alice false", "audio alice true"}
		if e := c.events("bob", from); !slices.Equal(e, want) {
			t.Errorf("bob was told %q", e)
		}
		if st := c.village.Stats(); st.Players != 3 || st.Connected != 3 {
			t.Errorf("%+v", st)
		}
		if err := old.Err(); err == nil {
			t.Error("alice's first program does not know that it is out")
		}
	})
}
