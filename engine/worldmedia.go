package engine

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// A world's voices are collected until all have come who are expected, or the first
// of them has waited for a window's length; see worldbatch.go. Then each player is
// sent those that they hear, as one batch. Talkers are steered to one moment (see
// steer), but come later the more they are; a window that begins with them, wherever
// that is, has them all. What is a receiver's own in a packet, the number, the marker,
// gain and pan, is written into a worker's copy of the batch just before it is copied
// to their session; see worldsend.go.

const (
	// spaceExtension is the identifier of the header extension with gain and pan.
	spaceExtension = 2
	// talkTime is for how long after their last packet a player counts as
	// talking.
	talkTime = 300 * time.Millisecond
)

type worldCounters struct {
	workedOut, packets, batches atomic.Uint64
	full, tooLarge              atomic.Uint64 // packets of talkers, dropped
	behind, unchanged           atomic.Uint64 // packets on paths, dropped
	busy                        atomic.Int64  // ns
	talkers, voices             atomic.Int64  // now
}

// WorldStats counts what a world does.
type WorldStats struct {
	// Players are in the world, of whom Connected are signed in; Talkers talked
	// at the last tick, sounds among them, and Voices is by how many they are
	// heard, in all.
	Players, Connected, Talkers, Voices int
	// Announced is how many tracks players have, in all.
	Announced int
	// Ticks is how often who hears whom was worked out, and Busy how long that
	// and the handing over of packets took.
	Ticks uint64
	Busy  time.Duration
	// Packets were handed to receivers' sessions, in so many Batches: each leaves
	// as one datagram where it fits. Dropped are packets of talkers that were too
	// many or too long, and packets to players that hooks on the way could not
	// change or not in time.
	Packets, Batches, Dropped uint64
}

// Stats returns a snapshot.
func (w *World) Stats() WorldStats {
	w.mu.Lock()
	defer w.mu.Unlock()
	st := WorldStats{
		Players: len(w.members) - len(w.sounds), Talkers: int(w.stats.talkers.Load()), Voices: int(w.stats.voices.Load()),
		Announced: int(w.announced.Load()),
	}
	var c worldCounts
	c.add(w)
	c.show(&st)
	for _, m := range w.members {
		if m.seat.Load() != nil {
			st.Connected++
		}
	}
	return st
}

// hold takes the packet at hand of a member's microphone. It is the packet
// handler's, and waits for nobody.
func (w *World) hold(t *track, n int, arrival time.Time) {
	m := t.member
	level := unknownLevel
	if t.level.tells { // RFC 6464 section 3
		level = -float64(t.level.told & 0x7f)
	}
	loud := int32(level * 256)
	if arrival.UnixNano()-m.talked.Load() < int64(talkTime) {
		loud = max(loud, m.loud.Load()-256)
	}
	m.loud.Store(loud)
	if n-t.payload > 2 { // comfort noise is no talk
		m.talked.Store(arrival.UnixNano())
	}
	t.steer.aim = w.aim
	t.watch(&t.steer, arrival)
	if t.metered && n-t.payload > 2 {
		t.level.noteTold(t)
	}
	if n-t.payload > maxPayload-4 {
		w.stats.tooLarge.Add(1)
		return
	}

	switch at, ok := w.batch.add(t, n, arrival, w.wait); {
	case !ok:
		w.stats.full.Add(1)
	case !at.IsZero():
		w.tick.by(at)
	}
}

// run is a tick. It rests while nobody talks.
func (w *World) run(uint64, time.Time) (more bool) {
	began := time.Now()
	b, later := w.batch.take(began, w.wait)
	turn := w.settle() // after: who came and talked is known
	if began.Sub(w.worked) >= w.cfg.Tick-w.wait/2 {
		w.work(began, turn)
	} else {
		w.begin(b)
	}
	w.stats.talkers.Store(int64(w.active))
	w.stats.voices.Store(int64(w.aud.Voices()))
	w.stats.busy.Add(int64(time.Since(began)))
	if len(b.held) > 0 {
		w.send(b, began)
	}
	if !later.IsZero() {
		w.tick.by(later)
	}
	more = w.active > 0 || len(b.held) > 0 || !later.IsZero()
	w.batch.done(b)
	return more
}

