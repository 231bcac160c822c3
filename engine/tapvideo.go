package engine

import (
	"time"

	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	// tapVideoOrder is how many packets of a size wait for one that is missing,
	// and tapVideoWait for how long: the server has asked for it again.
	tapVideoOrder = 256
	tapVideoWait  = 300 * time.Millisecond
	// tapVideoGone is after how long without a frame a size is taken to be sent no
	// more, and tapKeyEvery how often one is asked for a key frame.
	tapVideoGone = time.Second
	tapKeyEvery  = time.Second
)

// tapFilms makes frames of what a tap gets of cameras. It is the tap's
// goroutine's own.
type tapFilms struct {
	tp     *tap
	f      func(hooks.TapPacket)
	layers map[*filmLayer]*tapLayer
	shown  map[*track]*tapLayer // the size that is told
	timer  *time.Timer
}

// tapLayer is one size of a camera.
type tapLayer struct {
	of       *filmLayer
	t        *track
	order    *forward.Order
	asm      vp8.Assembler
	meta     map[uint16]tapMeta // of the packets in order
	arrival  time.Time          // of the packet that was taken last
	since    time.Time          // a packet is missing from here on
	due      uint16             // the number after the last packet taken
	whole    bool               // what comes needs nothing that was lost
	framed   time.Time          // of the last frame
	asked    time.Time
	droppedF uint64
}

type tapMeta struct {
	ts      uint32
	marker  bool
	arrival time.Time
}

// due is when a packet that is missing is given up.
func (f *tapFilms) due() <-chan time.Time {
	if f.timer == nil {
		return nil
	}
	return f.timer.C
}

func (f *tapFilms) close() {
	if f.timer != nil {
		f.timer.Stop()
	}
}

// push takes a packet.
func (f *tapFilms) push(it *tapItem) {
	l := f.layers[it.layer]
	if l == nil {
		if f.layers == nil {
			f.layers, f.shown = make(map[*filmLayer]*tapLayer), make(map[*track]*tapLayer)
		}
		f.forget()
		l = &tapLayer{of: it.layer, t: it.t, order: forward.NewOrder(tapVideoOrder), meta: make(map[uint16]tapMeta)}
		f.layers[it.layer] = l
	}
	l.order.Push(it.seq, it.data)
	if int16(it.seq-l.order.Next()) >= 0 { // not too late
		l.meta[it.seq] = tapMeta{it.ts, it.marker, it.arrival}
	}
	if len(l.meta) > 2*tapVideoOrder { // some were given up
		for seq := range l.meta {
			if int16(seq-l.order.Next()) < 0 {
				delete(l.meta, seq)
			}
		}
	}
	f.take(l)
}

// take takes what is in order, and gives up what has been missing for long.
func (f *tapFilms) take(l *tapLayer) {
	for {
		seq := l.order.Next()
		data, ok := l.order.Pop()
		if !ok {
			if l.order.Waiting() == 0 || l.since.IsZero() || time.Since(l.since) < tapVideoWait {
				break
			}
			for at := l.order.Next(); ; at = l.order.Next() {
				if l.order.Skip(); l.order.Next() == at {
					break // it is there
				}
			}
			l.since = time.Time{}
			continue
		}
		l.since = time.Time{}
		m := l.meta[seq]
		delete(l.meta, seq)
		if seq != l.due { // something before it never came
			l.whole = false
		}
		l.due = seq + 1
		l.arrival = m.arrival
		frame, whole, err := l.asm.Push(seq, m.ts, m.marker, data)
		if err != nil || l.asm.Dropped() != l.droppedF {
			l.droppedF, l.whole = l.asm.Dropped(), false
		}
		if whole {
			f.frame(l, frame)
		}
	}
	if l.order.Waiting() == 0 {
		return
	}
	if !l.since.IsZero() {
		return // it waits already
	}
	l.since = time.Now()
	if f.timer == nil {
		f.timer = time.NewTimer(tapVideoWait)
	} else {
		f.timer.Reset(tapVideoWait)
	}
}

// wait sees to what has been missing for long.
func (f *tapFilms) wait() {
	for _, l := range f.layers {
		f.take(l)
	}
	for _, l := range f.layers { // others began to wait meanwhile
		if !l.since.IsZero() {
			f.timer.Reset(max(0, tapVideoWait-time.Since(l.since)))
			return
		}
	}
}

// frame tells of a frame, if it is of the size that is told.
func (f *tapFilms) frame(l *tapLayer, frame vp8.Frame) {
	h, ok := vp8.ParseFrameHeader(frame.Data)
	if !ok {
		l.whole = false
		return
	}
	now := l.arrival
	l.framed = now
	if h.KeyFrame {
		l.whole = true
	}
	shown := f.shown[l.t]
	better := shown == nil || shown == l || l.of.n > shown.of.n || now.Sub(shown.framed) > tapVideoGone
	if !better {
		return
	}
	if !l.whole || shown != l && !h.KeyFrame {
		if now.Sub(l.asked) > tapKeyEvery {
			l.asked = now
			l.of.keys.want()
		}
		return
	}
	f.shown[l.t] = l
	p := hooks.TapPacket{
		UserID: l.t.owner.userID, Track: l.t.id, Video: true, Timestamp: frame.Timestamp, Marker: true,
		Data: frame.Data, Arrival: l.arrival, KeyFrame: h.KeyFrame, Width: h.Width, Height: h.Height,
	}
	f.tp.call(func() { f.f(p) })
}

// forget forgets the tracks that have ended.
func (f *tapFilms) forget() {
	for of, l := range f.layers {
		if l.t.closed.Load() {
			delete(f.layers, of)
			delete(f.shown, l.t)
		}
	}
}
