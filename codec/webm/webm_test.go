package webm_test

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/internal/speech"
)

var bothTracks = []webm.Track{{CodecID: webm.VP8, Width: 320, Height: 240}, {CodecID: webm.Opus}}

// film is 4 s of picture and sound, as frames in the order of time.
func film(t testing.TB) (all []webm.Frame) {
	t.Helper()
	r, err := ivf.NewReader(bytes.NewReader(speech.VP8()))
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := r.NextFrame()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		h, _ := vp8.ParseFrameHeader(f.Data)
		all = append(all, webm.Frame{Track: 0, Time: f.Time, KeyFrame: h.KeyFrame, Data: f.Data})
	}
	for i, p := range speech.Packets("alice")[:200] {
		all = append(all, webm.Frame{Track: 1, Time: time.Duration(i) * 20 * time.Millisecond, KeyFrame: true, Data: p})
	}
	slices.SortStableFunc(all, byTime)
	return all
}

func byTime(a, b webm.Frame) int { return cmp.Compare(a.Time, b.Time) }

func write(t testing.TB, w io.Writer, cfg webm.Config, frames []webm.Frame) *webm.Writer {
	t.Helper()
	o, err := webm.NewWriter(w, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		if err := o.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// readAll reads to the end, which is err.
func readAll(t testing.TB, file []byte) (h webm.Header, all []webm.Frame, err error) {
	t.Helper()
	r, err := webm.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		f, err := r.NextFrame()
		if err != nil {
			if _, again := r.NextFrame(); again != err {
				t.Errorf("the second time: %v", again)
			}
			return r.Header(), all, err
		}
		all = append(all, f)
	}
}

func wantFrames(t testing.TB, got, want []webm.Frame) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d frames, want %d", len(got), len(want))
	}
	for i, f := range got {
		w := want[i]
		if d := f.Time - w.Time; f.Track != w.Track || f.KeyFrame != w.KeyFrame || !bytes.Equal(f.Data, w.Data) || d < -time.Millisecond/2 || d > time.Millisecond/2 {
			t.Fatalf("frame %d: track %d at %v, key %v, %d bytes; want %d at %v, %v, %d",
				i, f.Track, f.Time, f.KeyFrame, len(f.Data), w.Track, w.Time, w.KeyFrame, len(w.Data))
		}
	}
}

func TestRoundTrip(t *testing.T) {
	want := film(t)
	path := filepath.Join(t.TempDir(), "film.webm")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := write(t, f, webm.Config{Tracks: bothTracks}, want)
	for range 2 {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.WriteFrame(want[0]); err != webm.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, got, err := readAll(t, file)
	if err != io.EOF {
		t.Fatal(err)
	}
	wantFrames(t, got, want)
	if h.DocType != "webm" || len(h.Tracks) != 2 || h.Duration != 4*time.Second || w.Duration() != h.Duration {
		t.Errorf("header %+v, %v written", h, w.Duration())
	}
	a := h.Tracks[1]
	if v := h.Tracks[0]; v.CodecID != webm.VP8 || v.Width != 320 || v.Height != 240 {
		t.Errorf("video %+v", v)
	}
	if a.CodecID != webm.Opus || a.Channels != 1 || a.SampleRate != 48000 || a.CodecDelay != 6500*time.Microsecond ||
		a.SeekPreRoll != 80*time.Millisecond || string(a.CodecPrivate) != "OpusHead\x01\x01\x38\x01\x80\xbb\x00\x00\x00\x00\x00" {
		t.Errorf("audio %+v", a)
	}
}

// Cut off anywhere, a file that was not closed gives what is whole before the
// cut, and what was written after it was flushed is lost.
func TestCutOff(t *testing.T) {
	want := film(t)
	for _, seekable := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "cut.webm")
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		var w io.Writer = f
		if !seekable {
			w = struct{ io.Writer }{f}
		}
		write(t, w, webm.Config{Tracks: bothTracks}, want) // and no Close
		file, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, got, err := readAll(t, file)
		if err != io.EOF {
			t.Errorf("seekable %v: %v", seekable, err)
		}
		wantFrames(t, got, want[:len(got)])
		if last := got[len(got)-1].Time; last < want[len(want)-1].Time-1600*time.Millisecond {
			t.Errorf("it ends at %v", last)
		}
		whole := len(got)
		for n := len(file) - 1; n > 1000; n -= 397 {
			_, got, err := readAll(t, file[:n])
			if err != io.EOF && !(errors.Is(err, webm.ErrFormat) && errors.Is(err, io.ErrUnexpectedEOF)) {
				t.Fatalf("cut at %d: %v", n, err)
			}
			if len(got) > whole || len(got) < whole-20 { // 397 bytes have few frames in them
				t.Fatalf("cut at %d: %d frames, and %d a little later", n, len(got), whole)
			}
			whole = len(got)
			wantFrames(t, got, want[:whole])
		}
	}
}

