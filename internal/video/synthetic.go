package video

import (
	"context"
	"encoding/binary"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine"
)

// Synthetic is a camera that follows what it is told: frames are as large as its
// bitrate wants, a key frame four times as large, and made when one is asked
// for. It has as many sizes as Sizes has entries. What is in a frame is no
// picture, but its header is a frame's, and its number is in it. Set the fields
// before its first use. It is for tests.
type Synthetic struct {
	// FPS is how many frames a second. Default 30.
	FPS int
	// Bitrate is that of the largest size to begin with, and the most. Default
	// 1 Mbit/s. Smaller sizes have a quarter of the next each.
	Bitrate int
	// Layers is how many sizes. Default 1.
	Sizes int
	// Fixed makes it stay at its bitrate whatever it is told.
	Fixed bool

	start time.Time
	n     int // frames of all sizes

	mu     sync.Mutex
	target int
	wanted bool
	asked  int
	told   int
	queued []engine.VideoFrame
}

// Layers implements engine.LayeredSource.
func (s *Synthetic) Layers() int { return max(1, s.Sizes) }

// SetBitrate implements engine.BitrateSetter.
func (s *Synthetic) SetBitrate(bps int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told++
	if !s.Fixed {
		s.target = min(bps, s.most())
	}
}

// Target is the bitrate now, and Told how often it was set.
func (s *Synthetic) Target() (bps, told int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.target == 0 {
		return s.most(), s.told
	}
	return s.target, s.told
}

func (s *Synthetic) most() int {
	if s.Bitrate == 0 {
		return 1_000_000
	}
	return s.Bitrate
}

// RequestKeyFrame implements engine.KeyFramer.
func (s *Synthetic) RequestKeyFrame() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wanted = true
	s.asked++
}

// Asked is how often a key frame was requested.
func (s *Synthetic) Asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// Sent is how many pictures were made.
func (s *Synthetic) Sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.n
}

// ReadFrame implements engine.VideoSource.
func (s *Synthetic) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	if len(s.queued) == 0 {
		if err := s.wait(ctx); err != nil {
			return engine.VideoFrame{}, err
		}
		s.shoot()
	}
	f := s.queued[0]
	s.queued = s.queued[1:]
	return f, nil
}

func (s *Synthetic) fps() int {
	if s.FPS == 0 {
		return 30
	}
	return s.FPS
}

func (s *Synthetic) wait(ctx context.Context) error {
	if s.start.IsZero() {
		s.start = time.Now()
	}
	t := time.NewTimer(time.Until(s.start.Add(s.at(s.n))))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Synthetic) at(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(s.fps())
}

// shoot makes the frames of one picture.
func (s *Synthetic) shoot() {
	target, _ := s.Target()
	s.mu.Lock()
	key := s.wanted || s.n == 0
	s.wanted = false
	n := s.n
	s.n++
	s.mu.Unlock()
	bytes := target / 8 / s.fps()
	for layer := s.Layers() - 1; layer >= 0; layer-- {
		s.queued = append(s.queued, engine.VideoFrame{
			Data: Frame(n, layer, key, bytes), Time: s.at(n), KeyFrame: key, Layer: layer,
		})
		bytes /= 4
	}
}

// Frame makes the bytes of a frame: its number and size can be read again with
// Number. A key frame is four times as long as size says.
func Frame(number, layer int, key bool, size int) []byte {
	if key {
		size *= 4
	}
	b := make([]byte, max(size, 16))
	b[0] = 0x11 // RFC 6386 section 9.1
	if key {
		w, h := 160<<layer, 120<<layer
		copy(b, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, byte(w), byte(w >> 8), byte(h), byte(h >> 8)})
	}
	binary.BigEndian.PutUint32(b[10:], uint32(number))
	b[14] = byte(layer)
	return b
}

// Number reads what Frame wrote.
func Number(frame []byte) (number, layer int) {
	if len(frame) < 16 {
		return -1, -1
	}
	return int(binary.BigEndian.Uint32(frame[10:])), int(frame[14])
}
