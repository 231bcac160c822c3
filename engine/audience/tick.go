package audience

import "math"

// tables are what a tick works on. They grow with the world, and are used again.
type tables struct {
	n int // Config.Voices

	// The players who hear others by nearness, in the order of the grid's cells.
	grid    []spot
	cells   []int32 // where each bucket of cells begins in grid
	bucket  []int32 // of each player
	size    float32 // of a cell
	hearers []ID    // all who hear

	// Lists of those who hear, by team and by group: the first, and after each
	// the next. A node of a group's list is a player's number of a group.
	teamHead, teamNext   []int32
	groupHead, groupNext []int32

	talkers []ID
	seen    []uint32 // by player: when they were last looked at
	look    uint32

	// What each player is about to hear, n for each, and heard the tick before.
	counts, wereCounts []int32
	found, were        []found
	heard              []int32
	voices             []Voice
}

type spot struct {
	at     Vector
	range2 float32
	id     ID
	x, y   int32 // cell
}

type found struct {
	talker ID
	reason Reason
	scored bool
	near   float32 // squared distance, and the squared limit
	limit  float32
	score  float32
}

// fit makes the tables as large as the world has become.
func (a *Audience) fit() {
	t, players := &a.tables, len(a.flag)
	t.n = a.cfg.Voices
	t.seen = fitted(t.seen, players, 0)
	t.bucket = fitted(t.bucket, players, -1)
	t.counts, t.wereCounts, t.heard = fitted(t.counts, players, 0), fitted(t.wereCounts, players, 0), fitted(t.heard, players, 0)
	t.found, t.were = fitted(t.found, players*t.n, found{}), fitted(t.were, players*t.n, found{})
	t.voices = fitted(t.voices, players*t.n, Voice{})
	t.teamNext = fitted(t.teamNext, players, -1)
	t.groupNext = fitted(t.groupNext, players*MaxGroups, -1)
	t.teamHead = fitted(t.teamHead, a.teams+1, -1)
	t.groupHead = fitted(t.groupHead, len(a.types), -1)
}

// fitted is a slice with at least n elements.
func fitted[T any](s []T, n int, empty T) []T {
	for len(s) < n {
		s = append(s, empty)
	}
	return s
}

// Tick works out who hears whom now.
func (a *Audience) Tick() {
	a.fit()
	a.prepare()
	a.found, a.were = a.were, a.found
	a.counts, a.wereCounts = a.wereCounts, a.counts
	clear(a.counts)
	for _, t := range a.talkers {
		a.gather(t)
	}
	for _, r := range a.hearers {
		a.finish(r)
	}
}

// Begin is for a player who begins to talk between two ticks, and was told so by
// SetTalking: those who are to hear them do from now on. Positions are those of
// the last tick.
func (a *Audience) Begin(t ID) {
	if !a.CanTalk(t) || a.flag[t]&talking == 0 {
		return
	}
	a.fit()
	a.gather(t)
	for _, r := range a.hearers {
		if a.seen[r] == a.look {
			a.finish(r)
		}
	}
}

// Heard is what a receiver hears as of the last Tick or Begin, in no order. It
// stands until the next.
func (a *Audience) Heard(receiver ID) []Voice {
	if int(receiver) >= len(a.heard) { // they came after the last tick
		return nil
	}
	base := int(receiver) * a.n
	return a.voices[base : base+int(a.heard[receiver])]
}

// Voices is how many voices all receivers hear together.
func (a *Audience) Voices() (n int) {
	for _, k := range a.heard {
		n += int(k)
	}
	return n
}

