package mediafile_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

var (
	_ engine.VideoSource = (*mediafile.Video)(nil)
	_ engine.KeyFramer   = (*mediafile.Video)(nil)
	_ engine.OpusSource  = (*mediafile.Audio)(nil)
	_ engine.VideoSink   = (*mediafile.Recorder)(nil)
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const step = time.Second / 15 // of the clip, which has key frames at 0 and 30 of 60

func clip(t testing.TB) []engine.VideoFrame {
	t.Helper()
	frames, err := video.Frames(speech.VP8())
	must(t, err)
	return frames
}

// film is a WebM file of frames, and of packets from start on.
func film(t testing.TB, frames []engine.VideoFrame, start time.Duration, packets [][]byte) []byte {
	t.Helper()
	var file bytes.Buffer
	var tracks []webm.Track
	if len(packets) > 0 {
		tracks = append(tracks, webm.Track{CodecID: webm.Opus})
	}
	if len(frames) > 0 {
		tracks = append(tracks, webm.Track{CodecID: webm.VP8, Width: 320, Height: 240})
	}
	w, err := webm.NewWriter(&file, webm.Config{Tracks: tracks})
	must(t, err)
	var all []webm.Frame
	for i := range packets {
		all = append(all, webm.Frame{Track: 0, Time: start + time.Duration(i)*20*time.Millisecond, Data: packets[i]})
	}
	for _, f := range frames {
		all = append(all, webm.Frame{Track: len(tracks) - 1, Time: f.Time, KeyFrame: f.KeyFrame, Data: f.Data})
	}
	slices.SortStableFunc(all, func(a, b webm.Frame) int { return cmp.Compare(a.Time, b.Time) })
	for _, f := range all {
		must(t, w.WriteFrame(f))
	}
	must(t, w.Close())
	return file.Bytes()
}

// played reads frames, and checks that each comes when its time says.
func played(t *testing.T, v *mediafile.Video, n int) (all []engine.VideoFrame) {
	t.Helper()
	start := time.Now()
	for range n {
		f, err := v.ReadFrame(t.Context())
		must(t, err)
		if len(all) == 0 {
			start = time.Now().Add(-f.Time)
		} else if f.Time <= all[len(all)-1].Time {
			t.Fatalf("a frame of %v follows one of %v", f.Time, all[len(all)-1].Time)
		}
		if since := time.Since(start); since != f.Time {
			t.Fatalf("a frame of %v came at %v", f.Time, since)
		}
		all = append(all, f)
	}
	return all
}

// wantAt checks that frames are those of the clip from one on, at an even pace.
func wantAt(t *testing.T, got []engine.VideoFrame, first int) {
	t.Helper()
	want := clip(t)
	for i, f := range got {
		w := want[(first+i)%60]
		if !bytes.Equal(f.Data, w.Data) || f.KeyFrame != w.KeyFrame || f.Width != w.Width || f.Height != w.Height {
			t.Fatalf("frame %d is not the clip's %d", i, (first+i)%60)
		}
		if d := f.Time - got[0].Time - time.Duration(i)*step; d < -5*time.Millisecond || d > 5*time.Millisecond {
			t.Fatalf("frame %d at %v, %v beside the pace", i, f.Time, d)
		}
	}
}

func TestVideoInItsTime(t *testing.T) {
	for name, file := range map[string][]byte{"IVF": speech.VP8(), "WebM": film(t, clip(t), 0, speech.Packets("bob")[:100])} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "film")
				must(t, os.WriteFile(path, file, 0o600))
				for _, loop := range []bool{false, true} {
					v, err := mediafile.OpenVideo(path, mediafile.Options{Loop: loop})
					must(t, err)
					n := 60
					if loop {
						n = 150
					}
					wantAt(t, played(t, v, n), 0)
					if !loop {
						if _, err := v.ReadFrame(t.Context()); err != io.EOF {
							t.Errorf("at the end: %v", err)
						}
					}
					must(t, v.Close())
					must(t, v.Close())
					if _, err := v.ReadFrame(t.Context()); err != io.EOF {
						t.Errorf("after Close: %v", err)
					}
				}
			})
		})
	}
}

