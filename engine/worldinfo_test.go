package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// A world from its beginning to after its end, number by number, and what has
// ended stays counted.
func TestSnapshotOfAWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{Range: 10})
		w := p.world
		_, err := w.Join(
			engine.Player{UserID: "ann"}, engine.Player{UserID: "ben", Position: east(5)}, engine.Player{UserID: "cat", Position: east(-5)}, engine.Player{UserID: "away"},
		)
		must(t, err)
		var last engine.Snapshot
		look := func() engine.Snapshot {
			synctest.Wait()
			s := p.srv.Snapshot()
			now := counters(s)
			for name, n := range counters(last) {
				if now[name] < n {
					t.Errorf("%s fell from %d to %d", name, n, now[name])
				}
			}
			last = s
			return s
		}
		if s := look(); s.Worlds.Open != 1 || s.Worlds.Players != 4 || s.Worlds.Connected != 0 || s.Rooms[engine.RoomWorld] != 0 || s.Participants != 0 {
			t.Errorf("before anybody signs in: %+v, rooms %v, %d participants", s.Worlds, s.Rooms, s.Participants)
		}
		ann, ben, cat := p.dial(t, "ann"), p.dial(t, "ben"), p.dial(t, "cat")
		<-ann.World
		must(t, ben.Publish(t.Context()))
		must(t, cat.Publish(t.Context()))
		const packets = 150
		for range packets {
			ben.Speak([]byte{0x78, 1, 2, 3}, 30)
			cat.Speak([]byte{0x78, 1, 2, 3}, 30)
			time.Sleep(20 * time.Millisecond) // virtual
		}
		s := look()
		if s.Worlds.Open != 1 || s.Worlds.Players != 4 || s.Worlds.Connected != 3 || s.Worlds.Talkers != 2 || s.Worlds.Voices != 4 || s.Worlds.Announced != 4 {
			t.Errorf("while two talk to three: %+v", s.Worlds)
		}
		if s.Rooms[engine.RoomWorld] != 1 || s.Rooms[hooks.ModeForward] != 0 || s.Participants != 3 || s.AudioTracks != 2 || s.Calls != 0 {
			t.Errorf("rooms %v, %d participants, %d tracks, %d calls", s.Rooms, s.Participants, s.AudioTracks, s.Calls)
		}
		// Each is heard by two: the last packets may wait for others.
		if s.Received.Audio.Packets != 2*packets || s.Sent.Audio.Packets < 4*packets-4 || s.Sent.Audio.Packets != s.Worlds.Packets || s.Worlds.Batches == 0 || s.Worlds.Batches > s.Worlds.Packets {
			t.Errorf("received %+v, sent %+v, worlds %+v", s.Received.Audio, s.Sent.Audio, s.Worlds)
		}
		if n := s.Worlds.TickTime.Count(); n != s.Worlds.TickLateness.Count() || n < s.Worlds.Ticks || s.Worlds.Ticks < 70 || s.TickTime.Count() != 0 || s.Mix.Ticks != 0 {
			t.Errorf("%d ticks, %d times worked out, %d of mixes", n, s.Worlds.Ticks, s.TickTime.Count())
		}
		if s.Jitter.Count() < 2 || s.LossUp.Count() < 2 || s.LossDown.Count() < 3 {
			t.Errorf("jitter %d, loss up %d, down %d", s.Jitter.Count(), s.LossUp.Count(), s.LossDown.Count())
		}
		ben.Speak(make([]byte, 1140), 30) // leaves no room for what the server adds
		time.Sleep(time.Second)           // virtual
		s = look()
		if n := dropped(t, s, "world", "audio", "too large"); n != 1 || s.Worlds.Dropped != 1 || dropped(t, s, "world", "audio", "queue full") != 0 {
			t.Errorf("%d too large, %d in all", n, s.Worlds.Dropped)
		}
		if s.Worlds.Talkers != 0 || s.Worlds.Voices != 0 {
			t.Errorf("when all are silent: %+v", s.Worlds)
		}
		before := s.Worlds
		must(t, w.Close())
		s = look()
		if s.Worlds.Open != 0 || s.Worlds.Players != 0 || s.Participants != 0 || s.Rooms[engine.RoomWorld] != 0 || s.AudioTracks != 0 {
			t.Errorf("after the end: %+v, rooms %v", s.Worlds, s.Rooms)
		}
		if s.Worlds.Packets != before.Packets || s.Worlds.Ticks != before.Ticks || s.Worlds.Dropped != 1 {
			t.Errorf("after the end: %+v, before %+v", s.Worlds, before)
		}
	})
}

