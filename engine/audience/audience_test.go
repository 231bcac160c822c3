package audience

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// pairOf puts a receiver at the origin and a talker 8 m to the right of it.
func pairOf() (a *Audience, r, t ID) {
	a = New(Config{Range: 10})
	r, t = a.Add(), a.Add()
	a.Place(t, Vector{0, 8, 0}, Vector{})
	a.SetListening(r, true)
	a.SetTalking(t, true)
	return a, r, t
}

// why is the reason for which r hears t after a tick, and checks that Hears
// says the same.
func why(tb testing.TB, a *Audience, r, t ID) Reason {
	tb.Helper()
	a.Tick()
	out := Nothing
	for _, v := range a.Heard(r) {
		if v.Talker == t {
			out = v.Reason
		}
	}
	if h := a.Hears(r, t); h != out {
		tb.Errorf("Hears says %v, the tick %v", h, out)
	}
	return out
}

// The truth table of GME's range voice: teammates hear each other at any
// distance in any mode; others if both are in the world mode and the talker is
// within the range of the one who hears.
func TestTeamsAndModes(t *testing.T) {
	for _, team := range []string{"same", "other", "none"} {
		for _, hearer := range []Mode{World, TeamOnly} {
			for _, talker := range []Mode{World, TeamOnly} {
				for _, in := range []bool{true, false} {
					want := Nothing
					switch {
					case team == "same":
						want = Team
					case hearer == World && talker == World && in:
						want = Near
					}
					t.Run(fmt.Sprintf("%s-team/%v-%v/in=%v", team, hearer, talker, in), func(t *testing.T) {
						a, r, s := pairOf()
						a.SetMode(r, hearer)
						a.SetMode(s, talker)
						if team != "none" {
							a.SetTeam(r, 1)
							a.SetTeam(s, 2)
						}
						if team == "same" {
							a.SetTeam(s, 1)
						}
						if !in {
							a.SetRange(r, 5)
						}
						if got := why(t, a, r, s); got != want {
							t.Errorf("got %v, want %v", got, want)
						}
					})
				}
			}
		}
	}
}

// The range of the one who hears and the reach of the one who talks both count.
func TestRangeAndReach(t *testing.T) {
	for _, c := range []struct {
		hears, reach float32
		want         Reason
	}{{10, 10, Near}, {8, 8, Near}, {7.9, 10, Nothing}, {10, 7.9, Nothing}, {100, 3, Nothing}, {100, 100, Near}, {0, 100, Nothing}, {100, 0, Nothing}} {
		a, r, s := pairOf()
		a.SetRange(r, c.hears)
		a.SetReach(s, c.reach)
		if got := why(t, a, r, s); got != c.want {
			t.Errorf("range %v, reach %v: %v, want %v", c.hears, c.reach, got, c.want)
		}
	}
}

func TestGroups(t *testing.T) {
	const g, h = 1, 2
	for _, c := range []struct {
		typ              GroupType
		hearer, talker   []uint16
		near, team       bool
		broadcast, aimed bool
		want             Reason
	}{
		{Normal, []uint16{g}, []uint16{g}, false, false, false, false, Group},
		{Normal, []uint16{g}, nil, true, false, false, false, Near},
		{Normal, []uint16{g}, nil, false, false, false, false, Nothing},
		{Normal, nil, []uint16{g}, true, false, false, false, Nothing},
		{Normal, nil, []uint16{g}, true, true, false, false, Team},
		{Normal, []uint16{h}, []uint16{g}, true, false, false, false, Nothing},
		{Normal, []uint16{h, g}, []uint16{g}, false, false, false, false, Group},
		{Open, []uint16{g}, []uint16{g}, false, false, false, false, Group},
		{Open, nil, []uint16{g}, true, false, false, false, Near},
		{Open, []uint16{g}, nil, true, false, false, false, Near},
		{Open, nil, []uint16{g}, false, false, false, false, Nothing},
		{Isolated, []uint16{g}, []uint16{g}, false, false, false, false, Group},
		{Isolated, nil, []uint16{g}, true, true, false, false, Nothing},
		{Isolated, []uint16{g}, nil, true, true, false, false, Nothing},
		{Isolated, []uint16{g}, nil, true, false, true, false, Broadcast},
		{Isolated, []uint16{g}, nil, true, false, false, true, Target},
		{Isolated, nil, []uint16{g}, true, false, false, true, Target},
	} {
		a, r, s := pairOf()
		set := func(id ID, list []uint16) {
			var all [MaxGroups]uint16
			copy(all[:], list)
			a.SetGroups(id, all)
		}
		a.SetGroupType(g, c.typ)
		a.SetGroupType(h, c.typ)
		set(r, c.hearer)
		set(s, c.talker)
		if !c.near {
			a.SetRange(r, 5)
		}
		if c.team {
			a.SetTeam(r, 3)
			a.SetTeam(s, 3)
		}
		a.SetBroadcast(s, c.broadcast)
		if c.aimed {
			a.SetTargets(s, Targets{Players: []ID{r}})
		}
		if got := why(t, a, r, s); got != c.want {
			t.Errorf("%+v: got %v", c, got)
		}
	}
}