// prepare makes the lists and the grid of this tick.
func (a *Audience) prepare() {
	a.talkers, a.hearers = a.talkers[:0], a.hearers[:0]
	for i := range a.teamHead {
		a.teamHead[i] = -1
	}
	for i := range a.groupHead {
		a.groupHead[i] = -1
	}
	a.size = max(a.cfg.Range, 1)
	buckets := 16
	for buckets < 2*len(a.flag) {
		buckets *= 2
	}
	if len(a.cells) != buckets+1 {
		a.cells = make([]int32, buckets+1)
	}
	clear(a.cells)
	near := 0
	for i, f := range a.flag {
		id := ID(i)
		if f&talking != 0 && a.CanTalk(id) {
			a.talkers = append(a.talkers, id)
		}
		a.heard[i], a.bucket[i] = 0, -1
		if !a.CanHear(id) {
			continue
		}
		a.hearers = append(a.hearers, id)
		if t := a.team[i]; t != 0 {
			a.teamNext[i], a.teamHead[t] = a.teamHead[t], int32(i)
		}
		for k, g := range a.groups[i] {
			if g != 0 {
				node := int32(i*MaxGroups + k)
				a.groupNext[node], a.groupHead[g] = a.groupHead[g], node
			}
		}
		if f&isolated == 0 && a.mode[i] == World {
			a.bucket[i] = a.bucketOf(a.cell(a.at[i][0]), a.cell(a.at[i][1]))
			a.cells[a.bucket[i]+1]++
			near++
		}
	}
	for i := 1; i < len(a.cells); i++ {
		a.cells[i] += a.cells[i-1]
	}
	if cap(a.grid) < near {
		a.grid = make([]spot, len(a.flag))
	}
	a.grid = a.grid[:near]
	// cells[b] is where bucket b begins; it is moved on, and put back after.
	for _, id := range a.hearers {
		b := a.bucket[id]
		if b < 0 {
			continue
		}
		at := a.at[id]
		a.grid[a.cells[b]] = spot{at, a.hears[id] * a.hears[id], id, a.cell(at[0]), a.cell(at[1])}
		a.cells[b]++
	}
	copy(a.cells[1:], a.cells)
	a.cells[0] = 0
}

func (a *Audience) cell(v float32) int32 { return int32(math.Floor(float64(v / a.size))) }

func (a *Audience) bucketOf(x, y int32) int32 {
	h := uint32(x)*0x9E3779B1 ^ uint32(y)*0x85EBCA77
	h ^= h >> 15
	return int32(h & uint32(len(a.cells)-2))
}

// gather finds all who are to hear a talker.
func (a *Audience) gather(t ID) {
	a.look++
	if a.look == 0 { // it has come around
		clear(a.seen)
		a.look = 1
	}
	a.seen[t] = a.look
	if a.flag[t]&broadcasts != 0 {
		for _, r := range a.hearers {
			a.offer(r, t, Broadcast, 0, 0)
		}
		return
	}
	tg := &a.targets[t]
	only := tg.Only && !tg.none()
	if !only {
		for _, g := range a.groups[t] {
			if g != 0 {
				a.offerGroup(g, t, Group)
			}
		}
		if a.team[t] != 0 && a.flag[t]&isolated == 0 {
			for r := a.teamHead[a.team[t]]; r >= 0; r = a.teamNext[r] {
				if a.flag[r]&isolated == 0 {
					a.offer(ID(r), t, Team, 0, 0)
				}
			}
		}
	}
	for _, r := range tg.Players {
		a.offer(r, t, Target, 0, 0)
	}
	for _, team := range tg.Teams {
		if team == 0 || int(team) >= len(a.teamHead) {
			continue
		}
		for r := a.teamHead[team]; r >= 0; r = a.teamNext[r] {
			a.offer(ID(r), t, Target, 0, 0)
		}
	}
	for _, g := range tg.Groups {
		if g != 0 && int(g) < len(a.groupHead) {
			a.offerGroup(g, t, Target)
		}
	}
	if !only && a.flag[t]&closed == 0 && a.mode[t] == World {
		a.offerNear(t)
	}
}

func (a *Audience) offerGroup(g uint16, t ID, why Reason) {
	for n := a.groupHead[g]; n >= 0; n = a.groupNext[n] {
		a.offer(ID(n/MaxGroups), t, why, 0, 0)
	}
}

func (a *Audience) offerNear(t ID) {
	at, reach := a.at[t], a.reach[t]
	if !(reach > 0) {
		return
	}
	reach2, alone := reach*reach, a.flag[t]&carries != 0
	x0, x1 := a.cell(at[0]-reach), a.cell(at[0]+reach)
	y0, y1 := a.cell(at[1]-reach), a.cell(at[1]+reach)
	if (float64(x1)-float64(x0)+1)*(float64(y1)-float64(y0)+1) > float64(len(a.grid)) {
		for i := range a.grid {
			a.offerSpot(&a.grid[i], t, at, reach2, alone)
		}
		return
	}
	for x := x0; x <= x1; x++ {
		for y := y0; y <= y1; y++ {
			b := a.bucketOf(x, y)
			for i := a.cells[b]; i < a.cells[b+1]; i++ {
				if s := &a.grid[i]; s.x == x && s.y == y {
					a.offerSpot(s, t, at, reach2, alone)
				}
			}
		}
	}
}

