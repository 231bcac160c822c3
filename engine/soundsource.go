package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport"
)

// soundSource gives a sound's frames, as a microphone's.
type soundSource interface {
	next(ctx context.Context, buf []byte) (n int, level float64, samples int, err error)
	sound() []int16
}

// pulled is sound that is asked for at the server's pace.
type pulled struct {
	pull  func(pcm []int16) error
	began time.Time
	n     int64 // samples so far
	timer *time.Timer
}

// ReadPCM waits until the frame would have been captured, and asks for it.
// Whoever comes more than 200 ms late goes on from there.
func (p *pulled) ReadPCM(ctx context.Context, pcm []int16) error {
	if p.began.IsZero() {
		p.began = time.Now()
	}
	p.n += int64(len(pcm))
	wait := time.Until(p.began.Add(time.Duration(p.n) * time.Second / codec.SampleRate))
	switch {
	case wait < -audioLifetime:
		p.began = p.began.Add(-wait)
	case wait > 0:
		if p.timer == nil {
			p.timer = time.NewTimer(wait)
		} else {
			p.timer.Reset(wait)
		}
		select {
		case <-p.timer.C:
		case <-ctx.Done():
			p.timer.Stop()
			return ctx.Err()
		}
	}
	return p.pull(pcm)
}

// send makes RTP packets of the source, and hands them to the room as if they
// had come from the network.
func (p *Sound) send(ctx context.Context, src soundSource) (err error) {
	defer func() {
		if v := recover(); v != nil { // of the host's source
			err = fmt.Errorf("the source panicked: %v", v)
		}
	}()
	t := p.track
	if f, ok := src.(*pcmFrames); ok {
		f.hook = newPCMHook("volume", p.amplify(), p.srv.log)
	}
	var seed [6]byte
	rand.Read(seed[:])
	h := rtp.Header{
		Version: 2, PayloadType: t.pt, SSRC: t.ssrc,
		SequenceNumber: binary.BigEndian.Uint16(seed[:2]), Timestamp: binary.BigEndian.Uint32(seed[2:]),
	}
	var payload [maxPayload]byte
	var packet [transport.MaxPacketSize]byte
	var vad mixer.VoiceDetector
	quiet := true
	for ctx.Err() == nil {
		n, level, samples, err := src.next(ctx, payload[:])
		if err != nil {
			return err
		}
		if samples <= 0 {
			return errors.New("the source gave a packet of no length")
		}
		if n > 0 {
			h.Marker = quiet
			h.SequenceNumber++
			at, err := h.MarshalTo(packet[:])
			if err != nil {
				return err
			}
			if pcm := src.sound(); pcm != nil {
				at += putLevel(packet[:], at, level, vad.Process(pcm))
			}
			at += copy(packet[at:], payload[:n])
			t.forward(packet[:at], time.Now())
		}
		quiet = n == 0
		h.Timestamp += uint32(samples)
	}
	return ctx.Err()
}

// putLevel adds the audio level after a header of n bytes, in the one word of
// extensions that the server passes on (RFC 6464 section 3, RFC 8285 section
// 4.2), and returns its length.
func putLevel(packet []byte, n int, level float64, voice bool) int {
	b := byte(min(127, max(0, -level)))
	if voice {
		b |= 1 << 7
	}
	packet[0] |= 1 << 4
	return copy(packet[n:], []byte{0xBE, 0xDE, 0, 1, levelExtension << 4, b, 0, 0})
}

// amplify is the sound's volume, as a hook on its frames.
func (p *Sound) amplify() func(pcm []int16) {
	last := float32(p.volume.Load()) / 100
	return func(pcm []int16) {
		to := float32(p.volume.Load()) / 100
		if to != 1 || last != 1 {
			mixer.Ramp(pcm, last, to)
		}
		last = to
	}
}