// Each mute stands by itself, and is lifted by itself.
func TestMutes(t *testing.T) {
	type step struct {
		name string
		set  func(a *Audience, r, s ID, on bool)
	}
	steps := []step{
		{"moderator", func(a *Audience, r, s ID, on bool) { a.SetMute(s, MutedByModerator, on) }},
		{"self", func(a *Audience, r, s ID, on bool) { a.SetMute(s, MutedBySelf, on) }},
		{"user", func(a *Audience, r, s ID, on bool) { a.Block(r, s, on) }},
		{"deafened", func(a *Audience, r, s ID, on bool) { a.SetMute(r, DeafenedByModerator, on) }},
		{"self-deafened", func(a *Audience, r, s ID, on bool) { a.SetMute(r, DeafenedBySelf, on) }},
		{"volume", func(a *Audience, r, s ID, on bool) {
			a.SetVolume(r, s, map[bool]float32{true: 0, false: 1}[on])
		}},
		{"category", func(a *Audience, r, s ID, on bool) {
			a.SetCategoryVolume(r, Players, map[bool]float32{true: 0, false: 1}[on])
		}},
		{"spectator", func(a *Audience, r, s ID, on bool) { a.SetSpectator(s, on) }},
	}
	for _, broadcast := range []bool{false, true} {
		for mask := range 1 << len(steps) {
			a, r, s := pairOf()
			a.SetBroadcast(s, broadcast)
			for i, st := range steps {
				st.set(a, r, s, mask>>i&1 == 1)
			}
			for i, st := range steps {
				if got := why(t, a, r, s); (got != Nothing) != (mask>>i<<i == 0) {
					t.Fatalf("mutes %b, before %s is lifted: %v", mask>>i<<i, st.name, got)
				}
				st.set(a, r, s, false)
			}
			if got := why(t, a, r, s); got == Nothing {
				t.Fatalf("mutes %b, all lifted, not heard", mask)
			}
		}
	}
}

