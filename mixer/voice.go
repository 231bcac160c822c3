package mixer

import (
	"math"
	"math/bits"
)

// A VoiceDetector tells speech from other sound in one talker's track. The zero
// value is ready; one goroutine at a time; it does not allocate.
//
// Every 10 ms it decides by two things together. The sound is louder than the
// background: in each of four bands from 80 Hz to 4 kHz it is compared with the
// least that the band has been, on an average over 400 ms, in the last three
// seconds (minimum statistics); on the mean of the three bands that stand out most it
// must be 7 dB above.
// And it is a voice: it repeats itself with the period of a pitch of 70 to 400
// Hz (normalised autocorrelation over 30 ms), and it lasts for those 30 ms.
// Two such frames of four are speech, or a single one that is plain. Steady
// noise of any kind, humming too, fails the first, and so do others in the room
// who are farther away; keys and knocks, which are over too soon, and breath,
// which has no pitch, fail the second. What comes within 240 ms after a voice
// still counts: consonants, and the ends of words.
//
// Music with a melody passes for speech.
type VoiceDetector struct {
	fill  int // samples of the frame that is being gathered
	frame [voiceFrame]float32

	low   [voiceTaps]float32 // of the decimation to 8 kHz
	split [3]halfBand

	pitch  [pitchMost + pitchWindow]float32 // at 4 kHz, the newest last
	last   float32
	bands  [voiceBands]bandFloor
	voiced uint8 // bit i: i frames ago it was loud and had a pitch
	hold   int   // frames for which it still is speech
}

const (
	voiceFrame = 480 // samples at 48 kHz: 10 ms
	voiceBands = 4
	voiceTaps  = 24

	// The pitch is looked for at 4 kHz.
	pitchWindow = 120 // 30 ms
	pitchLeast  = 10  // 400 Hz
	pitchMost   = 57  // 70 Hz

	// These were chosen on half of the voices in internal/speech, in white
	// noise, a fan, typing and babble 10 and 20 dB below them; the test's table
	// is of all.
	voiceRumble = 0.3   // of the sample before, taken off for the pitch
	voiceLeast  = -60.0 // dBov, under which nothing is speech
	voiceAbove  = 6.8   // dB over the background
	voiceAlike  = 0.37  // autocorrelation from which there is a pitch
	voiceEven   = 0.04  // the share of the weakest 10 ms in the energy of 30 ms
	plainAbove  = 9.0   // the same for a frame that is enough alone
	plainEven   = 0.16
	voiceRecent = 0x0f // frames of which two must have a voice
	voiceHold   = 24   // frames
)

// Process takes the next sound, 48 kHz mono, of any length, and reports whether
// it is speech: that of the newest whole 10 ms, with what was left over from
// before, and what was true before if there is none.
func (v *VoiceDetector) Process(pcm []int16) bool {
	for len(pcm) > 0 {
		n := min(len(pcm), voiceFrame-v.fill)
		for i, x := range pcm[:n] {
			v.frame[v.fill+i] = float32(x)
		}
		v.fill += n
		pcm = pcm[n:]
		if v.fill == voiceFrame {
			v.fill = 0
			v.step()
		}
	}
	return v.hold > 0
}

// Silence takes n samples without a sound, such as what is made up in pauses.
func (v *VoiceDetector) Silence(n int) {
	v.hold = max(0, v.hold-n/voiceFrame)
	v.voiced = 0
	v.fill = 0
}

// step decides on one frame.
func (v *VoiceDetector) step() {
	var wide [voiceFrame / 6]float32
	v.decimate(wide[:])
	var energy [voiceBands]float32
	var mid [voiceFrame / 12]float32
	v.analyse(wide[:], mid[:], &energy)
	copy(v.pitch[:], v.pitch[len(mid):])
	for i, x := range mid { // evened out: rooms rumble
		v.pitch[len(v.pitch)-len(mid)+i] = x - voiceRumble*v.last
		v.last = x
	}

	var total, excess float32
	least := float32(30)
	for i, e := range energy {
		total += e
		db := 10 * log10(e/float32(len(wide))+1)
		over := min(30, max(0, db-v.bands[i].note(db)))
		excess += over / (voiceBands - 1)
		least = min(least, over)
	}
	excess -= least / (voiceBands - 1) // the band that noise covers most says nothing
	level := 10*log10(total/float32(len(wide))+1) - 20*log10(32767)

	v.voiced <<= 1
	plain := false
	if level > voiceLeast && excess > voiceAbove {
		alike, even := v.alike()
		if alike > voiceAlike && even > voiceEven {
			v.voiced |= 1
			plain = excess > plainAbove && even > plainEven
		}
	}
	switch {
	case plain || bits.OnesCount8(v.voiced&voiceRecent) >= 2:
		v.hold = voiceHold
	case v.hold > 0:
		v.hold--
	}
}

func log10(x float32) float32 { return float32(math.Log10(float64(x))) }

