package audience

import (
	"math"
	"slices"
)

// flags of a player.
type flags uint8

const (
	present flags = 1 << iota
	talking
	listening
	broadcasts
	spectates
	isolated // in an isolated group
	closed   // in a group whose members are not heard outside
	carries  // heard as far as they reach, whatever the range of who hears
)

// An Audience is a world's players, and who hears whom as of the last Tick. It
// is for one goroutine at a time. IDs that its methods are given must be those
// of players who were added and not removed.
type Audience struct {
	cfg   Config
	curve [curveSteps + 1]float32 // gain in dB by the share's square

	// Of each player, by ID.
	at       []Vector
	right    []Vector // unit vectors
	hears    []float32
	reach    []float32
	team     []uint16
	groups   [][MaxGroups]uint16 // 0 for none
	mode     []Mode
	flag     []flags
	mutes    []Mute
	category []Category
	priority []int8
	level    []float32
	targets  []Targets
	blocked  []map[ID]struct{} // whom a player does not want to hear
	volume   []map[ID]float32  // dB, other than 0
	volumes  [][NumCategories]float32
	kept     []map[ID]struct{} // who alone may hear a talker; nil is everybody
	free     []ID
	teams    int         // the highest number of a team
	types    []GroupType // by group

	tables
}

const (
	curveSteps = 1024
	maxRange   = 1e6 // metres
)

// New makes a world without players.
func New(cfg Config) *Audience {
	a := &Audience{cfg: cfg.withDefaults()}
	for i := range a.curve {
		share := float32(math.Sqrt(float64(i) / curveSteps))
		a.curve[i] = decibels(a.cfg.Falloff(share))
	}
	a.types = []GroupType{Open}
	return a
}

// decibels is a gain in dB, within bounds; what is no number is silence.
func decibels(gain float32) float32 {
	if !(gain > 0.001) {
		return MinGain
	}
	return max(MinGain, min(MaxGain, float32(20*math.Log10(float64(gain)))))
}

// Add adds a player at the origin, in the world mode, without team and group,
// who neither talks nor listens yet.
func (a *Audience) Add() ID {
	var id ID
	if n := len(a.free); n > 0 {
		id, a.free = a.free[n-1], a.free[:n-1]
	} else {
		id = ID(len(a.flag))
		a.at = append(a.at, Vector{})
		a.right = append(a.right, Vector{})
		a.hears = append(a.hears, 0)
		a.reach = append(a.reach, 0)
		a.team = append(a.team, 0)
		a.groups = append(a.groups, [MaxGroups]uint16{})
		a.mode = append(a.mode, World)
		a.flag = append(a.flag, 0)
		a.mutes = append(a.mutes, 0)
		a.category = append(a.category, Players)
		a.priority = append(a.priority, 0)
		a.level = append(a.level, 0)
		a.targets = append(a.targets, Targets{})
		a.blocked = append(a.blocked, nil)
		a.volume = append(a.volume, nil)
		a.volumes = append(a.volumes, [NumCategories]float32{})
		a.kept = append(a.kept, nil)
	}
	a.at[id], a.right[id] = Vector{}, Vector{0, 1, 0}
	a.hears[id], a.reach[id] = a.cfg.Range, a.cfg.Range
	a.team[id], a.groups[id], a.mode[id] = 0, [MaxGroups]uint16{}, World
	a.flag[id], a.mutes[id], a.category[id], a.priority[id] = present, 0, Players, 0
	a.level[id], a.targets[id] = -40, Targets{}
	a.blocked[id], a.volume[id], a.volumes[id] = nil, nil, [NumCategories]float32{}
	a.kept[id] = nil
	return id
}

