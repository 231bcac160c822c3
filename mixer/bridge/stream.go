package bridge

import (
	"bytes"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer"
)

// A stream is one encoder, and what the decoders of its receivers follow.
type stream struct {
	br     *Bridge
	enc    codec.Encoder
	stereo bool

	key       mixKey
	keyed     bool    // key is that of this tick
	born      uint64  // the tick in which it forked
	from      *stream // from which
	receivers int
	before    int // receivers in the last tick
	twins     int // ticks for which another stream has had the same key

	prev   [MaxTalkers]gain   // of the last frame
	seated [MaxTalkers]uint32 // for whom: see Bridge.seated

	limiter mixer.Limiter
	silent  bool // nothing is sent for this frame
	quiet   bool // the last frame was as good as silent
	buf     [2][codec.MaxPacketSize]byte
	frame   []byte // the last encoded

	single packet // the frame of this tick, alone
	pack   pack   // frames for those who only listen
}

func (b *Bridge) newStream(stereo bool) (*stream, error) {
	cfg := codec.EncoderConfig{
		FrameDuration: b.cfg.FrameDuration, Bitrate: b.cfg.Bitrate, Complexity: b.cfg.Complexity,
		Signal: codec.SignalMusic,
	}
	if stereo {
		cfg.Channels, cfg.Bitrate = 2, b.cfg.Bitrate*3/2
	}
	enc, err := b.cfg.Driver.NewEncoder(cfg)
	if err != nil {
		return nil, err
	}
	s := &stream{br: b, enc: enc, stereo: stereo, quiet: true}
	s.setLoss(b.loss)
	return s, nil
}

// setLoss makes the encoder ready for lost packets. Forward error correction
// is SILK's (RFC 6716 section 2.1.7), which costs more than twice the time of
// CELT alone, so it is on only where something is lost.
func (s *stream) setLoss(percent int) {
	signal := codec.SignalMusic
	if percent >= 2 {
		signal = codec.SignalVoice
	}
	s.enc.SetSignal(signal)
	s.enc.SetFEC(percent >= 2)
	s.enc.SetPacketLoss(percent)
}

// take returns a stream that is not in use, or a new one; nil if the driver
// makes no more encoders.
func (b *Bridge) take(stereo bool) *stream {
	for i, s := range b.spare {
		if s.stereo == stereo {
			b.spare = append(b.spare[:i], b.spare[i+1:]...)
			return s
		}
	}
	s, err := b.newStream(stereo)
	if err != nil {
		return nil
	}
	return s
}

// begin makes a stream for a key.
func (b *Bridge) begin(key mixKey, from *stream) *stream {
	s := b.take(key.stereo)
	if s == nil {
		return nil
	}
	s.key, s.keyed, s.born, s.from = key, true, b.tick, from
	s.receivers, s.before, s.twins, s.silent, s.quiet, s.frame = 0, 0, 0, true, true, nil
	s.pack.reset()
	copied := false
	if from != nil && from.stereo == s.stereo {
		s.prev, s.seated, s.limiter = from.prev, from.seated, from.limiter
		s.quiet = from.quiet
		if c, ok := s.enc.(codec.StateCopier); ok {
			copied = c.CopyState(from.enc) == nil
		}
		b.stats.Forks.Add(1)
	} else {
		s.prev, s.seated, s.limiter = key.gains, b.seated, mixer.Limiter{}
	}
	if copied {
		b.stats.Copies.Add(1)
	} else {
		s.enc.Reset()
	}
	b.streams = append(b.streams, s)
	return s
}