// A key frame that is near is jumped to, one that is far is not, and the pace
// stays.
func TestKeyFrameRequest(t *testing.T) {
	for name, c := range map[string]struct {
		opt    mediafile.Options
		after  int // frames read before the request
		jumpTo int
	}{
		"near":                {mediafile.Options{}, 20, 30},
		"now":                 {mediafile.Options{}, 30, 30},
		"far":                 {mediafile.Options{}, 10, 10},
		"near, over the end":  {mediafile.Options{Loop: true}, 50, 60},
		"none any more":       {mediafile.Options{}, 50, 50},
		"far, but in a loop":  {mediafile.Options{Loop: true}, 40, 40},
		"in step with sounds": {mediafile.Options{InStep: true}, 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, err := mediafile.NewVideo(bytes.NewReader(speech.VP8()), c.opt)
				must(t, err)
				before := played(t, v, c.after)
				v.RequestKeyFrame()
				after := played(t, v, min(8, 60-c.after))
				wantAt(t, after, c.jumpTo)
				if d := after[0].Time - before[len(before)-1].Time; d < step-time.Millisecond || d > step+time.Millisecond {
					t.Errorf("the frame after the request comes %v after the one before", d)
				}
			})
		})
	}
}

// A file with one key frame, at its start, is played whole, and again.
func TestOneKeyFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := clip(t)[:25]
		v, err := mediafile.NewVideo(bytes.NewReader(film(t, one, 0, nil)), mediafile.Options{Loop: true})
		must(t, err)
		for i, f := range played(t, v, 60) {
			if !bytes.Equal(f.Data, one[i%25].Data) {
				t.Fatalf("frame %d is not that of the file", i)
			}
		}
		v, err = mediafile.NewVideo(bytes.NewReader(film(t, one[:1], 0, nil)), mediafile.Options{Loop: true})
		must(t, err)
		if all := played(t, v, 31); all[30].Time != 30*(time.Second/30) {
			t.Errorf("a still picture's 31st frame is at %v", all[30].Time)
		}
	})
}

// What is before the first key frame cannot be shown, and a file that was cut
// off is played up to there.
func TestDamagedFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := mediafile.NewVideo(bytes.NewReader(film(t, clip(t)[10:], 0, nil)), mediafile.Options{})
		must(t, err)
		all := played(t, v, 30)
		wantAt(t, all, 30)
		if d := all[0].Time - 30*step; d < -time.Millisecond || d > time.Millisecond { // 2 s of nothing are kept
			t.Errorf("the first frame is at %v", all[0].Time)
		}
		file := film(t, clip(t), 0, nil)
		for _, loop := range []bool{false, true} {
			v, err = mediafile.NewVideo(bytes.NewReader(file[:len(file)/2]), mediafile.Options{Loop: loop})
			must(t, err)
			all = played(t, v, 25)
			wantAt(t, all, 0)
			for err == nil && len(all) < 100 {
				var f engine.VideoFrame
				f, err = v.ReadFrame(t.Context())
				all = append(all, f)
			}
			if !loop && err != io.EOF || loop && err != nil {
				t.Errorf("loop %v: %d frames, then %v", loop, len(all), err)
			}
		}
	})
}

func TestLateReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, err := mediafile.NewVideo(bytes.NewReader(speech.VP8()), mediafile.Options{})
		must(t, err)
		played(t, v, 10)
		time.Sleep(time.Minute) // virtual: the camera was closed
		wantAt(t, played(t, v, 20), 10)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := v.ReadFrame(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		wantAt(t, played(t, v, 20), 30) // nothing was lost by that
	})
}

