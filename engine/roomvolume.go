package engine

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// sampleEvery is every how many packets of a track are decoded to tell how loud
// it is, where nothing else does.
const sampleEvery = 5

// A trackLevel tells how loud a forwarded track is: from the level in its
// packets where the server trusts its clients, and otherwise by decoding some
// of them. It is used by the packet handler alone.
type trackLevel struct {
	told   byte // what the packet at hand says (RFC 6464), if it tells
	tells  bool
	n      int
	dec    codec.Decoder
	broken bool
	pcm    []int16
	vad    mixer.VoiceDetector
}

// note takes a packet of a track that nobody mixes.
func (l *trackLevel) note(t *track, payload []byte) {
	s := t.owner.srv
	if s.cfg.TrustLevels && l.tells {
		l.noteTold(t)
		return
	}
	if s.cfg.Codec == nil || l.broken {
		return
	}
	l.n++
	if l.n%sampleEvery != 1 || len(payload) <= 2 { // comfort noise is no sound
		return
	}
	if l.dec == nil {
		dec, err := s.cfg.Codec.NewDecoder(codec.DecoderConfig{})
		if err != nil {
			l.broken = true
			return
		}
		l.dec, l.pcm = dec, make([]int16, codec.MaxFrameSamples)
	}
	n, err := l.dec.Decode(payload, l.pcm)
	if err != nil {
		return
	}
	pcm := l.pcm[:n]
	t.call.room.meter.Add(t.owner.userID, mixer.Level(pcm), l.vad.Process(pcm))
}

// noteTold takes the level that the packet at hand tells, if it does (RFC 6464
// section 3). In a world that is all: who is heard depends on it there anyway.
func (l *trackLevel) noteTold(t *track) {
	if l.tells {
		t.call.room.meter.Add(t.owner.userID, -float64(l.told&0x7f), l.told>>7 != 0)
	}
}

// wantsVolumes reports whether a plugin is told how loud users are.
func (s *Server) wantsVolumes() bool {
	return slices.ContainsFunc(s.plugins, func(p *plugin) bool { return p.Volumes != nil })
}

// runVolumes tells the plugins how loud users are, until the server ends.
func (s *Server) runVolumes() {
	defer s.wg.Done()
	tick := time.NewTicker(s.cfg.VolumeInterval)
	defer tick.Stop()
	type calling struct {
		id   string
		room *room
	}
	var calls []calling
	var volumes []mixer.UserVolume
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
		}
		calls = calls[:0]
		s.mu.Lock()
		for id, c := range s.calls {
			calls = append(calls, calling{id, c.room})
		}
		for id, w := range s.worlds {
			calls = append(calls, calling{id, w.call.room})
		}
		s.mu.Unlock()
		for _, c := range calls {
			var total int
			volumes, total = c.room.meter.Take(volumes[:0], "")
			s.tellVolumes(c.id, volumes, total)
		}
	}
}

// tellVolumes puts them before the plugins that want to know.
func (s *Server) tellVolumes(callID string, volumes []mixer.UserVolume, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.plugins {
		if p.Volumes == nil || p.events == nil {
			continue
		}
		v := hooks.RoomVolumes{CallID: callID, Total: total}
		for _, u := range volumes {
			v.Users = append(v.Users, hooks.UserVolume(u))
		}
		p.tell(notice{volumes: &v})
	}
}

// levelObserver is who is told of the track's level where it is mixed.
func (t *track) levelObserver() func(dBov float64, voice bool) {
	if !t.owner.srv.wantsVolumes() {
		return nil
	}
	meter, user := &t.call.room.meter, t.owner.userID
	return func(dBov float64, voice bool) { meter.Add(user, dBov, voice) }
}
