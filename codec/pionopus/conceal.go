package pionopus

import "math"

// A concealer makes up sound for lost frames: it repeats the last pitch period
// of what was heard and fades it out, as G.711 Appendix I does, but without
// that one's delay. When sound comes back it is cross-faded in.
//
// All lengths below are in samples per channel unless they say values.
type concealer struct {
	rate, channels int

	hist []float32 // the last 40 ms heard, interleaved
	mono []float32 // the same, mixed and at about 8 kHz: to look for the pitch
	down int       // by which mono's rate is lower

	// Valid while concealing.
	active bool
	period []float32 // one pitch period, interleaved
	lag    int       // its length
	pos    int       // next sample in it
	done   int       // samples made up since the last good frame
	fade   int       // samples until silence
	gain   float32   // holds the level at or below the last 20 ms'
	jump   [2]float32
	tail   []int16 // for the cross-fade
}

func newConcealer(rate, channels int) *concealer {
	down := rate / 8000 // 12 kHz stays as it is
	return &concealer{
		rate: rate, channels: channels, down: down,
		hist:   make([]float32, rate/25*channels),
		mono:   make([]float32, rate/25/down),
		period: make([]float32, rate/60*channels),
		tail:   make([]int16, rate/200*channels),
	}
}

func (c *concealer) reset() {
	clear(c.hist)
	c.active = false
}

// good takes what was decoded, and fades it in if it follows made-up sound.
func (c *concealer) good(pcm []int16) {
	if c.active {
		tail := c.tail[:min(len(c.tail), len(pcm))]
		c.generate(tail)
		n := len(tail) / c.channels
		for i, v := range tail {
			w := float32(i/c.channels+1) / float32(n+1)
			pcm[i] = round(w*float32(pcm[i]) + (1-w)*float32(v))
		}
		c.active = false
	}
	c.remember(pcm)
}

// conceal fills pcm.
func (c *concealer) conceal(pcm []int16) {
	if !c.active {
		c.start()
	}
	c.generate(pcm)
	c.remember(pcm)
}

func (c *concealer) remember(pcm []int16) {
	if over := len(pcm) - len(c.hist); over > 0 {
		pcm = pcm[over:]
	}
	kept := copy(c.hist, c.hist[len(pcm):])
	for i, v := range pcm {
		c.hist[kept+i] = float32(v)
	}
}

// start analyses the history.
func (c *concealer) start() {
	ch := c.channels
	end := len(c.hist)
	lag, likeness := c.pitch()
	c.active, c.lag, c.pos, c.done = true, lag, 0, 0
	// Voiced sound lasts; what has no pitch would buzz.
	c.fade = c.rate * 60 / 1000
	if likeness < 0.5 {
		c.fade = c.rate * 30 / 1000
	}

	// The end of the period leads over to its start: its last quarter becomes
	// what came before its start.
	n := lag * ch
	copy(c.period[:n], c.hist[end-n:])
	overlap := lag / 4
	for i := range overlap {
		w := float32(i+1) / float32(overlap+1)
		for k := range ch {
			at := (lag-overlap+i)*ch + k
			c.period[at] = (1-w)*c.period[at] + w*c.hist[end-2*n+at]
		}
	}
	// The first sample follows the last one heard, not the one before the
	// period: let the difference die out.
	for k := range ch {
		c.jump[k] = c.hist[end-ch+k] - c.hist[end-n-ch+k]
	}

	// Never louder than the last 20 ms: a period may hold more of the strong
	// parts than that did. The start is bound to what was heard, so the gain of
	// the rest is found by trying.
	frame := c.rate / 50
	var heard float64
	for _, v := range c.hist[end-frame*ch:] {
		heard += float64(v) * float64(v)
	}
	c.gain = 1
	for range 6 {
		made := c.energy(frame)
		if made <= heard {
			break
		}
		c.gain *= 0.98 * float32(math.Sqrt(heard/made))
	}
}

// energy is that of the first n samples that generate will make.
func (c *concealer) energy(n int) float64 {
	ch := c.channels
	var sum float64
	for i := range n {
		g, rest := c.weights(i)
		for k := range ch {
			v := float64(g*c.period[i%c.lag*ch+k] + rest*c.jump[k])
			sum += v * v
		}
	}
	return sum
}

// weights are those of the period, and of the jump at its start, in the n-th
// sample made up.
func (c *concealer) weights(n int) (g, rest float32) {
	hold, ramp := c.rate/100, c.rate/400
	g = c.gain
	if n < ramp {
		rest = 1 - float32(n+1)/float32(ramp)
		g += (1 - g) * rest
	}
	switch {
	case n >= c.fade:
		g = 0
	case n >= hold:
		g *= float32(c.fade-n) / float32(c.fade-hold)
	}
	return g, rest
}

// generate goes on with the made-up sound.
func (c *concealer) generate(pcm []int16) {
	ch := c.channels
	for i := 0; i < len(pcm); i += ch {
		g, rest := c.weights(c.done)
		for k := range ch {
			pcm[i+k] = round(g*c.period[c.pos*ch+k] + rest*c.jump[k])
		}
		c.done++
		if c.pos++; c.pos == c.lag {
			c.pos = 0
		}
	}
}

// pitch returns the length of the period at the end of the history, 2.5 to
// 16.6 ms, and how alike it and the one before are (-1 to 1).
func (c *concealer) pitch() (lag int, likeness float32) {
	// Coarsely first, where a mean is filter enough.
	ch := c.channels
	step := c.down * ch
	for i := range c.mono {
		var sum float32
		for _, v := range c.hist[i*step : (i+1)*step] {
			sum += v
		}
		c.mono[i] = sum
	}
	rate := c.rate / c.down
	likeness = -1
	for l := rate / 400; l <= rate/60; l++ {
		if v := alike(c.mono, rate/50, l, 1); v > likeness {
			lag, likeness = l*c.down, v
		}
	}
	if likeness < 0.5 {
		return c.rate / 60, likeness
	}
	// Then to the sample.
	top, coarse := float32(-2), lag
	for l := max(coarse-c.down, c.rate/400); l <= min(coarse+c.down, c.rate/60); l++ {
		if v := alike(c.hist, c.rate/100*ch, l*ch, ch); v > top {
			lag, top = l, v
		}
	}
	return lag, likeness
}

// alike is the normalised correlation of the last n values of x with those lag
// earlier. Only every step-th value counts.
func alike(x []float32, n, lag, step int) float32 {
	a := x[len(x)-n:]
	b := x[len(x)-n-lag : len(x)-lag]
	var ab, aa, bb float32
	for i := 0; i < n; i += step {
		ab += a[i] * b[i]
		aa += a[i] * a[i]
		bb += b[i] * b[i]
	}
	if aa <= 0 || bb <= 0 {
		return -1
	}
	return ab / float32(math.Sqrt(float64(aa)*float64(bb)))
}

func round(v float32) int16 {
	switch {
	case v >= 32767:
		return 32767
	case v <= -32768:
		return -32768
	case v >= 0:
		return int16(v + 0.5)
	}
	return int16(v - 0.5)
}
