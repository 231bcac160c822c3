package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	bare "github.com/earshotrtc/earshot/internal/crowd"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// anybody signs everybody in.
func anybody(c *engine.ServerConfig) {
	c.SignIn = func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil }
}

// place is a village of bare players in virtual time, who note what they hear.
type place struct {
	srv   *engine.Server
	world *engine.World

	mu     sync.Mutex
	heard  []heardPacket
	events map[string][]string
}

// heardPacket is one packet that a player got.
type heardPacket struct {
	receiver, talker string
	seq              uint16
	marker           bool
	gain, pan        int
	at               time.Time
}

func newPlace(t *testing.T, cfg engine.WorldConfig) *place { return newPlaceOf(t, cfg, anybody) }

func newPlaceOf(t *testing.T, cfg engine.WorldConfig, server func(*engine.ServerConfig)) *place {
	p := &place{srv: serve(t, server), events: make(map[string][]string)}
	w, err := p.srv.NewWorld(cfg)
	must(t, err)
	p.world = w
	return p
}

func (p *place) dial(t *testing.T, user string) *bare.Person {
	t.Helper()
	person, err := bare.Dial(t.Context(), bare.Config{
		Dialer: p.srv.Pipe(), UserID: user,
		Heard: func(me *bare.Person, tr *bare.Track, h *rtp.Header, _ []byte, at time.Time) {
			gain, pan, ok := tr.Space(h)
			p.mu.Lock()
			defer p.mu.Unlock()
			if !ok {
				p.events[me.UserID()] = append(p.events[me.UserID()], "a packet without gain and pan")
			}
			p.heard = append(p.heard, heardPacket{me.UserID(), tr.UserID, h.SequenceNumber, h.Marker, gain, pan, at})
		},
		Told: func(me *bare.Person, typ signal.Type, body any) {
			e := string(typ)
			switch b := body.(type) {
			case *signal.Track:
				e += " " + b.UserID
			case *signal.CallEnd:
				e += fmt.Sprint(" ", int(b.Reason))
			case *signal.Shift, *signal.Quality, *signal.Result:
				return
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			p.events[me.UserID()] = append(p.events[me.UserID()], e)
		},
	})
	must(t, err)
	t.Cleanup(person.Close)
	return person
}

// speakUp makes people talk until the test ends.
func speakUp(t *testing.T, people ...*bare.Person) {
	t.Helper()
	for i, p := range people {
		must(t, p.Publish(t.Context()))
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		t.Cleanup(func() { cancel(); <-done })
		go func() {
			defer close(done)
			time.Sleep(time.Duration(i*7%20) * time.Millisecond) // virtual
			for ctx.Err() == nil {
				time.Sleep(20*time.Millisecond + p.Speak([]byte{0x78, 1, 2, 3}, 30)) // virtual
			}
		}()
	}
}

// take is what was heard since it was last asked.
func (p *place) take() []heardPacket {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.heard
	p.heard = nil
	return out
}

func (p *place) told(user string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.events[user])
}

// pairs are who hears whom in a while from now on, but not what is under way.
func (p *place) pairs() map[string]int {
	time.Sleep(60 * time.Millisecond) // virtual: a tick, a window, 20 ms
	p.take()
	time.Sleep(500 * time.Millisecond) // virtual
	out := make(map[string]int)
	for _, h := range p.take() {
		out[h.receiver+"<"+h.talker]++
	}
	return out
}

func (p *place) want(t *testing.T, what string, pairs ...string) {
	t.Helper()
	got := p.pairs()
	for _, pair := range pairs {
		if n := got[pair]; n < 22 || n > 27 {
			t.Errorf("%s: %s is %d packets of 25", what, pair, n)
		}
		delete(got, pair)
	}
	if len(got) > 0 {
		t.Errorf("%s: also %v", what, got)
	}
}

func east(m float32) mixer.Vector { return mixer.Vector{0, m, 0} }

