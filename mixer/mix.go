package mixer

// Summing voices: sums are 32-bit, so that 65,536 full-scale voices fit, and
// come back to 16 bits through a [Limiter] or [Saturate].

// Add adds pcm to sum. sum is at least as long.
func Add(sum []int32, pcm []int16) {
	sum = sum[:len(pcm)]
	for i, v := range pcm {
		sum[i] += int32(v)
	}
}

// Sub takes pcm out of sum again, as a talker does not hear themselves. sum is
// at least as long.
func Sub(sum []int32, pcm []int16) {
	sum = sum[:len(pcm)]
	for i, v := range pcm {
		sum[i] -= int32(v)
	}
}

// Saturate writes sum to pcm, clipping what is too loud. pcm is at least as
// long as sum.
func Saturate(pcm []int16, sum []int32) {
	pcm = pcm[:len(sum)]
	for i, v := range sum {
		pcm[i] = int16(max(-32768, min(32767, v)))
	}
}

// A Mixer adds voices up: Begin, Add for each, End. The zero value is ready;
// one goroutine at a time. It allocates only when a mix is longer than all
// before.
type Mixer struct {
	sum     []int32
	limiter Limiter
}

// Begin starts a mix of n values.
func (m *Mixer) Begin(n int) {
	if cap(m.sum) < n {
		m.sum = make([]int32, n)
	}
	m.sum = m.sum[:n]
	clear(m.sum)
}

// Add adds a voice, which is not kept. One longer than the mix is cut off.
func (m *Mixer) Add(pcm []int16) {
	Add(m.sum, pcm[:min(len(pcm), len(m.sum))])
}

// End writes the mix to pcm, which is as long as Begin was told, and silence to
// what is longer. What is not too loud comes
// out as it went in.
func (m *Mixer) End(pcm []int16) {
	n := min(len(pcm), len(m.sum))
	m.limiter.Process(pcm[:n], m.sum[:n])
	clear(pcm[n:])
}

// A Limiter turns sums of several voices into 16 bits without clipping: where
// they are too loud together it turns all of them down for a moment, smoothly,
// and up again within about a third of a second. It adds no delay. The zero
// value is ready; one goroutine at a time.
type Limiter struct {
	cut   float32 // 1 minus the gain at the end of the last block
	needs [limitChunks]float32
}

const (
	limitChunk   = 64 // values that share one measurement
	limitChunks  = 64
	limitCeiling = 32000          // of 32767: -0.2 dB
	limitRelease = 1.0 / (6 * 40) // gain regained per chunk: 64 values are 1.3 ms of 48 kHz mono
)

// Process writes sum to pcm, which is at least as long as sum. Stereo is
// interleaved, and both sides are turned down alike.
func (l *Limiter) Process(pcm []int16, sum []int32) {
	for len(sum) > 0 {
		n := min(len(sum), limitChunk*limitChunks)
		l.block(pcm[:n], sum[:n])
		pcm, sum = pcm[n:], sum[n:]
	}
}

// copyUnless writes sum to pcm where all of it fits 16 bits, and reports whether
// it does. It is one pass over the samples: the or of what each has beyond its
// sign is below 32768 only if all are.
func copyUnless(pcm []int16, sum []int32) bool {
	var a, b uint32
	for len(sum) >= 4 && len(pcm) >= 4 {
		v0, v1, v2, v3 := sum[0], sum[1], sum[2], sum[3]
		a |= uint32(v0^v0>>31) | uint32(v1^v1>>31)
		b |= uint32(v2^v2>>31) | uint32(v3^v3>>31)
		pcm[0], pcm[1], pcm[2], pcm[3] = int16(v0), int16(v1), int16(v2), int16(v3)
		sum, pcm = sum[4:], pcm[4:]
	}
	for i, v := range sum {
		a |= uint32(v ^ v>>31)
		pcm[i] = int16(v)
	}
	return a|b < 32768
}

// block looks ahead to the end of its values. The gain is a broken line
// through the chunk borders, and at each border no more than either side of it
// bears.
func (l *Limiter) block(pcm []int16, sum []int32) {
	if l.cut == 0 && copyUnless(pcm, sum) {
		return
	}
	chunks := (len(sum) + limitChunk - 1) / limitChunk
	for c := range chunks {
		var peak int32
		for _, v := range sum[c*limitChunk : min(len(sum), (c+1)*limitChunk)] {
			peak = max(peak, v, -v)
		}
		l.needs[c] = 1
		if peak > limitCeiling {
			l.needs[c] = limitCeiling / float32(peak)
		}
	}
	gain := min(1-l.cut, l.needs[0])
	for c := range chunks {
		end := min(gain+limitRelease, l.needs[c])
		if c+1 < chunks {
			end = min(end, l.needs[c+1])
		}
		from, to := c*limitChunk, min(len(sum), (c+1)*limitChunk)
		step := (end - gain) / float32(to-from)
		for i := from; i < to; i++ {
			gain += step
			pcm[i] = int16(max(-32768, min(32767, float32(sum[i])*gain)))
		}
		gain = end
	}
	l.cut = 1 - gain
}