// Gain falls with distance, pan goes by where the receiver looks, volumes are
// added, and a talker of a higher priority ducks the others.
func TestGainAndPan(t *testing.T) {
	a, r, s := pairOf()
	voice := func() Voice {
		t.Helper()
		a.Tick()
		for _, v := range a.Heard(r) {
			if v.Talker == s {
				return v
			}
		}
		t.Fatal("not heard")
		return Voice{}
	}
	for _, c := range []struct {
		at, forward Vector
		gain, pan   int8
	}{
		{Vector{0, 8, 0}, Vector{1, 0, 0}, -18, 8},    // 8 of 10 m: a tenth by 0.8
		{Vector{0, -8, 0}, Vector{1, 0, 0}, -18, -8},  //
		{Vector{8, 0, 0}, Vector{1, 0, 0}, -18, 0},    // ahead
		{Vector{0, 8, 0}, Vector{0, 3, 0}, -18, 0},    // and looking there
		{Vector{0, 8, 0}, Vector{-2, 0, 0}, -18, -8},  // turned round
		{Vector{0, 1, 0}, Vector{}, 0, 8},             // within a tenth
		{Vector{0, 0.25, 0}, Vector{}, 0, 4},          // beside the ear
		{Vector{0, 0, 4}, Vector{0, 0, 1}, -12, 0},    // above, looking up
		{Vector{2, 2, 0}, Vector{}, -9, 6},            // half right
		{Vector{0, 10, 0}, Vector{1, 0, 0}, -60, 8},   // at the edge
		{Vector{0, 9.5, 0}, Vector{1, 0, 0}, -26, 8},  // fading out
		{Vector{0, 0, 0}, Vector{1, 0, 0}, 0, 0},      // inside
		{Vector{0, 8, 0}, Vector{1, 1, 100}, -18, 6},  // looking up a little
		{Vector{0, -2, 0}, Vector{0, -1, 0}, -6, 0},   //
		{Vector{-2, -2, 0}, Vector{0, -1, 0}, -9, -6}, // looking left, what is behind is at the left
		{Vector{2, 2, 0}, Vector{0, -1, 0}, -9, 6},    //
		{Vector{0, 5, 0}, Vector{1, 0, 0}, -14, 8},    //
		{Vector{0, 2.5, 0}, Vector{0, 0, 0}, -8, 8},   //
		{Vector{0, 1.25, 0}, Vector{0, 0, -1}, -2, 8}, //
	} {
		a.Place(s, c.at, Vector{})
		a.Place(r, Vector{}, c.forward)
		if v := voice(); v.Gain != c.gain || v.Pan != c.pan {
			t.Errorf("at %v, looking %v: gain %d, pan %d, want %d, %d", c.at, c.forward, v.Gain, v.Pan, c.gain, c.pan)
		}
	}
	a.Place(s, Vector{0, 1, 0}, Vector{})
	a.SetVolume(r, s, 2)
	a.SetCategoryVolume(r, Players, 0.5)
	if v := voice(); v.Gain != 0 {
		t.Errorf("twice by half is %d dB", v.Gain)
	}
	a.SetCategoryVolume(r, Players, 4)
	if v := voice(); v.Gain != MaxGain {
		t.Errorf("the most is %d dB", v.Gain)
	}
	a.SetCategory(s, Music)
	boss := a.Add()
	a.SetPriority(boss, 5)
	a.SetBroadcast(boss, true)
	if v := voice(); v.Gain != 6 {
		t.Errorf("before the boss talks: %d dB", v.Gain)
	}
	a.SetTalking(boss, true)
	if v := voice(); v.Gain != 6-12 {
		t.Errorf("under the boss: %d dB", v.Gain)
	}
}

// Of too many the best are heard, one who is heard stays unless another is
// clearly better, and the host may say otherwise.
func TestSelection(t *testing.T) {
	a := New(Config{Voices: 2})
	r := a.Add()
	a.SetListening(r, true)
	var who []ID
	for i := range 3 {
		id := a.Add()
		a.Place(id, Vector{float32(1 + i), 0, 0}, Vector{})
		a.SetTalking(id, true)
		who = append(who, id)
	}
	heard := func() (out []ID) {
		a.Tick()
		for _, v := range a.Heard(r) {
			out = append(out, v.Talker)
		}
		slices.Sort(out)
		return out
	}
	want := func(what string, ids ...ID) {
		t.Helper()
		if got := heard(); !slices.Equal(got, ids) {
			t.Errorf("%s: %v, want %v", what, got, ids)
		}
	}
	want("the first come, being as near", who[0], who[1])
	a.SetLevel(who[2], -36)
	want("4 dB are not enough", who[0], who[1])
	a.SetLevel(who[2], -30)
	want("10 dB are", who[0], who[2])
	a.SetLevel(who[2], -38)
	want("and 2 dB keep it", who[0], who[2])
	a.SetPriority(who[1], 1)
	want("a priority", who[1], who[2])
	a.cfg.Score = func(c Candidate) float32 { return 100 * -float32(c.Talker) }
	want("as the host likes", who[0], who[1])
	a.cfg.Score = func(c Candidate) float32 { return float32(math.NaN()) }
	if got := heard(); len(got) != 2 {
		t.Errorf("scores that are no numbers: %v", got)
	}
}

