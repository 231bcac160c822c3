package engine

import (
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
)

// arrivals follow when a voice's packets come: interarrival jitter and how many
// were to be expected (RFC 3550 appendix A.8 and A.3). note belongs to the packet
// handler; what it has shown may be read by any goroutine.
type arrivals struct {
	seq     uint16
	ts      uint32
	at      time.Time
	jitter  time.Duration
	highest uint32 // packets expected so far
	shown   atomic.Uint64
}

const (
	// A packet whose timestamp is so far from its arrival begins anew: the
	// sender's clock has jumped.
	clockJump = time.Second
	// seqJump is how many numbers may be missing; more is a new start, too.
	seqJump = 1000
)

func (a *arrivals) note(seq uint16, ts uint32, arrival time.Time) {
	if a.at.IsZero() {
		a.seq, a.highest = seq, 1
	} else {
		d := arrival.Sub(a.at) - time.Duration(int32(ts-a.ts))*time.Second/codec.SampleRate
		if d = max(d, -d); d < clockJump {
			a.jitter += (d - a.jitter) / 16
		}
		if ahead := int16(seq - a.seq); ahead > seqJump || ahead < -seqJump {
			a.seq = seq
			a.highest++
		} else if ahead > 0 {
			a.seq = seq
			a.highest += uint32(ahead)
		}
	}
	a.ts, a.at = ts, arrival
	a.shown.Store(uint64(a.highest)<<32 | uint64(uint32(a.jitter/time.Microsecond)))
}

// read returns how many packets were to be expected so far, modulo 1<<32, and
// the jitter now.
func (a *arrivals) read() (expected uint32, jitter time.Duration) {
	v := a.shown.Load()
	return uint32(v >> 32), time.Duration(uint32(v)) * time.Microsecond
}
