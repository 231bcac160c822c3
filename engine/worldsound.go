package engine

import (
	"errors"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
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
	m := &member{w: w, id: w.book.Add(), userID: cfg.UserID, sound: p}
	rules := playerRules{id: m.id, sound: true, Player: Player{
		Reach: cfg.Range, Category: cfg.Category, Priority: cfg.Priority, Broadcast: cfg.At == nil && cfg.On == "",
	}}
	if cfg.At != nil {
		rules.Position = *cfg.At
	}
	if on := w.members[cfg.On]; on != nil {
		at, _ := w.stage.where(on)
		rules.Position = mixer.Vector(at)
		m.on = on
	}
	if to := p.track.audience; to != nil {
		rules.kept = []audience.ID{}
		for user := range to {
			if r := w.members[user]; r != nil {
				rules.kept = append(rules.kept, r.id)
			}
		}
	}
	p.member, p.track.member = m, m
	p.track.recode = newRecoder(w.srv, m.userID, p.track.processor())
	w.sounds = append(w.sounds, p)
	w.add([]*member{m}, []playerRules{rules})
	w.begun(m, p.track)
}

// admit lets a player who comes hear what is kept for some. Server.mu and mu are
// held.
func (w *World) admit(m *member) {
	for _, p := range w.sounds {
		if id := p.member.id; p.track.audience[m.userID] {
			w.change(func(a *audience.Audience) { a.Admit(id, m.id) }, nil)
		}
	}
}

// silence is the end of a sound's source. Server.mu is held.
func (w *World) silence(p *Sound) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop([]*member{p.member})
}

// carried are members, and the sounds on them. mu is held.
func (w *World) carried(list []*member) []*member {
	goes := make(map[*member]bool, len(list))
	for _, m := range list {
		goes[m] = true
	}
	for _, p := range w.sounds {
		if m := p.member; goes[m.on] && m.off.Load() == 0 {
			list = append(list, p.member)
		}
	}
	return list
}

// hush ends the sound that a member is, if it is one. Server.mu and mu are held.
func (w *World) hush(m *member) {
	if p := m.sound; p != nil {
		w.sounds = without(w.sounds, p)
		p.cancel()
		w.dropTrack(p.track)
	}
}

// begun is a track that a member has from now on. Server.mu and mu are held.
func (w *World) begun(m *member, t *track) {
	m.track.Store(t)
	r := w.call.room
	r.tracks = append(r.tracks, t)
	r.tapTrack(t)
}
