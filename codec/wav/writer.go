package wav

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/earshotrtc/earshot/codec"
)

const headerSize = 44

// Config configures a Writer. The zero value is what the engine's sound is.
type Config struct {
	// SampleRate of the sound. Default 48000 Hz.
	SampleRate int
	// Channels, interleaved. Default 1.
	Channels int
}

// A Writer writes a WAV file of 16-bit PCM. It is for one goroutine at a time.
type Writer struct {
	w     io.WriteSeeker
	cfg   Config
	bytes int64 // of sound
	buf   []byte
	err   error
}

// Errors of a Writer.
var (
	// ErrClosed: the Writer was closed before.
	ErrClosed = errors.New("wav: writer is closed")
	// ErrTooLong: the file would grow beyond 4 GiB, which WAV cannot say.
	ErrTooLong = errors.New("wav: file is full (4 GiB)")
)

// NewWriter writes the header of a WAV file. Close must be called at the end;
// it does not close w. A file that was never closed can be read all the same,
// here and with most programs.
func NewWriter(w io.WriteSeeker, cfg Config) (*Writer, error) {
	if cfg.SampleRate == 0 {
		cfg.SampleRate = codec.SampleRate
	}
	if cfg.Channels == 0 {
		cfg.Channels = 1
	}
	if cfg.SampleRate < 0 || cfg.SampleRate > 1<<30 {
		return nil, fmt.Errorf("%w: wav: sample rate %d Hz", codec.ErrConfig, cfg.SampleRate)
	}
	if cfg.Channels < 0 || cfg.Channels > 0x7fff {
		return nil, fmt.Errorf("%w: wav: %d channels", codec.ErrConfig, cfg.Channels)
	}
	o := &Writer{w: w, cfg: cfg, buf: make([]byte, 4096)}
	if _, err := w.Write(o.header(unknownSize, unknownSize)); err != nil {
		return nil, fmt.Errorf("wav: %w", err)
	}
	return o, nil
}

// Write adds interleaved sound. An error of the writer below stays: every
// later call returns it.
func (o *Writer) Write(pcm []int16) error {
	if o.err != nil {
		return o.err
	}
	if len(pcm)%o.cfg.Channels != 0 {
		return fmt.Errorf("%w: wav: %d values for %d channels", codec.ErrBuffer, len(pcm), o.cfg.Channels)
	}
	if o.bytes+2*int64(len(pcm)) > unknownSize-headerSize-1 {
		return ErrTooLong
	}
	for len(pcm) > 0 {
		n := min(len(pcm), len(o.buf)/2)
		for i, v := range pcm[:n] {
			binary.LittleEndian.PutUint16(o.buf[2*i:], uint16(v))
		}
		if _, err := o.w.Write(o.buf[:2*n]); err != nil {
			o.err = fmt.Errorf("wav: %w", err)
			return o.err
		}
		o.bytes += int64(2 * n)
		pcm = pcm[n:]
	}
	return nil
}

// Samples is what has been written, in samples per channel.
func (o *Writer) Samples() int64 { return o.bytes / 2 / int64(o.cfg.Channels) }

// Close puts the length into the header. It does not close the writer below.
func (o *Writer) Close() error {
	if o.err != nil {
		if o.err == ErrClosed {
			return nil
		}
		return o.err
	}
	o.err = ErrClosed
	if _, err := o.w.Seek(-headerSize-o.bytes, io.SeekCurrent); err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	if _, err := o.w.Write(o.header(uint32(headerSize-8+o.bytes), uint32(o.bytes))); err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	if _, err := o.w.Seek(o.bytes, io.SeekCurrent); err != nil {
		return fmt.Errorf("wav: %w", err)
	}
	return nil
}

func (o *Writer) header(file, data uint32) []byte {
	align := 2 * o.cfg.Channels
	b := o.buf[:0]
	b = append(b, "RIFF"...)
	b = binary.LittleEndian.AppendUint32(b, file)
	b = append(b, "WAVEfmt "...)
	b = binary.LittleEndian.AppendUint32(b, 16)
	b = binary.LittleEndian.AppendUint16(b, formatPCM)
	b = binary.LittleEndian.AppendUint16(b, uint16(o.cfg.Channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(o.cfg.SampleRate))
	b = binary.LittleEndian.AppendUint32(b, uint32(o.cfg.SampleRate*align))
	b = binary.LittleEndian.AppendUint16(b, uint16(align))
	b = binary.LittleEndian.AppendUint16(b, 16)
	b = append(b, "data"...)
	return binary.LittleEndian.AppendUint32(b, data)
}
