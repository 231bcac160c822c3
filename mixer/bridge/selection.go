package bridge

import (
	"time"

	"github.com/earshotrtc/earshot/mixer"
)

const (
	// audible is the level from which a track counts as a talker's, in dBov:
	// that of volume 0.
	audible = -60.0
	// holdTime is for how long a talker who has fallen silent stays in the mix.
	holdTime = 400 * time.Millisecond
	// wordTime is how long a pause must be for a talker to have ended a word.
	wordTime = 160 * time.Millisecond
	// sinkRate is how fast a track's score sinks after a loud sound.
	sinkRate = 20.0 // dB a second
	// A talker who is in the mix is preferred to one who is not by hysteresis,
	// and a voice to other sounds by voiceBonus.
	hysteresis = 6.0  // dB
	voiceBonus = 10.0 // dB
)

// choose decides who is in this tick's mix. Those who have been silent for the
// hold go; the loudest of the others come while there is room. When there is
// none, a louder one takes the place of the least loud, but never of one in the
// middle of a word, and only from the next tick on: this one fades out first.
func (b *Bridge) choose() {
	for i, s := range b.talkers {
		if s == nil {
			continue
		}
		if s.fade == fadeOut || s.quiet >= b.hold {
			b.release(s)
			continue
		}
		b.talkers[i].fade = steady
	}
	for {
		best := b.loudest()
		if best == nil {
			return
		}
		if b.talking < b.cfg.Talkers {
			b.seat(best)
			continue
		}
		if worst := b.least(); worst != nil && best.rank() > worst.rank()+hysteresis {
			worst.fade = fadeOut
		}
		return
	}
}

// rank is how much a track should be in the mix.
func (s *Source) rank() float64 {
	if s.voice {
		return s.score + voiceBonus
	}
	return s.score
}

// loudest is the track that should be in the mix most of those that are not.
func (b *Bridge) loudest() (best *Source) {
	for _, s := range b.active {
		if s.slot < 0 && s.quiet == 0 && (best == nil || s.rank() > best.rank()) {
			best = s
		}
	}
	return best
}

// least is the talker who should be in the mix least, of those who are not in
// the middle of a word; nil if all are.
func (b *Bridge) least() (worst *Source) {
	for _, s := range b.talkers {
		if s != nil && s.words >= b.word && (worst == nil || s.rank() < worst.rank()) {
			worst = s
		}
	}
	return worst
}

// seat puts a track into the mix.
func (b *Bridge) seat(s *Source) {
	for i, t := range b.talkers[:b.cfg.Talkers] {
		if t == nil {
			b.talkers[i] = s
			b.seated[i]++
			s.slot, s.fade = i, fadeIn
			b.talking++
			return
		}
	}
}

// release takes a track out of the mix.
func (b *Bridge) release(s *Source) {
	b.talkers[s.slot] = nil
	b.talking--
	s.slot, s.fade = -1, steady
}

// fadeEdges makes the first frame of a talker in the mix swell, and the last
// one ebb away.
func (b *Bridge) fadeEdges() {
	for _, s := range b.talkers {
		if s == nil {
			continue
		}
		switch s.fade {
		case fadeIn:
			mixer.Ramp(s.pcm[:b.samples/4], 0, 1)
		case fadeOut:
			mixer.Ramp(s.pcm, 1, 0)
		}
	}
}