// decimation is a low pass at 3.6 kHz for 48 kHz: a sinc under a Hamming window.
var decimation = func() (h [voiceTaps]float32) {
	var sum float64
	var w [voiceTaps]float64
	for i := range w {
		x := float64(i) - (voiceTaps-1)/2.0
		fc := 3600.0 / 48000
		w[i] = math.Sin(2*math.Pi*fc*x) / (math.Pi * x) * (0.54 - 0.46*math.Cos(2*math.Pi*(float64(i)+0.5)/voiceTaps))
		sum += w[i]
	}
	for i := range w {
		h[i] = float32(w[i] / sum)
	}
	return h
}()

// decimate makes 8 kHz of the frame.
func (v *VoiceDetector) decimate(out []float32) {
	var x [voiceTaps + voiceFrame]float32
	copy(x[:], v.low[:])
	copy(x[voiceTaps:], v.frame[:])
	for i := range out {
		out[i] = correlate(x[i*6+6:][:voiceTaps], decimation[:])
	}
	copy(v.low[:], v.frame[voiceFrame-voiceTaps:])
}

// analyse splits 8 kHz into four bands, 80-500, 500-1000, 1000-2000 and
// 2000-4000 Hz, and returns their energies, and in mid what lies under 2 kHz.
func (v *VoiceDetector) analyse(wide, mid []float32, energy *[voiceBands]float32) {
	var b, c, high [voiceFrame / 12]float32
	h := high[:len(mid)]
	v.split[0].split(wide, mid, h)
	energy[3] = power(h) * 2
	low := b[:len(mid)/2]
	h = high[:len(mid)/2]
	v.split[1].split(mid, low, h)
	energy[2] = power(h) * 4
	lowest := c[:len(low)/2]
	h = high[:len(low)/2]
	v.split[2].split(low, lowest, h)
	energy[1] = power(h) * 8
	energy[0] = power(lowest) * 8
}

func power(x []float32) (sum float32) {
	for _, v := range x {
		sum += v * v
	}
	return sum
}

// A halfBand splits a sound into its lower and upper half, at half the rate: a
// pair of first-order all-passes.
type halfBand struct{ even, odd float32 }

func (f *halfBand) split(in, low, high []float32) {
	const ce, co = 0.1412, 0.5898 // first-order pair for a half band
	for i := range low {
		x, y := in[2*i], in[2*i+1]
		a := f.even + ce*x
		f.even = x - ce*a
		b := f.odd + co*y
		f.odd = y - co*b
		low[i] = (a + b) / 2
		high[i] = (a - b) / 2
	}
}

// alike is how much the newest 30 ms repeat themselves with the period of a
// pitch, 0 to 1, and even how evenly their energy lies: the share of the weakest
// third.
func (v *VoiceDetector) alike() (best, even float32) {
	x := v.pitch[pitchMost:][:pitchWindow]
	const third = pitchWindow / 3
	a, b, c := power(x[:third]), power(x[third:2*third]), power(x[2*third:])
	xx := a + b + c + 1
	if even = min(a, b, c) / xx; even < voiceEven {
		return 0, even
	}
	y := v.pitch[pitchMost-pitchLeast:][:pitchWindow]
	yy := power(y)
	for lag := pitchLeast; lag <= pitchMost; lag++ {
		y = v.pitch[pitchMost-lag:][:pitchWindow]
		if xy := correlate(x, y); xy > 0 {
			best = max(best, xy*xy/(xx*(yy+1)))
		}
		if lag < pitchMost { // one sample older
			yy += v.pitch[pitchMost-lag-1]*v.pitch[pitchMost-lag-1] - y[pitchWindow-1]*y[pitchWindow-1]
		}
	}
	return float32(math.Sqrt(float64(best))), even
}

// correlate is the sum of the products; the lengths are equal, and multiples
// of 8. It is most of the work, all on a detector's own arrays, and not instrumented.
//
//go:norace
func correlate(x, y []float32) float32 {
	var a, b, c, d float32
	for len(x) >= 8 && len(y) >= 8 {
		a += x[0]*y[0] + x[4]*y[4]
		b += x[1]*y[1] + x[5]*y[5]
		c += x[2]*y[2] + x[6]*y[6]
		d += x[3]*y[3] + x[7]*y[7]
		x, y = x[8:], y[8:]
	}
	return a + b + c + d
}

// A bandFloor is the least that a band has been over the last three seconds, on
// an average over 400 ms.
type bandFloor struct {
	mean  float32    // dB
	parts [6]float32 // the least of each half second
	part  int
	n     int
	ready bool
}

const (
	floorPart = 50 // frames
	floorRate = 1.0 / 40
)

// note takes a frame's level in dB and returns the floor.
func (f *bandFloor) note(db float32) float32 {
	if !f.ready {
		f.ready, f.mean = true, db
		for i := range f.parts {
			f.parts[i] = db
		}
	}
	f.mean += floorRate * (db - f.mean)
	if f.n++; f.n == floorPart {
		f.n = 0
		f.part = (f.part + 1) % len(f.parts)
		f.parts[f.part] = f.mean
	}
	f.parts[f.part] = min(f.parts[f.part], f.mean)
	least := f.parts[0]
	for _, p := range f.parts[1:] {
		least = min(least, p)
	}
	return least
}
