package engine

import (
	"errors"
	"slices"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// A sound in a world is a member whom nobody signs in: it talks, and hears nothing.
// So all that is said of players holds for it: where it is, how far it carries, who
// does not want it.

// maxWorldSounds is how many sounds a world may have at a time.
const maxWorldSounds = 1024

// checkPlace checks what is for worlds.
func (cfg *PlayConfig) checkPlace() error {
	placed := cfg.At != nil || cfg.On != ""
	switch {
	case cfg.At != nil && cfg.On != "":
		return refuse(hooks.CodeBadParam, "a sound is at a place or on a player: At and On are both set")
	case cfg.Range != 0 && !placed:
		return refuse(hooks.CodeBadParam, "Range without a place: At or On must be set")
	}
	var place error
	if cfg.At != nil {
		place = checkPlace(*cfg.At)
	}
	if cfg.On != "" {
		if err := signal.CheckUserID(cfg.On); err != nil {
			return &Error{Code: hooks.CodeBadParam, Message: "On: " + err.Error()}
		}
	}
	return errors.Join(place, checkMetres(cfg.Range), checkCategory(cfg.Category), checkPriority(cfg.Priority))
}

// mayPlay says what is in a sound's way. Server.mu is held.
func (w *World) mayPlay(cfg *PlayConfig) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, on := w.members[cfg.UserID], w.members[cfg.On]
	switch {
	case m != nil && m.sound != nil:
		return refuse(hooks.CodeRefused, "%s plays already", cfg.UserID)
	case m != nil:
		return refuse(hooks.CodeBadParam, "%s is a player in the world", cfg.UserID)
	case cfg.On != "" && (on == nil || on.sound != nil):
		return refuse(hooks.CodeBadParam, "On: %.32q is no player in the world", cfg.On)
	case len(w.sounds) >= maxWorldSounds:
		return refuse(hooks.CodeRefused, "more than %d sounds", maxWorldSounds)
	}
	return nil
}

// play puts a sound into the world. Server.mu is held.
func (w *World) play(p *Sound) {
	w.mu.Lock()
	defer w.mu.Unlock()
	cfg := &p.cfg
	as := Player{
		UserID: cfg.UserID, Reach: cfg.Range, Category: cfg.Category, Priority: cfg.Priority,
		Broadcast: cfg.At == nil && cfg.On == "",
	}
	if cfg.At != nil {
		as.Position = *cfg.At
	}
	m := w.add(&as, p)
	p.member, p.track.member = m, m
	w.aud.SetCarries(m.id, true)
	if on := w.members[cfg.On]; on != nil {
		w.aud.Place(m.id, w.stage.follow(m.handle, on.handle), audience.Vector{})
	}
	if to := p.track.audience; to != nil {
		keep := make(map[audience.ID]struct{}, len(to))
		for user := range to {
			if r := w.members[user]; r != nil {
				keep[r.id] = struct{}{}
			}
		}
		w.aud.Keep(m.id, keep)
	}
	w.sounds = append(w.sounds, p)
	w.begun(m, p.track)
}

// admit lets a player who comes hear what is kept for some. mu is held.
func (w *World) admit(m *member) {
	for _, p := range w.sounds {
		if p.track.audience[m.userID] {
			w.aud.Admit(p.member.id, m.id)
		}
	}
}

// ended is the end of a sound's source. Server.mu is held.
func (w *World) ended(p *Sound) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(p.member)
}

// hush ends the sound that a member is, or those that are on a player who goes.
// Server.mu and mu are held.
func (w *World) hush(m *member) {
	if m.sound == nil {
		for _, p := range slices.Clone(w.sounds) {
			if p.cfg.On == m.userID && w.stage.follows(p.member.handle, m.handle) {
				w.drop(p.member)
			}
		}
		return
	}
	w.sounds = without(w.sounds, m.sound)
	m.sound.cancel()
	w.dropTrack(m.sound.track)
}

// begun is a track that a member has from now on. Server.mu and mu are held.
func (w *World) begun(m *member, t *track) {
	m.track = t
	r := w.call.room
	r.tracks = append(r.tracks, t)
	r.tapTrack(t)
}

// follow puts a spot on another, and returns where that is.
func (s *stage) follow(h, on Handle) audience.Vector {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := int32(h.id())
	s.spots[id].on = on
	if !slices.Contains(s.followers, id) {
		s.followers = append(s.followers, id)
	}
	return s.spots[on.id()].at
}

// follows reports whether a spot is on another, still.
func (s *stage) follows(h, on Handle) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spots[h.id()].on == on
}

// bring moves the spots that are on others to where those are. s.mu is held.
func (s *stage) bring(a *audience.Audience) {
	stay := s.followers[:0]
	for _, id := range s.followers {
		sp := &s.spots[id]
		if sp.handle == 0 || sp.on == 0 { // ended, or moved by itself
			continue
		}
		sp.at = s.spots[sp.on.id()].at
		a.Place(audience.ID(id), sp.at, audience.Vector{})
		stay = append(stay, id)
	}
	s.followers = stay
}
