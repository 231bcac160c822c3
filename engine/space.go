package engine

import (
	"math"
	"sync/atomic"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/mixer"
)

// space is how loud and from which side a client hears a track of a world,
// which the track's packets say. Gains glide over what is played at a time.
type space struct {
	ext  uint8 // identifier of the header extension; 0 without
	told atomic.Uint32

	// The puller's own: the gains at the end of what was played last.
	begun       bool
	left, right float32
}

// note takes what a packet says. What is malformed says nothing.
func (s *space) note(h *rtp.Header) {
	if s.ext == 0 {
		return
	}
	if e := h.GetExtension(s.ext); len(e) == 2 {
		s.told.Store(uint32(e[0])<<8 | uint32(e[1]))
	}
}

// gains are those of both sides: with equal power, both 0.71 ahead.
func (s *space) gains() (left, right float32) {
	told := s.told.Load()
	db, pan := int8(told>>8), int8(told)
	gain := math.Pow(10, float64(max(audience.MinGain, min(audience.MaxGain, db)))/20)
	side := float64(max(-audience.PanSteps, min(audience.PanSteps, pan))) / audience.PanSteps
	sin, cos := math.Sincos((side + 1) * math.Pi / 4)
	return float32(gain * cos), float32(gain * sin)
}

// add adds what was said to what is heard, mono or stereo.
func (s *space) add(sum []int32, pcm []int16, volume float32, stereo bool) {
	left, right := s.gains()
	left, right = left*volume, right*volume
	if !stereo {
		left = float32(math.Hypot(float64(left), float64(right)))
		right = left
	}
	if !s.begun {
		s.begun, s.left, s.right = true, left, right
	}
	if stereo {
		mixer.AddStereoRamp(sum, pcm, s.left, s.right, left, right)
	} else {
		mixer.AddRamp(sum, pcm, s.left, left)
	}
	s.left, s.right = left, right
}