// Who begins to talk between two ticks is heard at once, as after a tick.
func TestBegin(t *testing.T) {
	a, r, s := pairOf()
	a.SetTalking(s, false)
	a.Tick()
	if len(a.Heard(r)) != 0 {
		t.Fatal("heard without talking")
	}
	a.SetTalking(s, true)
	a.Begin(s)
	got := slices.Clone(a.Heard(r))
	a.Tick()
	if want := a.Heard(r); len(want) != 1 || !slices.Equal(got, want) {
		t.Errorf("Begin gave %v, a tick %v", got, want)
	}
	a.Remove(s)
	if len(a.Heard(s)) != 0 || a.Hears(r, s) != Nothing {
		t.Error("a player who is gone is heard")
	}
}

// model is who hears whom, worked out pair by pair from the rules as they are
// written, with all that is drawn for a player at hand.
type model struct {
	at                           Vector
	hears, reach                 float32
	team                         uint16
	groups                       [MaxGroups]uint16
	mode                         Mode
	listens, talks, all, watches bool
	carries                      bool
	kept                         map[ID]bool // nil is everybody
	mutes                        Mute
	priority                     int
	level                        float32
	targets                      Targets
	blocked                      map[ID]bool
}

func brute(players map[ID]*model, types []GroupType, voices int, was map[ID]map[ID]bool) map[ID]map[ID]Reason {
	has := func(list [MaxGroups]uint16, typ ...GroupType) bool {
		return slices.ContainsFunc(list[:], func(g uint16) bool { return g != 0 && slices.Contains(typ, types[g]) })
	}
	out := make(map[ID]map[ID]Reason)
	for ri, r := range players {
		type scored struct {
			t     ID
			why   Reason
			score float32
		}
		var list []scored
		for ti, t := range players {
			if ti == ri || !r.listens || r.mutes&(DeafenedByModerator|DeafenedBySelf) != 0 || !t.talks || t.watches ||
				t.mutes&(MutedByModerator|MutedBySelf) != 0 || r.blocked[ti] {
				continue
			}
			aimed := slices.Contains(t.targets.Players, ri) || r.team != 0 && slices.Contains(t.targets.Teams, r.team)
			mate := false
			for _, g := range r.groups {
				if g == 0 {
					continue
				}
				aimed = aimed || slices.Contains(t.targets.Groups, g)
				mate = mate || slices.Contains(t.groups[:], g)
			}
			iso := has(r.groups, Isolated) || has(t.groups, Isolated)
			d := distance2(r.at, t.at)
			limit := min(r.hears*r.hears, t.reach*t.reach)
			if t.kept != nil && !t.kept[ri] {
				continue
			}
			if t.carries {
				limit = t.reach * t.reach
			}
			near := r.mode == World && t.mode == World && !iso && !has(t.groups, Normal) && limit > 0 && d <= limit
			only := t.targets.Only && !t.targets.none()
			why := Nothing
			switch {
			case t.all:
				why = Broadcast
			case mate && !only:
				why = Group
			case r.team != 0 && r.team == t.team && !iso && !only:
				why = Team
			case aimed:
				why = Target
			case near && !only:
				why = Near
			}
			if why == Nothing {
				continue
			}
			s := scored{ti, why, t.level + 10*float32(t.priority)}
			if why == Near {
				s.score += decibels(inverse(float32(math.Sqrt(float64(int(d/limit*curveSteps)) / curveSteps))))
			}
			if was[ri][ti] {
				s.score += 6
			}
			list = append(list, s)
		}
		slices.SortFunc(list, func(a, b scored) int {
			switch {
			case a.score > b.score:
				return -1
			case a.score < b.score:
				return 1
			}
			return int(a.t - b.t)
		})
		out[ri] = make(map[ID]Reason)
		for _, s := range list[:min(len(list), voices)] {
			out[ri][s.t] = s.why
		}
	}
	return out
}

