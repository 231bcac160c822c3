package bridge

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer"
)

// A Bridge mixes one room. Tick is called by one goroutine at a time, all else
// may be called from any.
type Bridge struct {
	cfg     Config
	samples int // of a frame
	hold    int // ticks: see holdTime
	word    int
	resting int
	sink    float64 // dB a tick

	stats counters

	todoMu sync.Mutex
	todo   []func()
	idle   atomic.Bool // nothing is to be done until it is woken

	// What follows is Tick's own.
	tick      uint64
	spent     int // ticks without any sound
	frames    int // for those who only listen
	loss      int // percent, that receivers have
	sources   []*Source
	receivers []*Receiver
	ears      []*Receiver // those that take the mix as it is
	owners    map[uint64]*owner
	streams   []*stream
	spare     []*stream // encoders to be used again

	active  []*Source           // with a frame in this tick
	talkers [MaxTalkers]*Source // in the mix, each in its slot
	seated  [MaxTalkers]uint32  // how often a slot was given away
	talking int

	sum    []int32 // of all talkers
	mix    []int32 // of one stream, stereo at most
	pcm    []int16
	plain  mixKey // what is heard by who has no wishes of their own
	keys   map[mixKey]*stream
	marked []*owner // owners of talkers
}

// counters are what Stats shows.
type counters struct {
	Ticks, Decoded, Encoded, Packets, Forks, Copies, Merges atomic.Uint64
	Streams, Talkers                                        atomic.Int64
}

// Stats counts what a bridge has done.
type Stats struct {
	// Ticks in which there was something to do, frames pulled from talkers'
	// jitter buffers, frames encoded, and packets sent.
	Ticks, Decoded, Encoded, Packets uint64
	// Forks of streams, of which Copied began with a copy of the encoder's
	// state, and merges.
	Forks, Copied, Merges uint64
	// Streams and Talkers are those of the last tick.
	Streams, Talkers int
}

// Stats returns a snapshot.
func (b *Bridge) Stats() Stats {
	c := &b.stats
	return Stats{
		Ticks: c.Ticks.Load(), Decoded: c.Decoded.Load(), Encoded: c.Encoded.Load(), Packets: c.Packets.Load(),
		Forks: c.Forks.Load(), Copied: c.Copies.Load(), Merges: c.Merges.Load(),
		Streams: int(c.Streams.Load()), Talkers: int(c.Talkers.Load()),
	}
}

// An owner is whoever speaks and hears under one number.
type owner struct {
	id        uint64
	sources   int
	receivers []*Receiver
	active    uint64 // the last tick in which a track of theirs was audible
	talks     uint16 // bit i: the talker in slot i is theirs; for this tick
}

// New returns a bridge without sources or receivers. It is idle. Errors wrap
// [ErrConfig], and the driver's if it cannot encode and decode.
func New(cfg Config) (*Bridge, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Bridge{
		cfg: cfg, samples: int(codec.SampleRate * cfg.FrameDuration / time.Second),
		frames: cfg.FramesPerPacket,
		owners: make(map[uint64]*owner), keys: make(map[mixKey]*stream),
	}
	b.hold, b.word, b.resting = b.ticksOf(holdTime), b.ticksOf(wordTime), b.ticksOf(restTime)
	b.sink = sinkRate * cfg.FrameDuration.Seconds()
	b.sum, b.mix = make([]int32, b.samples), make([]int32, 2*b.samples)
	b.pcm = make([]int16, 2*b.samples)
	// A driver that cannot is found out here, not in the first call.
	if _, err := cfg.Driver.NewDecoder(codec.DecoderConfig{}); err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	s, err := b.newStream(false)
	if err != nil {
		return nil, fmt.Errorf("bridge: %w", err)
	}
	b.spare = append(b.spare, s)
	b.idle.Store(true)
	return b, nil
}

func (b *Bridge) ticksOf(d time.Duration) int { return int(d / b.cfg.FrameDuration) }

// FrameDuration is the time between ticks.
func (b *Bridge) FrameDuration() time.Duration { return b.cfg.FrameDuration }

// do lets the next tick begin with f.
func (b *Bridge) do(f func()) {
	b.todoMu.Lock()
	b.todo = append(b.todo, f)
	b.todoMu.Unlock()
	b.wake()
}

