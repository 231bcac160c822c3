package engine

import (
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

const (
	frameSamples = int(frameTime * codec.SampleRate / time.Second)
	// tapRest is for how long after its last packet a voice is still told.
	tapRest = 240 * time.Millisecond
	// tapBehind is how far a tap may be behind before it drops.
	tapBehind = time.Second
)

// TapTalker tells f what a user of a call or a world says: decoded, out of a jitter
// buffer of the tap's own, so that its blocks are evenly spaced in time and what was
// lost is concealed; before any Processor. An empty userID is everybody, one
// block for each who speaks. While a user sends nothing f is not called. It
// needs ServerConfig.Codec, of which a decoder alone will do, and costs a decode
// of each frame. f's goroutine, and the end, are as hooks.Tap says. Errors:
// ErrNoCodec, and those of TapPackets.
func (s *Server) TapTalker(callID, userID string, f func(hooks.TapSound)) (hooks.Tap, error) {
	if f == nil {
		return nil, errNoTapFunc
	}
	if err := s.needsCodec(); err != nil {
		return nil, err
	}
	return s.startTap(callID, userID, "talker", func(_ *room, tp *tap) (func(), error) {
		tp.audio = true
		return func() { newTapTalker(tp, f).run() }, nil
	})
}

// tapTalker is the tap's goroutine.
type tapTalker struct {
	tp     *tap
	f      func(hooks.TapSound)
	blend  *blend // nil where each voice is told by itself
	voices map[*track]*tapVoice
	list   []*tapVoice // in the order in which they came
	due    time.Time   // of the next block; zero while nobody speaks
	pcm    [frameSamples]int16
}

func newTapTalker(tp *tap, f func(hooks.TapSound)) *tapTalker {
	return &tapTalker{tp: tp, f: f, voices: make(map[*track]*tapVoice)}
}

type tapVoice struct {
	t     *track
	buf   *jitter.Buffer // nil if there is no decoder for it
	last  time.Time      // a packet came
	space space          // for blend
}

func (r *tapTalker) run() {
	tp := r.tp
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-tp.quit:
			return
		case it := <-tp.queue:
			r.push(it)
			tp.recycle(it)
		case <-timer.C:
		}
		if tp.over() {
			return
		}
		r.pull(time.Now())
		if wait := time.Until(r.due); !r.due.IsZero() {
			timer.Reset(max(0, wait))
		} else {
			timer.Reset(time.Hour)
		}
	}
}

func (r *tapTalker) push(it *tapItem) {
	v := r.voices[it.t]
	if v == nil {
		v = &tapVoice{t: it.t}
		r.voices[it.t] = v
		r.list = append(r.list, v)
		if dec, err := r.tp.room.srv.cfg.Codec.NewDecoder(codec.DecoderConfig{}); err == nil {
			v.buf, _ = jitter.New(jitter.Config{Decoder: dec})
		}
		if v.buf == nil {
			r.tp.room.srv.log.Warn("a tap has no decoder", "user", it.t.owner.userID)
		}
	}
	if v.buf == nil {
		r.tp.dropped.Add(1)
		return
	}
	v.last = time.Now()
	v.space.tell(it.gain, it.pan)
	v.buf.Push(jitter.Packet{SequenceNumber: it.seq, Timestamp: it.ts, Marker: it.marker, Payload: it.data, Arrival: it.arrival})
	if r.due.IsZero() {
		r.due = v.last
	}
}

// pull tells of all blocks that are due.
func (r *tapTalker) pull(now time.Time) {
	if r.due.IsZero() {
		return
	}
	for late := now.Sub(r.due); late > tapBehind; late -= frameTime {
		r.due = r.due.Add(frameTime)
		r.tp.dropped.Add(1)
	}
	for ; !r.due.After(now); r.due = r.due.Add(frameTime) {
		kept := r.list[:0]
		speaks := false
		for _, v := range r.list {
			rest := r.due.Sub(v.last)
			if rest >= tapRest && v.t.closed.Load() || rest >= heardRest && r.blend != nil {
				delete(r.voices, v.t)
				continue
			}
			kept = append(kept, v)
			if v.buf == nil || rest >= tapRest {
				continue
			}
			speaks = true
			res := v.buf.Pull(r.pcm[:], r.due)
			s := hooks.TapSound{PCM: r.pcm[:], Channels: 1, Time: r.due}
			switch {
			case r.tp.apart:
				s.PCM, s.Channels = r.blend.one(v, r.pcm[:]), 2
			case r.blend != nil:
				r.blend.add(v, r.pcm[:])
				continue
			}
			s.UserID, s.Track, s.Timestamp = v.t.owner.userID, v.t.id, res.Timestamp
			r.tp.call(func() { r.f(s) })
			if r.tp.over() {
				return
			}
		}
		clear(r.list[len(kept):])
		r.list = kept
		if !speaks {
			r.due = time.Time{}
			return
		}
		if r.blend != nil && !r.tp.apart {
			s := r.blend.take(r.tp.userID, r.due)
			if r.tp.call(func() { r.f(s) }); r.tp.over() {
				return
			}
		}
	}
}
