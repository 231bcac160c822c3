package bots

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

// SpeakerConfig configures a Speaker.
type SpeakerConfig struct {
	Config
	// PCM is what it says over and over, 48 kHz mono, from the start in each
	// call. Default: the voice of package speech with the user's name, or
	// else its first.
	PCM []int16
	// Picture is what it shows over and over in a call with video, an IVF file
	// of VP8. Default that of package speech.
	Picture []byte
}

// A Speaker answers, and says and shows the same over and over.
type Speaker struct {
	Bot
	pcm     []int16
	picture []byte
	voice   atomic.Pointer[audio.Source] // of this call
	scrap   []int16                      // what it heard, the microphone's own
}

// NewSpeaker signs a speaker in. Errors: those of engine.Dial, and of a Picture
// that is none.
func NewSpeaker(ctx context.Context, cfg SpeakerConfig) (*Speaker, error) {
	if cfg.PCM == nil {
		name := cfg.Client.UserID
		if voices := speech.Voices(); !slices.Contains(voices, name) {
			name = voices[0]
		}
		cfg.PCM = speech.PCM(name)
	}
	if cfg.Picture == nil {
		cfg.Picture = speech.VP8()
	}
	if _, err := video.NewSource(cfg.Picture); err != nil {
		return nil, fmt.Errorf("bots: %s's picture: %w", cfg.Client.UserID, err)
	}
	s := &Speaker{pcm: cfg.PCM, picture: cfg.Picture}
	s.hush()
	if err := s.open(ctx, cfg.Config, s); err != nil {
		return nil, err
	}
	return s, nil
}

// hush makes it say nothing until a call begins.
func (s *Speaker) hush() {
	s.voice.Store(audio.NewSource(audio.SourceConfig{PCM: s.pcm, Loop: true, Hold: true}))
}

// ReadPCM implements engine.PCMSource. What the others say is pulled at the same
// pace, and thrown away: volumes go by that.
func (s *Speaker) ReadPCM(ctx context.Context, pcm []int16) error {
	if err := s.voice.Load().ReadPCM(ctx, pcm); err != nil {
		return err
	}
	if len(s.scrap) < len(pcm) {
		s.scrap = make([]int16, len(pcm))
	}
	s.client.ReadPCM(s.scrap[:len(pcm)])
	return nil
}

func (s *Speaker) begin(withVideo bool) {
	s.voice.Load().Begin()
	s.media(withVideo)
}

// media opens the camera in a call with video; the call's switch to audio, and
// its end, close it.
func (s *Speaker) media(withVideo bool) {
	if !withVideo {
		return
	}
	src, err := video.NewSource(s.picture)
	if err != nil {
		return // NewSpeaker saw that it is one
	}
	s.ask("show a picture", func(ctx context.Context) error { return s.client.OpenCamera(ctx, src) })
}

func (s *Speaker) video(string, bool) {}
func (s *Speaker) end()               { s.hush() }
