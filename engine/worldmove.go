package engine

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// A Placement is where a player is now.
type Placement struct {
	// Player is the handle of Join, and UserID the user, or the sound
	// (PlayConfig.UserID), where there is none: handles save a map's look-up for
	// each.
	Player Handle
	UserID string
	// Position is in metres. Forward is which way they look, and need not be of
	// length 1; the part of it that is level counts. Default forward.
	Position, Forward mixer.Vector
}

// ErrNotInWorld is wrapped by the error of Move for players who are not, or no
// longer, in the world.
var ErrNotInWorld = errors.New("not in the world")

// Move says where players are, as often as the game's own loop turns: a thousand
// at a time take some tens of microseconds, and it waits neither for media nor
// for those who hear. What it says is used from the next tick on
// (WorldConfig.Tick), the last of several. Errors: ErrNotInWorld, also for one
// who has just left, and an *Error for a place that is no number or beyond
// 1,000 km; the others are moved all the same. The slice is the caller's again
// when it returns.
func (w *World) Move(placements []Placement) error {
	err := w.stage.move(placements)
	if w.announced.Load() > 0 {
		w.tick.start() // somebody may have gone out of hearing
	}
	return err
}

// A stage is where positions wait for the tick.
type stage struct {
	mu    sync.Mutex
	next  uint32 // generation of the next handle
	spots []spot // by audience.ID
	dirty []int32
	// followers are on others: see bring.
	followers []int32
	users     map[string]Handle
}

type spot struct {
	handle      Handle // 0 if nobody is there
	at, forward audience.Vector
	on          Handle // whom it goes with; 0 is nobody
	dirty       bool
}

// id is the player's number in a handle.
func (h Handle) id() uint32 { return uint32(h) }

func (s *stage) add(m *member, p *Player) Handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	for int(m.id) >= len(s.spots) {
		s.spots = append(s.spots, spot{})
	}
	s.next++
	h := Handle(s.next)<<32 | Handle(m.id)
	sp := &s.spots[m.id]
	sp.handle, sp.at, sp.forward, sp.on = h, audience.Vector(p.Position), audience.Vector(p.Forward), 0
	s.users[m.userID] = h
	return h
}

func (s *stage) remove(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spots[m.id].handle = 0
	delete(s.users, m.userID)
}

func (s *stage) move(placements []Placement) error {
	var bad error
	absent := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range placements {
		p := &placements[i]
		h := p.Player
		if h == 0 {
			h = s.users[p.UserID]
		}
		id := h.id()
		if h == 0 || int(id) >= len(s.spots) || s.spots[id].handle != h {
			absent++
			continue
		}
		if !isPlace(p.Position) || !isPlace(p.Forward) {
			bad = checkPlace(p.Position, p.Forward)
			continue
		}
		sp := &s.spots[id]
		sp.at, sp.forward, sp.on = audience.Vector(p.Position), audience.Vector(p.Forward), 0
		if !sp.dirty {
			sp.dirty = true
			s.dirty = append(s.dirty, int32(id))
		}
	}
	if absent > 0 {
		return errors.Join(fmt.Errorf("earshot: %d of %d players are %w", absent, len(placements), ErrNotInWorld), bad)
	}
	return bad
}

// apply moves the players.
func (s *stage) apply(a *audience.Audience) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.dirty {
		sp := &s.spots[id]
		sp.dirty = false
		if sp.handle != 0 {
			a.Place(audience.ID(id), sp.at, sp.forward)
		}
	}
	s.dirty = s.dirty[:0]
	s.bring(a)
}

func isPlace(v mixer.Vector) bool {
	return v[0] >= -maxMetres && v[0] <= maxMetres && v[1] >= -maxMetres && v[1] <= maxMetres && v[2] >= -maxMetres && v[2] <= maxMetres
}

func checkPlace(vectors ...mixer.Vector) error {
	for _, v := range vectors {
		if !isPlace(v) {
			return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("%v is no place within 1,000 km", v)}
		}
	}
	return nil
}

func checkMetres(m float32) error {
	if !(m >= 0 && m <= maxMetres) || math.IsNaN(float64(m)) {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("%v m is no range", m)}
	}
	return nil
}
