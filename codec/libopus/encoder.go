//go:build cgo

package libopus

import (
	"fmt"

	"github.com/hraban/opus"

	"github.com/earshotrtc/earshot/codec"
)

// dtxBytes is the size up to which a packet of a DTX encoder holds no sound
// and need not be sent (opus_encode's documentation: "2 bytes or less").
const dtxBytes = 2

type encoder struct {
	enc       *opus.Encoder
	cfg       codec.EncoderConfig
	values    int // of one frame, all channels
	lookahead int
}

func newEncoder(cfg codec.EncoderConfig) (*encoder, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	app := opus.AppVoIP
	switch cfg.Application {
	case codec.Audio:
		app = opus.AppAudio
	case codec.LowDelay:
		app = opus.AppRestrictedLowdelay
	}
	e := &encoder{cfg: cfg, values: cfg.FrameSamples() * cfg.Channels}
	if e.enc, err = opus.NewEncoder(cfg.SampleRate, cfg.Channels, app); err != nil {
		return nil, wrap(err)
	}
	if e.lookahead, err = lookahead(cfg.SampleRate, cfg.Channels, app); err != nil {
		return nil, wrap(err)
	}
	for _, err := range []error{
		e.SetBitrate(cfg.Bitrate),
		e.SetComplexity(cfg.Complexity),
		e.SetPacketLoss(cfg.PacketLoss),
		e.SetFEC(cfg.FEC),
		e.SetDTX(cfg.DTX),
	} {
		if err != nil {
			return nil, err
		}
	}
	return e, nil
}

func (e *encoder) Encode(pcm []int16, packet []byte) (int, error) {
	if len(pcm) != e.values {
		return 0, fmt.Errorf("%w: %d values of pcm, want %d (%d samples of %d channels)",
			codec.ErrBuffer, len(pcm), e.values, e.cfg.FrameSamples(), e.cfg.Channels)
	}
	// libopus writes a packet of one byte where it cannot do better: it would
	// look like DTX.
	if len(packet) <= dtxBytes {
		return 0, fmt.Errorf("%w: %d bytes for a packet: use codec.MaxPacketSize", codec.ErrBuffer, len(packet))
	}
	// hraban/opus goes by cap: do not let it write past the caller's slice.
	n, err := e.enc.Encode(pcm, packet[:len(packet):len(packet)])
	if err != nil {
		return 0, wrap(err)
	}
	if e.cfg.DTX && n <= dtxBytes {
		return 0, nil
	}
	return n, nil
}

func (e *encoder) SetBitrate(bps int) error {
	if bps < 6000 || bps > 510000 {
		return fmt.Errorf("%w: bitrate %d is not within 6000 to 510000 bit/s", codec.ErrConfig, bps)
	}
	return wrap(e.enc.SetBitrate(bps))
}

func (e *encoder) SetPacketLoss(percent int) error {
	if percent < 0 || percent > 100 {
		return fmt.Errorf("%w: packet loss %d is not within 0 to 100 percent", codec.ErrConfig, percent)
	}
	return wrap(e.enc.SetPacketLossPerc(percent))
}

func (e *encoder) SetFEC(on bool) error { return wrap(e.enc.SetInBandFEC(on)) }

func (e *encoder) SetDTX(on bool) error {
	if err := e.enc.SetDTX(on); err != nil {
		return wrap(err)
	}
	e.cfg.DTX = on
	return nil
}

func (e *encoder) SetComplexity(c int) error {
	if c < 1 || c > 10 {
		return fmt.Errorf("%w: complexity %d is not within 1 to 10", codec.ErrConfig, c)
	}
	return wrap(e.enc.SetComplexity(c))
}

func (e *encoder) Lookahead() int { return e.lookahead }

func (e *encoder) Reset() error { return wrap(e.enc.Reset()) }