// TestWorld: who is in a world hears those near, and no packet of others; and
// each thing that a game says takes effect within a tick, a window and 20 ms.
func TestWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{Range: 10})
		w := p.world
		handles, err := w.Join(
			engine.Player{UserID: "ann"}, engine.Player{UserID: "ben", Position: east(5)}, engine.Player{UserID: "cat", Position: east(100)},
		)
		must(t, err)
		ann, ben, cat := p.dial(t, "ann"), p.dial(t, "ben"), p.dial(t, "cat")
		speakUp(t, ben, cat)
		_ = ann
		p.want(t, "near", "ann<ben")
		for _, h := range p.take() {
			if h.gain != -14 || h.pan != 8 {
				t.Errorf("ann hears ben with %d dB from %d", h.gain, h.pan)
			}
		}
		if got := p.told("ann"); !slices.Equal(got, []string{"entered", "trackAdded ben"}) {
			t.Errorf("ann was told %q", got)
		}
		if got := p.told("cat"); !slices.Equal(got, []string{"entered"}) {
			t.Errorf("cat, who is far away, was told %q", got)
		}
		move := func(i int, m float32) {
			must(t, w.Move([]engine.Placement{{Player: handles[i], Position: east(m)}}))
		}
		move(2, 8)
		p.want(t, "cat comes", "ann<ben", "ann<cat", "ben<cat", "cat<ben")
		must(t, w.SetRange(7, "ann"))
		p.want(t, "ann hears less far", "ann<ben", "ben<cat", "cat<ben")
		must(t, w.SetReach(2, "ben"))
		p.want(t, "ben whispers", "ben<cat")
		must(t, w.SetTeam("red", "ann", "ben", "cat"))
		p.want(t, "a team", "ann<ben", "ann<cat", "ben<cat", "cat<ben")
		must(t, w.SetTeam("", "ann", "ben", "cat"))
		must(t, w.SetMode(audience.TeamOnly, "ben"))
		p.want(t, "ben talks to a team that he has not")
		must(t, w.SetMode(audience.World, "ben"))
		must(t, w.SetTargets(engine.Targets{Users: []string{"ann", "cat"}, Only: true}, "ben"))
		p.want(t, "ben presses a key", "ann<ben", "ben<cat", "cat<ben")
		must(t, w.SetTargets(engine.Targets{}, "ben"))
		must(t, w.SetBroadcast(true, "cat"))
		p.want(t, "cat tells all", "ann<cat", "ben<cat")
		must(t, w.SetBroadcast(false, "cat"))
		must(t, w.SetReach(10, "ben"))
		must(t, w.SetGroups([]string{"party"}, "ann", "cat"))
		p.want(t, "a group", "ann<ben", "ann<cat", "cat<ben")
		must(t, w.SetGroupType("party", audience.Open))
		p.want(t, "an open group", "ann<ben", "ann<cat", "ben<cat", "cat<ben")
		must(t, w.SetGroupType("party", audience.Isolated))
		p.want(t, "an isolated group", "ann<cat")
		must(t, w.SetGroups(nil, "ann", "cat"))
		must(t, w.SetSpectator(true, "cat"))
		p.want(t, "cat watches", "ann<ben", "cat<ben")
		must(t, w.SetSpectator(false, "cat"))
		must(t, w.SetMute(audience.MutedByModerator, true, "ben"))
		p.want(t, "ben is muted", "ben<cat")
		must(t, w.SetMute(audience.MutedByModerator, false, "ben"))
		must(t, w.SetMute(audience.DeafenedBySelf, true, "ann"))
		p.want(t, "ann is deaf", "ben<cat", "cat<ben")
		must(t, w.SetMute(audience.DeafenedBySelf, false, "ann"))
		must(t, w.SetVolume("ann", 0, "ben"))
		p.want(t, "ann does not want ben", "ben<cat", "cat<ben")
		must(t, w.SetVolume("ann", 1, "ben"))
		must(t, w.Leave("ben"))
		p.want(t, "ben goes")
		if got := p.told("ben"); got[len(got)-1] != "callEnd 9" {
			t.Errorf("ben was told %q", got)
		}
		if got := p.told("ann"); got[len(got)-1] != "trackEnded" {
			t.Errorf("ann was told %q", got)
		}
		if err := w.Move([]engine.Placement{{Player: handles[1]}, {Player: handles[2], Position: east(3)}}); !errors.Is(err, engine.ErrNotInWorld) {
			t.Errorf("who left was moved: %v", err)
		}
		p.want(t, "the others are moved all the same", "ann<cat")
		st := w.Stats()
		if st.Players != 2 || st.Connected != 2 || st.Talkers != 1 || st.Voices != 1 || st.Dropped != 0 {
			t.Errorf("%+v", st)
		}
		must(t, w.Close())
		must(t, w.Close())
		p.want(t, "it is closed")
		if err := w.Leave("ann"); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

