package effects

import (
	"fmt"
	"math"
)

// A Pitch makes a voice higher or lower without making it faster: an ogre, a
// mouse. It delays the voice by 20 ms on average.
type Pitch struct {
	ratio float64
	buf   [pitchBuf]float32
	at    int
	phase float64 // of the first tap, 0 to 1
}

const (
	pitchBuf    = 4096
	pitchWindow = rate * 40 / 1000 // the range over which the taps move
)

// NewPitch makes one that multiplies all frequencies: 0.5 is an octave lower, 2
// an octave higher; those are the limits. Errors: ErrConfig.
func NewPitch(ratio float64) (*Pitch, error) {
	if !within(ratio, 0.5, 2) {
		return nil, fmt.Errorf("%w: a ratio of %v is not within 0.5 to 2", ErrConfig, ratio)
	}
	return &Pitch{ratio: ratio}, nil
}

// Process is a hooks.PCMHook. Two taps run through a delay line at another speed
// than it is filled, and each is unheard when it jumps back.
func (p *Pitch) Process(pcm []int16) {
	if p.ratio == 1 {
		return
	}
	for i, v := range pcm {
		p.buf[p.at] = float32(v) / 32768
		a, b := p.phase, p.phase+0.5
		if b >= 1 {
			b--
		}
		w := math.Sin(math.Pi * a)
		w *= w
		pcm[i] = sample(p.tap(a)*w + p.tap(b)*(1-w))
		p.phase += (1 - p.ratio) / pitchWindow
		if p.phase < 0 {
			p.phase++
		} else if p.phase >= 1 {
			p.phase--
		}
		p.at = (p.at + 1) % pitchBuf
	}
}

// tap reads the delay line, between its samples.
func (p *Pitch) tap(phase float64) float64 {
	d := phase*pitchWindow + 1
	n := int(d)
	frac := d - float64(n)
	x := float64(p.buf[(p.at-n+pitchBuf)%pitchBuf])
	y := float64(p.buf[(p.at-n-1+pitchBuf)%pitchBuf])
	return x + (y-x)*frac
}
