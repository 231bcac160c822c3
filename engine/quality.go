package engine

import (
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// qualityEvery is how often those in a call are told how good everyone's
// connection is, as the original does.
const qualityEvery = 2 * time.Second

// qualityOf says how good a connection is, from its round trip and the share of the
// server's packets that got lost since the last time.
func qualityOf(s, last transport.Stats, now time.Time) hooks.Quality {
	if now.Sub(s.LastHeard) >= maxSilence {
		return hooks.QualityDown
	}
	loss := 0.0
	if sent := s.PacketsSent - last.PacketsSent; sent > 0 && s.PacketsLost > last.PacketsLost {
		loss = float64(s.PacketsLost-last.PacketsLost) / float64(sent)
	}
	for _, step := range [...]struct {
		q    hooks.Quality
		rtt  time.Duration
		loss float64
	}{
		{hooks.QualityExcellent, 100 * time.Millisecond, 0.01},
		{hooks.QualityGood, 200 * time.Millisecond, 0.03},
		{hooks.QualityPoor, 350 * time.Millisecond, 0.06},
		{hooks.QualityBad, 600 * time.Millisecond, 0.12},
	} {
		if s.RTT <= step.rtt && loss <= step.loss {
			return step.q
		}
	}
	return hooks.QualityVeryBad
}

// talking is a call and the devices in its room at one moment.
type talking struct {
	callID string
	devs   []*device
}

// inCalls lists the calls. A room's list of devices is only ever appended to or
// replaced, so what is returned may be read without the lock.
func (s *Server) inCalls(into []talking) []talking {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.calls {
		into = append(into, talking{id, c.room.devs})
	}
	return into
}

// tellQuality tells those in each call how good everyone's connection is.
func (s *Server) tellQuality(calls []talking, now time.Time) {
	for _, c := range calls {
		q := signal.Quality{CallID: c.callID}
		for _, d := range c.devs {
			q.Users = append(q.Users, signal.UserQuality{UserID: d.userID, Quality: d.quality(now)})
		}
		frame, err := signal.Encode(signal.Message{Type: signal.TypeQuality}, q)
		if err != nil {
			s.log.Debug("cannot tell qualities", "err", err)
			continue
		}
		for _, d := range c.devs {
			d.mu.Lock()
			if d.conn != nil {
				d.conn.out.enqueue(frame)
			}
			d.mu.Unlock()
		}
	}
}

// quality is that of the device's connection since it was last asked. Only the
// goroutine that tells qualities may ask.
func (d *device) quality(now time.Time) hooks.Quality {
	sess := d.session.Load()
	if sess == nil {
		return hooks.QualityDown
	}
	s := (*sess).Stats()
	q := qualityOf(s, d.rated, now)
	d.rated = s
	return q
}
