package mixer

import "math"

// An AutoGain evens out how loud one talker is: slowly, as a hand at a mixing
// desk would, so that those who are far from their microphone are heard as well
// as those who are near. It listens to speech alone, so it raises no noise while
// nobody speaks, stays between -12 and +15 dB, and turns down at once what would
// clip. The zero value is ready; one goroutine at a time; it does not allocate.
type AutoGain struct {
	gain  float32 // dB
	level float32 // dBov of the speech so far, on an average over seconds
	heard int     // samples of speech, up to gainSure
}

const (
	gainTarget = -23.0 // dBov at which speech is to be
	gainLeast  = -12.0 // dB
	gainMost   = 15.0  // dB
	gainUp     = 3.0   // dB a second of speech
	gainDown   = 9.0
	gainSlack  = 1.5 // dB within which nothing is changed
	gainFloor  = -50.0
	// gainSure is how much speech it takes to trust the level: until then it
	// changes in proportion.
	gainSure = 24000 // samples at 48 kHz
	gainPeak = 30000 // of 32767: what is louder is turned down in the same block
)

// Process changes the next sound in place: 48 kHz mono, of any length up to
// some 100 ms. voice says whether it is speech (VoiceDetector).
func (a *AutoGain) Process(pcm []int16, voice bool) {
	if len(pcm) == 0 {
		return
	}
	from := a.gain
	if voice {
		a.follow(pcm)
	}
	var peak int32
	for _, v := range pcm {
		peak = max(peak, int32(v), -int32(v))
	}
	to := a.gain
	if room := 20 * log10(gainPeak/float32(max(1, peak))); min(from, to) > min(room, 0) && max(from, to) > room {
		// Only gain is taken back: what comes in loud is not ours to turn down
		// faster than gainDown.
		room = max(room, min(0, from))
		from, to = min(from, room), min(to, room)
		a.gain = to
	}
	if from == 0 && to == 0 {
		return
	}
	Ramp(pcm, linear(from), linear(to))
}

// follow takes speech and moves the gain towards what it should be.
func (a *AutoGain) follow(pcm []int16) {
	level := float32(Level(pcm))
	if level < gainFloor {
		return
	}
	n := float32(len(pcm))
	if a.heard == 0 {
		a.level = level
	}
	a.heard = min(gainSure, a.heard+len(pcm))
	// The loud parts of speech are what is heard: up fast, down slowly.
	rate := n / (2 * 48000)
	if level > a.level {
		rate = n / (0.2 * 48000)
	}
	a.level += min(1, rate) * (level - a.level)

	off := max(gainLeast, min(gainMost, gainTarget-a.level)) - a.gain
	if off < gainSlack && off > -gainSlack {
		return
	}
	sure := float32(a.heard) / gainSure
	a.gain += max(-gainDown*n/48000*sure, min(gainUp*n/48000*sure, off))
}

// Gain is the gain at the end of the last block, in dB.
func (a *AutoGain) Gain() float64 { return float64(a.gain) }

func linear(dB float32) float32 { return float32(math.Pow(10, float64(dB)/20)) }
