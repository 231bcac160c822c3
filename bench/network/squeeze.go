package network

import (
	"context"
	"time"
)

// Squeeze is how a call got over a line that became slow for a while.
type Squeeze struct {
	// Audio is of the whole call.
	Audio Audio
	// Before is the video's bitrate in the five seconds before, Within that
	// in the last five of the squeeze.
	Before, Within float64
	// Back is how long after the line was fast again the video reached nine
	// tenths of Before, over two seconds; negative if it did not.
	Back time.Duration
}

// A squeeze begins after squeezeFrom and ends after squeezeTo of squeezeLength.
const (
	squeezeFrom   = 20 * time.Second
	squeezeTo     = 40 * time.Second
	squeezeLength = 70 * time.Second
)

// RunSqueeze makes a call of 70 s as Run does, with cfg.Path but for 20 s in the
// middle, where its rate is another.
func RunSqueeze(ctx context.Context, cfg Config, rate int64) (*Squeeze, error) {
	slow := cfg.Path
	slow.Rate = rate
	cfg.Duration = squeezeLength
	cfg.Changes = []Change{{squeezeFrom, slow}, {squeezeTo, cfg.Path}}
	r, err := Run(ctx, cfg)
	if err != nil {
		return nil, err
	}
	const mean, step, enough = 2 * time.Second, 100 * time.Millisecond, 0.9
	at := func(d time.Duration) time.Time { return r.began.Add(d) }
	s := &Squeeze{
		Audio:  r.Audio,
		Before: bitrate(r.shown, at(squeezeFrom-5*time.Second), at(squeezeFrom)),
		Within: bitrate(r.shown, at(squeezeTo-5*time.Second), at(squeezeTo)),
		Back:   -1,
	}
	for t := squeezeTo; t+mean <= squeezeLength; t += step {
		if bitrate(r.shown, at(t), at(t+mean)) >= enough*s.Before {
			s.Back = t - squeezeTo
			break
		}
	}
	return s, nil
}
