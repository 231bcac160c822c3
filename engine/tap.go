package engine

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	// maxTapQueue is how many packets wait for a tap, and maxTapFree how many
	// empty ones it keeps.
	maxTapQueue = 1024
	maxTapFree  = 64
	// maxTaps is how many taps a call or a world may have.
	maxTaps = 64
)

// A tap is one function of the host's that is told what a user says or hears.
// The media path puts items into its queue, and never waits.
type tap struct {
	room   *room
	name   string
	userID string // empty for everybody
	audio  bool   // it takes sound
	video  bool   // and pictures
	ears   bool   // it is on what the user hears
	apart  bool   // and is told each voice by itself
	queue  chan *tapItem
	free   chan *tapItem
	quit   chan struct{}
	done   chan struct{}
	once   sync.Once

	dropped atomic.Uint64
	panics  int // run's own
}

// A tapItem is a packet of a track, or a block of a mix.
type tapItem struct {
	t       *track
	layer   *filmLayer
	seq     uint16
	ts      uint32
	marker  bool
	arrival time.Time
	data    []byte

	gain, pan int8 // in a world, of a receiver's

	pcm      []int16
	channels int
}

func newTap(r *room, name, userID string) *tap {
	return &tap{
		room: r, name: name, userID: userID,
		queue: make(chan *tapItem, maxTapQueue), free: make(chan *tapItem, maxTapFree),
		quit: make(chan struct{}), done: make(chan struct{}),
	}
}