// update tells the audience where players are, as the game had it after a Move,
// and who talks.
func (w *World) update(now time.Time, turn uint64) {
	w.place(turn)
	w.active = 0
	since := now.Add(-talkTime).UnixNano()
	for _, m := range w.byID {
		if m == nil {
			continue
		}
		if may := w.aud.CanTalk(m.id); m.hushed.Load() == may {
			m.hushed.Store(!may)
		}
		talks := m.track.Load() != nil && m.talked.Load() > since
		if talks {
			w.active++
			w.aud.SetLevel(m.id, float32(m.loud.Load())/256)
		}
		w.aud.SetTalking(m.id, talks)
		w.aud.SetListening(m.id, m.connected())
	}
}

// work works out who hears whom.
func (w *World) work(now time.Time, turn uint64) {
	w.update(now, turn)
	w.aud.Tick()
	w.scores.turn()
	w.worked = now
	w.stats.workedOut.Add(1)
	for _, m := range w.byID {
		if m == nil {
			continue
		}
		if st := m.seat.Load(); st != nil && len(st.slots) > 0 {
			st.sift(w.aud.Heard(m.id), now)
		}
	}
}

// begin lets those be heard at once who have just begun to talk.
func (w *World) begin(b worldTaken) {
	for i := range b.held {
		if m := b.held[i].m; b.first[m.id] == int32(i)+1 && w.byID[m.id] == m && m.track.Load() == b.held[i].t && !w.aud.IsTalking(m.id) {
			if w.active++; m.talked.Load() > 0 {
				w.aud.SetLevel(m.id, float32(m.loud.Load())/256)
				w.aud.SetTalking(m.id, true)
				w.aud.Begin(m.id)
			}
		}
	}
}

// A slot is a talker's track as one player has it.
type slot struct {
	track  *track
	talker audience.ID
	flow   uint64
	heard  time.Time // when something was last sent
	paused bool      // not heard now
	begun  bool
	offset uint16 // what is taken off the talker's numbers
	from   uint16 // the oldest that may pass
	top    uint16 // the newest number that was sent
	path   *path  // where plugins may change the sound, or nil
}

// pass gives a packet the number with which it is sent. What a player did not
// hear leaves no gap.
func (s *slot) pass(seq uint16) (out uint16, marker, ok bool) {
	if s.paused || !s.begun {
		marker = true
		if s.begun {
			s.offset = seq - s.top - 1
		}
		s.begun, s.paused = true, false
		s.from, s.top = seq, seq-s.offset
		return s.top, true, true
	}
	if int16(seq-s.from) < 0 {
		return 0, false, false
	}
	out = seq - s.offset
	if int16(out-s.top) > 0 {
		s.top = out
		if newest := seq; int16(newest-s.from) > 4096 {
			s.from = newest - 4096
		}
	}
	return out, false, true
}

// A seat is a member on a device, from entered until callEnd.
type seat struct {
	m   *member
	dev *device

	// mu guards over, and which slots there are: the tick alone changes slots, and
	// reads them without it.
	mu    sync.Mutex
	over  bool
	slots []slot // the tracks that the device has
	flow  uint64 // of the newest; the tick's own
}

// end lets nothing more be told of tracks.
func (st *seat) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.over {
		st.over = true
		st.m.w.announced.Add(-int64(len(st.slots)))
		for i := range st.slots {
			st.slots[i].path.end()
		}
	}
}

// maxSlots is how many tracks a player has at most: those that they hear, and
// as many who are out of hearing for the moment.
func (w *World) maxSlots() int { return 2 * w.cfg.Voices }