// group decides who follows which stream in this tick.
func (b *Bridge) group() {
	b.plain = mixKey{}
	for _, o := range b.marked {
		o.talks = 0
	}
	b.marked = b.marked[:0]
	for i, s := range b.talkers {
		if s == nil {
			continue
		}
		b.plain.gains[i] = whole
		if s.owner.talks == 0 {
			b.marked = append(b.marked, s.owner)
		}
		s.owner.talks |= 1 << i
	}
	for _, s := range b.streams {
		s.keyed, s.before, s.receivers = false, s.receivers, 0
	}
	clear(b.keys)
	// A stream goes on with what most of its receivers hear: the plain mix if
	// any does.
	for _, r := range b.receivers {
		r.want, r.plain = r.key()
		if s := r.stream; s != nil && r.plain && !s.stereo {
			s.keyed, s.key = true, b.plain
		}
	}
	for _, r := range b.receivers {
		if s := r.stream; s != nil && !s.keyed && s.stereo == r.want.stereo {
			s.keyed, s.key = true, r.want
		}
	}
	for _, s := range b.streams {
		if main := b.keys[s.key]; s.keyed && (main == nil || s.before > main.before) {
			b.keys[s.key] = s // others join the largest
		}
	}
	for _, r := range b.receivers {
		b.follow(r)
	}
	b.merge()
}

// follow puts a receiver on a stream that carries what it is to hear: its own,
// a branch of that, or any for one that has none.
func (b *Bridge) follow(r *Receiver) {
	s := r.stream
	if s != nil && s.keyed && s.key == r.want {
		s.receivers++
		return
	}
	next := b.keys[r.want]
	if s != nil && s.stereo == r.want.stereo && (next == nil || next.from != s || next.born != b.tick) {
		// What it follows goes another way. An older stream with its sound
		// would break on it, unless both are quiet.
		if next == nil || !(next.quiet && s.quiet) {
			next = b.branch(s, r.want)
		}
	}
	if next == nil {
		if next = b.begin(r.want, nil); next == nil {
			r.stream = nil // it hears nothing until there is an encoder for it
			return
		}
		b.keys[r.want] = next
	}
	r.move(next)
	next.receivers++
}

// branch is the stream that has left s in this tick with a key, a new one if
// there is none.
func (b *Bridge) branch(s *stream, key mixKey) *stream {
	for _, t := range b.streams {
		if t.from == s && t.born == b.tick && t.key == key {
			return t
		}
	}
	t := b.begin(key, s)
	if t != nil && b.keys[key] == nil {
		b.keys[key] = t
	}
	return t
}

// move changes the stream of a receiver. What the old one has kept for it is
// sent first.
func (r *Receiver) move(to *stream) {
	if r.packed {
		r.stream.pack.flushTo(r)
		r.packed = false
	}
	r.stream = to
}

const (
	// Two streams with the same sound run side by side for mergeLeast ticks,
	// which makes their encoders much alike, and then until a pause, or until
	// mergeMost: by then decoders take one for the other with no more error than
	// the coding itself has.
	mergeLeast = 10
	mergeMost  = 50
	// mergeQuiet is the level, in dBov, under which a change is not heard.
	mergeQuiet = -50.0
)

// merge ends streams that carry what an older one carries, when the change is
// not heard, and those that nobody follows.
func (b *Bridge) merge() {
	kept := b.streams[:0]
	for _, s := range b.streams {
		main := b.keys[s.key]
		switch {
		case s.receivers == 0:
		case main == nil || main == s:
			s.twins = 0
		default:
			s.twins++
			if s.twins > mergeLeast && (s.quiet && main.quiet || bytes.Equal(s.frame, main.frame)) || s.twins >= mergeMost {
				for _, r := range b.receivers {
					if r.stream == s {
						r.move(main)
						main.receivers++
						s.receivers--
					}
				}
				b.stats.Merges.Add(1)
			}
		}
		if s.receivers > 0 {
			kept = append(kept, s)
		} else {
			s.from, s.key.alone = nil, nil
			b.spare = append(b.spare, s)
		}
	}
	clear(b.streams[len(kept):])
	b.streams = kept
}

// encode makes this tick's frame.
func (s *stream) encode() {
	b := s.br
	s.single.n = 0
	if !s.mixes() {
		s.silent, s.quiet = true, true
		s.prev, s.seated = s.key.gains, b.seated
		return
	}
	pcm := s.mix()
	s.prev, s.seated = s.key.gains, b.seated
	buf := s.buf[b.tick&1][:]
	n, err := s.enc.Encode(pcm, buf)
	if err != nil || n == 0 {
		s.silent = true
		return
	}
	b.stats.Encoded.Add(1)
	s.silent = false
	s.frame = buf[:n]
	s.quiet = mixer.Level(pcm) < mergeQuiet
}