// The goroutines that work for a world, and those of its hooks, say so in
// profiles, and no longer than they do, but for a session's reader.
func TestWorldIsLabelledInProfiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var during string
		look := func() string {
			var b bytes.Buffer
			if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
				t.Error(err)
			}
			return b.String()
		}
		take := func() {
			text := look()
			mu.Lock()
			defer mu.Unlock()
			during += text
		}
		plugin := hooks.Plugin{Name: "peeps", Packet: func(hooks.TrackInfo) hooks.PacketHook {
			return func([]byte) bool { take(); return true }
		}}
		srv := serve(t, func(c *engine.ServerConfig) { anybody(c); c.Plugins = []hooks.Plugin{plugin} })
		w, err := srv.NewWorld(engine.WorldConfig{ID: "village", Voices: 1, Score: func(engine.Candidate) float32 { take(); return 0 }})
		must(t, err)
		_, err = w.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben"}, engine.Player{UserID: "cat"})
		must(t, err)
		p := &place{srv: srv, world: w, events: make(map[string][]string)}
		p.dial(t, "ann")
		ben, cat := p.dial(t, "ben"), p.dial(t, "cat")
		must(t, ben.Publish(t.Context()))
		must(t, cat.Publish(t.Context()))
		for range 10 {
			ben.Speak([]byte{0x78, 1, 2, 3}, 30)
			cat.Speak([]byte{0x78, 1, 2, 3}, 30)
			time.Sleep(20 * time.Millisecond) // virtual
		}
		time.Sleep(time.Second) // virtual
		mu.Lock()
		defer mu.Unlock()
		found := make(map[string]bool)
		for _, m := range regexp.MustCompile(`(?m)^# labels: (.*)$`).FindAllStringSubmatch(during, -1) {
			ours := strings.Contains(m[1], "village") || strings.Contains(m[1], "peeps") // not another test's
			if ours && (!strings.Contains(m[1], `"earshot_call":"village"`) || !strings.Contains(m[1], `"earshot_mode":"forward"`)) {
				t.Errorf("labels %s", m[1])
			}
			for _, what := range []string{
				`"earshot_call":"village", "earshot_hook":"Packet", "earshot_mode":"forward", "earshot_plugin":"peeps"`,
				`"earshot_call":"village", "earshot_hook":"Score", "earshot_mode":"forward", "earshot_plugin":"world"`,
			} {
				if strings.Contains(m[1], what) {
					found[what] = true
				}
			}
		}
		if len(found) != 2 {
			t.Errorf("only %v is labelled", slices.Collect(maps.Keys(found)))
		}
		working := 0 // the two talkers' readers, which wait for the next packet
		for _, m := range labelledStack.FindAllStringSubmatch(look(), -1) {
			if strings.Contains(m[2], "village") {
				n, _ := strconv.Atoi(m[1])
				if working += n; strings.Contains(m[2], engine.LabelHook) {
					t.Errorf("no hook runs, and a goroutine has the labels %s", m[2])
				}
			}
		}
		if working > 2 {
			t.Errorf("%d goroutines are still labelled", working)
		}
	})
}

