package jitter

import "math"

// A noise is what is heard while a sender transmits nothing: the hiss of their
// room, as loud as it was between their words, lest every pause sound as if the
// line were dead. A sender whose pauses are digital silence, or of whom no pause
// has been heard, has none.
type noise struct {
	seed  uint32
	level float64 // dBov of the quietest of late
	known bool
	last  [2]float32
	gain  float32 // of this moment: it swells
}

const (
	noiseMost  = -50.0 // dBov: louder than that is no background
	noiseLeast = -80.0
	noiseRise  = 2.0 // dB a second by which the quietest is forgotten
	// noiseColour is how much of each new sample there is in a room's hiss, a
	// low pass of the first order, and noiseRMS what it leaves of the level of a
	// uniform distribution: sqrt(1/3) times sqrt(c / (2 - c)).
	noiseColour = 0.35
	noiseRMS    = 0.2659
	noiseSwell  = 1.0 / 960 // a sample
)

// hear takes the level of a piece of sound of some seconds.
func (n *noise) hear(dBov, seconds float64) {
	if !n.known || dBov < n.level {
		n.known, n.level = true, dBov
		return
	}
	n.level = min(dBov, n.level+noiseRise*seconds)
}

// stop is real sound.
func (n *noise) stop() { n.gain = 0 }

// fill writes noise to pcm, or silence.
func (n *noise) fill(pcm []int16, channels int) {
	if !n.known || n.level > noiseMost || n.level < noiseLeast {
		clear(pcm)
		return
	}
	amp := float32(32767 * math.Pow(10, n.level/20) / noiseRMS)
	for i := 0; i < len(pcm); i += channels {
		n.gain = min(1, n.gain+noiseSwell)
		for c := range channels {
			n.seed = n.seed*1664525 + 1013904223 // an LCG is noise enough
			x := float32(int32(n.seed)) / (1 << 31)
			n.last[c] += noiseColour * (x - n.last[c])
			pcm[i+c] = int16(n.last[c] * amp * n.gain)
		}
	}
}