// TestWorldRange walks players about at random and checks every packet that
// anybody gets against the game's own record: the talker was in range within
// the last tick and 20 ms. Who was in range all the time got all of it, and
// numbers have no gaps but for the marker's.
func TestWorldRange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const players, talkers, reach = 30, 10, 10
		p := newPlace(t, engine.WorldConfig{Range: reach, Linger: time.Second})
		rng := rand.New(rand.NewPCG(7, 8))
		var list []engine.Player
		for i := range players {
			list = append(list, engine.Player{UserID: fmt.Sprintf("p%d", i), Position: mixer.Vector{rng.Float32() * 50, rng.Float32() * 50, 0}})
		}
		handles, err := p.world.Join(list...)
		must(t, err)
		number := make(map[string]int)
		var talking []*bare.Person
		for i := range list {
			number[list[i].UserID] = i
			person := p.dial(t, list[i].UserID)
			if i < talkers {
				talking = append(talking, person)
			}
		}
		speakUp(t, talking...)
		// The game: its record has where everybody was, each tick.
		type moment struct {
			at  time.Time
			pos []mixer.Vector
		}
		var record []moment
		move := make([]engine.Placement, players)
		way := make([]mixer.Vector, players)
		for i := range move {
			move[i] = engine.Placement{Player: handles[i], Position: list[i].Position}
		}
		const tick = 33 * time.Millisecond
		for range 300 {
			pos := make([]mixer.Vector, players)
			for i := range move {
				if rng.IntN(60) == 0 || way[i] == (mixer.Vector{}) {
					way[i] = mixer.Vector{rng.Float32() - 0.5, rng.Float32() - 0.5, 0} // up to 21 m a second
				}
				for k := range 2 {
					if move[i].Position[k] += way[i][k]; move[i].Position[k] < 0 || move[i].Position[k] > 50 {
						way[i][k] = -way[i][k]
					}
				}
				pos[i] = move[i].Position
			}
			record = append(record, moment{time.Now(), pos})
			must(t, p.world.Move(move))
			time.Sleep(tick) // virtual
		}
		in := func(m moment, a, b int) bool {
			v, w := m.pos[a], m.pos[b]
			x, y := v[0]-w[0], v[1]-w[1]
			return x*x+y*y <= reach*reach
		}
		got := p.take()
		last := make(map[[2]string]heardPacket)
		perPair := make(map[[2]int]map[int]int) // packets by record entry
		for _, h := range got {
			a, b := number[h.receiver], number[h.talker]
			near, k := false, 0
			for i := len(record) - 1; i >= 0; i-- {
				if record[i].at.After(h.at) {
					continue
				}
				if k == 0 {
					k = i
				}
				near = near || in(record[i], a, b)
				if h.at.Sub(record[i].at) > tick+20*time.Millisecond {
					break
				}
			}
			if !near {
				t.Fatalf("%s got a packet of %s, who is out of range", h.receiver, h.talker)
			}
			if perPair[[2]int{a, b}] == nil {
				perPair[[2]int{a, b}] = make(map[int]int)
			}
			perPair[[2]int{a, b}][k]++
			pair := [2]string{h.receiver, h.talker}
			if before, had := last[pair]; had && !h.marker && h.seq != before.seq+1 {
				t.Fatalf("%s got %d of %s after %d", h.receiver, h.seq, h.talker, before.seq)
			}
			last[pair] = h
		}
		// Runs of entries in which a pair was near all the time.
		var should, did int
		for a := range players {
			for b := range talkers {
				if a == b {
					continue
				}
				for i := 30; i+10 < len(record); i += 10 {
					all := true
					for _, m := range record[i-3 : i+10] {
						all = all && in(m, a, b)
					}
					if all {
						should += 16 // 10 ticks are 330 ms
						for k := i; k < i+10; k++ {
							did += perPair[[2]int{a, b}][k]
						}
					}
				}
			}
		}
		if should < 500 || did < should*98/100 {
			t.Errorf("of about %d packets in range %d came", should, did)
		}
		t.Logf("%d packets checked, %d of about %d in range came", len(got), did, should)
	})
}