// Players are told how good their own connection is, and those of whom they
// hear, at the same pace as users in calls; of others nothing.
func TestWorldQuality(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		village, err := w.srv.NewWorld(engine.WorldConfig{ID: "village", Range: 20})
		must(t, err)
		_, err = village.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "alice", Position: east(2)}, engine.Player{UserID: "bob", Position: east(500)})
		must(t, err)
		w.setLine("alice", line{simnet.Link{Delay: 75 * time.Millisecond}, simnet.Link{Delay: 75 * time.Millisecond}})
		_, a := w.dial(t, "ann", nil)
		_, b := w.dial(t, "alice", nil)
		_, c := w.dial(t, "bob", nil)
		a.wait(t, "audio alice true")
		time.Sleep(12 * time.Second) // virtual
		for who, r := range map[string]struct {
			*recorder
			want map[string]hooks.Quality
		}{
			"ann":   {a, map[string]hooks.Quality{"ann": hooks.QualityExcellent, "alice": hooks.QualityGood}},
			"alice": {b, map[string]hooks.Quality{"alice": hooks.QualityGood}},
			"bob":   {c, map[string]hooks.Quality{"bob": hooks.QualityExcellent}},
		} {
			r.mu.Lock()
			if !maps.Equal(r.quality, r.want) {
				t.Errorf("%s is told %v, want %v", who, r.quality, r.want)
			}
			if r.qualities < 5 || r.qualities > 8 {
				t.Errorf("%s is told %d times in 12 s and a little, want every 2 s", who, r.qualities)
			}
			r.mu.Unlock()
		}
		// Alice's connection breaks.
		w.setLine("alice", line{simnet.Link{Down: true}, simnet.Link{Down: true}})
		time.Sleep(11 * time.Second) // virtual: silence is noted every 2 s, and told in turns
		a.mu.Lock()
		if q := a.quality["alice"]; q != hooks.QualityDown {
			t.Errorf("of alice, who is cut off, ann is told %d", q)
		}
		a.mu.Unlock()
		must(t, village.Leave("alice"))
		time.Sleep(5 * time.Second) // virtual
		a.mu.Lock()
		if _, told := a.quality["alice"]; told {
			t.Error("ann is still told of alice, who has left")
		}
		a.mu.Unlock()
	})
}

// Plugins are told how loud who talks in a world is, from what the talkers'
// packets say, and a client in it how loud are those whom it hears.
func TestWorldVolumes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var got []hooks.RoomVolumes
		srv := serve(t, func(c *engine.ServerConfig) {
			anybody(c)
			c.Plugins = []hooks.Plugin{{Volumes: func(v hooks.RoomVolumes) {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, v)
			}}}
		})
		w, err := srv.NewWorld(engine.WorldConfig{ID: "village", Range: 20})
		must(t, err)
		_, err = w.Join(
			engine.Player{UserID: "ann"}, engine.Player{UserID: "ben", Position: east(1)}, engine.Player{UserID: "cat", Position: east(500)}, engine.Player{UserID: "alice", Position: east(2)},
		)
		must(t, err)
		p := &place{srv: srv, world: w, events: make(map[string][]string)}
		ben, cat := p.dial(t, "ben"), p.dial(t, "cat")
		ann, heard := dial(t, srv, "ann", nil)
		listen(t, ann)
		heard.wait(t, "entered")
		must(t, ben.Publish(t.Context()))
		must(t, cat.Publish(t.Context()))
		take := func() (v hooks.RoomVolumes) {
			mu.Lock()
			defer mu.Unlock()
			if len(got) > 0 {
				v = got[len(got)-1]
			}
			return v
		}
		for range 50 {
			ben.Speak([]byte{0x78, 1, 2, 3}, 20)
			cat.Speak([]byte{0x78, 1, 2, 3}, 40)
			time.Sleep(20 * time.Millisecond) // virtual
		}
		v := take()
		if v.CallID != "village" || len(v.Users) != 2 || v.Users[0].UserID != "ben" || v.Users[1].UserID != "cat" || v.Users[0].Volume <= v.Users[1].Volume || v.Users[1].Volume == 0 || !v.Users[0].Voice || v.Total < v.Users[0].Volume {
			t.Errorf("two who talk: %+v", v)
		}
		time.Sleep(time.Second) // virtual
		if v = take(); len(v.Users) != 0 || v.Total != 0 {
			t.Errorf("when they are silent: %+v", v)
		}
		// Somebody real is heard.
		dial(t, srv, "alice", func(c *engine.ClientConfig) {
			c.OpusMicrophone = audio.NewPacketSource(speech.Packets("alice"), true)
		})
		heard.wait(t, "audio alice true")
		heard.mu.Lock()
		heard.volumes, heard.totals = nil, nil
		heard.mu.Unlock()
		time.Sleep(3 * time.Second) // virtual
		heard.mu.Lock()
		defer heard.mu.Unlock()
		of := make(map[string]int)
		for i, list := range heard.volumes {
			for _, u := range list {
				if of[u.UserID]++; u.Volume < 1 || u.Volume > 100 || heard.totals[i] == 0 {
					t.Errorf("%+v of %d", u, heard.totals[i])
				}
			}
		}
		if len(heard.volumes) < 9 || of["alice"] < 5 || len(of) != 1 {
			t.Errorf("ann is told %d times, of %v", len(heard.volumes), of)
		}
	})
}

