package record

import (
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	// A voice that is beside its place by voiceOff samples, 10 ms, is put right: a
	// quiet block as soon as it is quietOff beside.
	voiceOff   = 480
	quietOff   = 48
	quietLevel = 100 // of 32767
	// voiceSeam is over how many samples it fades, 5 ms.
	voiceSeam = 240
)

// A voice is one user's in a heard. Its blocks follow each other without a seam,
// though a jitter buffer cuts and repeats, until they are too far beside where the
// user's own file has them.
type voice struct {
	track uint64
	next  int64 // where the next block begins if there is no step
	last  []int16
}

// add lays a block of the voice into the file; at is its place.
func (v *voice) add(h *heard, pcm []int16, track uint64, at int64) {
	n := int64(len(pcm) / h.channels)
	silent, quiet := true, true
	for _, s := range pcm {
		silent = silent && s == 0
		quiet = quiet && s > -quietLevel && s < quietLevel
	}
	off := at - v.next
	follows := track == v.track && len(v.last) > 0 && off <= voiceOff && off >= -voiceOff &&
		(!quiet || off <= quietOff && off >= -quietOff)
	if follows {
		h.lay(v.next, pcm, func(int64) float32 { return 1 })
	} else {
		// The last block ends softly, and this one begins so: over each other if it
		// goes back.
		seam := min(n, voiceSeam)
		if off < 0 {
			seam = min(n, -off)
		}
		if had := min(seam, int64(len(v.last)/h.channels)); had > 0 {
			tail := v.last[len(v.last)-int(had)*h.channels:]
			h.lay(v.next-had, tail, func(i int64) float32 { return -float32(i+1) / float32(had+1) })
		}
		if v.next = at; !silent {
			h.lay(at, pcm, func(i int64) float32 { return min(1, float32(i+1)/float32(seam+1)) })
		}
	}
	v.track = track
	v.next += n
	if v.last = v.last[:0]; !silent {
		v.last = append(v.last, pcm...)
	}
}

// place is where a block of the speaker belongs: where their own file has what
// they said then.
func (s *speaker) place(b hooks.TapSound) int64 {
	at := samplesAt(b.Time.Sub(s.rec.began), codec.SampleRate)
	if b.Track == s.track && s.clock.known {
		ts := s.clock.last + int64(int32(b.Timestamp-uint32(s.clock.last)))
		said := s.clock.place(ts)
		if off := time.Duration(at-said) * time.Second / codec.SampleRate; off > -time.Second && off < 2*time.Second {
			at = said
		}
	}
	return at - preSkip // it is encoded once more
}