func TestCannotBePlayed(t *testing.T) {
	vp9 := bytes.Clone(speech.VP8())
	copy(vp9[8:], "VP90")
	sound := film(t, nil, 0, speech.Packets("bob")[:10])
	var back bytes.Buffer
	w, err := ivf.NewWriter(&back, ivf.Header{Width: 1, Height: 1})
	must(t, err)
	must(t, w.WriteFrame(ivf.Frame{Data: clip(t)[0].Data, Time: 1e6 * time.Hour}))
	for name, c := range map[string]struct {
		file []byte
		err  error
	}{
		"nothing": {nil, mediafile.ErrFormat}, "Ogg": {speech.Ogg("bob"), mediafile.ErrFormat},
		"VP9": {vp9, mediafile.ErrFormat}, "sound": {sound, mediafile.ErrFormat},
		"no frame": {speech.VP8()[:32], mediafile.ErrFormat}, "cut": {speech.VP8()[:20], ivf.ErrFormat},
		"no key frame": {film(t, clip(t)[1:20], 0, nil), mediafile.ErrFormat},
		"corrupt":      {append(bytes.Clone(speech.VP8()[:32]), make([]byte, 100)...), ivf.ErrFormat},
		"corrupt WebM": {sound[:40], webm.ErrFormat}, "eternity": {back.Bytes(), mediafile.ErrFormat},
	} {
		for _, loop := range []bool{false, true} {
			if _, err := mediafile.NewVideo(bytes.NewReader(c.file), mediafile.Options{Loop: loop}); !errors.Is(err, c.err) {
				t.Errorf("%s as a picture: %v", name, err)
			}
		}
	}
	for name, c := range map[string]struct {
		file []byte
		err  error
	}{
		"nothing": {nil, mediafile.ErrFormat}, "IVF": {speech.VP8(), mediafile.ErrFormat},
		"picture": {film(t, clip(t), 0, nil), mediafile.ErrFormat}, "cut": {speech.Ogg("bob")[:20], ogg.ErrFormat},
	} {
		if _, err := mediafile.NewAudio(bytes.NewReader(c.file), mediafile.Options{}); !errors.Is(err, c.err) {
			t.Errorf("%s as sound: %v", name, err)
		}
	}
	stream := struct{ io.Reader }{bytes.NewReader(speech.VP8())}
	if _, err := mediafile.NewVideo(stream, mediafile.Options{Loop: true}); !errors.Is(err, mediafile.ErrFormat) {
		t.Errorf("a stream in a loop: %v", err)
	}
	if _, err := mediafile.OpenVideo("no such file", mediafile.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if _, err := mediafile.OpenAudio("no such file", mediafile.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestAudioInItsTime(t *testing.T) {
	packets := speech.Packets("bob")[:50]
	late := film(t, nil, 500*time.Millisecond, packets)
	for name, c := range map[string]struct {
		file    []byte
		loop    bool
		silence time.Duration // before the first
		want    int           // packets
	}{
		"Ogg":         {speech.Ogg("bob"), false, 0, len(speech.Packets("bob"))},
		"Ogg, again":  {speech.Ogg("bob"), true, 0, 2000},
		"WebM":        {film(t, clip(t), 0, packets), false, 0, 50},
		"WebM, again": {film(t, clip(t), 0, packets), true, 0, 170},
		"late":        {late, false, 500 * time.Millisecond, 50},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "sound")
				must(t, os.WriteFile(path, c.file, 0o600))
				a, err := mediafile.OpenAudio(path, mediafile.Options{Loop: c.loop})
				must(t, err)
				defer a.Close()
				all := speech.Packets("bob")
				if name[0] != 'O' {
					all = packets
				}
				var buf [1150]byte
				var silence, pos time.Duration
				start, n := time.Now(), 0
				for n < c.want {
					size, d, err := a.ReadOpus(t.Context(), buf[:])
					must(t, err)
					if pos += d; time.Since(start) != pos {
						t.Fatalf("packet %d came at %v, want %v", n, time.Since(start), pos)
					}
					if size == 0 {
						silence += d
						continue
					}
					if !bytes.Equal(buf[:size], all[n%len(all)]) || d != 20*time.Millisecond {
						t.Fatalf("packet %d of %v is another", n, d)
					}
					n++
				}
				if silence != c.silence {
					t.Errorf("%v of silence, want %v", silence, c.silence)
				}
				if _, _, err := a.ReadOpus(t.Context(), nil); c.loop && !errors.Is(err, io.ErrShortBuffer) || !c.loop && err != io.EOF {
					t.Errorf("at the end: %v", err)
				}
			})
		})
	}
}
