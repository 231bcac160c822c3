package mixer

// Gains that glide: from one value to another over a block, in a straight line
// that begins at the first sample and would reach its end just after the last,
// so that the next block goes on from there without a step.

// Ramp multiplies pcm, mono, by gains from one to another.
func Ramp(pcm []int16, from, to float32) {
	gain, step := from, slope(from, to, len(pcm))
	for i, v := range pcm {
		pcm[i] = clip(float32(v) * gain)
		gain += step
	}
}

// AddGain adds pcm to sum, louder or quieter. sum is at least as long.
func AddGain(sum []int32, pcm []int16, gain float32) { AddRamp(sum, pcm, gain, gain) }

// AddRamp adds pcm, mono, to sum, with gains from one to another. sum is at
// least as long.
func AddRamp(sum []int32, pcm []int16, from, to float32) {
	sum = sum[:len(pcm)]
	gain, step := from, slope(from, to, len(pcm))
	for i, v := range pcm {
		sum[i] += int32(float32(v) * gain)
		gain += step
	}
}

// AddStereo adds pcm, mono, to both sides of sum, interleaved stereo of at least
// twice its length.
func AddStereo(sum []int32, pcm []int16, left, right float32) {
	AddStereoRamp(sum, pcm, left, right, left, right)
}

// AddStereoRamp is AddStereo with gains from one to another.
func AddStereoRamp(sum []int32, pcm []int16, fromLeft, fromRight, toLeft, toRight float32) {
	sum = sum[:2*len(pcm)]
	l, dl := fromLeft, slope(fromLeft, toLeft, len(pcm))
	r, dr := fromRight, slope(fromRight, toRight, len(pcm))
	for i, v := range pcm {
		sum[2*i] += int32(float32(v) * l)
		sum[2*i+1] += int32(float32(v) * r)
		l += dl
		r += dr
	}
}

func slope(from, to float32, n int) float32 {
	if n == 0 {
		return 0
	}
	return (to - from) / float32(n)
}

func clip(v float32) int16 { return int16(max(-32768, min(32767, v))) }
