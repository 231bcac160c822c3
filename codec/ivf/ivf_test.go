package ivf_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4/pkg/media/ivfwriter"

	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/internal/speech"
)

func readAll(t testing.TB, file []byte) (ivf.Header, []ivf.Frame) {
	t.Helper()
	r, err := ivf.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var all []ivf.Frame
	for {
		f, err := r.NextFrame()
		if err == io.EOF {
			return r.Header(), all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, f)
	}
}

func TestRead(t *testing.T) {
	h, frames := readAll(t, speech.VP8())
	if h != (ivf.Header{FourCC: "VP80", Width: 320, Height: 240, Frames: 60, TickNumerator: 1, TickDenominator: 15}) {
		t.Errorf("header %+v", h)
	}
	if len(frames) != 60 {
		t.Fatalf("%d frames, want 60", len(frames))
	}
	size := 0
	for i, f := range frames {
		if want := time.Duration(i) * time.Second / 15; f.Time != want {
			t.Errorf("frame %d at %v, want %v", i, f.Time, want)
		}
		size += len(f.Data)
	}
	if want := len(speech.VP8()) - 32 - 60*12; size != want {
		t.Errorf("%d bytes of frames, want %d", size, want)
	}
}

// What pion's ivfwriter makes of our RTP packets is read back as it was.
func TestWithPionWriter(t *testing.T) {
	_, frames := readAll(t, speech.VP8())
	var file bytes.Buffer
	w, err := ivfwriter.NewWith(&file, ivfwriter.WithCodec("video/VP8"), ivfwriter.WithWidthAndHeight(320, 240))
	if err != nil {
		t.Fatal(err)
	}
	var p vp8.Packetizer
	sequence := uint16(1)
	for _, f := range frames {
		if err := p.Packetize(vp8.Descriptor{}, f.Data, func(b []byte, last bool) error {
			sequence++
			return w.WriteRTP(&rtp.Packet{
				Header:  rtp.Header{Version: 2, Marker: last, SequenceNumber: sequence, Timestamp: uint32(f.Time * 90000 / time.Second)},
				Payload: bytes.Clone(b),
			})
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	h, got := readAll(t, file.Bytes())
	if h.Width != 320 || h.Height != 240 || len(got) != len(frames) {
		t.Fatalf("%+v, %d frames, want %d", h, len(got), len(frames))
	}
	for i := range got {
		if !bytes.Equal(got[i].Data, frames[i].Data) {
			t.Fatalf("frame %d differs", i)
		}
	}
}

func TestCorrupt(t *testing.T) {
	good := speech.VP8()
	second := 32 + 12 + int(binary.LittleEndian.Uint32(good[32:]))
	change := func(at int, b ...byte) []byte {
		f := bytes.Clone(good)
		copy(f[at:], b)
		return f
	}
	for _, tc := range []struct {
		name, reason string
		file         []byte
		frame        int
		offset       int
	}{
		{"empty", "0 bytes", nil, -1, 0},
		{"cut header", "20 bytes", good[:20], -1, 0},
		{"signature", "signature", change(0, 'X'), -1, 0},
		{"Ogg", "signature", speech.Ogg("alice"), -1, 0},
		{"version", "version", change(4, 9), -1, 0},
		{"header size", "33 bytes long", change(6, 33), -1, 0},
		{"no ticks", "timebase", change(16, 0, 0, 0, 0), -1, 0},
		{"cut in a frame's header", "within its header", good[:second+5], 1, second},
		{"cut after a frame's header", "within its", good[:second+12], 1, second},
		{"cut in a frame", "within its", good[:second+20], 1, second},
		{"huge frame", "4294967295 bytes", change(second, 255, 255, 255, 255), 1, second},
		{"empty frame", "0 bytes", change(second, 0, 0, 0, 0), 1, second},
		{"time", "time", change(second+4, 255, 255, 255, 255, 255, 255, 255, 255), 1, second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r, err := ivf.NewReader(bytes.NewReader(tc.file))
			for err == nil {
				_, err = r.NextFrame()
			}
			var fe *ivf.FormatError
			if !errors.Is(err, ivf.ErrFormat) || !errors.As(err, &fe) || !strings.Contains(err.Error(), tc.reason) {
				t.Fatalf("%v, want ErrFormat and %q", err, tc.reason)
			}
			if fe.Frame != tc.frame || fe.Offset != int64(tc.offset) {
				t.Errorf("%v: frame %d at %d, want %d at %d", err, fe.Frame, fe.Offset, tc.frame, tc.offset)
			}
			if r != nil {
				if _, again := r.NextFrame(); again != err {
					t.Errorf("the second time: %v", again)
				}
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add(speech.VP8()[:200])
	f.Add(append(bytes.Clone(speech.VP8()[:32]), 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 9, 9))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := ivf.NewReader(bytes.NewReader(file))
		for err == nil {
			var fr ivf.Frame
			if fr, err = r.NextFrame(); err == nil && (len(fr.Data) == 0 || len(fr.Data) > len(file) || fr.Time < 0) {
				t.Fatalf("frame of %d bytes at %v", len(fr.Data), fr.Time)
			}
		}
		if err != io.EOF && !errors.Is(err, ivf.ErrFormat) {
			t.Fatalf("%v, want EOF or ErrFormat", err)
		}
	})
}
