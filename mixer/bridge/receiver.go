package bridge

import (
	"math"
	"time"

	"github.com/earshotrtc/earshot/mixer"
)

// ReceiverConfig describes who hears the mix.
type ReceiverConfig struct {
	// Owner is who it is: they do not hear their own sources.
	Owner uint64
	// Send takes an RTP packet of the mix. It is called by Tick, must not
	// block, and the slice is valid until it returns.
	Send func(packet []byte)
	// PCM takes the mix as it is instead, and nothing is encoded or sent: each
	// frame in which somebody is heard, 48 kHz, one channel or two, interleaved,
	// and when it was due. It is called by Tick, must not block, and the slice is
	// valid until it returns. Default none.
	PCM func(pcm []int16, channels int, due time.Time)
	// Voice is as PCM, but takes each talker by itself, as loud and from where the
	// receiver hears them: one call for each in a frame, with the same due. Only one
	// of the two is set. Default none.
	Voice func(s *Source, pcm []int16, channels int, due time.Time)
}

// A Receiver is sent one stream: everybody else, mixed. Its methods may be
// called from any goroutine; they take effect with the next tick.
type Receiver struct {
	br  *Bridge
	cfg ReceiverConfig

	// What follows is Tick's own.
	owner  *owner
	gains  map[*Source]float32 // other than 1
	paths  map[*Source]func(pcm []int16)
	finish func(pcm []int16, channels int)
	way    []int16 // for paths
	pose   mixer.Pose
	placed bool // it has a pose, and hears in stereo
	stream *stream
	want   mixKey // of this tick
	plain  bool   // want is what all hear
	seq    uint16
	going  bool // a packet was sent for the last frame
	packed bool // it gets several frames in a packet
	gone   bool
}

// MaxGain is the most by which a receiver can have a talker amplified.
const MaxGain = 4

// AddReceiver adds a receiver.
func (b *Bridge) AddReceiver(cfg ReceiverConfig) *Receiver {
	r := &Receiver{br: b, cfg: cfg}
	b.do(func() {
		r.owner = b.ownerOf(cfg.Owner)
		r.owner.receivers = append(r.owner.receivers, r)
		if cfg.PCM != nil || cfg.Voice != nil {
			r.stream = &stream{br: b, prev: b.plain.gains, seated: b.seated}
			b.ears = append(b.ears, r)
			return
		}
		b.receivers = append(b.receivers, r)
		r.seq = uint16(b.tick*40503 + uint64(len(b.receivers))*7919) // any start will do
	})
	return r
}

// Remove sends the receiver nothing more, from the next tick on.
func (r *Receiver) Remove() {
	r.br.do(func() {
		if r.gone {
			return
		}
		r.gone = true
		b := r.br
		b.receivers, b.ears = without(b.receivers, r), without(b.ears, r)
		r.owner.receivers = without(r.owner.receivers, r)
		b.leave(r.owner)
	})
}

// SetGain changes how loud this receiver hears a source: 0 is not at all, 1 as
// it is, MaxGain the most. What is no number, or negative, is 0.
func (r *Receiver) SetGain(s *Source, gain float32) {
	if !(gain > 0) {
		gain = 0
	}
	gain = min(gain, MaxGain)
	r.br.do(func() {
		switch {
		case r.gone || s.gone:
		case gain == 1:
			delete(r.gains, s)
		default:
			if r.gains == nil {
				r.gains = make(map[*Source]float32)
			}
			r.gains[s] = gain
		}
	})
}

// SetPose says where the receiver stands and looks. From then on it hears, in
// stereo, sources with a position from where they are; it has a mix, and an
// encoder, of its own.
func (r *Receiver) SetPose(p mixer.Pose) {
	r.br.do(func() { r.pose, r.placed = p, true })
}

// ClearPose ends what SetPose began: the receiver hears all as they are.
func (r *Receiver) ClearPose() {
	r.br.do(func() { r.placed = false })
}

