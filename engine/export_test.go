package engine

import (
	"runtime"
	"time"
)

// Waits is how long before the room's tick the last packet of each talker came,
// in the pieces that a steer has not judged yet.
func Waits(s *Server, callID string) (waits []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.calls[callID].room.tracks {
		for !t.turn.begin() {
			runtime.Gosched()
		}
		if src := t.source.Load(); src != nil {
			waits = append(waits, src.steer.waits[max(0, src.steer.n-1)])
		}
		t.turn.end(0)
	}
	return waits
}
