package engine

import (
	"slices"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/transport"
)

// bundleFrom is the size of a room from which voices wait for one another: what
// is saved grows with the receivers, and a call of a few would rather have the
// milliseconds.
const bundleFrom = 8

// frameTime is the length of most talkers' frames: what phases are steered by.
const frameTime = 20 * time.Millisecond

// A window collects the voices of a room that come within a few milliseconds of
// one another, so that they leave as one datagram for each receiver; see awaited. A
// packet is stored once. Talkers' frames are steered to one moment.
type window struct {
	room   *room
	tick   *ticker
	length time.Duration
	aim    aim // of talkers' frames

	mu      sync.Mutex
	batch   *batch
	awaited awaited
	spare   []*batch
}

// A batch is what a window has collected.
type batch struct {
	held    []heldVoice
	bytes   []byte
	packets []transport.Packet // for flush
}

// heldVoice is a packet that waits: bytes[from:to] of its batch.
type heldVoice struct {
	t        *track
	from, to int
	deadline time.Time
}

const (
	batchPackets = 128
	batchBytes   = 16 << 10
)

func newBatch() *batch {
	return &batch{
		held: make([]heldVoice, 0, batchPackets), bytes: make([]byte, 0, batchBytes),
		packets: make([]transport.Packet, 0, batchPackets),
	}
}

// newWindow makes the window of a room.
func newWindow(r *room, length time.Duration) *window {
	w := &window{room: r, length: length, batch: newBatch()}
	w.tick = r.ticker(length, w.run)
	w.tick.free = length
	w.tick.uncounted, w.tick.meter, w.tick.labels = true, nil, r.marked().forward
	w.aim = aim{w.tick.grid(frameTime), true}
	return w
}

// hold takes a packet of a voice. It reports false if there is no room for it,
// and it must go at once.
func (w *window) hold(t *track, packet []byte, deadline, arrival time.Time) bool {
	w.mu.Lock()
	b := w.batch
	if len(b.held) == cap(b.held) || len(b.bytes)+len(packet) > cap(b.bytes) {
		w.mu.Unlock()
		return false
	}
	look := w.awaited.come(&t.regular, arrival, w.length, len(b.held) == 0)
	from := len(b.bytes)
	b.bytes = append(b.bytes, packet...)
	b.held = append(b.held, heldVoice{t, from, len(b.bytes), deadline})
	w.mu.Unlock()
	if !look.IsZero() {
		w.tick.by(look)
	}
	return true
}

// run is the window's tick: it rests while nothing is said.
func (w *window) run(uint64, time.Time) (more bool) {
	b, later := w.take(time.Now())
	if b != nil {
		w.send(b)
	}
	if !later.IsZero() {
		w.tick.by(later)
	}
	return !later.IsZero()
}

// take takes out what was collected, if it is complete or has waited long enough.
// Else it returns when it will have, if there is something.
func (w *window) take(now time.Time) (b *batch, later time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	b = w.batch
	if len(b.held) == 0 {
		return nil, later
	}
	if later = w.awaited.until(); later.Sub(now) > tickSlack {
		return nil, later
	}
	if n := len(w.spare); n > 0 {
		w.batch, w.spare = w.spare[n-1], w.spare[:n-1]
	} else {
		w.batch = newBatch()
	}
	return b, time.Time{}
}

// send hands everybody what is theirs of a batch. No lock is held.
func (w *window) send(b *batch) {
	table := w.room.route.Load()
	for i := range table.rows {
		row := &table.rows[i]
		sess := row.to.session.Load()
		if sess == nil {
			continue
		}
		out := b.packets[:0]
		for k := range b.held {
			h := &b.held[k]
			if at := h.t.column; at < len(row.flows) && table.columns[at] == h.t && row.flows[at] != 0 {
				out = append(out, transport.Packet{
					Flow: row.flows[at], Class: classAudio, Deadline: h.deadline, Payload: b.bytes[h.from:h.to],
				})
			}
		}
		if len(out) > 0 {
			(*sess).SendBatch(out)
		}
	}
	clear(b.held)
	clear(b.packets[:cap(b.packets)])
	b.held, b.bytes = b.held[:0], b.bytes[:0]
	w.mu.Lock()
	w.spare = append(w.spare, b)
	w.mu.Unlock()
}

// close ends the window; what it holds is not sent.
func (w *window) close() { w.tick.remove() }

// A row is what one receiver hears, by columns: the flow of each track, 0 for
// those that it does not hear.
type row struct {
	to    *device
	flows []uint64
}

// arrange makes the rows of a table.
func (n *routes) arrange(tracks []*track, devs []*device) {
	for _, t := range tracks {
		if t.kind == signal.KindAudio {
			if t.column >= len(n.columns) {
				n.columns = append(n.columns, make([]*track, t.column+1-len(n.columns))...)
			}
			n.columns[t.column] = t
		}
	}
	for _, d := range devs {
		r := row{to: d, flows: make([]uint64, len(n.columns))}
		for t, l := range d.legs {
			if t.kind == signal.KindAudio && l.passes(t) {
				r.flows[t.column] = l.flow
			}
		}
		if slices.ContainsFunc(r.flows, func(flow uint64) bool { return flow != 0 }) {
			n.rows = append(n.rows, r)
		}
	}
}

// freeColumn is the lowest column of a table that no audio track has.
func (r *room) freeColumn() int {
	used := make(map[int]bool, len(r.tracks))
	for _, t := range r.tracks {
		if t.kind == signal.KindAudio {
			used[t.column] = true
		}
	}
	n := 0
	for used[n] {
		n++
	}
	return n
}