// hear gives the mix to a receiver that takes it as it is.
func (r *Receiver) hear(due time.Time) {
	s := r.stream
	key, _ := r.key()
	if s.stereo != key.stereo {
		s.stereo, s.prev, s.seated, s.limiter = key.stereo, key.gains, r.br.seated, mixer.Limiter{}
	}
	s.key = key
	channels := 1
	if s.stereo {
		channels = 2
	}
	switch {
	case r.cfg.Voice != nil:
		for i, t := range r.br.talkers {
			if pcm := s.voice(i); pcm != nil {
				r.cfg.Voice(t, pcm, channels, due)
			}
		}
	case s.mixes():
		r.cfg.PCM(s.mix(), channels, due)
	}
	s.prev, s.seated = key.gains, r.br.seated
}

// forget is the end of a source.
func (r *Receiver) forget(s *Source) {
	delete(r.gains, s)
	delete(r.paths, s)
}

// SetPath puts a function on the way from a source to this receiver: it sees, and
// may change, the source's frames, 48 kHz mono, before gains, while the source is
// in the mix. The receiver then has a mix, and an encoder, of its own. nil takes it
// off. It is called by Tick.
func (r *Receiver) SetPath(s *Source, f func(pcm []int16)) {
	r.br.do(func() {
		switch {
		case r.gone || s.gone:
		case f == nil:
			delete(r.paths, s)
		default:
			if r.paths == nil {
				r.paths, r.way = make(map[*Source]func([]int16)), make([]int16, r.br.samples)
			}
			r.paths[s] = f
		}
	})
}

// SetFinish has a function see, and change, this receiver's mix before it is
// encoded, interleaved where there are two channels. The receiver then has a mix,
// and an encoder, of its own. nil takes it off. It is called by Tick.
func (r *Receiver) SetFinish(f func(pcm []int16, channels int)) {
	r.br.do(func() { r.finish = f })
}

// alone tells whether there is a function on what the receiver hears now.
func (r *Receiver) alone() bool {
	if r.finish != nil {
		return true
	}
	if len(r.paths) > 0 {
		for _, s := range r.br.talkers {
			if s != nil && r.paths[s] != nil {
				return true
			}
		}
	}
	return false
}

// gain is how loud a talker is in a mix, left and right (the same in a mono
// one), in units of 1/unity.
type gain struct{ l, r uint16 }

const unity = 256

var whole = gain{unity, unity}

// A mixKey says what is heard: mixes with the same key sound the same.
type mixKey struct {
	stereo bool
	gains  [MaxTalkers]gain
	// alone is the receiver that has functions on what it hears, if it has.
	alone *Receiver
}

// key is what the receiver is to hear in this tick. plain says that it is what
// everybody hears who does not talk.
func (r *Receiver) key() (k mixKey, plain bool) {
	b := r.br
	alone := r.alone()
	if r.owner.talks == 0 && len(r.gains) == 0 && !r.placed && !alone {
		return b.plain, true
	}
	k = b.plain
	if alone {
		k.alone = r
	}
	k.stereo = r.placed
	for i, s := range b.talkers {
		switch {
		case s == nil:
		case r.owner.talks>>i&1 != 0:
			k.gains[i] = gain{}
		default:
			own, has := r.gains[s]
			if !has {
				own = 1
			}
			left, right := own, own
			if r.placed && s.placed {
				l, r := b.cfg.Spatial.Gains(r.pose, s.position)
				left, right = left*l, right*r
			}
			k.gains[i] = gain{quantize(left), quantize(right)}
		}
	}
	return k, k == b.plain
}

func quantize(g float32) uint16 {
	return uint16(math.Round(float64(max(0, min(MaxGain, g))) * unity))
}

// listens tells whether the receiver only listens: no track of theirs has been
// heard for a while.
func (r *Receiver) listens() bool {
	b := r.br
	return r.owner.sources == 0 || b.tick-r.owner.active > uint64(b.ticksOf(listenTime))
}

const (
	// listenTime is after how long without a word a talker only listens.
	listenTime = 10 * time.Second
	// packedFrom is how many receivers there must be for several frames in a
	// packet to be worth their delay.
	packedFrom = 16
)
