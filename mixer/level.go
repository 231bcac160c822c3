package mixer

import "math"

// Silence is the level, in dBov, of no sound at all: the least that RFC 6465
// can say.
const Silence = -127.0

// Level is the level of pcm in dBov: its root mean square relative to the
// loudest possible sound, a full-scale square wave (RFC 6465 section 3, RFC
// 6464 section 3). It is from -127 (silence, or an empty pcm) to 0; a
// full-scale sine is -3.01. Interleaved channels count as one sound.
func Level(pcm []int16) float64 {
	var sum uint64
	for _, v := range pcm {
		sum += uint64(int64(v) * int64(v))
	}
	return PowerLevel(sum, len(pcm))
}

// PowerLevel is the level in dBov of n values whose squares add up to sum.
func PowerLevel(sum uint64, n int) float64 {
	if sum == 0 || n <= 0 {
		return Silence
	}
	const overload = 32767 * 32767
	db := 10 * math.Log10(float64(sum)/(float64(n)*overload))
	return min(0, max(Silence, db))
}

// The ends of the scale of volumes, in dBov.
const (
	volumeFloor = -60.0
	volumeTop   = -3.0
)

// Volume maps a level in dBov to the scale of the callbacks, 0 to 100: 0 below
// -60 dBov, then linear in dB to 100 at -3 dBov, which a full-scale sine
// reaches. It rounds to the nearest.
func Volume(dBov float64) int {
	if !(dBov >= volumeFloor) { // not-a-number is silence
		return 0
	}
	v := math.Round((dBov - volumeFloor) * 100 / (volumeTop - volumeFloor))
	return int(min(100, v))
}
