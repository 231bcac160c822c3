package mixer

import "time"

// gatePreRoll is how much of the sound before a word is let through with it:
// a NoiseGate delays by that.
const gatePreRoll = 480 * 4 // samples at 48 kHz: 40 ms

// A NoiseGate silences one talker between their words. It delays the sound by
// 40 ms (Delay), so that it can open before the word that opened it: what the
// detector needs to know a voice, and the first consonant, are not cut off. It
// opens within 5 ms and closes over a tenth of a second. The zero value is ready
// and shut; one goroutine at a time; it does not allocate.
type NoiseGate struct {
	line [gatePreRoll]int16 // a ring
	at   int
	open float32 // 0 to 1
}

const (
	gateOpens  = 1.0 / 240  // a sample
	gateCloses = 1.0 / 4800 // a sample
)

// Delay is how much later sound comes out than it went in.
func (*NoiseGate) Delay() time.Duration { return gatePreRoll * time.Second / 48000 }

// Process changes the next sound in place: 48 kHz mono, of any length. voice
// says whether there is speech in it (VoiceDetector).
func (g *NoiseGate) Process(pcm []int16, voice bool) {
	for i, v := range pcm {
		if voice {
			g.open = min(1, g.open+gateOpens)
		} else {
			g.open = max(0, g.open-gateCloses)
		}
		pcm[i] = int16(float32(g.line[g.at]) * g.open)
		g.line[g.at] = v
		if g.at++; g.at == len(g.line) {
			g.at = 0
		}
	}
}
