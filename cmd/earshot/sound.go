package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
)

// openMic is what -mic names.
func openMic(name string, con console) (engine.PCMSource, error) {
	var pcm []int16
	switch voice, isVoice := strings.CutPrefix(name, "speech:"); {
	case name == "none":
		return audio.Silence(), nil
	case name == "device":
		return audio.OpenMicrophone()
	case name == "":
		m, err := audio.OpenMicrophone()
		if errors.Is(err, audio.ErrNoDevice) {
			fmt.Fprintf(con.err, "You will be silent: %v. -mic speech:alice lends you a voice.\n", err)
			return audio.Silence(), nil
		}
		return m, err
	case isVoice:
		if !slices.Contains(speech.Voices(), voice) {
			return nil, fmt.Errorf("there is no voice %q, only %s", voice, strings.Join(speech.Voices(), ", "))
		}
		pcm = speech.PCM(voice)
	default:
		var err error
		if pcm, err = audio.Load(name); err != nil {
			return nil, err
		}
		if len(pcm) == 0 {
			return nil, fmt.Errorf("%s: there is no sound in it", name)
		}
	}
	return audio.NewSource(audio.SourceConfig{PCM: pcm, Loop: true}), nil
}

// A speaker plays 10 ms after 10 ms.
type speaker interface {
	Write(pcm []int16) error
	Close() error
}

// openSpeaker is what -speaker names.
func openSpeaker(name string, con console) (speaker, error) {
	switch name {
	case "none":
		return deaf{}, nil
	case "device":
		return audio.OpenLoudspeaker()
	case "":
		l, err := audio.OpenLoudspeaker()
		if errors.Is(err, audio.ErrNoDevice) {
			fmt.Fprintf(con.err, "You will hear nothing: %v. -speaker heard.wav writes it down.\n", err)
			return deaf{}, nil
		}
		return l, err
	}
	if !strings.HasSuffix(strings.ToLower(name), ".wav") {
		return nil, fmt.Errorf("%q is none of device, none, and a file that ends in .wav", name)
	}
	return audio.CreateWAV(name)
}

// deaf is a speaker that is not there.
type deaf struct{}

func (deaf) Write([]int16) error { return nil }
func (deaf) Close() error        { return nil }
