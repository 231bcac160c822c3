package ivf_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/internal/speech"
)

// A copy of a file, in the same ticks, is the same file.
func TestWrite(t *testing.T) {
	h, frames := readAll(t, speech.VP8())
	path := filepath.Join(t.TempDir(), "copy.ivf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := ivf.NewWriter(f, h)
	if err != nil {
		t.Fatal(err)
	}
	for _, fr := range frames {
		if err := w.WriteFrame(fr); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteFrame(frames[0]); err != ivf.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got[:28], speech.VP8()[:28]) || !bytes.Equal(got[32:], speech.VP8()[32:]) {
		t.Errorf("%d bytes, want the %d that were read; %v", len(got), len(speech.VP8()), err)
	}
}

func TestWriteToWhatCannotSeek(t *testing.T) {
	var file bytes.Buffer
	w, err := ivf.NewWriter(&file, ivf.Header{Width: 320, Height: 240})
	if err != nil {
		t.Fatal(err)
	}
	at := []time.Duration{0, time.Second / 15, time.Hour * 24 * 365 * 100}
	for _, d := range at {
		if err := w.WriteFrame(ivf.Frame{Data: []byte{1}, Time: d}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []ivf.Frame{{}, {Data: make([]byte, ivf.MaxFrame+1)}, {Data: []byte{1}, Time: -1}} {
		if err := w.WriteFrame(f); !errors.Is(err, ivf.ErrFrame) {
			t.Errorf("%d bytes at %v: %v", len(f.Data), f.Time, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h, got := readAll(t, file.Bytes())
	if h.FourCC != "VP80" || h.Frames != 0 || len(got) != len(at) {
		t.Fatalf("%+v, %d frames", h, len(got))
	}
	for i, f := range got {
		if d := f.Time - at[i]; d < -6*time.Microsecond || d > 6*time.Microsecond {
			t.Errorf("frame %d at %v, want %v", i, f.Time, at[i])
		}
	}
}

type full struct{ room int }

func (w *full) Write(b []byte) (int, error) {
	if w.room -= len(b); w.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

var errFull = errors.New("the disk is full")

func TestWriteErrors(t *testing.T) {
	for _, h := range []ivf.Header{{}, {Width: 1 << 14, Height: 1}, {Width: 1, Height: 1, FourCC: "VP8"}} {
		if _, err := ivf.NewWriter(&full{100}, h); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%+v: %v", h, err)
		}
	}
	w, err := ivf.NewWriter(&full{40}, ivf.Header{Width: 1, Height: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(ivf.Frame{Data: []byte{1}}); !errors.Is(err, errFull) {
		t.Error(err)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: %v", err)
	}
}