// Remove takes players out: who has them as a target, blocked or with a volume
// has not any more. Many at once cost little more than one.
func (a *Audience) Remove(ids ...ID) {
	for _, id := range ids {
		a.flag[id] = 0
	}
	for i := range a.flag {
		a.forget(i)
		for _, id := range ids {
			if len(a.blocked[i])+len(a.volume[i])+len(a.kept[i]) == 0 {
				break
			}
			delete(a.blocked[i], id)
			delete(a.volume[i], id)
			delete(a.kept[i], id)
		}
		if p := a.targets[i].Players; slices.ContainsFunc(p, a.absent) {
			a.targets[i].Players = slices.DeleteFunc(slices.Clone(p), a.absent)
		}
	}
	a.free = append(a.free, ids...)
}

func (a *Audience) absent(id ID) bool { return a.flag[id]&present == 0 }

// forget takes those who are absent out of what a receiver heard.
func (a *Audience) forget(r int) {
	if r >= len(a.heard) {
		return
	}
	base := r * a.n
	if a.flag[r]&present == 0 {
		a.counts[r], a.wereCounts[r], a.heard[r] = 0, 0, 0
		return
	}
	list, voices := a.found[base:base+int(a.counts[r])], a.voices[base:base+int(a.heard[r])]
	a.counts[r] = int32(len(slices.DeleteFunc(list, func(f found) bool { return a.absent(f.talker) })))
	a.heard[r] = int32(len(slices.DeleteFunc(voices, func(v Voice) bool { return a.absent(v.Talker) })))
}

// Len is one more than the highest ID so far.
func (a *Audience) Len() int { return len(a.flag) }

// Place says where a player is, and which way they look: the part of forward
// that is level counts; without one they look forward.
func (a *Audience) Place(id ID, at, forward Vector) {
	a.at[id] = at
	n := forward[0]*forward[0] + forward[1]*forward[1]
	if !(n > 1e-12) {
		a.right[id] = Vector{0, 1, 0}
		return
	}
	s := 1 / float32(math.Sqrt(float64(n)))
	a.right[id] = Vector{-forward[1] * s, forward[0] * s, 0}
}

// SetRange is from how far a player hears, SetReach from how far they are
// heard: whispering and shouting.
func (a *Audience) SetRange(id ID, metres float32) { a.hears[id] = max(0, min(metres, maxRange)) }

// SetReach: see SetRange.
func (a *Audience) SetReach(id ID, metres float32) { a.reach[id] = max(0, min(metres, maxRange)) }

// SetTeam puts a player into a team; 0 is none. Numbers should be small.
func (a *Audience) SetTeam(id ID, team uint16) {
	a.team[id] = team
	a.teams = max(a.teams, int(team))
}

// Teams are those that somebody is in or has as a target.
func (a *Audience) Teams() map[uint16]bool {
	used := make(map[uint16]bool)
	for id, f := range a.flag {
		if f&present != 0 {
			used[a.team[id]] = true
			for _, t := range a.targets[id].Teams {
				used[t] = true
			}
		}
	}
	return used
}

// Groups are those that somebody is in or has as a target, or whose type is not
// the default.
func (a *Audience) Groups() map[uint16]bool {
	used := make(map[uint16]bool)
	for id, f := range a.flag {
		if f&present != 0 {
			for _, g := range a.groups[id] {
				used[g] = true
			}
			for _, g := range a.targets[id].Groups {
				used[g] = true
			}
		}
	}
	for g, t := range a.types {
		if t != Normal {
			used[uint16(g)] = true
		}
	}
	return used
}

// SetMode says whom a player talks with.
func (a *Audience) SetMode(id ID, m Mode) { a.mode[id] = m }

// SetGroups puts a player into groups, at most MaxGroups, and out of all others;
// 0 is none. Numbers should be small.
func (a *Audience) SetGroups(id ID, groups [MaxGroups]uint16) {
	a.groups[id] = groups
	for _, g := range groups {
		a.growTypes(int(g))
	}
	a.regroup(id)
}

// SetGroupType says what a group is to others. Default Normal.
func (a *Audience) SetGroupType(group uint16, t GroupType) {
	a.growTypes(int(group))
	a.types[group] = t
	for id := range a.flag {
		a.regroup(ID(id))
	}
}

