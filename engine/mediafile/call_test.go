package mediafile_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/speech"
)

const (
	appID = 1
	key   = "a key for tests only"
)

// watcher tells what a test waits for.
type watcher struct {
	hooks.NopListener
	invited, begun, seen chan string
}

func (w *watcher) OnInvited(i hooks.Invitation) { w.invited <- i.Sponsor }
func (w *watcher) OnCallBegin(hooks.CallInfo)   { w.begun <- "" }
func (w *watcher) OnUserVideoAvailable(user string, yes bool) {
	if yes {
		w.seen <- user
	}
}

func dial(t *testing.T, srv *engine.Server, inProcess bool, cfg engine.ClientConfig) (*engine.Client, *watcher) {
	t.Helper()
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: appID, UserID: cfg.UserID, Issued: time.Now(), Lifetime: time.Hour})
	must(t, err)
	w := &watcher{invited: make(chan string, 1), begun: make(chan string, 1), seen: make(chan string, 1)}
	cfg.SDKAppID, cfg.UserSig, cfg.Listener = appID, sig, w
	if inProcess {
		cfg.Dialer = srv.Pipe()
	} else {
		pin := srv.Pins()[0]
		cfg.Addr, cfg.Pin = srv.Addr().String(), hex.EncodeToString(pin[:])
	}
	c, err := engine.Dial(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() {
		c.Destroy()
		<-c.Done()
	})
	return c, w
}

// decodeOnly gives a client what it hears, and the recorder its encoder.
type decodeOnly struct{ plain }

func (decodeOnly) NewDecoder(c codec.DecoderConfig) (codec.Decoder, error) {
	return pionopus.Driver{}.NewDecoder(c)
}

// record has alice play a file to bob, who records her for a while.
func record(t *testing.T, cfg engine.ServerConfig, film mediafile.Options, length time.Duration) (pictures, sounds []webm.Frame) {
	cfg.SDKAppID, cfg.Key = appID, key
	srv, err := engine.NewServer(cfg)
	must(t, err)
	must(t, srv.Listen())
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	t.Cleanup(func() {
		srv.Close()
		<-served
	})
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "film.ivf"), speech.VP8(), 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "voice.ogg"), speech.Ogg("alice"), 0o600))
	voice, err := mediafile.OpenAudio(filepath.Join(dir, "voice.ogg"), mediafile.Options{Loop: true})
	must(t, err)
	defer voice.Close()
	cam, err := mediafile.OpenVideo(filepath.Join(dir, "film.ivf"), film)
	must(t, err)
	defer cam.Close()
	path := filepath.Join(dir, "call.webm")
	rec, err := mediafile.Create(path, mediafile.Config{Codec: decodeOnly{}})
	must(t, err)

	alice, a := dial(t, srv, cfg.InProcess, engine.ClientConfig{UserID: "alice", OpusMicrophone: voice})
	bob, b := dial(t, srv, cfg.InProcess, engine.ClientConfig{
		UserID: "bob", Codec: decodeOnly{},
		Remote: func(string) hooks.PCMHook { return rec.WritePCM },
	})
	must(t, alice.Call(t.Context(), "bob", hooks.MediaVideo))
	<-b.invited
	must(t, bob.Accept(t.Context()))
	<-a.begun
	pulling, stop := context.WithCancel(t.Context())
	pulled := make(chan struct{})
	go func() { // a sound card
		defer close(pulled)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		block := make([]int16, 480)
		for {
			select {
			case <-tick.C:
				bob.ReadPCM(block)
			case <-pulling.Done():
				return
			}
		}
	}()
	// The camera is on when somebody looks, so that it begins at its first frame.
	must(t, alice.OpenCamera(t.Context(), cam))
	<-b.seen
	must(t, bob.StartRemoteView(t.Context(), "alice", rec))
	<-time.After(length)
	must(t, alice.CloseCamera(t.Context()))
	must(t, alice.Hangup(t.Context()))
	stop()
	<-pulled
	must(t, rec.Close())
	if d := rec.Dropped(); d != (mediafile.Dropped{}) {
		t.Errorf("dropped %+v", d)
	}
	file, err := os.ReadFile(path)
	must(t, err)
	h, pictures, sounds := recorded(t, file)
	if len(h.Tracks) != 2 || h.Duration == 0 || cfg.InProcess && (h.Duration < length-1500*time.Millisecond || h.Duration > length+time.Second) {
		t.Errorf("header %+v of a call of %v", h, length)
	}
	return pictures, sounds
}

// wantRecorded checks that pictures are those of the clip, one after the other,
// byte for byte, in their own time. In real time on a busy machine some may be
// missing, up to a key frame.
func wantRecorded(t *testing.T, pictures []webm.Frame, virtual bool) {
	t.Helper()
	frames := clip(t)
	if len(pictures) == 0 || !pictures[0].KeyFrame || pictures[0].Time != 0 {
		t.Fatalf("%d pictures", len(pictures))
	}
	last := -1
	for i, p := range pictures {
		at := slices.IndexFunc(frames, func(f engine.VideoFrame) bool { return bytes.Equal(f.Data, p.Data) })
		if at < 0 || p.KeyFrame != frames[at].KeyFrame {
			t.Fatalf("picture %d is none of the clip's", i)
		}
		if i > 0 && at != (last+1)%60 && (virtual || !p.KeyFrame) {
			t.Errorf("the clip's picture %d follows %d", at, last)
		}
		if i > 0 && p.Time <= pictures[i-1].Time {
			t.Errorf("picture %d at %v is not later than the one before", i, p.Time)
		}
		if d := p.Time - time.Duration(i)*step; virtual && (d < -2*time.Millisecond || d > 2*time.Millisecond) {
			t.Errorf("picture %d at %v, %v beside its time", i, p.Time, d)
		}
		last = at
	}
}

func wantSound(t *testing.T, sounds []webm.Frame, atLeast int) {
	t.Helper()
	if len(sounds) < atLeast {
		t.Fatalf("%d packets of sound, want %d", len(sounds), atLeast)
	}
	loud := 0
	for i, f := range sounds {
		if i > 0 && f.Time-sounds[i-1].Time < 19*time.Millisecond {
			t.Errorf("packet %d is %v after the one before", i, f.Time-sounds[i-1].Time)
		}
		if f.Data[1] != 0 && f.Data[1] != 0xFF {
			loud++
		}
	}
	if loud == 0 {
		t.Errorf("of %d packets none is more than silence", len(sounds))
	}
}

// A call in virtual time: what is recorded is what was played, exactly.
func TestRecordedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pictures, sounds := record(t, engine.ServerConfig{InProcess: true}, mediafile.Options{Loop: true}, 10*time.Second)
		if n := len(pictures); n < 115 || n > 152 { // the first second may be without a key frame
			t.Errorf("%d pictures", n)
		}
		wantRecorded(t, pictures, true)
		wantSound(t, sounds, 370)
	})
}

// The same over QUIC, in real time.
func TestRecordedCallOverQUIC(t *testing.T) {
	t.Parallel()
	pictures, sounds := record(t, engine.ServerConfig{Addr: "127.0.0.1:0"}, mediafile.Options{Loop: true}, 2900*time.Millisecond)
	if len(pictures) < 8 {
		t.Errorf("%d pictures", len(pictures))
	}
	wantRecorded(t, pictures, false)
	wantSound(t, sounds, 10)
}