// startTap puts a tap on a call or a world. make is called with Server.mu held and
// returns what its goroutine runs.
func (s *Server) startTap(callID, userID, name string, make func(r *room, tp *tap) (run func(), err error)) (hooks.Tap, error) {
	if userID != "" {
		if err := signal.CheckUserID(userID); err != nil {
			return nil, &Error{Code: hooks.CodeBadParam, Message: err.Error()}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	c := s.calls[callID]
	if w := s.worlds[callID]; w != nil {
		c = w.call
	}
	if c == nil {
		return nil, refuse(hooks.CodeBadParam, "there is no call or world %.40q", callID)
	}
	r := c.room
	if len(r.taps) >= maxTaps {
		return nil, refuse(hooks.CodeRefused, "more than %d taps", maxTaps)
	}
	tp := newTap(r, name, userID)
	run, err := make(r, tp)
	if err != nil {
		return nil, err
	}
	r.taps = append(r.taps, tp)
	for _, t := range r.tracks {
		r.tapTrack(t)
	}
	s.tapping.Add(1)
	go func() {
		defer s.tapping.Done()
		defer close(tp.done)
		defer tp.Close()
		run()
	}()
	return tp, nil
}

// tapTrack puts the room's taps on a track. Server.mu is held.
func (r *room) tapTrack(t *track) {
	var taps []*tap
	for _, tp := range r.taps {
		wants := t.kind == signal.KindAudio && tp.audio || t.kind == signal.KindVideo && tp.video
		if wants && (tp.userID == "" || tp.userID == t.owner.userID) {
			taps = append(taps, tp)
		}
	}
	if len(taps) == 0 {
		t.taps.Store(nil)
		return
	}
	t.taps.Store(&taps)
	if t.film != nil { // a tap begins with a key frame
		for _, l := range t.film.layers {
			go l.keys.want()
		}
	}
}

// endTaps is the end of the room's call. Server.mu is held.
func (r *room) endTaps() {
	for _, tp := range r.taps {
		tp.once.Do(func() { close(tp.quit) })
	}
	r.taps = nil
	for _, t := range r.tracks {
		r.tapTrack(t)
	}
}

// Close is hooks.Tap's.
func (tp *tap) Close() error {
	tp.once.Do(func() { close(tp.quit) })
	r := tp.room
	r.srv.mu.Lock()
	defer r.srv.mu.Unlock()
	r.taps = without(r.taps, tp)
	for _, t := range r.tracks {
		r.tapTrack(t)
	}
	for _, d := range r.devs {
		d.dropEars(tp)
	}
	if w := r.call.world; w != nil && tp.ears {
		w.dropEars(tp)
	}
	return nil
}

func (tp *tap) Done() <-chan struct{} { return tp.done }
func (tp *tap) Dropped() uint64       { return tp.dropped.Load() }

// item is an empty one, or nil if too many wait.
func (tp *tap) item() *tapItem {
	if len(tp.queue) >= maxTapQueue {
		return nil
	}
	select {
	case it := <-tp.free:
		return it
	default:
		return new(tapItem)
	}
}

// push hands it to the tap's goroutine, or drops and counts it.
func (tp *tap) push(it *tapItem) {
	select {
	case tp.queue <- it:
	default:
		tp.dropped.Add(1)
	}
}

// recycle takes back an item that is done with.
func (tp *tap) recycle(it *tapItem) {
	it.t, it.layer = nil, nil
	select {
	case tp.free <- it:
	default:
	}
}

// tapped gives the packet at hand to the track's taps. It is the hot path.
func (t *track) tapped(taps []*tap, layer *filmLayer, n int, arrival time.Time) {
	for _, tp := range taps {
		it := tp.item()
		if it == nil {
			tp.dropped.Add(1)
			continue
		}
		h := &t.header
		it.t, it.layer, it.seq, it.ts, it.marker, it.arrival = t, layer, h.SequenceNumber, h.Timestamp, h.Marker, arrival
		it.data = append(it.data[:0], t.buf[t.payload:n]...)
		tp.push(it)
	}
}

// call calls the host's function, and contains its panics.
func (tp *tap) call(f func()) {
	defer func() {
		if p := recover(); p != nil {
			tp.panics++
			log := tp.room.srv.log
			log.Error("tap panicked", "tap", tp.name, "user", tp.userID, "panic", p, "stack", string(debug.Stack()))
			if tp.panics >= maxHookPanics {
				log.Warn("tap taken off", "tap", tp.name, "user", tp.userID)
				tp.once.Do(func() { close(tp.quit) })
			}
		}
	}()
	f()
}

// over reports whether the tap has ended.
func (tp *tap) over() bool {
	select {
	case <-tp.quit:
		return true
	default:
		return false
	}
}

// TapPackets tells f what a user of a call or a world (World.ID) sends, as it came:
// Opus packets and whole VP8 frames, of which those of a camera's largest size that
// is sent. It needs no codec. An empty userID is everybody, those who come later and
// the server's own sounds (Play) included; a user's tap stays while they come and go.
// What a muted user sends, or in a world one whom nobody may hear (World.SetMute,
// SetSpectator), and what a plugin's Packet drops, is not told. f's goroutine, and
// the end, are as hooks.Tap says. Errors: an *Error if there is no such call or
// world, the user ID is none, or there are 64 taps on it already; ErrClosed.
func (s *Server) TapPackets(callID, userID string, f func(hooks.TapPacket)) (hooks.Tap, error) {
	if f == nil {
		return nil, errNoTapFunc
	}
	return s.startTap(callID, userID, "packets", func(_ *room, tp *tap) (func(), error) {
		tp.audio, tp.video = true, true
		return func() { tp.runPackets(f) }, nil
	})
}

var errNoTapFunc = &Error{Code: hooks.CodeBadParam, Message: "a tap without a function"}

func (tp *tap) runPackets(f func(hooks.TapPacket)) {
	films := tapFilms{tp: tp, f: f}
	defer films.close()
	for {
		select {
		case <-tp.quit:
			return
		case <-films.due():
			films.wait()
		case it := <-tp.queue:
			if it.layer != nil {
				films.push(it)
			} else {
				p := hooks.TapPacket{
					UserID: it.t.owner.userID, Track: it.t.id, SequenceNumber: it.seq, Timestamp: it.ts, Marker: it.marker,
					Data: it.data, Arrival: it.arrival,
				}
				tp.call(func() { f(p) })
			}
			tp.recycle(it)
		}
		if tp.over() {
			return
		}
	}
}

// closeTaps waits for the taps' functions: for as long as a decider may take,
// since one that hangs must not hang Close.
func (s *Server) closeTaps() {
	ended := make(chan struct{})
	go func() {
		s.tapping.Wait()
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), deciderTimeout)
	defer cancel()
	select {
	case <-ended:
	case <-ctx.Done():
		s.log.Warn("a tap's function still runs; not waiting for it")
	}
}

// needsCodec says why a tap on sound cannot be.
func (s *Server) needsCodec() error {
	if s.cfg.Codec == nil {
		return fmt.Errorf("%w: sound is to be decoded; TapPackets needs none", ErrNoCodec)
	}
	return nil
}
