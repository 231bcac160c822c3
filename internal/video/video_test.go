package video_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

var (
	_ engine.VideoSource = (*video.Source)(nil)
	_ engine.KeyFramer   = (*video.Source)(nil)
	_ engine.VideoSink   = (*video.Sink)(nil)
)

func TestSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frames, err := video.Frames(speech.VP8())
		if err != nil || len(frames) != 60 || !frames[0].KeyFrame || frames[0].Width != 320 || !frames[30].KeyFrame {
			t.Fatalf("%d frames, %v", len(frames), err)
		}
		src, err := video.NewSource(speech.VP8())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		read := func() engine.VideoFrame {
			t.Helper()
			f, err := src.ReadFrame(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if since := time.Since(start); since != f.Time {
				t.Errorf("a frame of %v came after %v", f.Time, since)
			}
			return f
		}
		for i := range 70 {
			if f := read(); !bytes.Equal(f.Data, frames[i%60].Data) || f.Time != time.Duration(i)*(time.Second/15) {
				t.Fatalf("frame %d at %v is another", i, f.Time)
			}
		}
		src.RequestKeyFrame()
		src.RequestKeyFrame()
		if f := read(); !bytes.Equal(f.Data, frames[0].Data) || src.Asked() != 2 {
			t.Error("no key frame at once, or not the nearest")
		}
		if f := read(); !bytes.Equal(f.Data, frames[1].Data) {
			t.Error("what follows the key frame is not what belongs to it")
		}
	})
}

func TestSourceEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src, err := video.NewSource(speech.VP8())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		n := 0
		for ; err == nil; n++ {
			_, err = src.ReadFrame(ctx)
		}
		if !errors.Is(err, context.DeadlineExceeded) || n != 3 { // at 0 ms, at 66 ms, and the end
			t.Errorf("%d frames, then %v", n-1, err)
		}
	})
}

func TestBadFiles(t *testing.T) {
	good := speech.VP8()
	for name, file := range map[string][]byte{
		"nothing": nil, "cut": good[:500], "another codec": append([]byte("DKIF\x00\x00\x20\x00VP90"), good[12:]...),
		"another file": speech.Ogg("alice"), "one frame": good[:32+12+int(good[32])+int(good[33])<<8],
	} {
		if _, err := video.NewSource(file); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
