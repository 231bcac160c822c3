package engine

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// Players of a world are told how good their own connection is, and those of
// whom they have tracks: each at another moment of qualityEvery, and only if
// something has changed. It is then all of it, since that is a few users.

// player is a device in a world at one moment.
type player struct {
	*device
	seat    *seat
	worldID string
}

// ranked is how good a device's connection is, and what was last told of it and
// those it hears. It belongs to the goroutine of the rounds.
type ranked struct {
	quality hooks.Quality
	conn    *conn // on which
	worldID string
	users   []signal.UserQuality
}

// inWorlds lists the devices in worlds.
func (s *Server) inWorlds(into []player) []player {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.worlds {
		w.mu.Lock()
		for _, m := range w.members {
			if st := m.seat.Load(); st != nil {
				into = append(into, player{st.dev, st, w.cfg.ID})
			}
		}
		w.mu.Unlock()
	}
	return into
}

// worlds does a round's part for those in worlds. Rating them also notes whom
// the server still hears: see listenFor.
func (r *rounds) worlds(now time.Time) {
	for _, p := range r.players {
		if p.number%qualitySlices != uint64(r.slice) {
			continue
		}
		p.ranked.quality, _ = p.device.quality(now)
		r.users = append(r.users[:0], signal.UserQuality{UserID: p.userID, Quality: p.ranked.quality})
		r.near = p.seat.near(r.near[:0])
		for _, d := range r.near {
			if q := d.ranked.quality; q != hooks.QualityUnknown {
				r.users = append(r.users, signal.UserQuality{UserID: d.userID, Quality: q})
			}
		}
		p.tellNear(r.users)
	}
}

// tellNear tells a player how good these users' connections are, unless that is
// what they were told last.
func (p *player) tellNear(users []signal.UserQuality) {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := &p.ranked
	if p.conn == nil || k.conn == p.conn && k.worldID == p.worldID && slices.Equal(k.users, users) {
		return
	}
	frame, err := signal.Encode(signal.Message{Type: signal.TypeQuality}, signal.Quality{CallID: p.worldID, All: true, Users: users})
	if err != nil {
		p.srv.log.Debug("cannot tell qualities", "err", err)
		return
	}
	k.conn, k.worldID, k.users = p.conn, p.worldID, append(k.users[:0], users...)
	p.conn.out.enqueue(frame)
}

// near appends those whose tracks the seat's device has.
func (st *seat) near(list []*device) []*device {
	st.mu.Lock()
	defer st.mu.Unlock()
	for i := range st.slots {
		list = append(list, st.slots[i].track.owner)
	}
	return list
}