// TestWorldRemembers: mutes, blocks, volumes and bans outlast a lost connection,
// a new sign-in, and leaving the game.
func TestWorldRemembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{})
		w := p.world
		_, err := w.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben"}, engine.Player{UserID: "cat"})
		must(t, err)
		ann, ben, cat := p.dial(t, "ann"), p.dial(t, "ben"), p.dial(t, "cat")
		speakUp(t, ben, cat)
		p.want(t, "all", "ann<ben", "ann<cat", "ben<cat", "cat<ben")
		// Ann mutes Cat by herself, a moderator mutes Ben.
		track := uint64(0)
		for _, id := range ann.TrackIDs("cat") {
			track = id
		}
		_, err = ann.Request(t.Context(), signal.TypeSubscribe, signal.Subscribe{TrackID: track, On: false})
		must(t, err)
		must(t, w.SetMute(audience.MutedByModerator, true, "ben"))
		p.want(t, "muted", "ben<cat")
		ann2 := p.dial(t, "ann") // signs in again
		<-ann2.World
		p.want(t, "after a new sign-in", "ben<cat")
		must(t, w.Leave("ben", "ann"))
		_, err = w.Join(engine.Player{UserID: "ben"}, engine.Player{UserID: "ann"})
		must(t, err)
		time.Sleep(10 * time.Millisecond) // virtual
		must(t, ben.Publish(t.Context()))
		p.want(t, "after leaving", "ben<cat")
		must(t, w.SetMute(audience.MutedByModerator, false, "ben"))
		p.want(t, "the moderator's is lifted", "ben<cat", "ann<ben", "cat<ben")
		all := []string{"cat", "ben"}
		must(t, w.Block("ann", false, all[:1]...))
		must(t, w.SetVolume("ann", 1, all[:1]...))
		if all[1] != "ben" {
			t.Errorf("the caller's slice now ends with %q", all[1])
		}
		p.want(t, "and Ann's", "ben<cat", "ann<ben", "cat<ben", "ann<cat")

		must(t, w.Ban(time.Now().Add(time.Minute), "ben"))
		p.want(t, "Ben is banned", "ann<cat")
		if _, err := w.Join(engine.Player{UserID: "ben"}); !errors.Is(err, engine.ErrBanned) {
			t.Errorf("a banned user: %v", err)
		}
		time.Sleep(time.Minute) // virtual
		if _, err = w.Join(engine.Player{UserID: "ben"}); err != nil {
			t.Errorf("the ban is over: %v", err)
		}
	})
}

