package engine

import (
	"runtime"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

// What was said goes out in shares of some receivers each, which the clock's
// idle workers take as well as the tick itself: a receiver's slots are one
// worker's at a time. What is a receiver's own in a packet is written into a copy
// of the batch that each worker has.
type sending struct {
	batch worldTaken
	now   time.Time
	todo  atomic.Int32  // shares that nobody has taken; below 0: there are none
	left  atomic.Int32  // shares that are not done
	done  chan struct{} // all are
	hands chan *hand
}

// shareSize is how many players, by ID, are one share.
const shareSize = 32

// A hand is what a worker sends with.
type hand struct {
	bytes         []byte // the batch's, but for what is a receiver's own
	out           [64]transport.Packet
	sent, batches int
}

func (s *sending) init() {
	n := runtime.GOMAXPROCS(0) + 1 // the clock's workers, and a test
	s.done, s.hands = make(chan struct{}, 1), make(chan *hand, n)
	for range n {
		s.hands <- &hand{}
	}
}

// send hands everybody what they hear of a batch.
func (w *World) send(b worldTaken, now time.Time) {
	s := &w.sending
	n := int32((len(w.byID) + shareSize - 1) / shareSize)
	if n == 0 {
		return
	}
	s.batch, s.now = b, now
	s.left.Store(n)
	s.todo.Store(n)
	w.tick.c.ask(w, int(n)-1)
	w.share()
	<-s.done
	s.batch = worldTaken{}
}

// share sends shares until there are none left. One who comes late, when the tick
// that asked for it is over, does no harm.
func (w *World) share() {
	s := &w.sending
	i := s.todo.Add(-1)
	if i < 0 {
		return
	}
	mark(w.tick.labels)
	began := time.Now()
	h := <-s.hands
	h.bytes = append(h.bytes[:0], s.batch.bytes...)
	for {
		from := int(i) * shareSize
		for _, m := range w.byID[from:min(from+shareSize, len(w.byID))] {
			if m != nil {
				w.sendTo(m, h)
			}
		}
		// Taken before this one is done: it is of the same tick.
		if i = s.todo.Add(-1); i < 0 {
			break
		}
		s.left.Add(-1)
	}
	w.stats.packets.Add(uint64(h.sent))
	w.stats.batches.Add(uint64(h.batches))
	w.stats.busy.Add(int64(time.Since(began)))
	h.sent, h.batches = 0, 0
	s.hands <- h
	if s.left.Add(-1) == 0 {
		s.done <- struct{}{}
	}
}

// sendTo hands a player what they hear of the batch.
func (w *World) sendTo(m *member, h *hand) {
	heard := w.aud.Heard(m.id)
	st := m.seat.Load()
	if len(heard) == 0 || st == nil {
		return
	}
	sess := st.dev.session.Load()
	if sess == nil {
		return
	}
	b := &w.sending.batch
	ears := m.ears.Load()
	out := h.out[:0]
	for i := range heard {
		v := &heard[i]
		if int(v.Talker) >= len(b.first) {
			continue
		}
		var sl *slot
		for k := b.first[v.Talker]; k != 0; {
			s := &b.held[k-1]
			k = s.next
			// A talker who left, or whose track did, has nothing to say.
			if w.byID[v.Talker] != s.m || s.m.track.Load() != s.t || s.t.muted.Load() {
				continue
			}
			if sl == nil {
				if sl = st.slot(s.t, v.Talker); sl == nil {
					return
				}
			}
			seq, marker, ok := sl.pass(s.seq)
			if !ok {
				continue
			}
			sl.heard = w.sending.now
			p := h.bytes[s.from:s.to]
			p[1] = p[1] &^ 0x80
			if marker || s.marker {
				p[1] |= 0x80
			}
			p[2], p[3] = byte(seq>>8), byte(seq)
			h.bytes[s.space], h.bytes[s.space+1] = byte(v.Gain), byte(v.Pan)
			one := transport.Packet{Flow: sl.flow, Class: classAudio, Deadline: s.arrival.Add(audioLifetime), Payload: p}
			if sl.path != nil && sl.path.active.Load() {
				sl.path.take(*sess, s, v, one)
				continue
			}
			if ears != nil {
				overhear(*ears, s, p, v)
			}
			out = append(out, one)
			if h.sent++; len(out) == len(h.out) {
				(*sess).SendBatch(out)
				out = h.out[:0]
			}
		}
	}
	if len(out) > 0 {
		h.batches++
		(*sess).SendBatch(out)
	}
}
