package transport

import (
	"runtime"
	"testing"
)

// TestIdleSessionIsSmall measures what a session holds beside its connection:
// state and the stacks of its goroutines.
func TestIdleSessionIsSmall(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes more")
	}
	const n = 200
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := memory()
	sessions := make([]*session, n)
	for i := range sessions {
		s := newSession(newFakeLink(), SessionConfig{}, false, nil)
		s.gate = &gate{share: 1}
		s.start(t.Context())
		// A burst leaves nothing behind.
		for range 300 {
			s.Send(Packet{Flow: 1, Class: 2, Payload: make([]byte, MaxPacketSize)})
		}
		sessions[i] = s
	}
	for _, s := range sessions {
		for s.Stats().QueueDepth != [NumClasses]int{} {
			runtime.Gosched()
		}
	}
	each := (memory() - before) / n
	t.Logf("%d bytes for an idle session", each)
	if each > 20<<10 {
		t.Errorf("an idle session holds %d bytes, want at most 20 KiB", each)
	}
	for _, s := range sessions {
		s.Close()
	}
}
