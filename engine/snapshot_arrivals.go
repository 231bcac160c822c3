package engine

import (
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec"
)

// arrivals follow when a voice's packets come: interarrival jitter and how many
// got lost (RFC 3550 appendix A.8 and A.3). note belongs to the packet handler;
// what it has shown may be read by any goroutine.
type arrivals struct {
	seq    uint16
	came   uint16 // modulo 1<<16
	lost   uint32 // modulo 1<<32: fewer if packets came twice
	ts     uint32
	at     time.Time
	jitter time.Duration
	shown  atomic.Uint64
}

const (
	// A packet whose timestamp is so far from its arrival begins anew: the
	// sender's clock has jumped.
	clockJump = time.Second
	// seqJump is how many numbers may be missing; more is a new start, too.
	seqJump = 1000
	// showEvery is after how many packets without a loss the jitter is shown anew:
	// showing it costs as much as the rest of note.
	showEvery = 16
)

func (a *arrivals) note(seq uint16, ts uint32, arrival time.Time) {
	lost := a.lost
	if a.at.IsZero() {
		a.seq = seq
	} else {
		d := arrival.Sub(a.at) - time.Duration(int32(ts-a.ts))*time.Second/codec.SampleRate
		if d = max(d, -d); d < clockJump {
			a.jitter += (d - a.jitter) / 16
		}
		if ahead := int16(seq - a.seq); ahead > seqJump || ahead < -seqJump {
			a.seq = seq
		} else if ahead > 0 {
			a.seq = seq
			a.lost += uint32(ahead) - 1
		} else { // it was lost, or is there twice
			a.lost--
		}
	}
	a.ts, a.at = ts, arrival
	if a.came++; a.came%showEvery == 1 || a.lost != lost {
		a.shown.Store(uint64(a.lost)<<32 | uint64(uint32(a.jitter/time.Microsecond)))
	}
}

// read returns how many packets got lost so far, modulo 1<<32, and the jitter.
func (a *arrivals) read() (lost uint32, jitter time.Duration) {
	v := a.shown.Load()
	return uint32(v >> 32), time.Duration(uint32(v)) * time.Microsecond
}
