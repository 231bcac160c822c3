package engine

import (
	"time"

	"github.com/earshotrtc/earshot/mixer/bridge"
)

// A relief is the way out of a server that is short of time: while its ticks
// come late, those who only listen get as many frames in a packet as there can
// be, which saves most of what sending costs.
type relief struct {
	on          bool
	ticks, late uint64
	calm        time.Time // since when hardly a tick was late
}

const (
	// reliefFrom and reliefUntil are the shares of late ticks in a round with
	// which it begins, and with which it may end after reliefCalm.
	reliefFrom  = 0.05
	reliefUntil = 0.002
	reliefCalm  = 20 * time.Second
	// reliefTicks is how many ticks must have been due for a share to say
	// anything.
	reliefTicks = 50
)

// judge looks at the ticks since the last time, and says whether something has
// changed.
func (r *relief) judge(ticks, late uint64, now time.Time) (changed bool) {
	n, l := ticks-r.ticks, late-r.late
	r.ticks, r.late = ticks, late
	share := float64(l) / float64(max(1, n))
	if n < reliefTicks && l == 0 || share <= reliefUntil {
		if r.calm.IsZero() {
			r.calm = now
		}
	} else {
		r.calm = time.Time{}
	}
	switch {
	case !r.on && n >= reliefTicks && share > reliefFrom:
		r.on = true
		return true
	case r.on && !r.calm.IsZero() && now.Sub(r.calm) >= reliefCalm:
		r.on = false
		return true
	}
	return false
}

// relieve begins or ends the relief of all rooms that mix.
func (s *Server) relieve(calls []talking, now time.Time) {
	skipped := s.clock.skipped.Load()
	if s.relief.judge(s.clock.ticks.Load()+skipped, s.clock.late.Load()+skipped, now) {
		if s.relief.on {
			s.log.Warn("the mixes come late: who only listens gets several frames in a packet")
		} else {
			s.log.Info("the mixes come in time again")
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range calls {
		if m := c.room.mix; m != nil && m.relieved != s.relief.on {
			m.relieved = s.relief.on
			frames := max(1, s.cfg.Mix.FramesPerPacket)
			if m.relieved {
				frames = bridge.MaxFramesPerPacket
			}
			m.br.SetFramesPerPacket(frames)
		}
	}
}
