package bridge

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer"
)

// ErrConfig is wrapped by the errors of [New].
var ErrConfig = errors.New("bridge: bad configuration")

// MaxTalkers is the most voices that a mix may have: an RTP header names no
// more contributing sources (RFC 3550 section 5.1).
const MaxTalkers = 15

// MaxFramesPerPacket is the most frames that a packet may hold.
const MaxFramesPerPacket = 3

// Config configures a [Bridge]. Only Driver is needed.
type Config struct {
	// Driver decodes the talkers and encodes the mixes.
	Driver codec.Driver
	// FrameDuration is the time between ticks, and what an encoded frame
	// holds: 10 or 20 ms. Default 20 ms.
	FrameDuration time.Duration
	// Talkers is how many voices a mix has at most, the loudest, 1 to
	// MaxTalkers. Default 8.
	Talkers int
	// Bitrate of a mono mix, 6000 to 256000; a stereo one has half as much
	// again. Default 32000 bit/s.
	Bitrate int
	// Complexity of the encoders, 1 to 10. Default 4.
	Complexity int
	// FramesPerPacket is how many frames a packet holds for those who only
	// listen, in rooms large enough for that to matter: 1 to
	// MaxFramesPerPacket. Two and three need frames of 20 ms. Each further
	// frame saves a packet and costs its receivers 20 ms. Default 1.
	FramesPerPacket int
	// AutoGain evens out how loud the talkers are. Volumes do not show it.
	// Default off.
	AutoGain bool
	// NoiseGate silences talkers between their words. Default off.
	NoiseGate bool
	// Spatial is how distance and direction sound to receivers with a pose.
	// Default: the original's inverse model with a range of 100 m.
	Spatial mixer.Spatial

	// SSRC and PayloadType are those of the packets sent; LevelExtension is
	// the identifier of their RFC 6465 header extension, 1 to 14. Defaults 0,
	// 111 and 2.
	SSRC           uint32
	PayloadType    uint8
	LevelExtension uint8

	// Wake is called, from any goroutine, when something comes up while the
	// bridge is idle: it is to be ticked again. Default none.
	Wake func()
}

func (c Config) withDefaults() (Config, error) {
	def(&c.FrameDuration, 20*time.Millisecond)
	def(&c.Talkers, 8)
	def(&c.Bitrate, 32000)
	def(&c.Complexity, 4)
	def(&c.FramesPerPacket, 1)
	def(&c.PayloadType, 111)
	def(&c.LevelExtension, 2)
	switch {
	case c.Driver == nil:
		return c, fmt.Errorf("%w: Driver is nil", ErrConfig)
	case c.FrameDuration != 10*time.Millisecond && c.FrameDuration != 20*time.Millisecond:
		return c, fmt.Errorf("%w: FrameDuration %v is neither 10 nor 20 ms", ErrConfig, c.FrameDuration)
	case c.Talkers < 1 || c.Talkers > MaxTalkers:
		return c, fmt.Errorf("%w: Talkers %d is not within 1 to %d", ErrConfig, c.Talkers, MaxTalkers)
	case c.Bitrate < 6000 || c.Bitrate > 256000:
		return c, fmt.Errorf("%w: Bitrate %d is not within 6000 to 256000 bit/s", ErrConfig, c.Bitrate)
	case c.Complexity < 1 || c.Complexity > 10:
		return c, fmt.Errorf("%w: Complexity %d is not within 1 to 10", ErrConfig, c.Complexity)
	case c.FramesPerPacket < 1 || c.FramesPerPacket > MaxFramesPerPacket:
		return c, fmt.Errorf("%w: FramesPerPacket %d is not within 1 to %d", ErrConfig, c.FramesPerPacket, MaxFramesPerPacket)
	case c.FramesPerPacket > 1 && c.FrameDuration != 20*time.Millisecond:
		return c, fmt.Errorf("%w: FramesPerPacket %d needs frames of 20 ms", ErrConfig, c.FramesPerPacket)
	case c.PayloadType > 127:
		return c, fmt.Errorf("%w: PayloadType %d", ErrConfig, c.PayloadType)
	case c.LevelExtension < 1 || c.LevelExtension > 14:
		return c, fmt.Errorf("%w: LevelExtension %d is not within 1 to 14", ErrConfig, c.LevelExtension)
	}
	if c.Wake == nil {
		c.Wake = func() {}
	}
	return c, nil
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}