// What has no place in a world is refused with words that say so, and what is
// there goes on.
func TestWorldBorders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *engine.ServerConfig) {
			c.Codec = libopus.Driver{}
			c.Plugins = []hooks.Plugin{{AdmitRoQ: func(context.Context, hooks.RoQRequest) (hooks.RoQAnswer, error) {
				return hooks.RoQAnswer{UserID: "phone", CallID: "village", Sends: []hooks.RoQStream{{Flow: 1}}}, nil
			}}}
		})
		village, err := w.srv.NewWorld(engine.WorldConfig{ID: "village"})
		must(t, err)
		_, err = village.Join(engine.Player{UserID: "alice"}, engine.Player{UserID: "phone"})
		must(t, err)
		alice, a := w.dial(t, "alice", nil)
		bob, _ := w.dial(t, "bob", nil)
		a.wait(t, "entered")
		conn, err := w.endpoint("phone")
		must(t, err)
		f, err := dialForeign(t, conn, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:4433")), "x", "roq-14")
		must(t, err)
		if code, words := f.closedWith(); code != 1 || !strings.Contains(words, "a world takes no plain RTP over QUIC endpoints") {
			t.Errorf("the endpoint was closed with %d %q", code, words)
		}
		for what, c := range map[string]struct {
			err   error
			words string
		}{
			"a camera":     {alice.OpenCamera(t.Context(), &video.Synthetic{}), "a world carries audio alone"},
			"video":        {alice.SwitchMedia(t.Context(), hooks.MediaVideo), "a world carries audio alone"},
			"a mix":        {alice.SetReceiveMode(t.Context(), hooks.ModeMix), "a world forwards voices"},
			"a room's mix": {w.srv.SetRoomMode("village", hooks.ModeMix), "a world, not a call"},
			"poses":        {w.srv.SetPoses("village", nil), "a world, not a call"},
			"hearing":      {w.srv.SetHearing("village", nil), "a world, not a call"},
			"priorities":   {w.srv.SetPriorities("village", nil), "a world, not a call"},
			"joining":      {bob.JoinCall(t.Context(), "village"), "the host's to say"},
			"no call":      {w.srv.SetRoomMode("nowhere", hooks.ModeForward), "there is no call"},
		} {
			if c.err == nil || !strings.Contains(c.err.Error(), c.words) {
				t.Errorf("%s: %v, want %q", what, c.err, c.words)
			}
		}
		if st := village.Stats(); st.Players != 2 || st.Connected != 1 {
			t.Errorf("%+v", st)
		}
		if got := a.all(); !slices.Equal(got, []string{"entered"}) {
			t.Errorf("alice was told %q", got)
		}
		if s := w.srv.Snapshot(); s.Worlds.Open != 1 || s.Users != 2 || s.Participants != 1 {
			t.Error(fmt.Sprint(s.Users, s.Participants, s.Worlds))
		}
	})
}

