package record_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/ogg"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/record"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

// crashDir names where the process that is killed records to.
const crashDir = "RECORD_CRASH_DIR"

// crashChild is that process: it records a video call until then, and says when
// it began.
func crashChild(dir string) {
	ctx := context.Background()
	ok := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	srv, err := engine.NewServer(engine.ServerConfig{
		InProcess: true, Codec: libopus.Driver{},
		SignIn:  func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil },
		Plugins: []hooks.Plugin{{MayRecord: func(context.Context, hooks.RecordRequest) error { return nil }}},
	})
	ok(err)
	go srv.Serve()
	dial := func(user string) *phone {
		p := &phone{invited: make(chan string, 1), begun: make(chan bool, 1)}
		p.client, err = engine.Dial(ctx, engine.ClientConfig{
			Dialer: srv.Pipe(), UserID: user, UserSig: "-", Listener: p,
			OpusMicrophone: audio.NewPacketSource(speech.Packets(user), true),
		})
		ok(err)
		return p
	}
	alice, bob := dial("alice"), dial("bob")
	ok(alice.client.Call(ctx, "bob", hooks.MediaVideo))
	call := <-bob.invited
	ok(bob.client.Accept(ctx))
	<-alice.begun
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
	ok(err)
	_, err = record.Start(record.Config{Source: srv, CallID: call, Dir: dir, Encoder: enc, Heard: []string{"bob"}, HeardEncoder: stereo})
	ok(err)
	cam, err := video.NewSource(speech.VP8())
	ok(err)
	ok(alice.client.OpenCamera(ctx, cam))
	fmt.Println("recording")
	select {} // until it is killed
}

// A process that is killed loses at most the last second of a recording: its
// files can be read up to there, by the same readers as all others.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "recording"; {
	}
	began := time.Now()
	<-time.After(3500 * time.Millisecond) // in real time: another process
	must(t, cmd.Process.Kill())
	length := time.Since(began)
	cmd.Wait()

	files, err := filepath.Glob(filepath.Join(dir, "*"))
	must(t, err)
	if len(files) != 5 {
		t.Errorf("the files are %v", files)
	}
	for _, name := range files {
		file, err := os.ReadFile(name)
		must(t, err)
		plays := map[string]time.Duration{}
		if strings.HasSuffix(name, ".webm") {
			r, err := webm.NewReader(bytes.NewReader(file))
			must(t, err)
			for {
				f, err := r.NextFrame()
				if err != nil {
					if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("%s: %v", name, err)
					}
					break
				}
				plays[[]string{"picture", "sound"}[f.Track]] = f.Time
			}
			if len(plays) != 2 {
				t.Errorf("%s has %v", name, plays)
			}
		} else {
			r, err := ogg.NewReader(bytes.NewReader(file))
			must(t, err)
			for err == nil {
				_, err = r.NextPacket()
			}
			if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: %v", name, err)
			}
			plays["sound"] = time.Duration(r.Samples()) * time.Second / 48000
		}
		for what, until := range plays {
			t.Logf("%s: %s up to %v of %v", filepath.Base(name), what, until, length)
			if until < length-time.Second || until > length+time.Second {
				t.Errorf("%s: %s up to %v of %v", name, what, until, length)
			}
		}
	}
}