// Tracks that are out of step are put in order; what comes too late keeps its
// order, and gets another time.
func TestOutOfStep(t *testing.T) {
	want := film(t)
	late := slices.Clone(want)
	for i := range late {
		if late[i].Track == 1 {
			late[i].Time += 490 * time.Millisecond // arrives so late
		}
	}
	slices.SortStableFunc(late, byTime)
	for i := range late {
		if late[i].Track == 1 {
			late[i].Time -= 490 * time.Millisecond
		}
	}
	var file bytes.Buffer
	if err := write(t, &file, webm.Config{Tracks: bothTracks}, late).Close(); err != nil {
		t.Fatal(err)
	}
	_, got, err := readAll(t, file.Bytes())
	if err != io.EOF {
		t.Fatal(err)
	}
	slices.SortStableFunc(got, func(a, b webm.Frame) int { return cmp.Or(byTime(a, b), a.Track-b.Track) })
	slices.SortStableFunc(want, func(a, b webm.Frame) int { return cmp.Or(byTime(a, b), a.Track-b.Track) })
	wantFrames(t, got, want)

	file.Reset()
	w := write(t, &file, webm.Config{Tracks: bothTracks}, nil)
	for _, f := range []webm.Frame{want[0], {Track: 1, Data: want[1].Data, Time: time.Second}, {Track: 1, Data: want[1].Data, Time: 2 * time.Second}, {Data: []byte{1}, Time: 400 * time.Millisecond}} {
		if err := w.WriteFrame(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	_, got, _ = readAll(t, file.Bytes())
	if len(got) != 4 || got[2].Track != 0 || got[2].Time != time.Second {
		t.Errorf("%d frames, the late one at %v", len(got), got[2].Time)
	}
}

func TestFlushForAReaderOfAGrowingFile(t *testing.T) {
	want := film(t)[:20]
	var file bytes.Buffer
	w := write(t, &file, webm.Config{Tracks: bothTracks}, want)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	_, got, err := readAll(t, file.Bytes())
	if err != io.EOF {
		t.Fatal(err)
	}
	wantFrames(t, got, want)
}

func TestBadFramesAndConfigs(t *testing.T) {
	for name, cfg := range map[string]webm.Config{
		"no tracks":    {},
		"no size":      {Tracks: []webm.Track{{CodecID: webm.VP8}}},
		"VP9":          {Tracks: []webm.Track{{CodecID: "V_VP9", Width: 1, Height: 1}}},
		"six channels": {Tracks: []webm.Track{{CodecID: webm.Opus, Channels: 6}}},
		"rate":         {Tracks: []webm.Track{{CodecID: webm.Opus, SampleRate: 96000}}},
		"delay":        {Tracks: []webm.Track{{CodecID: webm.Opus, CodecDelay: time.Hour}}},
		"private":      {Tracks: []webm.Track{{CodecID: webm.Opus, CodecPrivate: make([]byte, 1<<17)}}},
		"cluster":      {Tracks: bothTracks, ClusterDuration: time.Minute},
		"app":          {Tracks: bothTracks, App: strings.Repeat("x", 2000)},
		"many":         {Tracks: make([]webm.Track, 65)},
	} {
		if _, err := webm.NewWriter(io.Discard, cfg); !errors.Is(err, codec.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	packet := speech.Packets("alice")[0]
	w := write(t, io.Discard, webm.Config{Tracks: bothTracks}, []webm.Frame{{Track: 1, Time: time.Second, Data: packet}})
	for name, f := range map[string]webm.Frame{
		"track":     {Track: 2, Data: packet},
		"no track":  {Track: -1, Data: packet},
		"empty":     {Track: 0},
		"large":     {Track: 0, Data: make([]byte, webm.MaxFrame+1)},
		"before 0":  {Track: 0, Data: packet, Time: -1},
		"eternity":  {Track: 0, Data: packet, Time: 1<<63 - 1},
		"backwards": {Track: 1, Data: packet, Time: time.Second - 1},
		"no Opus":   {Track: 1, Data: []byte{3}, Time: time.Second},
	} {
		if err := w.WriteFrame(f); !errors.Is(err, webm.ErrFrame) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// full is a disk with little room.
type full struct{ room int }

func (w *full) Write(b []byte) (int, error) {
	if w.room -= len(b); w.room < 0 {
		return 0, errFull
	}
	return len(b), nil
}

var errFull = errors.New("the disk is full")

func TestWriteErrorStays(t *testing.T) {
	if _, err := webm.NewWriter(&full{10}, webm.Config{Tracks: bothTracks}); !errors.Is(err, errFull) {
		t.Errorf("NewWriter: %v", err)
	}
	w, err := webm.NewWriter(&full{1000}, webm.Config{Tracks: bothTracks})
	for _, f := range film(t) {
		if err == nil {
			err = w.WriteFrame(f)
		}
	}
	if !errors.Is(err, errFull) {
		t.Errorf("WriteFrame: %v", err)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close: %v", err)
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	frames := film(t)
	w := write(t, io.Discard, webm.Config{Tracks: bothTracks}, frames)
	shift := time.Duration(0)
	again := func() {
		shift += 4 * time.Second
		for _, f := range frames {
			f.Time += shift
			if err := w.WriteFrame(f); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 50 { // until no buffer grows any more
		again()
	}
	if n := testing.AllocsPerRun(10, again); n > 0 {
		t.Errorf("%v allocations in %d frames", n, len(frames))
	}
}
