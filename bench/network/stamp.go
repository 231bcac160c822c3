package network

import (
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/codec"
)

// padding is what a stamp adds to an Opus packet: its length and the time.
const padding = 1 + 1 + 8

// stamps is a codec driver that writes into each packet when its sound was
// captured, and notes when the packet is decoded, which is when it is played.
// The stamp is in the packet's padding (RFC 6716 section 3.2.5), which decoders
// skip; it adds ten bytes to each. Use one for the talker and one for the
// hearer. It is safe for concurrent use.
type stamps struct {
	codec.Driver

	mu    sync.Mutex
	heard []heard
}

// heard is a packet that was played.
type heard struct {
	at    time.Time
	delay time.Duration // since what comes out first was captured
}

func (s *stamps) NewEncoder(c codec.EncoderConfig) (codec.Encoder, error) {
	c, err := c.WithDefaults()
	if err != nil {
		return nil, err
	}
	enc, err := s.Driver.NewEncoder(c)
	if err != nil {
		return nil, err
	}
	lookahead := time.Duration(enc.Lookahead()) * time.Second / time.Duration(c.SampleRate)
	return &stampEncoder{Encoder: enc, behind: c.FrameDuration + lookahead}, nil
}

func (s *stamps) NewDecoder(c codec.DecoderConfig) (codec.Decoder, error) {
	dec, err := s.Driver.NewDecoder(c)
	if err != nil {
		return nil, err
	}
	return &stampDecoder{Decoder: dec, note: s.note}, nil
}

func (s *stamps) note(captured time.Time) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, heard{now, now.Sub(captured)})
}

// between returns the delays of what was played from one time to another.
func (s *stamps) between(from, to time.Time) (d []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.heard {
		if !h.at.Before(from) && h.at.Before(to) {
			d = append(d, h.delay)
		}
	}
	return d
}

type stampEncoder struct {
	codec.Encoder
	behind time.Duration // of now is the first sample to come out of a decoder
}

// Encode stamps the packet. The frame's last sample has just been captured.
func (e *stampEncoder) Encode(pcm []int16, packet []byte) (int, error) {
	n, err := e.Encoder.Encode(pcm, packet[:max(0, len(packet)-padding)])
	if n == 0 || err != nil {
		return n, err
	}
	if packet[0]&3 != 0 {
		return 0, errors.New("network: a packet of several frames cannot be stamped")
	}
	p := slices.Insert(packet[:n:n], 1, 0x40|1, 8) // padding, one frame; eight bytes
	p[0] |= 3
	p = binary.BigEndian.AppendUint64(p, uint64(time.Now().Add(-e.behind).UnixNano()))
	return copy(packet, p), nil
}

type stampDecoder struct {
	codec.Decoder
	note func(captured time.Time)
}

func (d *stampDecoder) Decode(packet []byte, pcm []int16) (int, error) {
	n, err := d.Decoder.Decode(packet, pcm)
	if at, ok := stampOf(packet); ok && err == nil {
		d.note(at)
	}
	return n, err
}

func stampOf(packet []byte) (time.Time, bool) {
	n := len(packet)
	if n < padding+1 || packet[0]&3 != 3 || packet[1] != 0x40|1 || packet[2] != 8 {
		return time.Time{}, false
	}
	return time.Unix(0, int64(binary.BigEndian.Uint64(packet[n-8:]))), true
}
