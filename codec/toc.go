package codec

import (
	"fmt"
	"time"
)

// Mode is the coding mode of an Opus packet.
type Mode uint8

// The modes of RFC 6716 section 3.1.
const (
	ModeSILK Mode = iota
	ModeHybrid
	ModeCELT
)

// String returns the name that RFC 6716 uses.
func (m Mode) String() string {
	switch m {
	case ModeSILK:
		return "SILK"
	case ModeHybrid:
		return "hybrid"
	case ModeCELT:
		return "CELT"
	}
	return "unknown"
}

// TOC is the table-of-contents byte of an Opus packet (RFC 6716 section 3.1):
//
//	 0 1 2 3 4 5 6 7
//	+-+-+-+-+-+-+-+-+
//	| config  |s| c |
//	+-+-+-+-+-+-+-+-+
type TOC struct {
	// Mode of all frames in the packet.
	Mode Mode
	// Bandwidth is the audio bandwidth: 4000, 6000, 8000, 12000 or 20000 Hz.
	Bandwidth int
	// FrameSamples per frame and channel at 48 kHz: 120 to 2880.
	FrameSamples int
	// Channels is 1 or 2.
	Channels int
	// Code is how frames are packed: 0 one, 1 two of equal size, 2 two of
	// different size, 3 any number.
	Code uint8
}

// FrameDuration is the duration of one frame, 2.5 to 60 ms.
func (t TOC) FrameDuration() time.Duration {
	return time.Duration(t.FrameSamples) * time.Second / SampleRate
}

// ParseTOC reads the first byte of an Opus packet. Every byte is a legal one.
func ParseTOC(b byte) TOC {
	t := TOC{Channels: 1 + int(b>>2&1), Code: b & 3}
	config := int(b >> 3)
	switch {
	case config < 12: // NB, MB, WB of 10, 20, 40 or 60 ms
		t.Mode = ModeSILK
		t.Bandwidth = [...]int{4000, 6000, 8000}[config>>2]
		t.FrameSamples = [...]int{480, 960, 1920, 2880}[config&3]
	case config < 16: // SWB, FB of 10 or 20 ms
		t.Mode = ModeHybrid
		t.Bandwidth = [...]int{12000, 20000}[(config-12)>>1]
		t.FrameSamples = 480 << (config & 1)
	default: // NB, WB, SWB, FB of 2.5, 5, 10 or 20 ms
		t.Mode = ModeCELT
		t.Bandwidth = [...]int{4000, 8000, 12000, 20000}[(config-16)>>2]
		t.FrameSamples = 120 << (config & 3)
	}
	return t
}

// PacketFrames returns the number of frames in an Opus packet, 1 to 48. It
// reads no more than two bytes; the rest of the packet may still be corrupt.
func PacketFrames(packet []byte) (int, error) {
	if len(packet) == 0 {
		return 0, fmt.Errorf("%w: empty", ErrPacket)
	}
	t := ParseTOC(packet[0])
	switch t.Code {
	case 0:
		return 1, nil
	case 1, 2:
		return 2, nil
	}
	if len(packet) < 2 {
		return 0, fmt.Errorf("%w: no frame count", ErrPacket)
	}
	n := int(packet[1] & 0x3f)
	if n == 0 || n*t.FrameSamples > MaxFrameSamples {
		return 0, fmt.Errorf("%w: %d frames of %v (RFC 6716 section 3.2.5 allows 1 frame to 120 ms)", ErrPacket, n, t.FrameDuration())
	}
	return n, nil
}

// PacketSamples returns the duration of an Opus packet in samples at 48 kHz,
// 120 to 5760, whatever rate it is decoded at. It reads no more than two bytes.
func PacketSamples(packet []byte) (int, error) {
	n, err := PacketFrames(packet)
	if err != nil {
		return 0, err
	}
	return n * ParseTOC(packet[0]).FrameSamples, nil
}

// PacketDuration returns the duration of an Opus packet, 2.5 to 120 ms. It
// reads no more than two bytes.
func PacketDuration(packet []byte) (time.Duration, error) {
	n, err := PacketSamples(packet)
	return time.Duration(n) * time.Second / SampleRate, err
}
