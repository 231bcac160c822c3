//go:build cgo

package libopus

import (
	"fmt"

	"github.com/hraban/opus"

	"github.com/earshotrtc/earshot/codec"
)

// maxPacket bounds what is handed to libopus, whose lengths are 32-bit: 48
// frames of 1275 bytes and their lengths are less than this.
const maxPacket = 1 << 16

type decoder struct {
	dec *opus.Decoder
	cfg codec.DecoderConfig
}

func newDecoder(cfg codec.DecoderConfig) (*decoder, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	d := &decoder{cfg: cfg}
	return d, d.Reset()
}

func (d *decoder) Decode(packet []byte, pcm []int16) (int, error) {
	n, err := d.check(packet)
	if err != nil {
		return 0, err
	}
	if len(pcm) < n*d.cfg.Channels {
		return 0, fmt.Errorf("%w: %d values for a packet of %d samples of %d channels",
			codec.ErrBuffer, len(pcm), n, d.cfg.Channels)
	}
	// hraban/opus goes by cap, and wants whole samples: give it just what the
	// packet fills.
	pcm = pcm[: n*d.cfg.Channels : n*d.cfg.Channels]
	n, err = d.dec.Decode(packet, pcm)
	return n, wrap(err)
}

func (d *decoder) DecodeFEC(packet []byte, pcm []int16) error {
	if _, err := d.check(packet); err != nil {
		return err
	}
	if err := d.checkLost(pcm); err != nil {
		return err
	}
	return wrap(d.dec.DecodeFEC(packet, pcm[:len(pcm):len(pcm)]))
}

func (d *decoder) Conceal(pcm []int16) error {
	if err := d.checkLost(pcm); err != nil {
		return err
	}
	return wrap(d.dec.DecodePLC(pcm[:len(pcm):len(pcm)]))
}

func (d *decoder) Reset() error {
	// hraban/opus cannot reset a decoder; a new one is as good, and resets are
	// rare enough to pay for its memory.
	dec, err := opus.NewDecoder(d.cfg.SampleRate, d.cfg.Channels)
	if err != nil {
		return wrap(err)
	}
	d.dec = dec
	return nil
}

// check returns how many samples per channel a packet decodes to.
func (d *decoder) check(packet []byte) (int, error) {
	if len(packet) > maxPacket {
		return 0, fmt.Errorf("%w: %d bytes", codec.ErrPacket, len(packet))
	}
	n, err := codec.PacketSamples(packet)
	return n * d.cfg.SampleRate / codec.SampleRate, err
}

// checkLost checks the buffer for a lost frame: libopus conceals in steps of
// 2.5 ms only.
func (d *decoder) checkLost(pcm []int16) error {
	step := d.cfg.SampleRate / 400 * d.cfg.Channels
	if len(pcm) == 0 || len(pcm)%step != 0 || len(pcm) > 48*step {
		return fmt.Errorf("%w: %d values for a lost frame: want 1 to 48 times %d (2.5 ms)",
			codec.ErrBuffer, len(pcm), step)
	}
	return nil
}
