package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

func forwards(c *engine.ServerConfig) { c.Mode, c.Codec = hooks.ModeForward, nil }

// oggFile opens a recorded voice as a host would.
func oggFile(t *testing.T, name string) *mediafile.Audio {
	t.Helper()
	a, err := mediafile.NewAudio(bytes.NewReader(speech.Ogg(name)), mediafile.Options{})
	must(t, err)
	return a
}

// A file is heard in a room that forwards, by a server without a codec, packet
// for packet; then it ends, and nothing of it is left.
func TestPlayOggForwarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, forwards, nil, "u1", "u2")
		p, err := w.srv.Play(t.Context(), engine.PlayConfig{CallID: w.callID, UserID: "announcer", Opus: oggFile(t, "carol")})
		must(t, err)
		heard := w.allHear(4*time.Second, "u1", "u2")
		for _, u := range []string{"u1", "u2"} {
			w.recs[u].wait(t, "audio announcer true")
			if l := like(heard[u], "carol"); l < 0.9 {
				t.Errorf("%s hears the file with a likeness of %.2f", u, l)
			}
		}
		<-p.Done()
		must(t, p.Err())
		for _, u := range []string{"u1", "u2"} {
			w.recs[u].wait(t, "audio announcer false")
			if all := w.recs[u].all(); strings.Contains(strings.Join(all, "\n"), "enter announcer") {
				t.Errorf("the announcer is a member: %v", all)
			}
		}
		if p.Stop(); p.Err() != nil {
			t.Error(p.Err())
		}
	})
}

// In a mix, and from PCM in both kinds of room; a pull function is at the
// server's pace.
func TestPlayPCM(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		for _, kind := range []string{"PCM", "Pull", "Opus"} {
			t.Run(string(mode)+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode = mode }, nil, "u1", "u2")
					cfg := engine.PlayConfig{CallID: w.callID}
					voice := speech.PCM("dave")
					switch kind {
					case "PCM":
						cfg.PCM = audio.NewSource(audio.SourceConfig{PCM: voice})
					case "Opus":
						cfg.Opus = oggFile(t, "dave")
					default:
						rest := voice
						cfg.Pull = func(pcm []int16) error {
							if len(rest) < len(pcm) {
								return io.EOF
							}
							copy(pcm, rest)
							rest = rest[len(pcm):]
							return nil
						}
					}
					began := time.Now()
					p, err := w.srv.Play(t.Context(), cfg)
					must(t, err)
					if p.UserID() != "sound" {
						t.Errorf("it is shown as %q", p.UserID())
					}
					heard := w.hears("u1", 4*time.Second)
					if l := like(heard, "dave"); l < 0.8 {
						t.Errorf("it is heard with a likeness of %.2f", l)
					}
					<-p.Done()
					must(t, p.Err())
					length := time.Duration(len(voice)) * time.Second / codec.SampleRate
					if d := time.Since(began) - max(length, 4*time.Second); kind == "Pull" && (d < -time.Second || d > time.Second) {
						t.Errorf("%v took %v", length, time.Since(began))
					}
				})
			})
		}
	}
}

// To says who hears it: the others are not told, and get no packet; who comes
// later is told if it is for them.
func TestPlayTo(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode = mode }, nil, "u1", "u2", "u3")
				voice, err := mediafile.NewAudio(bytes.NewReader(speech.Ogg("erin")), mediafile.Options{Loop: true})
				must(t, err)
				p, err := w.srv.Play(t.Context(), engine.PlayConfig{CallID: w.callID, UserID: "whisper", Opus: voice, To: []string{"u2", "u4"}})
				must(t, err)
				heard := w.allHear(4*time.Second, "u1", "u2", "u3")
				if l := like(heard["u2"], "erin"); l < 0.8 {
					t.Errorf("u2 hears it with a likeness of %.2f", l)
				}
				for _, u := range []string{"u1", "u3"} {
					if l := mixer.Level(heard[u]); l > -90 {
						t.Errorf("%s hears %.0f dBov", u, l)
					}
					if all := strings.Join(w.recs[u].all(), "\n"); strings.Contains(all, "whisper") {
						t.Errorf("%s is told of it:\n%s", u, all)
					}
				}
				w.clients["u4"], w.recs["u4"] = dial(t, w.srv, "u4", func(c *engine.ClientConfig) { c.Codec = libopus.Driver{} })
				must(t, w.clients["u4"].JoinCall(t.Context(), w.callID))
				w.recs["u4"].wait(t, "audio whisper true")
				if l := like(w.hears("u4", 4*time.Second), "erin"); l < 0.8 {
					t.Errorf("u4, who came later, hears it with a likeness of %.2f", l)
				}
				p.Stop()
				<-p.Done()
				must(t, p.Err())
				w.recs["u2"].wait(t, "audio whisper false")
			})
		})
	}
}

