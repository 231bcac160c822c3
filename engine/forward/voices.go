package forward

import "time"

const (
	// Audible is the level from which a packet counts as somebody's talk, in
	// dBov: that of volume 0.
	Audible = -60.0
	// holdTime is for how long a voice that has fallen silent keeps its place.
	holdTime = 400 * time.Millisecond
	// wordTime is how long a pause must be for a word to have ended.
	wordTime = 160 * time.Millisecond
	// sinkRate is how fast the rank of a voice sinks after a loud sound.
	sinkRate = 20.0 // dB a second
	// A voice that is heard is preferred to one that is not by hysteresis, and
	// speech to other sounds by voiceBonus.
	hysteresis = 6.0  // dB
	voiceBonus = 10.0 // dB
)

// Voices chooses the voices that are heard at a time: the loudest, with a
// preference for those that are heard already, and never at the cost of one in
// the middle of a word.
type Voices struct {
	heard []*Voice
	limit int
}

// A Voice is what Voices knows of one source. The zero value is a source that
// was never heard.
type Voice struct {
	// Priority is added to how loud it is, in dB. Default 0.
	Priority float64

	rank  float64
	at    time.Time // of rank
	loud  time.Time // when it was last audible
	heard bool
}

// NewVoices returns a choice of at most limit voices.
func NewVoices(limit int) *Voices { return &Voices{limit: limit, heard: make([]*Voice, 0, limit)} }

// Packet takes a packet of a source, how loud it is in dBov and whether it is
// speech, and reports whether it is to be heard. Times must not go back.
func (v *Voices) Packet(s *Voice, level float64, speech bool, now time.Time) bool {
	sunk := s.rank - sinkRate*now.Sub(s.at).Seconds()
	rank := level + s.Priority
	if speech {
		rank += voiceBonus
	}
	if s.at.IsZero() || rank > sunk {
		sunk = rank
	}
	s.rank, s.at = sunk, now
	if level > Audible {
		s.loud = now
	}
	switch {
	case s.heard && now.Sub(s.loud) < holdTime:
		return true
	case s.heard:
		v.Remove(s)
		return false
	case level <= Audible:
		return false
	}
	for i := 0; i < len(v.heard); {
		if h := v.heard[i]; now.Sub(h.loud) >= holdTime {
			v.Remove(h)
			continue
		}
		i++
	}
	if len(v.heard) >= v.limit {
		worst := v.least(now)
		if worst == nil || s.rank <= worst.rank-sinkRate*now.Sub(worst.at).Seconds()+hysteresis {
			return false
		}
		v.Remove(worst)
	}
	s.heard = true
	v.heard = append(v.heard, s)
	return true
}

// least is the voice that should be heard least, of those that are not in the
// middle of a word; nil if all are.
func (v *Voices) least(now time.Time) (worst *Voice) {
	least := 0.0
	for _, h := range v.heard {
		rank := h.rank - sinkRate*now.Sub(h.at).Seconds()
		if now.Sub(h.loud) >= wordTime && (worst == nil || rank < least) {
			worst, least = h, rank
		}
	}
	return worst
}

// Remove takes a voice out, for instance because its source has ended.
func (v *Voices) Remove(s *Voice) {
	s.heard = false
	for i, h := range v.heard {
		if h == s {
			last := len(v.heard) - 1
			v.heard[i], v.heard[last] = v.heard[last], nil
			v.heard = v.heard[:last]
			return
		}
	}
}