func (a *Audience) growTypes(group int) {
	for group >= len(a.types) {
		a.types = append(a.types, Normal)
	}
}

func (a *Audience) regroup(id ID) {
	a.flag[id] &^= isolated | closed
	for _, g := range a.groups[id] {
		switch {
		case g == 0 || a.types[g] == Open:
		case a.types[g] == Isolated:
			a.flag[id] |= isolated | closed
		default:
			a.flag[id] |= closed
		}
	}
}

func (a *Audience) set(id ID, f flags, on bool) {
	if on {
		a.flag[id] |= f
	} else {
		a.flag[id] &^= f
	}
}

// SetTalking says whether there is sound of a player now.
func (a *Audience) SetTalking(id ID, on bool) { a.set(id, talking, on) }

// IsTalking is what SetTalking said last.
func (a *Audience) IsTalking(id ID) bool { return a.flag[id]&talking != 0 }

// SetLevel says how loud a player is, in dBov.
func (a *Audience) SetLevel(id ID, dBov float32) { a.level[id] = dBov }

// SetListening says whether a player can be sent anything.
func (a *Audience) SetListening(id ID, on bool) { a.set(id, listening, on) }

// SetBroadcast makes a player heard by all.
func (a *Audience) SetBroadcast(id ID, on bool) { a.set(id, broadcasts, on) }

// SetCarries makes a player heard by those near as far as they reach, whatever
// the range of who hears: a sound of the game's.
func (a *Audience) SetCarries(id ID, on bool) { a.set(id, carries, on) }

// Keep keeps a talker for some receivers: nobody else hears them, whatever else
// holds. nil is everybody.
func (a *Audience) Keep(talker ID, receivers []ID) {
	a.kept[talker] = nil
	if receivers == nil {
		return
	}
	a.kept[talker] = make(map[ID]struct{}, len(receivers))
	for _, r := range receivers {
		a.kept[talker][r] = struct{}{}
	}
}

// Admit adds a receiver to those whom a talker is kept for, if they are.
func (a *Audience) Admit(talker, receiver ID) {
	if k := a.kept[talker]; k != nil {
		k[receiver] = struct{}{}
	}
}

// SetSpectator makes a player hear, and not be heard.
func (a *Audience) SetSpectator(id ID, on bool) { a.set(id, spectates, on) }

// SetPriority makes a player heard rather than others, and others quieter while
// they talk. It is 0 to 10.
func (a *Audience) SetPriority(id ID, p int) { a.priority[id] = int8(max(0, min(10, p))) }

// SetTargets says to whom a player talks in particular. The slices are kept.
func (a *Audience) SetTargets(id ID, t Targets) { a.targets[id] = t }

// SetCategory says what kind of sound a player is.
func (a *Audience) SetCategory(id ID, c Category) { a.category[id] = c % NumCategories }

// SetMute sets or lifts mutes of a player.
func (a *Audience) SetMute(id ID, m Mute, on bool) {
	if on {
		a.mutes[id] |= m
	} else {
		a.mutes[id] &^= m
	}
}

// Block makes one player not hear another, or hear them again.
func (a *Audience) Block(receiver, talker ID, on bool) {
	switch {
	case !on:
		delete(a.blocked[receiver], talker)
	case a.blocked[receiver] == nil:
		a.blocked[receiver] = map[ID]struct{}{talker: {}}
	default:
		a.blocked[receiver][talker] = struct{}{}
	}
}

// SetVolume says how loud one player hears another: 0 is not at all, 1 as they
// are, 4 the most.
func (a *Audience) SetVolume(receiver, talker ID, gain float32) {
	switch {
	case gain == 1:
		delete(a.volume[receiver], talker)
	case a.volume[receiver] == nil:
		a.volume[receiver] = map[ID]float32{talker: volume(gain)}
	default:
		a.volume[receiver][talker] = volume(gain)
	}
}

