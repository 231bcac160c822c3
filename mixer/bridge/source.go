package bridge

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// SourceConfig describes a talker's track.
type SourceConfig struct {
	// Owner is whose it is: receivers of the same owner do not hear it.
	Owner uint64
	// SSRC names it in the packets sent, as a contributing source.
	SSRC uint32
	// Process sees, and may change, each frame of the track before it is
	// mixed: 48 kHz mono, one frame. It is called by Tick, and the slice is
	// valid until it returns. It goes on for 400 ms after the track has fallen
	// silent, so that an effect can die away. Default none.
	Process func(pcm []int16)
	// Level is told the level of each frame that has sound, in dBov before any
	// gain, and whether it is speech. It is called by Tick. Default none.
	Level func(dBov float64, voice bool)
	// Tag is the caller's own, for Source.Tag. Default none.
	Tag any
}

// A Source is one talker's track. Its methods may be called from any goroutine.
type Source struct {
	br  *Bridge
	cfg SourceConfig

	guard   guard      // Push's own
	making  sync.Mutex // while the buffer is being made
	buf     atomic.Pointer[jitter.Buffer]
	pushed  atomic.Uint64
	refused atomic.Uint64
	broken  atomic.Bool // the driver would not make a decoder

	// What follows is Tick's own.
	position mixer.Vector
	placed   bool // position is known
	pcm      []int16
	seen     uint64 // pushed at the last pull
	rest     int    // ticks since a packet came
	resting  int    // of which so many are pulled
	vad      mixer.VoiceDetector
	agc      mixer.AutoGain
	gate     mixer.NoiseGate

	timestamp uint32  // of the last frame
	level     float64 // of the last frame; Silence if it had no sound
	voice     bool
	quiet     int     // ticks since it was audible
	words     int     // ticks since it was speech
	score     float64 // dBov, sinking slowly
	slot      int     // its place among the talkers, or -1
	fade      fade
	levels    [levelTicks]byte // of the last ticks, as RFC 6465 writes them
	owner     *owner
	gone      bool
}

type fade uint8

const (
	steady fade = iota
	fadeIn
	fadeOut
)

// restTime is for how long after the last packet a track is still pulled: the
// jitter buffer has faded out by then.
const restTime = 240 * time.Millisecond

// AddSource adds a track. It costs next to nothing until its first packet.
func (b *Bridge) AddSource(cfg SourceConfig) *Source {
	s := &Source{br: b, cfg: cfg, slot: -1, level: mixer.Silence, score: mixer.Silence}
	s.resting = b.resting
	if cfg.Process != nil {
		s.resting = max(s.resting, b.ticksOf(holdTime))
	}
	s.rest = s.resting
	s.quiet, s.words = b.hold, b.hold
	b.do(func() {
		s.owner = b.ownerOf(cfg.Owner)
		s.owner.sources++
		b.sources = append(b.sources, s)
	})
	return s
}

// Remove takes the track out of the room. Packets that come later are dropped.
func (s *Source) Remove() {
	s.broken.Store(true)
	s.br.do(func() {
		if s.gone {
			return
		}
		s.gone = true
		b := s.br
		if s.slot >= 0 {
			b.release(s)
		}
		b.sources = without(b.sources, s)
		for _, r := range b.receivers {
			r.forget(s)
		}
		for _, r := range b.ears {
			r.forget(s)
		}
		s.owner.sources--
		b.leave(s.owner)
	})
}

// SetPosition says where the track is heard from, for receivers with a pose.
func (s *Source) SetPosition(at mixer.Vector) {
	s.br.do(func() { s.position, s.placed = at, true })
}

// ClearPosition ends what SetPosition began.
func (s *Source) ClearPosition() {
	s.br.do(func() { s.placed = false })
}

// Push takes a packet from the network, in any order and at any time; its
// payload is copied. What a jitter buffer cannot use is dropped and counted, and
// so is all of a track whose packets are no Opus. One goroutine pushes.
func (s *Source) Push(p jitter.Packet) {
	if !s.guard.pass(p) {
		s.refused.Add(1)
		return
	}
	buf := s.buf.Load()
	if buf == nil {
		if buf = s.make(); buf == nil {
			return
		}
	}
	buf.Push(p)
	s.pushed.Add(1)
	s.br.wake()
}

// make makes the jitter buffer, with the first packet.
func (s *Source) make() *jitter.Buffer {
	s.making.Lock()
	defer s.making.Unlock()
	if buf := s.buf.Load(); buf != nil || s.broken.Load() {
		return buf
	}
	dec, err := s.br.cfg.Driver.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		s.broken.Store(true)
		return nil
	}
	buf, err := jitter.New(jitter.Config{Decoder: dec})
	if err != nil {
		s.broken.Store(true)
		return nil
	}
	s.buf.Store(buf)
	return buf
}

// Tag is SourceConfig.Tag.
func (s *Source) Tag() any { return s.cfg.Tag }

// Timestamp is the RTP timestamp of the frame at hand (jitter.Result). It is for
// what Tick calls.
func (s *Source) Timestamp() uint32 { return s.timestamp }

// Refused is how many packets were dropped because the track's are no Opus.
func (s *Source) Refused() uint64 { return s.refused.Load() }

// Stats are those of the track's jitter buffer.
func (s *Source) Stats() jitter.Stats {
	if buf := s.buf.Load(); buf != nil {
		return buf.Stats()
	}
	return jitter.Stats{}
}

// pull takes the next frame from the track, and reports whether there is any
// sound to be had from it.
func (s *Source) pull(now time.Time) bool {
	b := s.br
	s.levels[b.tick%levelTicks] = noLevel
	buf := s.buf.Load()
	if buf == nil {
		return false
	}
	if pushed := s.pushed.Load(); pushed != s.seen {
		s.seen, s.rest = pushed, 0
	} else if s.rest++; s.rest >= s.resting {
		if s.rest == s.resting { // it has fallen silent
			s.level, s.voice = mixer.Silence, false
			s.quiet, s.words = b.hold, b.hold
		}
		return false
	}
	if s.pcm == nil {
		s.pcm = make([]int16, b.samples)
	}
	res := buf.Pull(s.pcm, now)
	s.timestamp = res.Timestamp
	b.stats.Decoded.Add(1)
	s.measure(res)
	if s.owner != nil && s.quiet == 0 {
		s.owner.active = b.tick
	}
	if b.cfg.NoiseGate {
		s.gate.Process(s.pcm, s.voice)
	}
	if b.cfg.AutoGain {
		s.agc.Process(s.pcm, s.voice)
	}
	if s.cfg.Process != nil {
		s.cfg.Process(s.pcm)
	}
	return true
}

// measure says how loud the frame is, before anything is done to it.
func (s *Source) measure(res jitter.Result) {
	b := s.br
	if !res.Active && res.Decoded == 0 {
		s.vad.Silence(len(s.pcm))
		s.voice = false
	} else {
		s.voice = s.vad.Process(s.pcm)
	}
	s.level = mixer.Silence
	if res.HasLevel {
		s.level = res.Level
		if s.cfg.Level != nil {
			s.cfg.Level(s.level, s.voice)
		}
		s.levels[b.tick%levelTicks] = levelByte(s.level, s.voice)
	}
	if s.level >= audible || s.voice {
		s.quiet = 0
	} else {
		s.quiet++
	}
	if s.voice {
		s.words = 0
	} else {
		s.words++
	}
	s.score = max(s.level, s.score-b.sink)
}
