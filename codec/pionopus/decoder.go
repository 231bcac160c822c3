package pionopus

import (
	"fmt"

	"github.com/earshotrtc/earshot/codec"
)

// maxPacket is more than 48 frames of 1275 bytes and their lengths.
const maxPacket = 1 << 16

// library is what is used of *opus.Decoder.
type library interface {
	Init(rate, channels int) error
	DecodeToInt16(packet []byte, pcm []int16) (int, error)
}

type decoder struct {
	cfg codec.DecoderConfig
	dec library
	plc *concealer
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
	pcm = pcm[:n*d.cfg.Channels]
	if len(packet) == 1 {
		// A frame of no bytes is a lost or untransmitted one (RFC 6716 section
		// 3.2.1); the library would decode it as if it held zeros.
		d.plc.conceal(pcm)
		return n, nil
	}
	got, err := d.decode(packet, pcm)
	if err != nil {
		return 0, err
	}
	if got != n {
		return 0, fmt.Errorf("%w: decoded to %d samples, want %d", codec.ErrPacket, got, n)
	}
	d.plc.good(pcm)
	return n, nil
}

// DecodeFEC conceals: pion/opus does not give out in-band copies.
func (d *decoder) DecodeFEC(packet []byte, pcm []int16) error {
	if _, err := d.check(packet); err != nil {
		return err
	}
	return d.Conceal(pcm)
}

func (d *decoder) Conceal(pcm []int16) error {
	step := d.cfg.SampleRate / 400 * d.cfg.Channels
	if len(pcm) == 0 || len(pcm)%step != 0 || len(pcm) > 48*step {
		return fmt.Errorf("%w: %d values for a lost frame: want 1 to 48 times %d (2.5 ms)",
			codec.ErrBuffer, len(pcm), step)
	}
	d.plc.conceal(pcm)
	return nil
}

func (d *decoder) Reset() error {
	d.plc.reset()
	return d.dec.Init(d.cfg.SampleRate, d.cfg.Channels)
}

// check returns how many samples per channel a packet decodes to.
func (d *decoder) check(packet []byte) (int, error) {
	if len(packet) > maxPacket {
		return 0, fmt.Errorf("%w: %d bytes", codec.ErrPacket, len(packet))
	}
	n, err := codec.PacketSamples(packet)
	return n * d.cfg.SampleRate / codec.SampleRate, err
}

// decode keeps a panic of the library from the program: what it is given comes
// from the network.
func (d *decoder) decode(packet []byte, pcm []int16) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, fmt.Errorf("%w: the decoder panicked: %v", codec.ErrPacket, v)
			// It may have stopped anywhere: do not go on from there.
			_ = d.dec.Init(d.cfg.SampleRate, d.cfg.Channels)
		}
	}()
	n, err = d.dec.DecodeToInt16(packet, pcm)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", codec.ErrPacket, err)
	}
	return n, nil
}
