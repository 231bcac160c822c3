package audio

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/wav"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

func write(t *testing.T, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadOgg(t *testing.T) {
	got, err := Load(write(t, "no-matter-what.name", speech.Ogg("alice")))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, speech.PCM("alice")) {
		t.Error("another sound")
	}
}

// A 16 kHz file is the same speech at 48 kHz, in the same place.
func TestLoadWAVResamples(t *testing.T) {
	got, err := Load(write(t, "a.wav", speech.WAV()))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 8*Rate {
		t.Errorf("%d samples, want 8 s", len(got))
	}
	c, delay := Similarity(got, speech.PCM("alice"))
	if c < 0.95 {
		t.Errorf("correlation %.3f at %v", c, delay)
	}
	r, err := wav.NewReader(bytes.NewReader(speech.WAV()))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	// Every third sample is the original's, but for the filter.
	third := make([]int16, len(raw))
	for i := range third {
		third[i] = got[3*i]
	}
	if at, c := Find(third, raw[16000:32000]); at != 16000 || c < 0.99 {
		t.Errorf("one second in, found at %d by %.4f", at, c)
	}
}

func TestWAVRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.wav")
	pcm := speech.PCM("alice")[:12345]
	if err := WriteWAV(path, pcm); err != nil {
		t.Fatal(err)
	}
	got, err := Load(path)
	if err != nil || !slices.Equal(got, pcm) {
		t.Errorf("read back %d samples of %d: %v", len(got), len(pcm), err)
	}
	if err := WriteWAV(filepath.Join(path, "below-a-file.wav"), pcm); err == nil {
		t.Error("no error for a path that cannot be")
	}
}

func TestMono(t *testing.T) {
	if got := mono([]int16{1, 3, -32768, -32768, 32767, 32767, 9}, 2); !slices.Equal(got, []int16{2, -32768, 32767}) {
		t.Errorf("got %v", got)
	}
}

// wav96k is a good file at a rate that is not taken.
func wav96k(t *testing.T) []byte {
	f, err := os.Create(filepath.Join(t.TempDir(), "96k.wav"))
	if err != nil {
		t.Fatal(err)
	}
	w, err := wav.NewWriter(f, wav.Config{SampleRate: 96000})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(make([]int16, 960)), w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLoadErrors(t *testing.T) {
	voice := speech.Ogg("alice")
	broken := bytes.Clone(voice)
	broken[len(broken)/2] ^= 0xff
	for _, c := range []struct {
		name string
		file []byte
		want error
	}{
		{"corrupt ogg", broken, ogg.ErrFormat},
		{"short ogg", voice[:len(voice)/2], ogg.ErrFormat},
		{"short wav", speech.WAV()[:1000], wav.ErrFormat},
		{"no wav", []byte("RIFFxxxxWAVE"), wav.ErrFormat},
		{"wav of 96 kHz", wav96k(t), mixer.ErrConfig},
		{"text", []byte("hello, world"), ErrFormat},
		{"empty", nil, ErrFormat},
	} {
		path := write(t, "x", c.file)
		pcm, err := Load(path)
		if !errors.Is(err, c.want) || pcm != nil {
			t.Errorf("%s: %d samples and %v, want %v", c.name, len(pcm), err, c.want)
		} else if !bytes.Contains([]byte(err.Error()), []byte(path)) {
			t.Errorf("%s: %q does not name the file", c.name, err)
		}
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}
