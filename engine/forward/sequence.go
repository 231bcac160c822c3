package forward

// A Sequence renumbers the packets of an RTP stream of which some are not sent,
// so that the receiver takes those for no losses. The zero value is ready.
type Sequence struct {
	offset  uint16 // what is taken off
	highest uint16 // the newest seen
	cut     uint16 // up to where what comes late has no number any more
	started bool
	gap     bool // something was left out since the last that passed
}

// Pass returns the number that a packet is sent with. It reports false for one
// that came so late that the gap where it belongs is closed.
func (s *Sequence) Pass(seq uint16) (out uint16, ok bool) {
	if !s.see(seq) && int16(seq-s.cut) <= 0 {
		return 0, false
	}
	s.gap = false
	return seq - s.offset, true
}

// Gap reports whether packets were left out before the next that passes: then
// it begins a talk spurt.
func (s *Sequence) Gap() bool { return s.gap }

// Skip leaves a packet out.
func (s *Sequence) Skip(seq uint16) {
	if s.see(seq) {
		s.offset++
		s.cut = seq
		s.gap = true
	}
}

// see takes a number, and reports whether it is the newest.
func (s *Sequence) see(seq uint16) bool {
	if !s.started {
		s.started, s.highest, s.cut = true, seq, seq-1<<15+1
		return true
	}
	if int16(seq-s.highest) <= 0 {
		return false
	}
	s.highest = seq
	if int16(s.highest-s.cut) < 0 { // half the circle has gone by
		s.cut = s.highest - 1<<15 + 1
	}
	return true
}