// A Score that sleeps, hangs, panics or leaves goroutines behind is named in the
// metrics, and what players hear of one another comes when it always does. What
// a good one says decides.
func TestBadScoreDisturbsNobody(t *testing.T) {
	const frames = 150
	for _, c := range []struct {
		name  string
		score func(end chan struct{}, c engine.Candidate) float32
		check func(h engine.HookStats) bool
		heard string // by ann, at the end: there are two, and she hears one
		leaks int
	}{
		{"good", func(_ chan struct{}, c engine.Candidate) float32 {
			if c.Talker == "cat" {
				return 100
			}
			return 0
		}, func(h engine.HookStats) bool { return h.Panics+h.Late+h.TakenOff == 0 && h.Time.Count() > 50 }, "cat", 0},
		{"sleeps", func(chan struct{}, engine.Candidate) float32 { time.Sleep(30 * time.Millisecond); return 0 },
			func(h engine.HookStats) bool { return h.Late == 25 && h.TakenOff == 1 && h.Running == 0 }, "ben", 0},
		{"hangs", func(end chan struct{}, _ engine.Candidate) float32 { <-end; return 0 },
			func(h engine.HookStats) bool { return h.Running == 1 && h.TakenOff == 1 }, "ben", 1},
		{"panics", func(chan struct{}, engine.Candidate) float32 { panic("oh") },
			func(h engine.HookStats) bool { return h.Panics == 3 && h.TakenOff == 1 && h.Running == 0 }, "ben", 0},
		{"ends its goroutine", func(chan struct{}, engine.Candidate) float32 { runtime.Goexit(); return 0 },
			func(h engine.HookStats) bool { return h.Time.Count() > 50 && h.Running == 0 }, "ben", 0},
		{"leaks", func(end chan struct{}, _ engine.Candidate) float32 { go func() { <-end }(); return 0 },
			func(h engine.HookStats) bool { return h.Time.Count() > 50 && h.TakenOff == 0 }, "", 100},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				end := make(chan struct{})
				p := newPlace(t, engine.WorldConfig{ID: "village", Voices: 1, Score: func(k engine.Candidate) float32 { return c.score(end, k) }})
				_, err := p.world.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben"}, engine.Player{UserID: "cat"})
				must(t, err)
				<-p.dial(t, "ann").World
				ben, cat := p.dial(t, "ben"), p.dial(t, "cat")
				must(t, ben.Publish(t.Context()))
				must(t, cat.Publish(t.Context()))
				time.Sleep(time.Millisecond) // virtual: between two ticks
				began := time.Now()
				for range frames {
					ben.Speak([]byte{0x78, 1, 2, 3}, 20) // the louder
					cat.Speak([]byte{0x78, 1, 2, 3}, 40)
					time.Sleep(20 * time.Millisecond) // virtual
				}
				synctest.Wait()
				heard := p.take()
				// Each hears one at a time; but for the first frame, in which nobody knows
				// who is yet to come, all of it comes at the same moment.
				late, of := 0, make(map[string]int)
				due := make(map[time.Duration]int)
				for _, h := range heard {
					if at := h.at.Sub(began); at > 20*time.Millisecond {
						due[at%(20*time.Millisecond)]++
					} else {
						late--
					}
					if h.receiver == "ann" && h.at.Sub(began) > frames*15*time.Millisecond {
						of[h.talker]++
					}
				}
				most := slices.Max(slices.Collect(maps.Values(due)))
				if late += len(heard) - most; len(heard) < 3*frames-20 || late > 0 {
					t.Errorf("%d packets came, %d of them at another moment", len(heard), late)
				}
				if c.heard != "" && (of[c.heard] < frames/5 || len(of) != 1) {
					t.Errorf("in the end ann hears %v, not %s", of, c.heard)
				}
				if h := hookStats(p.srv.Snapshot(), "world", "Score"); !c.check(h) {
					t.Errorf("the metrics say %+v", h)
				}
				var profile bytes.Buffer
				must(t, pprof.Lookup("goroutine").WriteTo(&profile, 1))
				if n := labelledGoroutines(profile.String(), "world", "Score", "village"); n < c.leaks {
					t.Errorf("%d goroutines are labelled as its own, want %d", n, c.leaks)
				}
				close(end)
				time.Sleep(time.Second) // virtual: it comes back
			})
		})
	}
}
