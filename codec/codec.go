// Package codec defines how the engine talks to audio codecs, and nothing
// more: the drivers live in sub-packages and a host passes the one it wants.
//
//   - codec/libopus encodes and decodes Opus with libopus (needs cgo);
//   - codec/pionopus decodes Opus in pure Go;
//   - codec/codectest is the conformance suite for drivers;
//   - codec/ogg, codec/wav, codec/ivf and codec/webm read and write files;
//   - codec/vp8 reads the RTP payload of VP8, which is forwarded untouched.
//
// PCM is signed 16-bit, interleaved when stereo. A "frame" here is one Opus
// packet's worth of sound; a "sample" is one sample per channel, so 20 ms of
// stereo at 48 kHz is 960 samples in a slice of 1920.
package codec

import (
	"errors"
	"time"
)

// SampleRate is the rate, in Hz, at which the engine runs.
const SampleRate = 48000

// MaxFrameSamples is the most samples per channel that one Opus packet holds
// at 48 kHz: 120 ms (RFC 6716 section 3.2.5).
const MaxFrameSamples = 5760

// MaxPacketSize is a buffer size, in bytes, that holds any one-frame Opus
// packet of up to 20 ms (RFC 6716 section 3.2.1: 1275 bytes and the TOC byte).
// It is enough for longer ones at the bitrates of speech: an encoder stays
// within the buffer it is given, at the cost of quality.
const MaxPacketSize = 1276

// Errors of this package. Drivers wrap them.
var (
	// ErrUnsupported: the driver cannot do this at all, such as encoding with
	// a decoder-only driver, or using libopus in a build without cgo.
	ErrUnsupported = errors.New("codec: not supported by this driver")
	// ErrConfig: a configuration is out of range.
	ErrConfig = errors.New("codec: bad configuration")
	// ErrPacket: a packet is corrupt or empty.
	ErrPacket = errors.New("codec: corrupt packet")
	// ErrBuffer: a buffer is too small, or its length is not a legal one.
	ErrBuffer = errors.New("codec: bad buffer length")
)

// Application tells an encoder what the sound is.
type Application uint8

// The applications of Opus (RFC 7587 section 3.1 recommends VoIP for calls).
const (
	VoIP Application = iota
	Audio
	LowDelay
)

// Signal tells an encoder what is in the sound at the moment.
type Signal uint8

// The signals. At the bitrates of speech the choice is between SILK with CELT
// on top, for a voice, and CELT alone, for anything else: CELT takes less than
// half the time, and has no forward error correction.
const (
	SignalAuto Signal = iota
	SignalVoice
	SignalMusic
)

// EncoderConfig configures an encoder. The zero value is good for speech.
type EncoderConfig struct {
	// SampleRate of the PCM: 8000, 12000, 16000, 24000 or 48000. Default 48000 Hz.
	SampleRate int
	// Channels is 1 or 2, interleaved. Default 1.
	Channels int
	// FrameDuration is 2.5, 5, 10, 20, 40 or 60 ms. Default 20 ms.
	FrameDuration time.Duration
	// Bitrate is 6000 to 510000. Default 32000 bit/s.
	Bitrate int
	// Complexity is 1 to 10. Default 5.
	Complexity int
	// Application is what the sound is. Default VoIP.
	Application Application
	// Signal is what the sound is at the moment. Default SignalAuto.
	Signal Signal
	// DTX stops sending in silence. Default off.
	DTX bool
	// FEC adds a low-rate copy of each frame to the next packet. It takes
	// effect where PacketLoss is above 0. Default off.
	FEC bool
	// PacketLoss is the expected loss, 0 to 100. Default 0 percent.
	PacketLoss int
}

// FrameSamples is the number of samples per channel in a frame.
func (c EncoderConfig) FrameSamples() int {
	return int(int64(c.SampleRate) * int64(c.FrameDuration) / int64(time.Second))
}

// An Encoder turns PCM into packets. It keeps state from frame to frame and is
// for one goroutine at a time.
type Encoder interface {
	// Encode encodes exactly one frame (FrameSamples × Channels values of pcm)
	// into packet and returns the packet's length. Zero means that DTX decided
	// to send nothing. A pcm of any other length, and a packet of less than 3
	// bytes, is ErrBuffer. It does not allocate.
	Encode(pcm []int16, packet []byte) (int, error)
	// SetBitrate changes the target, 6000 to 510000 bit/s.
	SetBitrate(bps int) error
	// SetPacketLoss changes the expected loss, 0 to 100 percent.
	SetPacketLoss(percent int) error
	// SetFEC turns in-band forward error correction on or off.
	SetFEC(on bool) error
	// SetDTX turns discontinuous transmission on or off.
	SetDTX(on bool) error
	// SetSignal changes what the sound is at the moment.
	SetSignal(s Signal) error
	// SetComplexity changes the complexity, 1 to 10.
	SetComplexity(c int) error
	// Lookahead is the encoder's algorithmic delay in samples per channel.
	Lookahead() int
	// Reset forgets all state, as if newly made with the current settings.
	Reset() error
}

// A StateCopier is an Encoder that can go on where another one stands: what it
// encodes next, a decoder of the other one's packets takes as if it came from
// there. All of the other's settings come along. Neither may be in use
// meanwhile. Errors wrap ErrUnsupported if the other encoder is another
// driver's, and ErrConfig if its rate, channels, application or frame duration
// differ; nothing has changed then. It does not allocate.
type StateCopier interface {
	CopyState(from Encoder) error
}

// DecoderConfig configures a decoder.
type DecoderConfig struct {
	// SampleRate of the PCM: 8000, 12000, 16000, 24000 or 48000. Default 48000 Hz.
	SampleRate int
	// Channels is 1 or 2, interleaved; the packet's own count may differ.
	// Default 1.
	Channels int
}

// A Decoder turns packets into PCM. It keeps state from packet to packet and
// is for one goroutine at a time. What it is given is hostile: it returns
// ErrPacket, and its state stays usable.
type Decoder interface {
	// Decode decodes a packet into pcm and returns the samples per channel. A
	// pcm of MaxFrameSamples × Channels holds any packet. It does not allocate.
	Decode(packet []byte, pcm []int16) (int, error)
	// DecodeFEC recovers the frame before packet from the in-band copy in it,
	// or conceals it if there is none. It fills all of pcm, whose length must
	// be the missing frame's.
	DecodeFEC(packet []byte, pcm []int16) error
	// Conceal makes up sound for a lost frame. It fills all of pcm: any
	// multiple of 2.5 ms, up to 120 ms.
	Conceal(pcm []int16) error
	// Reset forgets all state.
	Reset() error
}

// A Driver makes encoders and decoders. It is safe for concurrent use.
type Driver interface {
	// Name names the driver and what is behind it, such as "libopus 1.3.1".
	Name() string
	NewEncoder(EncoderConfig) (Encoder, error)
	NewDecoder(DecoderConfig) (Decoder, error)
}