// TestAgainstTheModel: players come, go, move and change, and after each tick
// everybody hears exactly whom the rules say, for the reason that they say.
func TestAgainstTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		voices := rapid.IntRange(1, 4).Draw(t, "voices")
		a := New(Config{Range: 10, Voices: voices})
		players := make(map[ID]*model)
		types := make([]GroupType, 5)
		types[0] = Open
		a.growTypes(4)
		was := make(map[ID]map[ID]bool)
		place := rapid.Float32Range(-40, 40)
		metres := rapid.Float32Range(0, 60)
		number := rapid.Uint16Range(0, 4)
		ids := func() []ID {
			var out []ID
			for id := range players {
				out = append(out, id)
			}
			slices.Sort(out)
			return out
		}
		change := func(id ID) {
			m := players[id]
			switch rapid.IntRange(0, 17).Draw(t, "what") {
			case 0, 1, 2:
				m.at = Vector{place.Draw(t, "x"), place.Draw(t, "y"), place.Draw(t, "z") / 10}
				a.Place(id, m.at, Vector{place.Draw(t, "fx"), place.Draw(t, "fy"), 0})
			case 3:
				m.hears = metres.Draw(t, "range")
				a.SetRange(id, m.hears)
			case 4:
				m.reach = metres.Draw(t, "reach")
				a.SetReach(id, m.reach)
			case 5:
				m.team = number.Draw(t, "team")
				a.SetTeam(id, m.team)
			case 6:
				m.mode = Mode(rapid.IntRange(0, 1).Draw(t, "mode"))
				a.SetMode(id, m.mode)
			case 7:
				m.groups = [MaxGroups]uint16{number.Draw(t, "g"), number.Draw(t, "g")}
				a.SetGroups(id, m.groups)
			case 8, 9:
				m.talks = rapid.Bool().Draw(t, "talks")
				a.SetTalking(id, m.talks)
			case 10:
				m.all = rapid.IntRange(0, 4).Draw(t, "all") == 0
				a.SetBroadcast(id, m.all)
			case 11:
				m.watches = rapid.IntRange(0, 4).Draw(t, "watches") == 0
				a.SetSpectator(id, m.watches)
			case 12:
				mute, on := Mute(1<<rapid.IntRange(0, 3).Draw(t, "mute")), rapid.IntRange(0, 3).Draw(t, "on") == 0
				m.mutes &^= mute
				if on {
					m.mutes |= mute
				}
				a.SetMute(id, mute, on)
			case 13:
				m.targets = Targets{
					Players: rapid.SliceOfN(rapid.SampledFrom(ids()), 0, 3).Draw(t, "players"),
					Teams:   rapid.SliceOfN(number, 0, 2).Draw(t, "teams"),
					Groups:  rapid.SliceOfN(number, 0, 2).Draw(t, "groups"),
					Only:    rapid.Bool().Draw(t, "only"),
				}
				a.SetTargets(id, m.targets)
			case 14:
				other, on := rapid.SampledFrom(ids()).Draw(t, "other"), rapid.Bool().Draw(t, "on")
				m.blocked[other] = on
				a.Block(id, other, on)
			case 16:
				m.carries = rapid.Bool().Draw(t, "carries")
				a.SetCarries(id, m.carries)
			case 17:
				m.kept = nil
				var keep []ID
				if rapid.Bool().Draw(t, "keep") {
					m.kept, keep = make(map[ID]bool), []ID{}
					for _, other := range rapid.SliceOfN(rapid.SampledFrom(ids()), 0, 3).Draw(t, "for") {
						m.kept[other], keep = true, append(keep, other)
					}
				}
				a.Keep(id, keep)
				other := rapid.SampledFrom(ids()).Draw(t, "also")
				if a.Admit(id, other); m.kept != nil {
					m.kept[other] = true
				}
			case 15:
				m.level, m.priority = rapid.Float32Range(-60, 0).Draw(t, "level"), rapid.IntRange(0, 2).Draw(t, "priority")
				a.SetLevel(id, m.level)
				a.SetPriority(id, m.priority)
			}
		}
		for range rapid.IntRange(1, 12).Draw(t, "ticks") {
			for range rapid.IntRange(0, 6).Draw(t, "come") {
				id := a.Add()
				a.SetListening(id, true)
				a.SetTalking(id, true)
				players[id] = &model{hears: 10, reach: 10, listens: true, talks: true, level: -40, blocked: make(map[ID]bool)}
			}
			if len(players) > 0 && rapid.IntRange(0, 2).Draw(t, "goes") == 0 {
				id := rapid.SampledFrom(ids()).Draw(t, "who")
				a.Remove(id)
				delete(players, id)
				delete(was, id)
				for _, m := range players {
					delete(m.blocked, id)
					delete(m.kept, id)
					m.targets.Players = slices.DeleteFunc(slices.Clone(m.targets.Players), func(x ID) bool { return x == id })
				}
				for _, w := range was {
					delete(w, id)
				}
			}
			if g := rapid.Uint16Range(0, 4).Draw(t, "group"); g > 0 {
				types[g] = GroupType(rapid.IntRange(0, 2).Draw(t, "type"))
				a.SetGroupType(g, types[g])
			}
			for range rapid.IntRange(0, 20).Draw(t, "changes") {
				if len(players) > 0 {
					change(rapid.SampledFrom(ids()).Draw(t, "id"))
				}
			}
			a.Tick()
			want := brute(players, types, voices, was)
			was = make(map[ID]map[ID]bool)
			for id := range players {
				was[id] = make(map[ID]bool)
				got := make(map[ID]Reason)
				for _, v := range a.Heard(id) {
					got[v.Talker] = v.Reason
					was[id][v.Talker] = true
					if v.Reason != a.Hears(id, v.Talker) {
						t.Fatalf("%d hears %d for %v, Hears says %v", id, v.Talker, v.Reason, a.Hears(id, v.Talker))
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want[id]) {
					t.Fatalf("%d hears %v, want %v", id, got, want[id])
				}
			}
		}
	})
}

