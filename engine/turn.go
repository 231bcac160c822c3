package engine

import "sync/atomic"

// A turn lets one packet of a track through at a time, and counts those that were
// received. One atomic operation begins it and one ends it and counts: each costs
// as much as parsing the packet does. The zero value is ready.
type turn struct {
	// word is turnBusy while a packet is in hand, and what take has not taken:
	// packets in units of turnPacket, and below that their bytes.
	word atomic.Uint64
}

const (
	turnBusy   = 1 << 63
	turnPacket = 1 << 40
	turnFull   = 1 << 62 // nobody ever takes it: it begins anew
)

// begin reports whether it is the caller's turn. It does not wait for another's.
func (t *turn) begin() bool {
	for {
		w := t.word.Load()
		next := w | turnBusy
		switch {
		case w >= turnBusy:
			return false
		case w >= turnFull:
			next = turnBusy
		}
		if t.word.CompareAndSwap(w, next) {
			return true
		} // or take came between
	}
}

// end ends the caller's turn. n is the length of what was received, or 0.
func (t *turn) end(n int) {
	done := uint64(n)
	if n > 0 {
		done += turnPacket
	}
	t.word.Add(done - turnBusy)
}

// take returns how many packets were received since it was last called, and
// their bytes. It waits for nobody, and is for one caller at a time.
func (t *turn) take() (packets, bytes uint64) {
	w := t.word.Load() &^ turnBusy
	t.word.Add(-w)
	return w / turnPacket, w % turnPacket
}
