package audio

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const blockDuration = 10 * time.Millisecond

// RandomPhase is a phase for Pull: a sound card starts when it likes.
func RandomPhase() time.Duration { return rand.N(blockDuration) }

// Pull does what a sound card does: from phase from now on it has pull fill
// 480 samples every 10 ms, and hands them to play with the time of the pull.
// It returns when ctx ends, with nil, or with play's error.
//
// The schedule is absolute. If it cannot be kept for 100 ms, it goes on from
// there, as a sound card does after an underrun. The block is Pull's: play
// must not keep it.
func Pull(ctx context.Context, phase time.Duration, pull func(pcm []int16), play func(pcm []int16, at time.Time) error) error {
	block := make([]int16, BlockSamples)
	next := time.Now().Add(phase)
	p := newPacer(false)
	for {
		if err := p.sleep(ctx, time.Until(next)); err != nil || ctx.Err() != nil {
			return nil
		}
		at := time.Now()
		pull(block)
		if err := play(block, at); err != nil {
			return err
		}
		next = next.Add(blockDuration)
		if late := at.Sub(next); late > 10*blockDuration {
			next = next.Add(late.Truncate(blockDuration))
		}
	}
}

// errFull ends a Pull into a Recording.
var errFull = errors.New("audio: the recording is an hour long; it ends here")

// A Recording is the sound that was pulled, and when. Its zero value is empty
// and ready. It is for one goroutine at a time.
type Recording struct {
	// PCM is the sound.
	PCM []int16
	// Times has for each block of 480 samples when it was pulled, which is
	// when its first sample is heard.
	Times []time.Time
}

// Add is for Pull's play: it appends a block of 480 samples.
func (r *Recording) Add(pcm []int16, at time.Time) error {
	if len(r.PCM) >= 3600*Rate {
		return errFull
	}
	r.PCM = append(r.PCM, pcm...)
	r.Times = append(r.Times, at)
	return nil
}

// Time is when sample n was heard.
func (r *Recording) Time(n int) time.Time {
	return r.Times[n/BlockSamples].Add(duration(int64(n % BlockSamples)))
}

// From is the number of the first sample of the first block that was pulled at
// t or later.
func (r *Recording) From(t time.Time) int {
	lo, hi := 0, len(r.Times)
	for lo < hi {
		if mid := (lo + hi) / 2; r.Times[mid].Before(t) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo * BlockSamples
}
