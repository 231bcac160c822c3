package audio

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/codec/wav"
	"github.com/earshotrtc/earshot/mixer"
)

// ErrFormat: a file is neither WAV nor Ogg Opus. Files that are one of them
// and corrupt give wav.ErrFormat, ogg.ErrFormat or codec.ErrPacket.
var ErrFormat = errors.New("neither a WAV nor an Ogg Opus file")

// Load reads a whole WAV file (16 bit, 8 to 48 kHz) or Ogg Opus file, and
// makes it 48 kHz mono. It tells them apart by their first bytes.
func Load(path string) ([]int16, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pcm, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pcm, nil
}

// Read is Load for what is open already.
func Read(r io.Reader) ([]int16, error) {
	b := bufio.NewReader(r)
	magic, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch string(magic) {
	case "RIFF":
		return readWAV(b)
	case "OggS":
		return readOgg(b)
	}
	return nil, ErrFormat
}

func readWAV(r io.Reader) ([]int16, error) {
	w, err := wav.NewReader(r)
	if err != nil {
		return nil, err
	}
	pcm, err := w.ReadAll()
	if err != nil {
		return nil, err
	}
	return resample(mono(pcm, w.Header().Channels), w.Header().SampleRate)
}

func readOgg(r io.Reader) ([]int16, error) {
	o, err := ogg.NewReader(r)
	if err != nil {
		return nil, err
	}
	dec, err := pionopus.Driver{}.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		return nil, err
	}
	return ogg.ReadPCM(o, dec, 1)
}

// mono is the mean of the channels.
func mono(pcm []int16, channels int) []int16 {
	if channels <= 1 {
		return pcm
	}
	out := pcm[:0] // no frame is written before it is read
	for ; len(pcm) >= channels; pcm = pcm[channels:] {
		sum := 0
		for _, v := range pcm[:channels] {
			sum += int(v)
		}
		out = append(out, int16(sum/channels))
	}
	return out
}

// resample goes to 48 kHz, without the resampler's delay.
func resample(pcm []int16, rate int) ([]int16, error) {
	if rate == Rate {
		return pcm, nil
	}
	r, err := mixer.NewResampler(rate, Rate, 1)
	if err != nil {
		return nil, err
	}
	want := int(int64(len(pcm)) * Rate / int64(rate))
	delay := int(r.Delay()*Rate/float64(rate) + 0.5)
	out := r.Append(make([]int16, 0, want+delay+Rate/10), pcm)
	for len(out) < want+delay {
		out = r.Append(out, make([]int16, rate/100))
	}
	return out[delay : delay+want], nil
}

// WriteWAV writes pcm to a WAV file, 48 kHz mono, and replaces what was there.
func WriteWAV(path string, pcm []int16) error {
	w, err := CreateWAV(path)
	if err != nil {
		return err
	}
	return errors.Join(w.Write(pcm), w.Close())
}

// A WAVFile is a WAV file that is being written, 48 kHz mono.
type WAVFile struct {
	f *os.File
	w *wav.Writer
}

// CreateWAV makes a WAV file, and replaces what was there.
func CreateWAV(path string) (*WAVFile, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w, err := wav.NewWriter(f, wav.Config{})
	if err != nil {
		f.Close()
		return nil, err
	}
	return &WAVFile{f, w}, nil
}

// Write appends sound.
func (w *WAVFile) Write(pcm []int16) error { return w.w.Write(pcm) }

// Close completes the file.
func (w *WAVFile) Close() error { return errors.Join(w.w.Close(), w.f.Close()) }