// SetCategoryVolume is SetVolume for all talkers of a category.
func (a *Audience) SetCategoryVolume(receiver ID, c Category, gain float32) {
	a.volumes[receiver][c%NumCategories] = volume(gain)
}

// silence is the volume that is not even sent, in dB.
const silence = -1000

func volume(gain float32) float32 {
	if !(gain > 0) {
		return silence
	}
	return decibels(gain)
}

// CanTalk reports whether anybody may hear a player.
func (a *Audience) CanTalk(id ID) bool {
	return a.flag[id]&(present|spectates) == present && a.mutes[id]&(MutedByModerator|MutedBySelf) == 0
}

// CanHear reports whether a player may hear anybody.
func (a *Audience) CanHear(id ID) bool {
	return a.flag[id]&(present|listening) == present|listening && a.mutes[id]&(DeafenedByModerator|DeafenedBySelf) == 0
}

// Hears is why a receiver would hear a talker if they talked, whatever others
// do: Nothing if not at all.
func (a *Audience) Hears(receiver, talker ID) Reason {
	if receiver == talker || !a.CanHear(receiver) || !a.CanTalk(talker) || a.volumeOf(receiver, talker) <= silence/2 {
		return Nothing
	}
	if _, no := a.blocked[receiver][talker]; no || a.keeps(receiver, talker) {
		return Nothing
	}
	return a.Reason(receiver, talker)
}

// Reason is why a receiver would hear a talker if no mute, no volume and no
// deafening stood between them.
func (a *Audience) Reason(r, t ID) Reason {
	tg := &a.targets[t]
	aimed := a.aims(tg, r)
	apart := a.flag[r]&isolated != 0 || a.flag[t]&isolated != 0
	switch {
	case a.flag[t]&broadcasts != 0:
		return Broadcast
	case tg.Only && !tg.none():
		if aimed {
			return Target
		}
		return Nothing
	case a.together(r, t):
		return Group
	case !apart && a.team[r] != 0 && a.team[r] == a.team[t]:
		return Team
	case aimed:
		return Target
	case a.flag[r]&isolated == 0 && a.flag[t]&closed == 0 && a.mode[r] == World && a.mode[t] == World:
		limit := min(a.rangeOf(r, t), a.reach[t]*a.reach[t])
		if d := distance2(a.at[r], a.at[t]); d <= limit && limit > 0 {
			return Near
		}
	}
	return Nothing
}

// keeps reports whether a talker is kept for others than a receiver.
func (a *Audience) keeps(r, t ID) bool {
	k := a.kept[t]
	if k == nil {
		return false
	}
	_, in := k[r]
	return !in
}

// rangeOf is from how far a receiver hears a talker, squared.
func (a *Audience) rangeOf(r, t ID) float32 {
	if a.flag[t]&carries != 0 {
		return maxRange * maxRange
	}
	return a.hears[r] * a.hears[r]
}

func (a *Audience) together(r, t ID) bool {
	for _, g := range a.groups[t] {
		if g == 0 {
			continue
		}
		for _, h := range a.groups[r] {
			if g == h {
				return true
			}
		}
	}
	return false
}

func (a *Audience) aims(tg *Targets, r ID) bool {
	for _, p := range tg.Players {
		if p == r {
			return true
		}
	}
	for _, team := range tg.Teams {
		if team != 0 && team == a.team[r] {
			return true
		}
	}
	for _, g := range tg.Groups {
		for _, h := range a.groups[r] {
			if g != 0 && g == h {
				return true
			}
		}
	}
	return false
}

func distance2(p, q Vector) float32 {
	x, y, z := p[0]-q[0], p[1]-q[1], p[2]-q[2]
	return x*x + y*y + z*z
}

// volumeOf is what a receiver wants a talker louder, in dB.
func (a *Audience) volumeOf(r, t ID) float32 {
	v := a.volumes[r][a.category[t]]
	if m := a.volume[r]; len(m) > 0 {
		v += m[t]
	}
	return v
}