// wake asks for ticks if there are none.
func (b *Bridge) wake() {
	if b.idle.Load() && b.idle.CompareAndSwap(true, false) {
		b.cfg.Wake()
	}
}

// SetFramesPerPacket changes Config.FramesPerPacket, within its bounds, as a
// way out for a server that is short of time.
func (b *Bridge) SetFramesPerPacket(n int) {
	n = max(1, min(MaxFramesPerPacket, n))
	if b.cfg.FrameDuration != 20*time.Millisecond {
		n = 1
	}
	b.do(func() { b.frames = n })
}

// SetLoss says how many percent of the packets sent get lost: from 2 on the
// mixes carry forward error correction.
func (b *Bridge) SetLoss(percent int) {
	percent = max(0, min(100, percent))
	b.do(func() {
		b.loss = percent
		for _, s := range b.streams {
			s.setLoss(percent)
		}
		for _, s := range b.spare {
			s.setLoss(percent)
		}
	})
}

const (
	// idleTime is how long nothing has been heard before a bridge is idle.
	idleTime = 600 * time.Millisecond
	// levelTicks is how many ticks' levels a source remembers.
	levelTicks = 16
	// levelTime is how often packets say who speaks how loud.
	levelTime = 100 * time.Millisecond
)

// Tick mixes and sends one frame. n is the number of the tick, counted by the
// clock from any start, also while the bridge is idle: it is what the
// timestamps are made of. now is when the tick was due. It reports whether it
// wants to be ticked again; if not, Config.Wake says when it does. What Process,
// Level and Send do is part of the tick, their panics too.
func (b *Bridge) Tick(n uint64, now time.Time) (more bool) {
	b.stats.Ticks.Add(1)
	b.tick = n
	b.drain()
	b.active = b.active[:0]
	for _, s := range b.sources {
		if s.pull(now) {
			b.active = append(b.active, s)
		}
	}
	b.choose()
	b.fadeEdges()
	b.group()
	b.sumUp()
	for _, s := range b.streams {
		s.encode()
	}
	for _, r := range b.ears {
		r.hear(now)
	}
	b.send()
	b.stats.Streams.Store(int64(len(b.streams)))
	b.stats.Talkers.Store(int64(b.talking))
	return b.rests()
}

// drain does what was asked for since the last tick.
func (b *Bridge) drain() {
	b.todoMu.Lock()
	todo := b.todo
	b.todo = nil
	b.todoMu.Unlock()
	for _, f := range todo {
		f()
	}
}

// rests decides whether the bridge falls idle.
func (b *Bridge) rests() (more bool) {
	if len(b.active) > 0 {
		b.spent = 0
		return true
	}
	if b.spent++; b.spent < b.ticksOf(idleTime) {
		return true
	}
	b.idle.Store(true)
	b.todoMu.Lock()
	waiting := len(b.todo) > 0
	b.todoMu.Unlock()
	for _, s := range b.sources {
		waiting = waiting || s.pushed.Load() != s.seen
	}
	// Whoever came in between has woken it, or is seen here.
	return waiting && b.idle.CompareAndSwap(true, false)
}

// sumUp adds all talkers up.
func (b *Bridge) sumUp() {
	if b.talking == 0 {
		return
	}
	clear(b.sum)
	for _, s := range b.talkers {
		if s != nil {
			mixer.Add(b.sum, s.pcm)
		}
	}
}

func (b *Bridge) ownerOf(id uint64) *owner {
	o := b.owners[id]
	if o == nil {
		o = &owner{id: id}
		b.owners[id] = o
	}
	return o
}

// leave forgets an owner who has neither sources nor receivers.
func (b *Bridge) leave(o *owner) {
	if o.sources == 0 && len(o.receivers) == 0 {
		delete(b.owners, o.id)
	}
}

// without is list less x, in its order; it may reuse the list.
func without[T comparable](list []T, x T) []T {
	for i, y := range list {
		if y == x {
			copy(list[i:], list[i+1:])
			var zero T
			list[len(list)-1] = zero
			return list[:len(list)-1]
		}
	}
	return list
}
