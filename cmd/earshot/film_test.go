package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

// Bob shows a film, and alice records him: his picture as it is in the file, and
// his voice.
func TestCallWithFilm(t *testing.T) {
	needLibopus(t)
	s := serve(t)
	dir := t.TempDir()
	film, call := filepath.Join(dir, "film.ivf"), filepath.Join(dir, "call.webm")
	if err := os.WriteFile(film, speech.VP8(), 0o600); err != nil {
		t.Fatal(err)
	}
	bob := start(t, with(s.bob, "-auto-answer", "-speaker", "none", "-video", film)...)
	bob.out.wait(t, "Waiting for a call")
	alice := start(t, with(s.alice, "-mic", "none", "-speaker", "none", "-record", call)...)
	alice.out.wait(t, "You talk with bob")
	<-time.After(3500 * time.Millisecond) // real pictures take real time
	alice.key(t, "h")
	alice.end(t, 0)
	if !regexp.MustCompile(`Recorded [1-9]\d*\.\d s to .*call.webm\.`).MatchString(alice.out.String()) {
		t.Errorf("printed %s", alice.out)
	}
	bob.out.wait(t, "(hangup).\nWaiting for a call")
	bob.key(t, "quit")
	bob.end(t, 0)

	frames, err := video.Frames(speech.VP8())
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(call)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := webm.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	pictures, sounds := 0, 0
	for {
		f, err := r.NextFrame()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Header().Tracks[f.Track].CodecID == webm.Opus {
			sounds++
			continue
		}
		known := false
		for _, c := range frames {
			known = known || bytes.Equal(c.Data, f.Data)
		}
		if !known || pictures == 0 && !f.KeyFrame {
			t.Fatalf("picture %d is none of the film's, or no key frame", pictures)
		}
		pictures++
	}
	if pictures < 15 || sounds < 50 {
		t.Errorf("%d pictures, %d packets of sound", pictures, sounds)
	}
}
