package engine

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// voices is a room's choice of voices, where it has more than are heard at a
// time.
type voices struct {
	mu     sync.Mutex
	choice *forward.Voices // nil until it is needed
}

// unknownLevel is how loud a packet is taken to be that does not say so, in
// dBov: less than most speech.
const unknownLevel = -40.0

// enough reports whether there are more voices than limit.
func (v *voices) enough(tracks []*track, limit int) bool {
	n := 0
	for _, t := range tracks {
		if t.kind == signal.KindAudio {
			n++
		}
	}
	if n <= limit {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.choice == nil {
		v.choice = forward.NewVoices(limit)
	}
	return true
}

func (v *voices) remove(t *track) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.choice != nil {
		v.choice.Remove(&t.voice)
	}
}

// heard reports whether the packet at hand is one of a voice that is heard now.
func (v *voices) heard(t *track, now time.Time) bool {
	level, speech := unknownLevel, true
	if t.level.tells { // RFC 6464 section 3
		level, speech = -float64(t.level.told&0x7f), t.level.told>>7 != 0
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.choice.Packet(&t.voice, level, speech, now)
}

// renumber gives the packet at hand the number with which it is sent, and
// reports false if it is not.
func (t *track) renumber(table *routes, now time.Time) bool {
	seq := t.header.SequenceNumber
	if table.choose && !t.call.room.voices.heard(t, now) {
		t.numbers.Skip(seq)
		t.unheard.Add(1)
		return false
	}
	gap := t.numbers.Gap()
	out, ok := t.numbers.Pass(seq)
	if !ok {
		t.refused.Add(1)
		return false
	}
	binary.BigEndian.PutUint16(t.buf[2:], out)
	if gap {
		t.buf[1] |= 1 << 7 // the first of a talk spurt (RFC 7587 section 4.2)
	}
	return true
}

// SetPriorities makes users more, or less, likely to be heard in a call that
// has more voices than ServerConfig.Voices: the number is added to how loud
// they are, in dB, -100 to 100. Users who are not named stay as they are.
// Errors: an *Error if there is no such call, a user is not in it, or a number
// is out of range; nothing is changed then.
func (s *Server) SetPriorities(callID string, priorities map[string]float64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[callID]
	if c == nil {
		return s.noCall(callID)
	}
	for user, p := range priorities {
		switch {
		case c.state.Member(user) == nil && c.room.sound(user) == nil:
			return refuse(hooks.CodeBadParam, "%.32q is not in the call", user)
		case math.IsNaN(p) || math.Abs(p) > 100:
			return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("priority %v is not within -100 to 100 dB", p)}
		}
	}
	r := c.room
	r.voices.mu.Lock()
	defer r.voices.mu.Unlock()
	if r.priorities == nil {
		r.priorities = make(map[string]float64)
	}
	for user, p := range priorities {
		r.priorities[user] = p
	}
	for _, t := range r.tracks {
		t.voice.Priority = r.priorities[t.owner.userID]
	}
	return nil
}