// mixes tells whether there is anything to hear.
func (s *stream) mixes() bool {
	b := s.br
	for i, t := range b.talkers {
		if from, to := s.glide(i); t != nil && (from != gain{} || to != gain{}) {
			return true
		}
	}
	return false
}

// glide is how loud the talker in a slot was in the last frame, and is to be at
// the end of this one. Who has just come has been there all the time: they fade
// in for everybody alike.
func (s *stream) glide(i int) (from, to gain) {
	to = s.key.gains[i]
	if s.seated[i] == s.br.seated[i] {
		return s.prev[i], to
	}
	return to, to
}

// mix adds up what the stream's receivers hear.
func (s *stream) mix() []int16 {
	b := s.br
	switch {
	case s.key.alone != nil:
		return s.mixAlone(s.key.alone)
	case s.stereo:
		return s.mixStereo()
	}
	sum := b.sum
	for i, t := range b.talkers {
		if t == nil {
			continue
		}
		from, to := s.glide(i)
		if from == whole && to == whole {
			continue
		}
		if &sum[0] == &b.sum[0] {
			sum = b.mix[:b.samples]
			copy(sum, b.sum)
		}
		mixer.Sub(sum, t.pcm)
		if from != (gain{}) || to != (gain{}) {
			mixer.AddRamp(sum, t.pcm, from.left(), to.left())
		}
	}
	pcm := b.pcm[:b.samples]
	s.limiter.Process(pcm, sum)
	return pcm
}

func (s *stream) mixStereo() []int16 {
	b := s.br
	sum := b.mix
	clear(sum)
	for i, t := range b.talkers {
		if t == nil {
			continue
		}
		from, to := s.glide(i)
		if from != (gain{}) || to != (gain{}) {
			mixer.AddStereoRamp(sum, t.pcm, from.left(), from.right(), to.left(), to.right())
		}
	}
	s.limiter.Process(b.pcm, sum)
	return b.pcm
}

// voice is the talker in a slot as the stream's receivers hear them, by itself, or
// nil.
func (s *stream) voice(i int) []int16 {
	b, t := s.br, s.br.talkers[i]
	from, to := s.glide(i)
	if t == nil || from == (gain{}) && to == (gain{}) {
		return nil
	}
	channels := 1
	if s.stereo {
		channels = 2
	}
	sum, pcm := b.mix[:channels*b.samples], b.pcm[:channels*b.samples]
	clear(sum)
	if s.stereo {
		mixer.AddStereoRamp(sum, t.pcm, from.left(), from.right(), to.left(), to.right())
	} else {
		mixer.AddRamp(sum, t.pcm, from.left(), to.left())
	}
	mixer.Saturate(pcm, sum)
	return pcm
}

// mixAlone is the mix of a receiver with functions on what it hears.
func (s *stream) mixAlone(r *Receiver) []int16 {
	b, channels := s.br, 1
	if s.stereo {
		channels = 2
	}
	sum, pcm := b.mix[:channels*b.samples], b.pcm[:channels*b.samples]
	clear(sum)
	for i, t := range b.talkers {
		if t == nil {
			continue
		}
		from, to := s.glide(i)
		if from == (gain{}) && to == (gain{}) {
			continue
		}
		said := t.pcm
		if f := r.paths[t]; f != nil {
			said = r.way
			copy(said, t.pcm)
			f(said)
		}
		if s.stereo {
			mixer.AddStereoRamp(sum, said, from.left(), from.right(), to.left(), to.right())
		} else {
			mixer.AddRamp(sum, said, from.left(), to.left())
		}
	}
	s.limiter.Process(pcm, sum)
	if r.finish != nil {
		r.finish(pcm, channels)
	}
	return pcm
}

func (g gain) left() float32  { return float32(g.l) / unity }
func (g gain) right() float32 { return float32(g.r) / unity }
