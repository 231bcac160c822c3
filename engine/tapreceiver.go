package engine

import (
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer/bridge"
)

// TapReceiver tells f what a user of a call or a world hears. While nobody speaks f
// is not called. The tap stays while the user comes and goes. f's goroutine, and the
// end, are as hooks.Tap says. Errors: ErrNoCodec, and those of TapPackets.
//
// In a call it is everybody else, mixed as for them, with the volumes that they
// chose, without whom they do not hear, and in stereo from where they stand if they
// have a pose. It is what they are sent where they receive a mix, before encoding;
// where each talker's packets are forwarded to them it is the sum of those, out of
// the server's own jitter buffers, and of MixConfig.Talkers voices at most. It makes
// the room mix, so the server must be able to (ServerConfig.Codec), and costs a
// decode of each talker where nobody else receives a mix.
//
// In a world it is what they are sent, in stereo with gain and pan as a client plays
// it, but for what their client makes louder or quieter itself
// (SetRemoteAudioVolume). It needs a decoder alone, and costs a decode of each
// talker that they hear.
func (s *Server) TapReceiver(callID, userID string, f func(hooks.TapSound)) (hooks.Tap, error) {
	return s.tapEars(callID, userID, false, f)
}

// TapVoices is as TapReceiver, but tells each voice that the user hears by itself,
// as loud and from where they hear it: UserID is who says it, and blocks with the
// same Time are heard together. So the host can leave some out, or change them, and
// add up the rest. In a call blocks are of one channel while the user has no pose.
func (s *Server) TapVoices(callID, userID string, f func(hooks.TapSound)) (hooks.Tap, error) {
	return s.tapEars(callID, userID, true, f)
}

// tapEars is TapReceiver, and TapVoices if voices are told apart.
func (s *Server) tapEars(callID, userID string, apart bool, f func(hooks.TapSound)) (hooks.Tap, error) {
	if f == nil {
		return nil, errNoTapFunc
	}
	if userID == "" {
		return nil, &Error{Code: hooks.CodeBadParam, Message: "whose ears? The user ID is empty"}
	}
	if err := s.needsCodec(); err != nil {
		return nil, err
	}
	name := "receiver"
	if apart {
		name = "voices"
	}
	return s.startTap(callID, userID, name, func(r *room, tp *tap) (func(), error) {
		tp.ears, tp.apart = true, apart
		if w := r.call.world; w != nil {
			w.listenTo(tp)
			talker := newTapTalker(tp, f)
			talker.blend = new(blend)
			return talker.run, nil
		}
		if !s.mixes {
			return nil, fmt.Errorf("%w: the server's cannot mix", ErrNoCodec)
		}
		for _, d := range r.devs {
			if d.userID != userID {
				continue
			}
			if err := r.listenAs(d, tp); err != nil {
				for _, d := range r.devs {
					d.dropEars(tp)
				}
				return nil, err
			}
		}
		return func() { tp.runReceiver(f) }, nil
	})
}

// An ear is a tap on what a device's user hears.
type ear struct {
	tp    *tap
	m     *mixing
	heard *bridge.Receiver
}

// listenAs puts a tap on what a device's user hears. Server.mu is held.
func (r *room) listenAs(d *device, tp *tap) error {
	m, err := r.mixed()
	if err != nil {
		return err
	}
	e := &ear{tp: tp, m: m}
	cfg := bridge.ReceiverConfig{Owner: d.number, PCM: tp.hear}
	if tp.apart {
		cfg.PCM, cfg.Voice = nil, tp.hearVoice
	}
	e.heard = m.br.AddReceiver(cfg)
	m.legs++
	d.ears = append(d.ears, e)
	if d.pose != nil {
		e.heard.SetPose(*d.pose)
	}
	for t := range d.legs {
		d.setMixGain(t)
	}
	return nil
}

// listenFor puts the room's taps on a device that comes. Server.mu is held.
func (r *room) listenFor(d *device) {
	for _, tp := range r.taps {
		if tp.ears && tp.userID == d.userID {
			if err := r.listenAs(d, tp); err != nil {
				r.srv.log.Error("a tap hears nothing", "user", d.userID, "err", err)
			}
		}
	}
}

// dropEars ends a tap on a device, or all of them. Server.mu is held.
func (d *device) dropEars(tp *tap) {
	var kept []*ear
	for _, e := range d.ears {
		if tp != nil && e.tp != tp {
			kept = append(kept, e)
			continue
		}
		e.heard.Remove()
		if e.m.legs--; e.m.legs == 0 {
			e.m.close()
		}
	}
	d.ears = kept
}

// hear takes a block of the mix. It is called by the tick, and never waits.
func (tp *tap) hear(pcm []int16, channels int, due time.Time) { tp.keep(nil, 0, pcm, channels, due) }

// hearVoice is as hear, of one voice.
func (tp *tap) hearVoice(s *bridge.Source, pcm []int16, channels int, due time.Time) {
	tp.keep(s.Tag().(*track), s.Timestamp(), pcm, channels, due)
}

func (tp *tap) keep(t *track, ts uint32, pcm []int16, channels int, due time.Time) {
	it := tp.item()
	if it == nil {
		tp.dropped.Add(1)
		return
	}
	it.t, it.ts = t, ts
	it.pcm, it.channels, it.arrival = append(it.pcm[:0], pcm...), channels, due
	tp.push(it)
}

func (tp *tap) runReceiver(f func(hooks.TapSound)) {
	for {
		select {
		case <-tp.quit:
			return
		case it := <-tp.queue:
			s := hooks.TapSound{UserID: tp.userID, PCM: it.pcm, Channels: it.channels, Time: it.arrival}
			if it.t != nil {
				s.UserID, s.Track, s.Timestamp = it.t.owner.userID, it.t.id, it.ts
			}
			tp.call(func() { f(s) })
			tp.recycle(it)
		}
		if tp.over() {
			return
		}
	}
}
