package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/hooks"
)

// openCamera is what -video names, nil for nothing.
func openCamera(name string) (*mediafile.Video, error) {
	if name == "" {
		return nil, nil
	}
	return mediafile.OpenVideo(name, mediafile.Options{Loop: true})
}

// A tape records the first call of a phone: what is heard, and the picture of
// the first user who has one. A nil one records nothing.
type tape struct {
	name string
	rec  *mediafile.Recorder
	once sync.Once

	mu   sync.Mutex
	user string // whose picture it is
}

// openTape is what -record names, nil for nothing.
func openTape(name string) (*tape, error) {
	cfg := mediafile.Config{Codec: libopus.Driver{}}
	switch lower := strings.ToLower(name); {
	case name == "":
		return nil, nil
	case strings.HasSuffix(lower, ".ivf"):
		cfg.Format = mediafile.IVF
	case !strings.HasSuffix(lower, ".webm"):
		return nil, fmt.Errorf("%q must end in .webm, or in .ivf for the picture alone", name)
	}
	rec, err := mediafile.Create(name, cfg)
	if err != nil {
		return nil, err
	}
	return &tape{name: name, rec: rec}, nil
}

// hear records sound.
func (t *tape) hear(pcm []int16) {
	if t != nil {
		t.rec.WritePCM(pcm)
	}
}

// wants reports whether it is a user's picture that is recorded.
func (t *tape) wants(user string) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.user == "" {
		t.user = user
	}
	return t.user == user
}

// finish ends the recording, and says what became of it. Only the first call
// does.
func (t *tape) finish(printf func(format string, args ...any)) (err error) {
	if t == nil {
		return nil
	}
	t.once.Do(func() {
		err = t.rec.Close()
		d := t.rec.Dropped()
		switch {
		case errors.Is(err, mediafile.ErrNothing):
			printf("Nothing was recorded.")
			err = nil
		case err != nil:
			err = fmt.Errorf("the recording is not whole: %w", err)
			printf("%s: %v.", t.name, err)
		default:
			printf("Recorded %.1f s to %s.", t.rec.Duration().Seconds(), t.name)
			if d.Video > 0 {
				printf("%d frames are not in it.", d.Video)
			}
		}
	})
	return err
}

// discard ends a recording that never began.
func (t *tape) discard() error {
	return t.finish(func(string, ...any) {})
}

// film turns the camera on, in a call with video.
func (p *phone) film(media hooks.MediaType) {
	if p.cam == nil {
		return
	}
	if media != hooks.MediaVideo {
		p.view.Printf("This is a call without video: your picture is not sent.")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.client.OpenCamera(ctx, p.cam); err != nil && !errors.Is(err, engine.ErrNoCall) {
		p.view.Printf("Your picture is not sent: %s", explain(err))
	}
}

func (p *phone) OnCallMediaTypeChanged(_, to hooks.MediaType) {
	if to == hooks.MediaVideo {
		p.film(to)
	}
}

func (p *phone) OnUserVideoAvailable(user string, available bool) {
	if !available || !p.tape.wants(user) {
		return
	}
	<-p.ready
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.client.StartRemoteView(ctx, user, p.tape.rec); err != nil {
		p.view.Printf("The picture of %s is not recorded: %s", user, explain(err))
	}
}
