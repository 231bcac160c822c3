package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport"
)

// countSession counts what it is sent.
type countSession struct {
	transport.Session
	packets int
}

func (s *countSession) SendBatch(p []transport.Packet) error { s.packets += len(p); return nil }
func (s *countSession) HandleFlow(uint64, transport.PacketHandler) error {
	return nil
}
func (s *countSession) RemoveFlow(uint64) {}

// village is a world of people on one spot, of whom some talk.
func village(tb testing.TB, people, talkers int) (w *World, tracks []*track, sessions []*countSession) {
	s, err := NewServer(ServerConfig{InProcess: true, SignIn: func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil }})
	if err != nil {
		tb.Fatal(err)
	}
	if w, err = s.NewWorld(WorldConfig{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	w.tick.remove() // the test ticks
	for i := range people {
		d := s.newDevice(fmt.Sprintf("p%d", i))
		sess := &countSession{}
		var as transport.Session = sess
		d.session.Store(&as)
		s.users[d.userID] = []*device{d}
		sessions = append(sessions, sess)
		if _, err := w.Join(Player{UserID: d.userID, Position: mixer.Vector{float32(i % 10), float32(i / 10)}}); err != nil {
			tb.Fatal(err)
		}
		if i < talkers {
			if _, err := s.publish(d, &signal.Publish{CallID: w.ID(), Kind: signal.KindAudio}); err != nil {
				tb.Fatal(err)
			}
			tracks = append(tracks, d.published[0])
		}
	}
	return w, tracks, sessions
}

// speak sends one packet of each track, and ticks.
func speak(w *World, tracks []*track, packet []byte, n uint16) {
	now := time.Now()
	for _, t := range tracks {
		packet[2], packet[3] = byte(n>>8), byte(n)
		packet[8], packet[9], packet[10], packet[11] = byte(t.ssrc>>24), byte(t.ssrc>>16), byte(t.ssrc>>8), byte(t.ssrc)
		t.steer.asked = now                 // what is asked of talkers is a message
		t.forward(packet, now.Add(-w.wait)) // it has waited
	}
	w.run(0, now)
}

func spoken80() []byte {
	packet := make([]byte, 100)
	copy(packet, []byte{0x90, audioPayloadType})
	copy(packet[12:], []byte{0xBE, 0xDE, 0, 1, levelExtension << 4, 30 | 1<<7, 0, 0, 1, 2, 3, 4})
	return packet
}

// A packet of a world, from its talker's session to all who hear it, and the
// tick, allocate nothing.
func TestWorldAllocatesNothing(t *testing.T) {
	w, tracks, sessions := village(t, 50, 5)
	packet, n := spoken80(), uint16(0)
	say := func() { n++; speak(w, tracks, packet, n) }
	for range 20 {
		say()
	}
	sessions[49].packets = 0
	allocs := testing.AllocsPerRun(100, say)
	if sessions[49].packets != 5*101 {
		t.Errorf("%d packets came, not %d", sessions[49].packets, 5*101)
	}
	if allocs != 0 {
		t.Errorf("a packet of five talkers to 50 allocates %v times", allocs)
	}
}

// BenchmarkWorldSend is the engine's own part of a frame of each talker to all
// who hear it, with sessions that only count: a world of 200 on one spot, 40 of
// whom talk, 12 heard by each.
func BenchmarkWorldSend(b *testing.B) {
	w, tracks, sessions := village(b, 200, 40)
	packet, n := spoken80(), uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		speak(w, tracks, packet, n)
	}
	sent := 0
	for _, s := range sessions {
		sent += s.packets
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/packet")
}

// TestWorldNoLocks: the tick waits for none of the locks that the game's methods
// hold, and none of those waits for a tick that is sending.
func TestWorldNoLocks(t *testing.T) {
	w, tracks, sessions := village(t, 50, 5)
	s := w.srv
	packet := spoken80()
	speak(w, tracks, packet, 1)
	s.mu.Lock()
	w.mu.Lock()
	w.stage.mu.Lock()
	before := sessions[49].packets
	speak(w, tracks, packet, 2)
	if got := sessions[49].packets - before; got != 5 {
		t.Errorf("%d packets came while the game was at it, not 5", got)
	}
	w.stage.mu.Unlock()
	w.mu.Unlock()
	s.mu.Unlock()

	stuck, free := make(chan struct{}), make(chan struct{})
	var as transport.Session = &stuckSession{stuck: stuck, free: free}
	s.users["p49"][0].session.Store(&as)
	done := make(chan struct{})
	go func() { speak(w, tracks, packet, 3); close(done) }()
	<-stuck
	for what, err := range map[string]error{
		"move":     w.Move([]Placement{{UserID: "p49", Position: mixer.Vector{500}}}),
		"range":    w.SetRange(5, "p1", "p49"),
		"team":     w.SetTeam("red", "p1", "p49"),
		"targets":  w.SetTargets(Targets{Users: []string{"p49"}}, "p1"),
		"mute":     w.SetMute(audience.MutedBySelf, true, "p2"),
		"block":    w.Block("p49", true, "p3"),
		"volume":   w.SetVolume("p49", 2, "p4"),
		"ban":      w.Ban(time.Now().Add(time.Hour), "p5"),
		"leave":    w.Leave("p0", "p48"),
		"group":    w.SetGroupType("guild", audience.Isolated),
		"category": w.SetCategoryVolume(audience.Music, 2, "p49"),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := w.Join(Player{UserID: "new"}); err != nil {
		t.Error(err)
	}
	if got := w.Hears("p49", "p1"); got != audience.Team {
		t.Errorf("p49 hears p1 by %v", got)
	}
	if st := w.Stats(); st.Players != 48 {
		t.Errorf("%d players", st.Players)
	}
	if err := w.Leave("p49"); err != nil {
		t.Error(err)
	}
	close(free)
	<-done
}

// stuckSession is one whose SendBatch does not return until it may.
type stuckSession struct {
	countSession
	stuck, free chan struct{}
}

func (s *stuckSession) SendBatch([]transport.Packet) error {
	close(s.stuck)
	<-s.free
	return nil
}

// TestWorldNames: a world does not run out of names of teams and groups that
// nobody uses any longer, and forgets none that is in use.
func TestWorldNames(t *testing.T) {
	w, _, _ := village(t, 4, 0)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(w.SetTeam("red", "p0", "p1"))
	check(w.SetTargets(Targets{Teams: []string{"blue"}, Groups: []string{"guard"}}, "p2"))
	check(w.SetGroupType("tower", audience.Isolated))
	for i := range 1000 {
		check(w.SetTeam(fmt.Sprint("team", i), "p2", "p3"))
		check(w.SetGroups([]string{fmt.Sprint("a", i), fmt.Sprint("b", i)}, "p2", "p3"))
		if i%100 == 0 {
			w.run(0, time.Now())
		}
		if w.Hears("p2", "p3") != audience.Group {
			t.Fatalf("not in a group after %d", i)
		}
	}
	if len(w.teams.of) > 70 || len(w.groups.of) > 70 {
		t.Errorf("%d teams and %d groups are kept", len(w.teams.of), len(w.groups.of))
	}
	check(w.SetGroups(nil, "p2", "p3"))
	check(w.SetTeam("blue", "p3"))
	check(w.SetGroups([]string{"tower"}, "p0"))
	w.run(0, time.Now())
	for _, a := range []*audience.Audience{w.book, w.aud} {
		for _, row := range []struct {
			receiver, talker string
			want             audience.Reason
		}{{"p3", "p2", audience.Target}, {"p1", "p0", audience.Nothing}, {"p2", "p3", audience.Near}} {
			if got := a.Reason(w.members[row.receiver].id, w.members[row.talker].id); got != row.want {
				t.Errorf("%s hears %s by %v, not %v", row.receiver, row.talker, got, row.want)
			}
		}
	}
	var names []string
	for i := range maxNames {
		names = append(names, fmt.Sprint("n", i))
	}
	if err := w.SetTargets(Targets{Teams: names}, "p0"); err == nil {
		t.Error("more names than there are numbers")
	}
}

// TestWorldSeatOver: a tick that is at it when a player goes tells them nothing
// after callEnd.
func TestWorldSeatOver(t *testing.T) {
	w, tracks, _ := village(t, 3, 2)
	speak(w, tracks, spoken80(), 1)
	st := w.members["p2"].seat.Load()
	if len(st.slots) != 2 {
		t.Fatalf("p2 has %d tracks", len(st.slots))
	}
	if err := w.Leave("p2"); err != nil {
		t.Fatal(err)
	}
	told := st.dev.n
	st.endSlot(1)
	st.muted(tracks[0], &signal.Mute{})
	if st.slot(&track{}, 0) != nil || st.dev.n != told || w.announced.Load() != 2 {
		t.Errorf("%d messages more, %d tracks announced", st.dev.n-told, w.announced.Load())
	}
}

// BenchmarkWorldJoin puts 1,000 into a world of 200 who talk, and takes them out
// again: how long that takes, which is how long Server.mu is held, and how long
// the slowest of the ticks after it takes, on average.
func BenchmarkWorldJoin(b *testing.B) {
	w, tracks, _ := village(b, 200, 40)
	var players []Player
	var users []string
	for i := range 1000 {
		d := w.srv.newDevice(fmt.Sprintf("new%d", i))
		var as transport.Session = &countSession{}
		d.session.Store(&as)
		w.srv.users[d.userID] = []*device{d}
		users = append(users, d.userID)
		players = append(players, Player{UserID: d.userID, Position: mixer.Vector{float32(i%32) * 10, float32(i/32) * 10}, Team: fmt.Sprint(i % 10)})
	}
	var join, leave, slowest, usual time.Duration
	ticks, n := 0, uint16(0)
	tick := func() (took time.Duration) {
		n++
		began := time.Now()
		speak(w, tracks, spoken80(), n)
		return time.Since(began)
	}
	slow := func(tick func() time.Duration) (most time.Duration) {
		for range 10 {
			most = max(most, tick())
		}
		return most
	}
	for b.Loop() {
		for range 10 {
			usual += tick()
			ticks++
		}
		began := time.Now()
		if _, err := w.Join(players...); err != nil {
			b.Fatal(err)
		}
		join += time.Since(began)
		slowest += slow(tick)
		began = time.Now()
		if err := w.Leave(users...); err != nil {
			b.Fatal(err)
		}
		leave += time.Since(began)
		slowest += slow(tick)
		for _, d := range w.srv.users {
			d[0].acked(d[0].n)
		}
	}
	b.ReportMetric(float64(join.Microseconds())/float64(b.N), "us/Join")
	b.ReportMetric(float64(leave.Microseconds())/float64(b.N), "us/Leave")
	b.ReportMetric(float64(usual.Microseconds())/float64(ticks), "us/tick")
	b.ReportMetric(float64(slowest.Microseconds())/float64(2*b.N), "us/tick-slowest")
	b.ReportMetric(0, "ns/op")
}

// TestMoveIsOne: what one Move says holds together. Pairs who are never within
// each other's range jump to and fro, and the tick, wherever it falls, finds none
// who hear another: half of a Move would bring a pair together.
func TestMoveIsOne(t *testing.T) {
	const pairs = 100
	w, _, _ := village(t, 2*pairs, 0)
	var places [2][]Placement
	for i := range 2 * pairs {
		for n := range places {
			at := mixer.Vector{float32(n * 20), float32(i/2) * 100}
			if i%2 == 1 {
				at[0] += 31
			}
			places[n] = append(places[n], Placement{UserID: fmt.Sprintf("p%d", i), Position: at})
		}
	}
	move := func(n int) {
		if err := w.Move(places[n%2]); err != nil {
			t.Error(err)
		}
	}
	move(1)
	nobodyHears(t, w, 1000, move)
}

// TestInOrder: the tick has all that the game said up to one moment. A player who
// comes near another hears nobody meanwhile, by what the game says before and
// after.
func TestInOrder(t *testing.T) {
	w, _, _ := village(t, 2, 0)
	at := func(x float32) {
		if err := w.Move([]Placement{{UserID: "p0", Position: mixer.Vector{x}}}); err != nil {
			t.Error(err)
		}
	}
	deafen := func(on bool) {
		if err := w.SetMute(audience.DeafenedByModerator, on, "p0"); err != nil {
			t.Error(err)
		}
	}
	at(100)
	nobodyHears(t, w, 5000, func(int) {
		deafen(true)
		at(10)
		at(100)
		deafen(false)
	})
}

// nobodyHears ticks while the game's loop turns n times: of two players who came
// one after the other none hears the other.
func nobodyHears(t *testing.T, w *World, n int, loop func(n int)) {
	t.Helper()
	w.run(0, time.Now())
	over := make(chan struct{})
	go func() {
		defer close(over)
		for i := range n {
			loop(i)
		}
	}()
	heard, ticks := 0, 0
	for going := true; going; ticks++ {
		w.update(time.Now(), w.settle())
		for i := 0; i < len(w.byID); i += 2 {
			if w.aud.Hears(w.byID[i].id, w.byID[i+1].id) != audience.Nothing {
				heard++
			}
		}
		select {
		case <-over:
			going = false
		default:
		}
	}
	if heard > 0 {
		t.Errorf("%d times in %d ticks somebody was heard who never was in range", heard, ticks)
	}
}