// slot is a talker's, which is announced if the player has it not; nil if they
// are about to leave. It is the tick's, as what follows.
func (st *seat) slot(t *track, talker audience.ID) *slot {
	for i := range st.slots {
		if st.slots[i].track == t {
			return &st.slots[i]
		}
	}
	if len(st.slots) >= st.m.w.maxSlots() { // the one that was silent longest goes
		oldest := 0
		for i := range st.slots {
			if st.slots[i].heard.Before(st.slots[oldest].heard) {
				oldest = i
			}
		}
		st.endSlot(oldest)
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over {
		return nil
	}
	st.slots = append(st.slots, slot{track: t, talker: talker, flow: st.freeFlow(), path: st.newPath(t)})
	st.m.w.announced.Add(1)
	s := &st.slots[len(st.slots)-1]
	d := t.describe(s.flow)
	d.SpaceExtension = spaceExtension
	st.dev.tell(signal.TypeTrackAdded, d)
	return s
}

// freeFlow is the next flow after the last that nothing is on: one that has just
// ended rests a while.
func (st *seat) freeFlow() uint64 {
	for {
		st.flow++
		if st.flow == rtcpFlow {
			st.flow = 1
		}
		if !slices.ContainsFunc(st.slots, func(s slot) bool { return s.flow == st.flow }) {
			return st.flow
		}
	}
}

// endSlot tells the player that a track is gone.
func (st *seat) endSlot(i int) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over {
		return
	}
	st.slots[i].path.end()
	st.dev.tell(signal.TypeTrackEnded, signal.TrackRef{TrackID: st.slots[i].track.id})
	st.slots = slices.Delete(st.slots, i, i+1)
	st.m.w.announced.Add(-1)
}

// sift pauses the tracks that are not heard, and ends those of talkers who have
// been out of hearing for a while.
func (st *seat) sift(heard []audience.Voice, now time.Time) {
	w := st.m.w
	for i := len(st.slots) - 1; i >= 0; i-- {
		s := &st.slots[i]
		if slices.ContainsFunc(heard, func(v audience.Voice) bool { return v.Talker == s.talker }) {
			continue
		}
		s.paused = true
		if now.Sub(s.heard) < w.cfg.Linger {
			continue
		}
		if w.aud.Reason(st.m.id, s.talker) != audience.Nothing {
			s.heard = now // silent, or muted, but there
			continue
		}
		st.endSlot(i)
	}
}

// sweep ends the slots of tracks that have ended.
func (w *World) sweep() {
	for _, m := range w.byID {
		if m == nil {
			continue
		}
		if st := m.seat.Load(); st != nil {
			for i := len(st.slots) - 1; i >= 0; i-- {
				if st.slots[i].track.closed.Load() {
					st.endSlot(i)
				}
			}
		}
	}
}

// publish makes a track a member's microphone. Server.mu is held.
func (w *World) publish(m *member, t *track) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.begun(m, t)
}

// memberFor is the member that a device publishes for. Server.mu is held.
func (w *World) memberFor(d *device) (*member, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[d.userID]
	switch {
	case m == nil || m.device() != d:
		return nil, refuse(hooks.CodeRefused, "%s is not in the world on this device", d.userID)
	case m.track.Load() != nil:
		return nil, refuse(hooks.CodeRefused, "%s has a microphone in the world already", d.userID)
	}
	return m, nil
}

// unpublish ends a track. Server.mu is held.
func (w *World) unpublish(t *track) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dropTrack(t)
}

// dropTrack is unpublish with mu held, too.
func (w *World) dropTrack(t *track) {
	t.member.track.CompareAndSwap(t, nil)
	r := w.call.room
	r.tracks = without(r.tracks, t)
	t.close()
	w.ended.Store(true)
	w.tick.by(time.Now().Add(w.wait))
}

// muted tells those who have a track that it is muted, or not any longer.
// Server.mu is held.
func (w *World) muted(t *track, req *signal.Mute) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.push(nil, func() {
		for _, m := range w.byID {
			if m == nil {
				continue
			}
			if st := m.seat.Load(); st != nil {
				st.muted(t, req)
			}
		}
	})
}

func (st *seat) muted(t *track, req *signal.Mute) {
	if !slices.ContainsFunc(st.slots, func(s slot) bool { return s.track == t }) {
		return
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.over {
		st.dev.tell(signal.TypeTrackMuted, req)
	}
}

// subscribe is a player who does not want to hear another, or does again.
func (w *World) subscribe(d *device, req *signal.Subscribe) error {
	w.mu.Lock()
	m := w.members[d.userID]
	talker := ""
	if m != nil && m.device() == d {
		talker = m.seat.Load().talker(req.TrackID)
	}
	w.mu.Unlock()
	if talker == "" {
		return refuse(hooks.CodeBadParam, "no track %d is sent to %s", req.TrackID, d.userID)
	}
	return w.Block(d.userID, !req.On, talker)
}

// talker is whose track the device has, or "".
func (st *seat) talker(trackID uint64) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i := range st.slots {
		if t := st.slots[i].track; t.id == trackID {
			return t.owner.userID
		}
	}
	return ""
}