// TestWorldTracks: a track comes with the first sound, stays for a while when
// its talker goes out of hearing, so that it does not flap, and goes then.
func TestWorldTracks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{Range: 10, Linger: 2 * time.Second})
		h, err := p.world.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben", Position: east(9)})
		must(t, err)
		ann, ben := p.dial(t, "ann"), p.dial(t, "ben")
		<-ann.World
		<-ben.World
		at := func(m float32) {
			must(t, p.world.Move([]engine.Placement{{Player: h[1], Position: east(m)}}))
			time.Sleep(100 * time.Millisecond) // virtual
		}
		at(8)
		if got := ann.Tracks(); len(got) != 0 {
			t.Errorf("before a sound: %v", got)
		}
		speakUp(t, ben)
		for range 20 { // he walks to and fro over the border
			at(11)
			at(9)
		}
		at(11)
		time.Sleep(time.Second) // virtual
		if got := p.told("ann"); !slices.Equal(got, []string{"entered", "trackAdded ben"}) {
			t.Errorf("at the border: %q", got)
		}
		time.Sleep(1500 * time.Millisecond) // virtual
		if got := p.told("ann"); !slices.Equal(got, []string{"entered", "trackAdded ben", "trackEnded"}) {
			t.Errorf("out of hearing: %q", got)
		}
		at(9)
		time.Sleep(20 * time.Millisecond) // virtual
		if got := ann.Tracks(); !slices.Equal(got, []string{"ben"}) {
			t.Errorf("back again: %v", got)
		}
	})
}

// TestWorldRefusals: what cannot be is refused with a reason, and changes
// nothing.
func TestWorldRefusals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{ID: "village"})
		w := p.world
		for name, cfg := range map[string]engine.WorldConfig{
			"the same ID": {ID: "village"}, "voices": {Voices: 31}, "tick": {Tick: time.Millisecond}, "range": {Range: -1}, "linger": {Linger: -1},
		} {
			if _, err := p.srv.NewWorld(cfg); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		nan := float32(0)
		nan /= nan
		for name, pl := range map[string]engine.Player{
			"user": {UserID: "no one!"}, "place": {UserID: "u", Position: mixer.Vector{nan}}, "far": {UserID: "u", Position: mixer.Vector{2e6}},
			"range": {UserID: "u", Range: -1}, "reach": {UserID: "u", Reach: nan}, "priority": {UserID: "u", Priority: 11},
			"groups": {UserID: "u", Groups: []string{"a", "b", "c", "d", "e"}}, "mode": {UserID: "u", Mode: 9}, "category": {UserID: "u", Category: 8},
		} {
			if _, err := w.Join(engine.Player{UserID: "good"}, pl); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		if _, err := w.Join(engine.Player{UserID: "u"}, engine.Player{UserID: "u"}); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("twice: %v", err)
		}
		_, err := w.Join(engine.Player{UserID: "ann"})
		must(t, err)
		var e *engine.Error
		for name, err := range map[string]error{
			"who": w.SetTeam("x", "ann", "ghost"), "range": w.SetRange(nan, "ann"), "reach": w.SetReach(-1, "ann"), "target": w.SetTargets(engine.Targets{Users: []string{"ghost"}}, "ann"),
			"volume": w.SetVolume("ann", 5, "ben"), "category": w.SetCategoryVolume(9, 1, "ann"), "mode": w.SetMode(7, "ann"), "group type": w.SetGroupType("g", 9),
			"priority": w.SetPriority(-1, "ann"), "leave": w.Leave("ghost"), "place": w.Move([]engine.Placement{{UserID: "ann", Position: mixer.Vector{nan}}}), "mute": w.SetMute(audience.MutedBySelf, true, "no one!"),
		} {
			if !errors.As(err, &e) {
				t.Errorf("%s: %v", name, err)
			}
		}
		// What a client in a world may not.
		ann := p.dial(t, "ann")
		<-ann.World
		must(t, ann.Publish(t.Context()))
		for name, r := range map[string]struct {
			typ  signal.Type
			body any
		}{
			"mix":    {signal.TypeReceive, signal.Receive{CallID: "village", Mode: hooks.ModeMix}},
			"hangup": {signal.TypeHangup, signal.CallRef{CallID: "village"}},
			"invite": {signal.TypeInvite, signal.Invite{CallID: "village", UserIDs: []string{"ben"}}},
			"video":  {signal.TypePublish, signal.Publish{CallID: "village", Kind: signal.KindVideo}},
			"second": {signal.TypePublish, signal.Publish{CallID: "village", Kind: signal.KindAudio}},
			"pose":   {signal.TypePose, signal.Pose{CallID: "village"}},
			"switch": {signal.TypeSwitch, signal.Switch{CallID: "village", Media: hooks.MediaVideo}},
			"call":   {signal.TypeCall, signal.Call{UserIDs: []string{"ben"}, Media: hooks.MediaAudio}},
			"join":   {signal.TypeJoin, signal.Enter{CallID: "village"}},
			"track":  {signal.TypeSubscribe, signal.Subscribe{TrackID: 99}},
		} {
			if res, err := ann.Request(t.Context(), r.typ, r.body); err == nil {
				t.Errorf("%s: %+v", name, res)
			}
		}
		if _, err := ann.Request(t.Context(), signal.TypeGain, signal.Gain{CallID: "village", UserID: "ben", Gain: 2}); err != nil {
			t.Errorf("gain: %v", err)
		}
		// And who is in a call cannot be put into a world.
		ben, cat := p.dial(t, "ben"), p.dial(t, "cat")
		_ = cat
		_, err = ben.Request(t.Context(), signal.TypeCall, signal.Call{UserIDs: []string{"cat"}, Media: hooks.MediaAudio})
		must(t, err)
		for _, user := range []string{"ben", "cat"} {
			if _, err := w.Join(engine.Player{UserID: user}); !errors.Is(err, engine.ErrBusy) {
				t.Errorf("%s: %v", user, err)
			}
		}
		if _, ok := w.Handle("good"); ok {
			t.Error("who was named beside a mistake is in")
		}
	})
}

