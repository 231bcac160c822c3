package wav_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	reference "github.com/go-audio/wav"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/wav"
	"github.com/earshotrtc/earshot/internal/speech"
)

func create(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "out.wav"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestReadSpeech(t *testing.T) {
	r, err := wav.NewReader(bytes.NewReader(speech.WAV()))
	if err != nil {
		t.Fatal(err)
	}
	if h := r.Header(); h != (wav.Header{SampleRate: 16000, Channels: 1, Samples: 128000}) {
		t.Errorf("header %+v", h)
	}
	got, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	ref, err := reference.NewDecoder(bytes.NewReader(speech.WAV())).FullPCMBuffer()
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 128000 || len(ref.Data) != len(got) {
		t.Fatalf("%d values, go-audio reads %d, want 128000", len(got), len(ref.Data))
	}
	for i, v := range got {
		if int(v) != ref.Data[i] {
			t.Fatalf("value %d is %d, go-audio reads %d", i, v, ref.Data[i])
		}
	}
	if n, err := r.Read(make([]int16, 10)); n != 0 || err != io.EOF {
		t.Errorf("after the end: %d, %v", n, err)
	}
}

func TestRoundTrip(t *testing.T) {
	pcm := make([]int16, 48000*2+6)
	for i := range pcm {
		pcm[i] = int16(i * 7919)
	}
	for _, tc := range []struct {
		cfg   wav.Config
		piece int
	}{
		{wav.Config{}, 960}, {wav.Config{Channels: 2}, 1920}, {wav.Config{SampleRate: 44100, Channels: 6}, 6 * 147},
		{wav.Config{SampleRate: 8000}, 96006}, {wav.Config{Channels: 3}, 3},
	} {
		f := create(t)
		// A file need not begin where the sound does.
		if _, err := f.WriteString("before"); err != nil {
			t.Fatal(err)
		}
		w, err := wav.NewWriter(f, tc.cfg)
		if err != nil {
			t.Fatal(err)
		}
		for p := range slices.Chunk(pcm, tc.piece) {
			if err := w.Write(p); err != nil {
				t.Fatal(err)
			}
		}
		// Readable before it is closed, too.
		for _, closed := range []bool{false, true} {
			if closed {
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			b, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			r, err := wav.NewReader(bytes.NewReader(b[6:]))
			if err != nil {
				t.Fatal(err)
			}
			want := wav.Header{SampleRate: max(tc.cfg.SampleRate, 8000), Channels: max(tc.cfg.Channels, 1), Samples: -1}
			if tc.cfg.SampleRate == 0 {
				want.SampleRate = 48000
			}
			if closed {
				want.Samples = int64(len(pcm) / want.Channels)
			}
			if r.Header() != want || w.Samples() != int64(len(pcm)/want.Channels) {
				t.Errorf("%+v: header %+v, want %+v; wrote %d", tc.cfg, r.Header(), want, w.Samples())
			}
			got, err := r.ReadAll()
			if err != nil || !slices.Equal(got, pcm) {
				t.Errorf("%+v: %d values (%v), want the same %d", tc.cfg, len(got), err, len(pcm))
			}
			if closed {
				ref := reference.NewDecoder(bytes.NewReader(b[6:]))
				if buf, err := ref.FullPCMBuffer(); err != nil || len(buf.Data) != len(pcm) || !ref.WasPCMAccessed() {
					t.Errorf("%+v: go-audio cannot read it: %v", tc.cfg, err)
				}
			}
		}
		if err := w.Write(pcm[:6]); !errors.Is(err, wav.ErrClosed) {
			t.Errorf("after Close: %v, want ErrClosed", err)
		}
		if err := w.Close(); err != nil {
			t.Errorf("second Close: %v", err)
		}
	}
}

func riff(chunks ...[]byte) []byte {
	body := append([]byte("WAVE"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

func chunk(id string, size int, body ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte(id), uint32(size)), body...)
}

func format(tag, channels, rate, align, bits int, more ...byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, uint16(tag))
	b = binary.LittleEndian.AppendUint16(b, uint16(channels))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate))
	b = binary.LittleEndian.AppendUint32(b, uint32(rate*align))
	b = binary.LittleEndian.AppendUint16(b, uint16(align))
	b = binary.LittleEndian.AppendUint16(b, uint16(bits))
	b = append(b, more...)
	return chunk("fmt ", len(b), b...)
}

