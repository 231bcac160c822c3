package effects

import (
	"fmt"
	"math"
)

// RadioConfig configures a Radio. Its zero value is a handheld radio.
type RadioConfig struct {
	// Low and High are the ends of the band that passes, in Hz, 50 to 8000.
	// Defaults 300 and 3000.
	Low, High float64
	// Drive is how much the voice is pushed into the limiter, in dB, 0 to 40: it
	// evens out how loud it is, and distorts. Negative is none. Default 14.
	Drive float64
	// Noise is that of the line while somebody speaks, in dBov, -100 to -10.
	// Default -48.
	Noise float64
	// Squelch is how loud the noise is with which a transmission opens and
	// closes, in dBov, -100 to -6. Default -24.
	Squelch float64
}

// A Radio makes a voice sound as over a radio: a narrow band, compression, some
// noise, and squelch at the beginning and the end of what is said. Between that
// it is silent. The squelch ends a third of a second after the last word.
type Radio struct {
	cfg        RadioConfig
	high, low  [2]svf
	noiseHigh  svf
	noiseLow   svf
	speaker    svf // after the limiter, whose distortion is above the band, too
	drive      float64
	noise      float64 // amplitude while it is open
	squelch    float64
	env        float64 // of the voice, for the compressor
	key        float64 // and for what opens it, which lets go sooner
	gain       float64 // of the compressor
	seed       uint32
	open       bool
	quiet      int     // samples since the voice was above the threshold
	burst      int     // samples of squelch that are left
	level      float64 // of the noise now
	gate       float64 // of the voice now
	up, down   float64
	fast, slow float64
	letGo      float64
}

const (
	radioOpen  = 0.003           // amplitude of the envelope that opens it: -50 dBov
	radioHold  = rate * 16 / 100 // from the last word to the squelch
	radioBurst = rate * 6 / 100
	radioAim   = 0.35 // what the compressor levels the envelope to
)

// NewRadio makes one. Errors: ErrConfig.
func NewRadio(cfg RadioConfig) (*Radio, error) {
	def := func(p *float64, v float64) {
		if *p == 0 {
			*p = v
		}
	}
	def(&cfg.Low, 300)
	def(&cfg.High, 3000)
	def(&cfg.Drive, 14)
	def(&cfg.Noise, -48)
	def(&cfg.Squelch, -24)
	cfg.Drive = max(cfg.Drive, 0)
	switch {
	case !within(cfg.Low, 50, 8000) || !within(cfg.High, 50, 8000) || cfg.Low >= cfg.High:
		return nil, fmt.Errorf("%w: a band of %v to %v Hz: 50 to 8000 are possible", ErrConfig, cfg.Low, cfg.High)
	case !within(cfg.Drive, 0, 40):
		return nil, fmt.Errorf("%w: Drive %v dB is not within 0 to 40", ErrConfig, cfg.Drive)
	case !within(cfg.Noise, -100, -10):
		return nil, fmt.Errorf("%w: Noise %v dBov is not within -100 to -10", ErrConfig, cfg.Noise)
	case !within(cfg.Squelch, -100, -6):
		return nil, fmt.Errorf("%w: Squelch %v dBov is not within -100 to -6", ErrConfig, cfg.Squelch)
	}
	r := &Radio{
		cfg: cfg, seed: 1, gain: 1,
		up: glide(0.002), down: glide(0.005), fast: glide(0.003), slow: glide(0.08), letGo: glide(0.02),
		drive: math.Pow(10, cfg.Drive/20),
	}
	for i := range r.high {
		r.high[i].tune(cfg.Low, 0.707)
		r.low[i].tune(cfg.High, 0.707)
	}
	r.noiseHigh.tune(cfg.Low, 0.707)
	r.noiseLow.tune(cfg.High, 0.707)
	r.speaker.tune(cfg.High*1.2, 0.707)
	// White noise of ±1 has a power of 1/3, of which the band lets its share
	// pass.
	share := math.Sqrt(1.0 / 3 * (cfg.High - cfg.Low) / (rate / 2))
	r.noise = math.Pow(10, cfg.Noise/20) / share
	r.squelch = math.Pow(10, cfg.Squelch/20) / share
	return r, nil
}

// Process is a hooks.PCMHook.
func (r *Radio) Process(pcm []int16) {
	for i, v := range pcm {
		x := float64(v) / 32768
		for k := range r.high {
			_, x = r.high[k].next(x)
			x, _ = r.low[k].next(x)
		}
		if a := math.Abs(x); a > r.env {
			r.env += r.fast * (a - r.env)
		} else {
			r.env += r.slow * (a - r.env)
		}
		r.key = max(math.Abs(x), r.key-r.letGo*r.key)
		r.switches()
		// The gain comes down at once and up slowly.
		want := min(r.drive, radioAim/max(r.env, 1e-4))
		if want < r.gain {
			r.gain += r.fast * (want - r.gain)
		} else {
			r.gain += r.slow * (want - r.gain)
		}
		noise, voice := 0.0, 0.0
		if r.open {
			noise, voice = r.noise, 1
		}
		if r.burst > 0 {
			r.burst--
			noise = r.squelch
		}
		r.level += follow(r.level, noise, r.up, r.down)
		r.gate += follow(r.gate, voice, r.up, r.down)
		if r.level < 1e-5 && r.gate < 1e-5 && !r.open && r.burst == 0 {
			pcm[i] = 0
			continue
		}
		r.seed = r.seed*1664525 + 1013904223
		n := float64(int32(r.seed)) / (1 << 31)
		n, _ = r.noiseLow.next(n)
		_, n = r.noiseHigh.next(n)
		y, _ := r.speaker.next(soft(x*r.gain*r.gate + n*r.level))
		pcm[i] = sample(y)
	}
}

// switches opens and closes it as the voice comes and goes.
func (r *Radio) switches() {
	switch {
	case r.key > radioOpen:
		r.quiet = 0
		if !r.open {
			r.open, r.burst = true, radioBurst/3
		}
	case r.open:
		if r.quiet++; r.quiet > radioHold {
			r.open, r.burst = false, radioBurst
		}
	}
}

// follow is a step from x towards a goal, faster up than down.
func follow(x, goal, up, down float64) float64 {
	if goal > x {
		return up * (goal - x)
	}
	return down * (goal - x)
}