// TestWorldAtTheEar: a Go client in a world hears a talker from where they are,
// and is told of those whom it hears alone.
func TestWorldAtTheEar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, anybody)
		w, err := srv.NewWorld(engine.WorldConfig{ID: "village", Range: 20})
		must(t, err)
		_, err = w.Join(
			engine.Player{UserID: "ann"}, engine.Player{UserID: "alice", Position: east(2)}, engine.Player{UserID: "far", Position: east(500)},
		)
		must(t, err)
		ann, told := dial(t, srv, "ann", func(c *engine.ClientConfig) { c.Stereo = true })
		_, second := dial(t, srv, "alice", func(c *engine.ClientConfig) {
			c.OpusMicrophone = audio.NewPacketSource(speech.Packets("alice"), true)
		})
		dial(t, srv, "far", nil)
		told.wait(t, "audio alice true")
		second.wait(t, "entered")
		hear := func() (left, right float64) {
			var l, r []int16
			pcm := make([]int16, 2*480)
			for range 150 {
				time.Sleep(10 * time.Millisecond) // virtual
				ann.ReadPCM(pcm)
				for i := 0; i < len(pcm); i += 2 {
					l, r = append(l, pcm[i]), append(r, pcm[i+1])
				}
			}
			return mixer.Level(l), mixer.Level(r)
		}
		hear()
		left, right := hear()
		if right < -35 || left > -70 {
			t.Errorf("at the right: %.0f and %.0f dB", left, right)
		}
		must(t, w.Move([]engine.Placement{{UserID: "alice", Position: mixer.Vector{15, 0, 0}}}))
		hear()
		aheadLeft, aheadRight := hear()
		if aheadLeft != aheadRight || aheadRight > right-10 || aheadRight < -60 {
			t.Errorf("ahead, farther away: %.0f and %.0f dB, before %.0f", aheadLeft, aheadRight, right)
		}
		if err := ann.Hangup(t.Context()); err == nil {
			t.Error("a client hung up on a world")
		}
		must(t, w.Leave("ann"))
		told.wait(t, "end")
		if got := told.all(); !slices.Equal(got, []string{"entered", "audio alice true", "end ended by server 0s"}) {
			t.Errorf("ann was told %q", got)
		}
		must(t, ann.Call(t.Context(), "far", hooks.MediaAudio)) // she is free
	})
}