// Chunks nobody knows are passed over, and so is their padding.
func TestChunks(t *testing.T) {
	extensible := append([]byte{22, 0, 16, 0, 0, 0, 0, 0, 1, 0}, make([]byte, 14)...)
	for name, file := range map[string][]byte{
		"unknown":    riff(chunk("junk", 3, 1, 2, 3, 0), format(1, 1, 8000, 2, 16), chunk("LIST", 4, 'I', 'N', 'F', 'O'), chunk("data", 4, 1, 0, 2, 0)),
		"extensible": riff(format(0xfffe, 1, 8000, 2, 16, extensible...), chunk("data", 4, 1, 0, 2, 0)),
		"more after": riff(format(1, 1, 8000, 2, 16), chunk("data", 4, 1, 0, 2, 0), chunk("junk", 2, 9, 9)),
		"streamed":   riff(format(1, 1, 8000, 2, 16), chunk("data", 0xffffffff, 1, 0, 2, 0)),
	} {
		r, err := wav.NewReader(bytes.NewReader(file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got, err := r.ReadAll(); err != nil || !slices.Equal(got, []int16{1, 2}) {
			t.Errorf("%s: %v, %v, want 1 2", name, got, err)
		}
	}
}

func TestCorrupt(t *testing.T) {
	good := format(1, 1, 8000, 2, 16)
	for _, tc := range []struct {
		name   string
		file   []byte
		reason string
	}{
		{"empty", nil, "not a WAV file"},
		{"short", []byte("RIFF"), "not a WAV file"},
		{"Ogg", speech.Ogg("alice"), "OggS"},
		{"AVI", append([]byte("RIFF\x00\x00\x00\x00AVI "), make([]byte, 20)...), "AVI"},
		{"no sound", riff(good), "before the sound"},
		{"cut in a chunk's header", riff(good, []byte("data\x00")), "before the sound"},
		{"cut in a chunk", riff(chunk("junk", 1<<31, 1)), "within chunk"},
		{"no format", riff(chunk("data", 2, 0, 0)), "before its format"},
		{"short format", riff(chunk("fmt ", 4, 1, 0, 1, 0)), "4 bytes"},
		{"huge format", riff(chunk("fmt ", 0xffffffff, 1, 0, 1, 0)), "bytes long"},
		{"cut format", riff(chunk("fmt ", 16, 1, 0)), "within the format"},
		{"two formats", riff(good, good), "second time"},
		{"8 bits", riff(format(1, 1, 8000, 1, 8)), "8 bits"},
		{"24 bits", riff(format(1, 2, 8000, 6, 24)), "24 bits"},
		{"float", riff(format(3, 1, 8000, 4, 32)), "floating point"},
		{"MP3", riff(format(0x55, 1, 8000, 2, 16)), "compressed"},
		{"no channels", riff(format(1, 0, 8000, 0, 16)), "no channels"},
		{"no rate", riff(format(1, 1, 0, 2, 16)), "sample rate"},
		{"alignment", riff(format(1, 2, 8000, 2, 16)), "want 4"},
		{"odd", riff(format(1, 2, 8000, 4, 16), chunk("data", 6, 1, 0, 2, 0, 3, 0)), "multiple"},
		{"cut sound", riff(good, chunk("data", 8, 1, 0, 2, 0)), "4 bytes before its header says"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := wav.NewReader(bytes.NewReader(tc.file))
			if err == nil {
				_, err = r.ReadAll()
			}
			var fe *wav.FormatError
			if !errors.Is(err, wav.ErrFormat) || !errors.As(err, &fe) || !strings.Contains(err.Error(), tc.reason) {
				t.Fatalf("%v, want ErrFormat and %q", err, tc.reason)
			}
			if !strings.Contains(err.Error(), "offset") {
				t.Errorf("%v does not say where", err)
			}
		})
	}
}

func TestWriterErrors(t *testing.T) {
	for _, cfg := range []wav.Config{{SampleRate: -1}, {Channels: -1}, {Channels: 40000}} {
		if _, err := wav.NewWriter(create(t), cfg); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%+v: %v, want ErrConfig", cfg, err)
		}
	}
	f := create(t)
	w, err := wav.NewWriter(f, wav.Config{Channels: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(make([]int16, 3)); !errors.Is(err, codec.ErrBuffer) {
		t.Errorf("half a sample: %v, want ErrBuffer", err)
	}
	f.Close()
	first := w.Write(make([]int16, 4))
	if !errors.Is(first, os.ErrClosed) || w.Write(nil) != first || w.Close() != first {
		t.Errorf("on a closed file: %v", first)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(speech.WAV()[:200])
	f.Add(riff(chunk("junk", 3, 1, 2, 3, 0), format(1, 2, 8000, 4, 16), chunk("data", 8, 1, 0, 2, 0, 3, 0, 4, 0)))
	f.Add(riff(format(1, 1, 8000, 2, 16), chunk("data", 0xffffffff, 1, 0, 2, 0)))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := wav.NewReader(bytes.NewReader(file))
		if err == nil {
			var pcm []int16
			pcm, err = r.ReadAll()
			if 2*len(pcm) > len(file) {
				t.Fatalf("%d values from %d bytes", len(pcm), len(file))
			}
			h := r.Header()
			if h.Channels < 1 || h.SampleRate < 1 || err == nil && h.Samples >= 0 && int64(len(pcm)) != h.Samples*int64(h.Channels) {
				t.Fatalf("%d values for %+v", len(pcm), h)
			}
		}
		if err != nil && !errors.Is(err, wav.ErrFormat) {
			t.Fatalf("%v, want ErrFormat", err)
		}
	})
}
