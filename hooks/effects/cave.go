package effects

import "fmt"

// CaveConfig configures a Cave. Its zero value is a large cave.
type CaveConfig struct {
	// Size is how long it rings, from 0.1, a bathroom, to 1, a cathedral.
	// Default 0.7.
	Size float64
	// Mix is how much of the echo is added, 0 to 1. Default 0.4.
	Mix float64
}

// A Cave adds an echo: combs and allpasses, as Schroeder's reverberator has
// them. It rings on in the blocks after the last word: for those who are mixed
// for, up to 240 ms.
type Cave struct {
	mix   float64
	combs [6]comb
	alls  [2]allpass
}

// NewCave makes one. Errors: ErrConfig.
func NewCave(cfg CaveConfig) (*Cave, error) {
	if cfg.Size == 0 {
		cfg.Size = 0.7
	}
	if cfg.Mix == 0 {
		cfg.Mix = 0.4
	}
	if !within(cfg.Size, 0.1, 1) || !within(cfg.Mix, 0, 1) {
		return nil, fmt.Errorf("%w: Size %v, Mix %v: 0.1 to 1, and 0 to 1, are possible", ErrConfig, cfg.Size, cfg.Mix)
	}
	c := &Cave{mix: cfg.Mix}
	// Lengths without a common factor, 29 to 67 ms.
	for i, n := range []int{1423, 1733, 2089, 2473, 2843, 3203} {
		c.combs[i] = comb{buf: make([]float32, n), feedback: float32(0.6 + 0.32*cfg.Size), damp: 0.35}
	}
	for i, n := range []int{241, 611} {
		c.alls[i] = allpass{buf: make([]float32, n)}
	}
	return c, nil
}

// Process is a hooks.PCMHook.
func (c *Cave) Process(pcm []int16) {
	for i, v := range pcm {
		x := float32(v) / 32768
		var wet float32
		for k := range c.combs {
			wet += c.combs[k].next(x)
		}
		wet /= 4
		for k := range c.alls {
			wet = c.alls[k].next(wet)
		}
		pcm[i] = sample(limit(float64(x) + c.mix*float64(wet)))
	}
}

// limit leaves what is below 0.8 as it is, and bends what is above.
func limit(x float64) float64 {
	const knee = 0.8
	switch {
	case x > knee:
		return knee + (1-knee)*soft((x-knee)/(1-knee))
	case x < -knee:
		return -knee + (1-knee)*soft((x+knee)/(1-knee))
	}
	return x
}

type comb struct {
	buf            []float32
	at             int
	feedback, damp float32
	low            float32
}

func (c *comb) next(x float32) float32 {
	y := c.buf[c.at]
	c.low = y + (c.low-y)*c.damp
	// What has nearly died away is gone: tiny numbers are slow.
	if c.low < 1e-8 && c.low > -1e-8 {
		c.low = 0
	}
	c.buf[c.at] = x*(1-c.feedback)*2 + c.low*c.feedback
	if c.at++; c.at == len(c.buf) {
		c.at = 0
	}
	return y
}

type allpass struct {
	buf []float32
	at  int
}

func (a *allpass) next(x float32) float32 {
	y := a.buf[a.at]
	a.buf[a.at] = x + y/2
	if a.at++; a.at == len(a.buf) {
		a.at = 0
	}
	return y - x/2
}
