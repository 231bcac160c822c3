package audio

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// SourceConfig configures a Source. Only PCM is needed.
type SourceConfig struct {
	// PCM is the sound. It is not written to.
	PCM []int16
	// Loop begins again at the end. Default off: the source ends with io.EOF.
	Loop bool
	// Limit ends the source after so much sound. Default none.
	Limit time.Duration
	// Stay makes readers wait at the end until their context is over, as if
	// the microphone had been switched off. Default off: they get io.EOF.
	Stay bool
	// Hold makes readers wait for Begin. Default off: the first read begins.
	Hold bool
}

// A Source is a microphone that hears a given sound. It implements
// engine.PCMSource. One goroutine reads at a time; the other methods may be
// called from any.
type Source struct {
	cfg     SourceConfig
	pace    *pacer
	pos     int64 // of the next sample, since the beginning
	end     int64
	skipped atomic.Int64
}

// NewSource makes a source. An empty PCM ends at once.
func NewSource(cfg SourceConfig) *Source {
	s := &Source{cfg: cfg, pace: newPacer(cfg.Hold), end: int64(len(cfg.PCM))}
	if cfg.Loop && s.end > 0 {
		s.end = 1<<63 - 1
	}
	if cfg.Limit > 0 {
		s.end = min(s.end, samples(cfg.Limit))
	}
	return s
}

// Begin starts the source now; only the first call does.
func (s *Source) Begin() { s.pace.begin() }

// Began is when the source's first sample reached the microphone, or zero
// before. Sample n did n/48000 s later.
func (s *Source) Began() time.Time { return s.pace.began() }

// Skipped is how many samples nobody read in time: a microphone does not wait.
func (s *Source) Skipped() int64 { return s.skipped.Load() }

// ReadPCM fills pcm with the next samples and returns when the last of them
// has been captured. A reader that comes more than 200 ms late has missed
// some. The last read before io.EOF is filled up with silence.
func (s *Source) ReadPCM(ctx context.Context, pcm []int16) error {
	for {
		if s.pos >= s.end {
			if s.cfg.Stay {
				<-ctx.Done()
				return ctx.Err()
			}
			return io.EOF
		}
		late, err := s.pace.wait(ctx, s.pos+int64(len(pcm)))
		if err != nil {
			return err
		}
		if late == 0 {
			break
		}
		skip := max(1, samples(late)/int64(len(pcm))) * int64(len(pcm))
		s.skipped.Add(skip)
		s.pos += skip
	}
	n := min(int64(len(pcm)), s.end-s.pos)
	clear(pcm[n:])
	at := s.pos % int64(len(s.cfg.PCM))
	for rest := pcm[:n]; len(rest) > 0; at = 0 {
		rest = rest[copy(rest, s.cfg.PCM[at:]):]
	}
	s.pos += int64(len(pcm))
	return nil
}

// Silence is a microphone in a quiet room: it never ends.
func Silence() *Source {
	return NewSource(SourceConfig{PCM: make([]int16, BlockSamples), Loop: true})
}
