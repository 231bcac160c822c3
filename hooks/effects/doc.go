// Package effects has ready-made PCM hooks: a radio's sound, walls between
// talker and receiver, a cave, another pitch.
//
//	radio, err := effects.NewRadio(effects.RadioConfig{})
//	...
//	engine.ServerConfig{Plugins: []hooks.Plugin{{
//		Name: "radio",
//		Processor: func(t hooks.TrackInfo) hooks.PCMHook {
//			radio, _ := effects.NewRadio(effects.RadioConfig{})
//			return radio.Process
//		},
//	}}}
//
// Each Process is a hooks.PCMHook: it changes 48 kHz mono sound in place, block
// by block, of whatever length. An effect has the state of one voice: make one
// for each track. Process is for one goroutine at a time, allocates nothing, and
// takes some ten to eighty microseconds for 20 ms. Sound that is too loud is
// limited, never wrapped.
package effects

import (
	"errors"
	"math"
)

// ErrConfig is wrapped by the errors of this package's New functions.
var ErrConfig = errors.New("effects: bad configuration")

// rate is that of all sound here, in Hz.
const rate = 48000

// glide is the coefficient of a one-pole smoother that follows within a time in
// seconds.
func glide(seconds float64) float64 { return 1 - math.Exp(-1/(seconds*rate)) }

// sample is x, from -1 to 1, as it is written.
func sample(x float64) int16 {
	return int16(math.Round(max(math.MinInt16, min(math.MaxInt16, x*32768))))
}

// within reports whether x is a number from a to b.
func within(x, a, b float64) bool { return x >= a && x <= b }
