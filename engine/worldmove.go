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
// of several. Errors: ErrNotInWorld, also for one who has just left, and an
// *Error for a place that is no number or beyond 1,000 km; the others are moved
// all the same. The slice is the caller's again when it returns.
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
	if on := m.on.Load(); on != nil {
		m = on
	}
	at, forward, _ = m.spot.read()
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
			m.spot.write(p.Position, p.Forward)
			if m.sound != nil {
				m.on.Store(nil)
			}
		}
	}
	if absent > 0 {
		return errors.Join(fmt.Errorf("earshot: %d of %d players are %w", absent, len(placements), ErrNotInWorld), bad)
	}
	return bad
}

// A spot is where a player is, as the game said last. One goroutine at a time
// writes; who reads waits for nobody.
type spot struct {
	version atomic.Uint32 // odd while it is being written
	words   [3]atomic.Uint64
}

func (s *spot) write(at, forward mixer.Vector) {
	s.version.Add(1)
	s.words[0].Store(pack(at[0], at[1]))
	s.words[1].Store(pack(at[2], forward[0]))
	s.words[2].Store(pack(forward[1], forward[2]))
	s.version.Add(1)
}

// read is what was written last, and its version: an odd one says that it is
// being written just now, and what is read is none.
func (s *spot) read() (at, forward audience.Vector, version uint32) {
	for range 4 {
		version = s.version.Load()
		at[0], at[1] = unpack(s.words[0].Load())
		at[2], forward[0] = unpack(s.words[1].Load())
		forward[1], forward[2] = unpack(s.words[2].Load())
		if version%2 == 0 && s.version.Load() == version {
			return at, forward, version
		}
	}
	return at, forward, 1
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