// offerSpot is for one who is near enough for reach2 and, unless that is alone
// what counts, for their own range.
func (a *Audience) offerSpot(s *spot, t ID, at Vector, reach2 float32, alone bool) {
	d := distance2(s.at, at)
	limit := reach2
	if !alone {
		limit = min(s.range2, reach2)
	}
	if d <= limit && limit > 0 {
		a.offer(s.id, t, Near, d, limit)
	}
}

// offer gives a receiver a talker, unless they have them already, a mute stands
// between them, or others have better scores.
func (a *Audience) offer(r, t ID, why Reason, near, limit float32) {
	// Between two ticks, the lists may have some who hear no longer.
	if a.seen[r] == a.look || !a.CanHear(r) {
		return
	}
	a.seen[r] = a.look
	if m := a.blocked[r]; len(m) > 0 {
		if _, no := m[t]; no {
			return
		}
	}
	if a.volumeOf(r, t) <= silence/2 || a.keeps(r, t) {
		return
	}
	c := found{talker: t, reason: why, near: near, limit: limit}
	base, n := int(r)*a.n, int(a.counts[r])
	list := a.found[base : base+n]
	if n < a.n {
		a.found[base+n] = c
		a.counts[r]++
		return
	}
	a.score(r, &c)
	worst := 0
	for i := range list {
		if !list[i].scored {
			a.score(r, &list[i])
		}
		if list[worst].better(&list[i]) {
			worst = i
		}
	}
	if c.better(&list[worst]) {
		list[worst] = c
	}
}

func (f *found) better(g *found) bool {
	return f.score > g.score || f.score == g.score && f.talker < g.talker
}

func (a *Audience) score(r ID, f *found) {
	c := Candidate{
		Receiver: r, Talker: f.talker, Reason: f.reason, Gain: a.gain(f), Level: a.level[f.talker],
		Priority: int(a.priority[f.talker]), Distance: float32(math.Sqrt(float64(f.near))),
	}
	f.scored = true
	if f.score = a.cfg.Score(c); f.score != f.score {
		f.score = float32(math.Inf(-1))
	}
	base := int(r) * a.n
	for i := range a.were[base : base+int(a.wereCounts[r])] {
		if a.were[base+i].talker == f.talker {
			f.score += a.cfg.Hysteresis
			return
		}
	}
}

// gain is that of distance, in dB.
func (a *Audience) gain(f *found) float32 {
	if f.reason != Near || !(f.limit > 0) {
		return 0
	}
	return a.curve[int(min(1, f.near/f.limit)*curveSteps)]
}

// finish turns what was found for a receiver into what they hear.
func (a *Audience) finish(r ID) {
	base, n := int(r)*a.n, int(a.counts[r])
	list := a.found[base : base+n]
	var most int8
	for i := range list {
		most = max(most, a.priority[list[i].talker])
	}
	for i := range list {
		f := &list[i]
		db := a.gain(f) + a.volumeOf(r, f.talker)
		if a.priority[f.talker] < most {
			db -= a.cfg.Duck
		}
		v := Voice{Talker: f.talker, Gain: int8(math.Round(float64(max(MinGain, min(MaxGain, db))))), Reason: f.reason}
		if f.reason == Near {
			v.Pan = a.pan(r, f)
		}
		a.voices[base+i] = v
	}
	a.heard[r] = int32(n)
}

// pan is from which side a receiver hears somebody near. Within half a metre
// sides mean less and less.
func (a *Audience) pan(r ID, f *found) int8 {
	p, q, right := a.at[r], a.at[f.talker], a.right[r]
	d := float32(math.Sqrt(float64(f.near)))
	if d == 0 {
		return 0
	}
	side := ((q[0]-p[0])*right[0] + (q[1]-p[1])*right[1]) / d * min(1, 2*d)
	return int8(math.Round(float64(max(-1, min(1, side)) * PanSteps)))
}
