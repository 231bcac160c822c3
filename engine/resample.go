package engine

import (
	"context"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer"
)

// A resampledSource is a microphone of another rate, at the engine's.
type resampledSource struct {
	src  PCMSource
	rate int
	r    *mixer.Resampler
	in   []int16
	out  []int16 // resampled, and not yet read
}

// resampled returns a microphone that has rate Hz as one that has the engine's.
func resampled(src PCMSource, rate int) (PCMSource, error) {
	if rate == codec.SampleRate {
		return src, nil
	}
	r, err := mixer.NewResampler(rate, codec.SampleRate, 1)
	if err != nil {
		return nil, err
	}
	return &resampledSource{src: src, rate: rate, r: r}, nil
}

// ReadPCM reads as little as it needs, so that the source goes on setting the
// pace.
func (s *resampledSource) ReadPCM(ctx context.Context, pcm []int16) error {
	for len(s.out) < len(pcm) {
		n := ((len(pcm)-len(s.out))*s.rate + codec.SampleRate - 1) / codec.SampleRate
		if cap(s.in) < n {
			s.in = make([]int16, n)
		}
		if err := s.src.ReadPCM(ctx, s.in[:n]); err != nil {
			return err
		}
		s.out = s.r.Append(s.out, s.in[:n])
	}
	n := copy(pcm, s.out)
	s.out = s.out[:copy(s.out, s.out[n:])]
	return nil
}