// crowd is the world of the benchmark: players who walk about at random on
// 300 by 300 m, a fifth of whom talk.
func crowd(players int) (a *Audience, walk func()) {
	a = New(Config{Range: 30})
	rng := rand.New(rand.NewPCG(1, 2))
	at := make([]Vector, players)
	way := make([]Vector, players)
	side := 300 * float32(math.Sqrt(float64(players)/1000))
	for i := range players {
		id := a.Add()
		a.SetListening(id, true)
		a.SetTalking(id, i%5 == 0)
		at[i] = Vector{rng.Float32() * side, rng.Float32() * side, 0}
		way[i] = Vector{rng.Float32() - 0.5, rng.Float32() - 0.5, 0}
	}
	return a, func() {
		for i := range at {
			for k := range 2 {
				at[i][k] += way[i][k] / 10
				if at[i][k] < 0 || at[i][k] > side {
					way[i][k] = -way[i][k]
				}
			}
			a.Place(ID(i), at[i], way[i])
		}
	}
}

func TestTickAllocatesNothing(t *testing.T) {
	a, walk := crowd(1000)
	for range 10 {
		walk()
		a.Tick()
	}
	if n := testing.AllocsPerRun(20, func() { walk(); a.Tick() }); n != 0 {
		t.Errorf("a tick allocates %v times", n)
	}
}

// BenchmarkTick is a tick of a world in which a fifth talk, with as many players
// to the square metre as 1,000 on 300 by 300 m.
func BenchmarkTick(b *testing.B) {
	for _, players := range []int{100, 1000, 5000} {
		b.Run(fmt.Sprintf("%dplayers", players), func(b *testing.B) {
			a, walk := crowd(players)
			pairs := 0
			b.ReportAllocs()
			for b.Loop() {
				walk()
				a.Tick()
			}
			for i := range players {
				pairs += len(a.Heard(ID(i)))
			}
			if pairs == 0 {
				b.Fatal("nobody hears anybody")
			}
			b.ReportMetric(float64(pairs), "pairs")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(players), "ns/player")
		})
	}
}

// BenchmarkPlace is what it takes to note where one player is.
func BenchmarkPlace(b *testing.B) {
	_, walk := crowd(1000)
	for b.Loop() {
		walk()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/move")
}
