package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

// patience is how long anything may take that the server is asked for.
const patience = 5 * time.Second

// A user is a Go client with a tone for a voice, that hears, sees and notes what
// it is told.
type user struct {
	client *engine.Client
	nick   string
	ear    ear
	camera *video.Source
	notes  notes
	stop   context.CancelFunc
	wg     sync.WaitGroup
}

// A sink counts the pictures of somebody.
type sink struct {
	mu                        sync.Mutex
	frames, keys, width, high int
}

func (s *sink) WriteFrame(f engine.VideoFrame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frames++
	if f.KeyFrame {
		s.keys++
		s.width, s.high = f.Width, f.Height
	}
}

// join signs a user in.
func (st *stage) join(req request) error {
	st.mu.Lock()
	_, there := st.users[req.User]
	st.mu.Unlock()
	if there {
		return fmt.Errorf("%s is here already", req.User)
	}
	sig, err := sign(req.User)
	if err != nil {
		return err
	}
	u := &user{nick: req.Text}
	u.notes.sinks = make(map[string]*sink)
	u.notes.user, u.notes.answer = u, req.Answer
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var pins []string
	for _, p := range st.calls.Pins() {
		pins = append(pins, hex.EncodeToString(p[:]))
	}
	u.client, err = engine.Dial(ctx, engine.ClientConfig{
		Addr: st.cfg.Addr, Pin: strings.Join(pins, ","), SDKAppID: appID, UserID: req.User, UserSig: sig,
		Codec: libopus.Driver{}, Microphone: &tone{hz: req.Tone}, Listener: &u.notes,
	})
	if err != nil {
		return err
	}
	if u.nick != "" {
		if err := u.client.SetSelfInfo(ctx, u.nick, ""); err != nil {
			return err
		}
	}
	run, stop := context.WithCancel(context.Background())
	u.stop = stop
	u.wg.Go(func() { audio.Pull(run, 0, u.client.ReadPCM, u.ear.add) })
	st.mu.Lock()
	st.users[req.User] = u
	st.mu.Unlock()
	return nil
}

func (st *stage) user(name string) (*user, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if u := st.users[name]; u != nil {
		return u, nil
	}
	return nil, fmt.Errorf("there is no user %q", name)
}

// leave signs a user out.
func (st *stage) leave(name string) error {
	u, err := st.user(name)
	if err != nil {
		return err
	}
	err = u.client.Destroy()
	u.stop()
	u.wg.Wait()
	st.mu.Lock()
	delete(st.users, name)
	st.mu.Unlock()
	return err
}

// do carries out what is asked of a user.
func (u *user) do(req request) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	media := hooks.MediaAudio
	if req.Video {
		media = hooks.MediaVideo
	}
	switch req.Do {
	case "call":
		if len(req.To) == 1 {
			return nil, u.client.Call(ctx, req.To[0], media)
		}
		return nil, u.client.GroupCall(ctx, req.To, media, req.Text)
	case "accept":
		return nil, u.client.Accept(ctx)
	case "reject":
		return nil, u.client.Reject(ctx)
	case "ignore":
		return nil, u.client.Ignore(ctx)
	case "hangup":
		return nil, u.client.Hangup(ctx)
	case "invite":
		return nil, u.client.InviteUser(ctx, req.To)
	case "switchMedia":
		return nil, u.client.SwitchMedia(ctx, media)
	case "mute":
		return nil, u.client.SetMicMute(ctx, req.Muted)
	case "openCamera":
		return nil, u.openCamera(ctx)
	case "closeCamera":
		return nil, u.client.CloseCamera(ctx)
	case "heard":
		rms, at := u.ear.heard(req.MS, req.Hz)
		return map[string]any{"rms": rms, "at": at}, nil
	case "seen":
		return map[string]any{"seen": u.notes.seen()}, nil
	case "camera":
		if u.camera == nil {
			return nil, fmt.Errorf("%s has opened no camera", req.User)
		}
		return map[string]any{"asked": u.camera.Asked()}, nil
	case "events":
		return map[string]any{"events": u.notes.all()}, nil
	}
	return nil, fmt.Errorf("nobody can %q", req.Do)
}

func (u *user) openCamera(ctx context.Context) error {
	src, err := video.NewSource(speech.VP8())
	if err != nil {
		return err
	}
	u.camera = src
	return u.client.OpenCamera(ctx, src)
}
