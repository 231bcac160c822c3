package engine

import (
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// RoomWorld is what worlds are among Snapshot.Rooms. No room can be set to it.
const RoomWorld hooks.RoomMode = "world"

// WorldsStats is what all worlds of a server do and have done, those that are
// closed too. How their players' connections and packets fare is in the Snapshot
// with everybody else's.
type WorldsStats struct {
	// Open is how many worlds there are.
	Open int
	// WorldStats are theirs, added up.
	WorldStats
	// TickTime is how long ticks took, and TickLateness how long after they were
	// due they were done, in seconds. A world ticks once in a
	// ServerConfig.BundleWindow while anybody talks: what was said is handed to who
	// hears it, and once in a WorldConfig.Tick who hears whom is worked out first.
	TickTime, TickLateness Histogram
	// Decoded and Encoded are packets that were decoded and encoded for hooks on
	// sound (Plugin.Processor and PathProcessor).
	Decoded, Encoded uint64
}

// addWorlds counts what worlds are now.
func (out *Snapshot) addWorlds(worlds []*World) {
	all := &out.Worlds
	all.Open = len(worlds)
	for _, w := range worlds {
		st := w.Stats()
		all.Players += st.Players
		all.Connected += st.Connected
		all.Talkers += st.Talkers
		all.Voices += st.Voices
		all.Announced += st.Announced
		if st.Connected > 0 {
			out.Rooms[RoomWorld]++
		}
	}
	out.Participants += all.Connected
}

// worldCounts is what a world, or many, have counted.
type worldCounts struct {
	workedOut, packets, batches       uint64
	full, tooLarge, behind, unchanged uint64
	busy                              time.Duration
}

func (c *worldCounts) add(w *World) {
	s := &w.stats
	c.workedOut += s.workedOut.Load()
	c.packets += s.packets.Load()
	c.batches += s.batches.Load()
	c.full += s.full.Load()
	c.tooLarge += s.tooLarge.Load()
	c.behind += s.behind.Load()
	c.unchanged += s.unchanged.Load()
	c.busy += time.Duration(s.busy.Load())
}

func (c *worldCounts) show(out *WorldStats) {
	out.Ticks, out.Busy = c.workedOut, c.busy
	out.Packets, out.Batches, out.Dropped = c.packets, c.batches, c.full+c.tooLarge+c.behind+c.unchanged
}

// measure makes a new world's work show in the server's snapshots and in
// profiles. Server.mu is held.
func (w *World) measure() {
	labels := w.call.room.marked()
	w.call.room.route.Store(&routes{labels: labels})
	w.tick.uncounted, w.tick.meter, w.tick.labels = true, &w.srv.meters.worldTicks, labels.forward
	m := &w.srv.meters
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.worlds == nil {
		m.worlds = make(map[*World]struct{})
	}
	m.worlds[w] = struct{}{}
}

// endWorld keeps what a world has counted. A tick that is at its end may count a
// little more, which is lost.
func (m *meters) endWorld(w *World) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, open := m.worlds[w]; open {
		m.past.worlds.add(w)
		delete(m.worlds, w)
	}
}
