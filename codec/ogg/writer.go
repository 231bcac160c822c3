package ogg

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/earshotrtc/earshot/codec"
)

// Config configures a Writer. The zero value is good for mono speech.
type Config struct {
	// Channels is 1 or 2. Default 1.
	Channels int
	// PreSkip is what players drop from the start, in samples per channel at
	// 48 kHz: the encoder's lookahead for a whole recording, or 3840 (80 ms)
	// for one that starts in the middle of a stream (RFC 7845 section 4.2).
	// Negative is none. Default 312 samples, libopus' lookahead.
	PreSkip int
	// InputRate is the rate of what was encoded, for information.
	// Default 48000 Hz.
	InputRate int
	// PageDuration is how much sound goes into a page before it is written, in
	// samples at 48 kHz: what is lost at most when the program dies.
	// Default 48000 samples (1 s).
	PageDuration int
	// Vendor names the encoder in the comment header. Default "earshot".
	Vendor string
	// Serial is the stream's serial number. Default random.
	Serial uint32
}

// A Writer writes one Opus stream to an Ogg file. It is for one goroutine at a
// time, and allocates nothing per packet.
type Writer struct {
	w       io.Writer
	cfg     Config
	index   uint32
	granule int64 // of all packets accepted
	written int64 // of all packets on pages before the one being made
	lacing  []byte
	body    []byte
	buf     []byte
	err     error
}

// ErrClosed is returned by a Writer after Close.
var ErrClosed = errors.New("ogg: writer is closed")

// NewWriter writes the headers of an Ogg Opus file. Close must be called at
// the end; it does not close w.
func NewWriter(w io.Writer, cfg Config) (*Writer, error) {
	if cfg.Channels == 0 {
		cfg.Channels = 1
	}
	if cfg.PreSkip == 0 {
		cfg.PreSkip = 312
	}
	cfg.PreSkip = max(cfg.PreSkip, 0)
	if cfg.InputRate == 0 {
		cfg.InputRate = codec.SampleRate
	}
	if cfg.PageDuration == 0 {
		cfg.PageDuration = codec.SampleRate
	}
	if cfg.Vendor == "" {
		cfg.Vendor = "earshot"
	}
	if cfg.Serial == 0 {
		cfg.Serial = rand.Uint32()
	}
	switch {
	case cfg.Channels < 1 || cfg.Channels > 2:
		return nil, fmt.Errorf("%w: ogg: %d channels: only 1 and 2 are possible", codec.ErrConfig, cfg.Channels)
	case cfg.PreSkip > 0xffff:
		return nil, fmt.Errorf("%w: ogg: pre-skip of %d samples: at most 65535", codec.ErrConfig, cfg.PreSkip)
	case cfg.InputRate < 0 || cfg.InputRate > 0xffffffff:
		return nil, fmt.Errorf("%w: ogg: input rate of %d Hz", codec.ErrConfig, cfg.InputRate)
	case cfg.PageDuration < 0:
		return nil, fmt.Errorf("%w: ogg: page duration of %d samples", codec.ErrConfig, cfg.PageDuration)
	case len(cfg.Vendor) > 1024:
		return nil, fmt.Errorf("%w: ogg: vendor of %d bytes: at most 1024", codec.ErrConfig, len(cfg.Vendor))
	}
	o := &Writer{w: w, cfg: cfg, buf: make([]byte, 0, maxPageSize)}

	head := append([]byte("OpusHead\x01"), byte(cfg.Channels))
	head = binary.LittleEndian.AppendUint16(head, uint16(cfg.PreSkip))
	head = binary.LittleEndian.AppendUint32(head, uint32(cfg.InputRate))
	head = append(head, 0, 0, 0) // no gain, mapping 0
	tags := []byte("OpusTags")
	tags = binary.LittleEndian.AppendUint32(tags, uint32(len(cfg.Vendor)))
	tags = append(tags, cfg.Vendor...)
	tags = append(tags, 0, 0, 0, 0) // no comments
	for i, packet := range [][]byte{head, tags} {
		o.lacing, o.body = appendLacing(o.lacing, len(packet)), append(o.body, packet...)
		flags := byte(0)
		if i == 0 {
			flags = flagFirst
		}
		if err := o.flush(flags); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// WritePacket adds an Opus packet, which it copies. An error of the writer
// below stays: every later call returns it.
func (o *Writer) WritePacket(packet []byte) error {
	if o.err != nil {
		return o.err
	}
	n, err := codec.PacketSamples(packet)
	if err != nil {
		return fmt.Errorf("ogg: %w", err)
	}
	segments := len(packet)/255 + 1
	if segments > maxSegments {
		return fmt.Errorf("ogg: %w: %d bytes", codec.ErrPacket, len(packet))
	}
	// A full page is written only when the next packet comes, so that Close
	// has a page to mark as the last and to cut.
	if o.granule-o.written >= int64(o.cfg.PageDuration) || len(o.lacing)+segments > maxSegments {
		if err := o.flush(0); err != nil {
			return err
		}
	}
	o.lacing = appendLacing(o.lacing, len(packet))
	o.body = append(o.body, packet...)
	o.granule += int64(n)
	return nil
}

// Flush writes what is waiting, so that a reader of a growing file sees it.
func (o *Writer) Flush() error {
	if o.err != nil || len(o.lacing) == 0 {
		return o.err
	}
	return o.flush(0)
}

// Samples is what has been written, in samples per channel at 48 kHz, without
// the pre-skip.
func (o *Writer) Samples() int64 { return max(0, o.granule-int64(o.cfg.PreSkip)) }

// Close ends the stream. It does not close the writer below.
func (o *Writer) Close() error { return o.CloseAt(o.Samples()) }

// CloseAt ends the stream and cuts it to samples per channel at 48 kHz, when
// the last frame was filled up with silence (RFC 7845 section 4.4).
func (o *Writer) CloseAt(samples int64) error {
	if o.err != nil {
		if o.err == ErrClosed {
			return nil
		}
		return o.err
	}
	if end := samples + int64(o.cfg.PreSkip); end < o.granule {
		o.granule = max(end, o.written)
	}
	err := o.flush(flagLast)
	o.err = ErrClosed
	return err
}

func (o *Writer) flush(flags byte) error {
	o.buf = appendPage(o.buf[:0], flags, uint64(o.granule), o.cfg.Serial, o.index, o.lacing, o.body)
	o.index++
	o.written = o.granule
	o.lacing, o.body = o.lacing[:0], o.body[:0]
	if _, err := o.w.Write(o.buf); err != nil {
		o.err = fmt.Errorf("ogg: %w", err)
		return o.err
	}
	return nil
}

// appendLacing appends the segment table of a packet of n bytes (RFC 3533
// section 5): as many 255 as fit, and what is left, which may be 0.
func appendLacing(b []byte, n int) []byte {
	for ; n >= 255; n -= 255 {
		b = append(b, 255)
	}
	return append(b, byte(n))
}
