package engine

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"

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
// at a time take some tens of microseconds, and no media waits for it nor it for
// media. What it says is used from the next tick on (WorldConfig.Tick), the last
// of several, and all of it at once: nobody is heard because half of a Move, or
// it without a setting that was made before, were used. Errors: ErrNotInWorld, also
// for one who has just left, and an *Error for a place that is no number or beyond
// 1,000 km; the others are moved all the same. The slice is the caller's again when
// it returns.
func (w *World) Move(placements []Placement) error {
	err := w.stage.move(placements)
	if w.announced.Load() > 0 {
		w.tick.start() // somebody may have gone out of hearing
	}
	return err
}

// A stage is where Move finds players by handle or name. Its lock is one that
// the tick does not take.
type stage struct {
	// Moves are numbered from 2 on: 1 is where who joins is. Those up to done are
	// complete; who has mu writes it. After the one in kept is where the tick may
	// want to know that players were.
	done, kept atomic.Uint64

	mu    sync.Mutex
	next  uint32    // generation of the next handle
	byID  []*member // by audience.ID; nil where nobody is
	users map[string]*member
}

// id is the player's number in a handle.
func (h Handle) id() uint32 { return uint32(h) }

// add gives a player their handle.
func (s *stage) add(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for int(m.id) >= len(s.byID) {
		s.byID = append(s.byID, nil)
	}
	s.next++
	m.handle = Handle(s.next)<<32 | Handle(m.id)
	s.byID[m.id], s.users[m.userID] = m, m
}

// where is where a player is.
func (s *stage) where(m *member) (at, forward audience.Vector) {
	s.mu.Lock() // nobody writes
	defer s.mu.Unlock()
	turn := s.done.Load()
	at, forward, _ = m.at(turn).read(turn)
	return at, forward
}

func (s *stage) remove(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byID[m.id] = nil
	delete(s.users, m.userID)
}

func (s *stage) move(placements []Placement) error {
	var bad error
	absent := 0
	s.mu.Lock()
	defer s.mu.Unlock()
	turn, kept := s.done.Load()+1, s.kept.Load()
	defer s.done.Store(turn)
	for i := range placements {
		p := &placements[i]
		var m *member
		if id := p.Player.id(); p.Player == 0 {
			m = s.users[p.UserID]
		} else if int(id) < len(s.byID) && s.byID[id] != nil && s.byID[id].handle == p.Player {
			m = s.byID[id]
		}
		switch {
		case m == nil:
			absent++
		case !isPlace(p.Position) || !isPlace(p.Forward):
			bad = checkPlace(p.Position, p.Forward)
		default:
			m.spot.write(turn, kept, p.Position, p.Forward)
			if m.on != nil {
				m.off.CompareAndSwap(0, turn)
			}
		}
	}
	if absent > 0 {
		return errors.Join(fmt.Errorf("earshot: %d of %d players are %w", absent, len(placements), ErrNotInWorld), bad)
	}
	return bad
}

// A spot is where a player is: by the last Move that said so, by the one that the
// tick goes by, which may be an older one, and by the one that is under way. One
// goroutine at a time writes and one reads, and neither waits for the other.
type spot struct {
	newest int // of places; the writer's
	places [3]place
}

type place struct {
	turn  atomic.Uint64 // of the Move that said it, or unsaid while it is written
	words [3]atomic.Uint64
}

const unsaid = math.MaxUint64

// write notes what a Move says, and leaves what was so after the one that is kept.
func (s *spot) write(turn, kept uint64, at, forward mixer.Vector) {
	i := s.newest
	if was := s.places[i].turn.Load(); was != turn { // else the Move names the player twice
		a, b := (i+1)%3, (i+2)%3
		i = a
		if ta, tb := s.places[a].turn.Load(), s.places[b].turn.Load(); was > kept && ta <= kept && (tb > kept || tb < ta) {
			i = b
		}
	}
	p := &s.places[i]
	p.turn.Store(unsaid)
	p.words[0].Store(pack(at[0], at[1]))
	p.words[1].Store(pack(at[2], forward[0]))
	p.words[2].Store(pack(forward[1], forward[2]))
	p.turn.Store(turn)
	s.newest = i
}

// read is where the player was after the Move that is kept, or after the last
// one if nobody writes, and which Move said it.
func (s *spot) read(turn uint64) (at, forward audience.Vector, said uint64) {
	var p *place
	for i := range s.places {
		if t := s.places[i].turn.Load(); t <= turn && t >= said {
			p, said = &s.places[i], t
		}
	}
	at[0], at[1] = unpack(p.words[0].Load())
	at[2], forward[0] = unpack(p.words[1].Load())
	forward[1], forward[2] = unpack(p.words[2].Load())
	return at, forward, said
}

// at is whose spot tells where a member is after a Move: their own, or, of a
// sound, that of the player it is on.
func (m *member) at(turn uint64) *spot {
	if m.on != nil {
		if off := m.off.Load(); off == 0 || off > turn {
			return &m.on.spot
		}
	}
	return &m.spot
}

// place tells the tick's audience where all are after the Move that is kept. It is
// the tick's.
func (w *World) place(turn uint64) {
	for _, m := range w.byID {
		if m == nil {
			continue
		}
		sp := m.at(turn)
		if at, forward, said := sp.read(turn); said != m.placed || sp != m.from {
			w.aud.Place(m.id, at, forward)
			m.placed, m.from = said, sp
		}
	}
}

func pack(a, b float32) uint64 {
	return uint64(math.Float32bits(a))<<32 | uint64(math.Float32bits(b))
}

func unpack(w uint64) (a, b float32) {
	return math.Float32frombits(uint32(w >> 32)), math.Float32frombits(uint32(w))
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