// A receiver turns it down as a user, the host changes its volume, and it has a
// place.
func TestPlayVolume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "u1", "u2")
		p, err := w.srv.Play(t.Context(), engine.PlayConfig{CallID: w.callID, UserID: "music", PCM: audio.NewSource(audio.SourceConfig{PCM: speech.PCM("alice"), Loop: true}), Volume: 50})
		must(t, err)
		w.recs["u1"].wait(t, "audio music true")
		level := func() float64 { return loudness(w.hears("u1", 3*time.Second)) }
		half := level()
		must(t, p.SetVolume(150))
		loud := level()
		must(t, w.clients["u1"].SetRemoteAudioVolume(t.Context(), "music", 15))
		off := level()
		if loud-half < 6 || loud-half > 13 || loud-off < 13 || loud-off > 20 {
			t.Errorf("with volume 50, 150, and 15 of it, it is heard with %.1f, %.1f and %.1f dBov", half, loud, off)
		}
		must(t, w.clients["u1"].SetRemoteAudioVolume(t.Context(), "music", 100))
		must(t, w.srv.SetPoses(w.callID, map[string]*mixer.Pose{"music": {Position: mixer.Vector{60, 0, 0}}, "u1": {Forward: mixer.Vector{1, 0, 0}, Right: mixer.Vector{0, 1, 0}, Up: mixer.Vector{0, 0, 1}}}))
		if far := level(); loud-far < 6 {
			t.Errorf("60 m away it is heard with %.1f dBov, and %.1f without a place", far, loud)
		}
		must(t, w.srv.SetHearing(w.callID, []engine.Hearing{{Receiver: "u1", Talker: "music", Video: true}}))
		if none := level(); none > -80 {
			t.Errorf("who is not to hear it hears %.1f dBov", none)
		}
		for _, v := range []int{0, -1, 151} {
			if p.SetVolume(v) == nil {
				t.Errorf("volume %d is taken", v)
			}
		}
	})
}

// badSource fails in a way of the test's.
type badSource struct {
	read func() (int, time.Duration, error)
}

func (b badSource) ReadOpus(context.Context, []byte) (int, time.Duration, error) { return b.read() }

func TestPlayErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, forwards, nil, "u1", "u2")
		silent := func([]int16) error { return nil }
		for name, cfg := range map[string]engine.PlayConfig{
			"no call":      {CallID: "nowhere", Opus: oggFile(t, "bob")},
			"nothing":      {CallID: w.callID},
			"two things":   {CallID: w.callID, Opus: oggFile(t, "bob"), Pull: silent},
			"a member":     {CallID: w.callID, Opus: oggFile(t, "bob"), UserID: "u1"},
			"a bad name":   {CallID: w.callID, Opus: oggFile(t, "bob"), UserID: "no/body"},
			"a bad list":   {CallID: w.callID, Opus: oggFile(t, "bob"), To: []string{"?"}},
			"too loud":     {CallID: w.callID, Pull: silent, Volume: 1000},
			"louder Opus":  {CallID: w.callID, Opus: oggFile(t, "bob"), Volume: 120},
			"no codec":     {CallID: w.callID, Pull: silent},
			"stereo":       {CallID: w.callID, Pull: silent, Encoder: codec.EncoderConfig{Channels: 2}},
			"a bad option": {CallID: w.callID, Pull: silent, Encoder: codec.EncoderConfig{Bitrate: 1}},
		} {
			p, err := w.srv.Play(t.Context(), cfg)
			if err == nil {
				t.Errorf("%s: it plays", name)
				p.Stop()
			} else if name == "no codec" && !errors.Is(err, engine.ErrNoCodec) {
				t.Errorf("%s: %v", name, err)
			}
		}
		broken := errors.New("the tape is torn")
		for name, read := range map[string]func() (int, time.Duration, error){
			"error":    func() (int, time.Duration, error) { return 0, 0, broken },
			"panic":    func() (int, time.Duration, error) { panic(broken.Error()) },
			"endless":  func() (int, time.Duration, error) { return 0, 0, nil },
			"too long": func() (int, time.Duration, error) { return 5000, frame20, nil },
		} {
			p, err := w.srv.Play(t.Context(), engine.PlayConfig{CallID: w.callID, Opus: badSource{read}})
			must(t, err)
			if _, err := w.srv.Play(t.Context(), engine.PlayConfig{CallID: w.callID, Opus: oggFile(t, "bob")}); err == nil {
				t.Error("two sounds under one name")
			}
			<-p.Done()
			if p.Err() == nil {
				t.Errorf("%s: no error", name)
			}
		}
		decodes := serve(t, func(c *engine.ServerConfig) { c.Codec = pionopus.Driver{} })
		if _, err := decodes.Play(t.Context(), engine.PlayConfig{CallID: "x", Pull: silent}); !errors.Is(err, engine.ErrNoCodec) {
			t.Errorf("a codec that only decodes: %v", err)
		}
	})
}

const frame20 = 20 * time.Millisecond

// It ends with ctx, with the call, and with the server; and it does not keep a
// call alive.
func TestPlayEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "u1", "u2")
		play := func(ctx context.Context, name string) *engine.Sound {
			p, err := w.srv.Play(ctx, engine.PlayConfig{CallID: w.callID, UserID: name, Pull: func([]int16) error { return nil }})
			must(t, err)
			return p
		}
		ctx, cancel := context.WithCancel(t.Context())
		a, b := play(ctx, "a"), play(t.Context(), "b")
		cancel()
		<-a.Done()
		must(t, a.Err())
		must(t, w.clients["u1"].Hangup(t.Context()))
		w.recs["u2"].wait(t, "end")
		<-b.Done()
		must(t, b.Err())
		if _, err := w.srv.Play(t.Context(), engine.PlayConfig{CallID: w.callID, UserID: "c", Pull: func([]int16) error { return nil }}); err == nil {
			t.Error("it plays into a call that is over")
		}

		w = gatherCrowd(t, nil, nil, "u1", "u2")
		c := play(t.Context(), "c")
		w.srv.Close()
		<-c.Done()
	})
}
