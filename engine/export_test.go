package engine

import "time"

// Waits is how long before the room's tick the last packet of each talker came,
// in the pieces that a steer has not judged yet.
func Waits(s *Server, callID string) (waits []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.calls[callID].room.tracks {
		t.turn.Lock()
		if n := t.steer.n; n > 0 {
			waits = append(waits, t.steer.waits[n-1])
		} else {
			waits = append(waits, t.steer.waits[0])
		}
		t.turn.Unlock()
	}
	return waits
}
