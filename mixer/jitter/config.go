package jitter

import (
	"errors"
	"fmt"
	"time"
)

// ErrConfig is wrapped by the errors of [New].
var ErrConfig = errors.New("jitter: bad configuration")

// A Decoder turns packets into PCM; codec.Decoder is one. The buffer calls it
// from within Pull and Reset, one call at a time.
type Decoder interface {
	// Decode decodes packet into pcm and returns the samples per channel.
	Decode(packet []byte, pcm []int16) (int, error)
	// DecodeFEC recovers the frame before packet into all of pcm.
	DecodeFEC(packet []byte, pcm []int16) error
	// Conceal makes up sound for all of pcm, a multiple of 2.5 ms up to 120 ms.
	Conceal(pcm []int16) error
	// Reset forgets all state.
	Reset() error
}

// Config configures a [Buffer]. Only Decoder is needed.
type Config struct {
	// Decoder decodes the track. It belongs to the buffer from then on.
	Decoder Decoder
	// SampleRate of the PCM: 8000, 12000, 16000, 24000 or 48000, and the
	// decoder's. Default 48000 Hz.
	SampleRate int
	// ClockRate of the RTP timestamps, a multiple of SampleRate. Opus always
	// has 48000 (RFC 7587 section 4.1). Default 48000 Hz.
	ClockRate int
	// Channels is 1 or 2, interleaved, and the decoder's. Default 1.
	Channels int
	// MinDelay is kept even where the network is perfect, up to MaxDelay.
	// Default 0 ms: the buffer then adds what the measured jitter asks for.
	MinDelay time.Duration
	// MaxDelay is the longest that a packet waits, 20 ms to 2 s; beyond it the
	// oldest sound is dropped. A packet is never made to wait less than its
	// own length. Default 200 ms.
	MaxDelay time.Duration
	// HasFEC tells whether a packet carries a copy of the frame before it.
	// Default [OpusHasFEC].
	HasFEC func(payload []byte) bool
}

const (
	slots      = 64   // packets that may wait; a power of two
	maxPayload = 1500 // bytes; longer ones are discarded
	maxDropout = 1000 // sequence numbers skipped before a restart is suspected
)

func (c Config) withDefaults() (Config, error) {
	if c.SampleRate == 0 {
		c.SampleRate = 48000
	}
	if c.ClockRate == 0 {
		c.ClockRate = 48000
	}
	if c.Channels == 0 {
		c.Channels = 1
	}
	if c.MaxDelay == 0 {
		c.MaxDelay = 200 * time.Millisecond
	}
	if c.HasFEC == nil {
		c.HasFEC = OpusHasFEC
	}
	if c.Decoder == nil {
		return c, fmt.Errorf("%w: Decoder is nil", ErrConfig)
	}
	switch c.SampleRate {
	case 8000, 12000, 16000, 24000, 48000:
	default:
		return c, fmt.Errorf("%w: SampleRate %d", ErrConfig, c.SampleRate)
	}
	if c.ClockRate < c.SampleRate || c.ClockRate%c.SampleRate != 0 {
		return c, fmt.Errorf("%w: ClockRate %d is no multiple of %d", ErrConfig, c.ClockRate, c.SampleRate)
	}
	if c.Channels != 1 && c.Channels != 2 {
		return c, fmt.Errorf("%w: Channels %d", ErrConfig, c.Channels)
	}
	if c.MaxDelay < 20*time.Millisecond || c.MaxDelay > 2*time.Second {
		return c, fmt.Errorf("%w: MaxDelay %v is not within 20 ms to 2 s", ErrConfig, c.MaxDelay)
	}
	if c.MinDelay < 0 || c.MinDelay > c.MaxDelay {
		return c, fmt.Errorf("%w: MinDelay %v is not within 0 to MaxDelay %v", ErrConfig, c.MinDelay, c.MaxDelay)
	}
	return c, nil
}
