package codec

import (
	"fmt"
	"time"
)

// WithDefaults returns c with its zero fields filled in, or an error that
// wraps ErrConfig and names the field that is out of range.
func (c EncoderConfig) WithDefaults() (EncoderConfig, error) {
	def(&c.SampleRate, SampleRate)
	def(&c.Channels, 1)
	def(&c.FrameDuration, 20*time.Millisecond)
	def(&c.Bitrate, 32000)
	def(&c.Complexity, 5)
	switch {
	case !validRate(c.SampleRate):
		return c, fmt.Errorf("%w: sample rate %d Hz is not 8000, 12000, 16000, 24000 or 48000", ErrConfig, c.SampleRate)
	case c.Channels < 1 || c.Channels > 2:
		return c, fmt.Errorf("%w: %d channels: only 1 and 2 are possible", ErrConfig, c.Channels)
	case !validDuration(c.FrameDuration):
		return c, fmt.Errorf("%w: frame duration %v is not 2.5, 5, 10, 20, 40 or 60 ms", ErrConfig, c.FrameDuration)
	case c.Bitrate < 6000 || c.Bitrate > 510000:
		return c, fmt.Errorf("%w: bitrate %d is not within 6000 to 510000 bit/s", ErrConfig, c.Bitrate)
	case c.Complexity < 1 || c.Complexity > 10:
		return c, fmt.Errorf("%w: complexity %d is not within 1 to 10", ErrConfig, c.Complexity)
	case c.Application > LowDelay:
		return c, fmt.Errorf("%w: no application %d", ErrConfig, c.Application)
	case c.Signal > SignalMusic:
		return c, fmt.Errorf("%w: no signal %d", ErrConfig, c.Signal)
	case c.PacketLoss < 0 || c.PacketLoss > 100:
		return c, fmt.Errorf("%w: packet loss %d is not within 0 to 100 percent", ErrConfig, c.PacketLoss)
	}
	return c, nil
}

// WithDefaults returns c with its zero fields filled in, or an error that
// wraps ErrConfig and names the field that is out of range.
func (c DecoderConfig) WithDefaults() (DecoderConfig, error) {
	def(&c.SampleRate, SampleRate)
	def(&c.Channels, 1)
	switch {
	case !validRate(c.SampleRate):
		return c, fmt.Errorf("%w: sample rate %d Hz is not 8000, 12000, 16000, 24000 or 48000", ErrConfig, c.SampleRate)
	case c.Channels < 1 || c.Channels > 2:
		return c, fmt.Errorf("%w: %d channels: only 1 and 2 are possible", ErrConfig, c.Channels)
	}
	return c, nil
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func validRate(hz int) bool {
	switch hz {
	case 8000, 12000, 16000, 24000, 48000:
		return true
	}
	return false
}

func validDuration(d time.Duration) bool {
	switch d {
	case 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond,
		20 * time.Millisecond, 40 * time.Millisecond, 60 * time.Millisecond:
		return true
	}
	return false
}
