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
	// SILK conceals in steps of 10 ms. Asked for less, libopus goes on by 10 ms
	// and throws the rest away, so that each call clicks. The rest is kept in
	// ahead[used:], and is handed out or faded from next.
	silk  bool // the last packet had SILK in it
	ahead []int16
	used  int
}

func newDecoder(cfg codec.DecoderConfig) (*decoder, error) {
	cfg, err := cfg.WithDefaults()
	if err != nil {
		return nil, err
	}
	d := &decoder{cfg: cfg, ahead: make([]int16, cfg.SampleRate/100*cfg.Channels)}
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
	if n, err = d.dec.Decode(packet, pcm); err != nil {
		return 0, wrap(err)
	}
	d.silk = codec.ParseTOC(packet[0]).Mode != codec.ModeCELT
	d.fade(pcm)
	return n, nil
}

func (d *decoder) DecodeFEC(packet []byte, pcm []int16) error {
	if _, err := d.check(packet); err != nil {
		return err
	}
	if err := d.checkLost(pcm); err != nil {
		return err
	}
	// The copy is of one frame, the last that was lost.
	toc := codec.ParseTOC(packet[0])
	frame := toc.FrameSamples * d.cfg.SampleRate / codec.SampleRate * d.cfg.Channels
	if toc.Mode == codec.ModeCELT || frame > len(pcm) {
		return d.conceal(pcm)
	}
	before := len(pcm) - frame
	if err := d.conceal(pcm[:before]); err != nil {
		return err
	}
	pcm = pcm[before:len(pcm):len(pcm)]
	if err := d.dec.DecodeFEC(packet, pcm); err != nil {
		return wrap(err)
	}
	d.fade(pcm)
	return nil
}

func (d *decoder) Conceal(pcm []int16) error {
	if err := d.checkLost(pcm); err != nil {
		return err
	}
	return d.conceal(pcm)
}

// conceal fills pcm, which may be empty.
func (d *decoder) conceal(pcm []int16) error {
	n := copy(pcm, d.ahead[d.used:])
	d.used += n
	pcm = pcm[n:]
	rest := 0
	if d.silk {
		rest = len(pcm) % len(d.ahead)
	}
	if whole := len(pcm) - rest; whole > 0 {
		if err := d.dec.DecodePLC(pcm[:whole:whole]); err != nil {
			return wrap(err)
		}
		pcm = pcm[whole:]
	}
	if rest > 0 {
		d.used = len(d.ahead)
		if err := d.dec.DecodePLC(d.ahead); err != nil {
			return wrap(err)
		}
		d.used = copy(pcm, d.ahead)
	}
	return nil
}

// fade leads over to pcm from what was concealed ahead.
func (d *decoder) fade(pcm []int16) {
	ch := d.cfg.Channels
	ahead := d.ahead[d.used:]
	n := min(len(ahead), len(pcm)) / ch
	for i := range n * ch {
		w := int32(i/ch + 1)
		pcm[i] = int16((w*int32(pcm[i]) + (int32(n+1)-w)*int32(ahead[i])) / int32(n+1))
	}
	d.used = len(d.ahead)
}

func (d *decoder) Reset() error {
	// hraban/opus cannot reset a decoder; a new one is as good, and resets are
	// rare enough to pay for its memory.
	dec, err := opus.NewDecoder(d.cfg.SampleRate, d.cfg.Channels)
	if err != nil {
		return wrap(err)
	}
	d.dec, d.silk, d.used = dec, false, len(d.ahead)
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
