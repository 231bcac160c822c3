package engine_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/jitter"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// A crowd is users in one group call, of whom some talk, each in their own
// voice.
type crowd struct {
	t       *testing.T
	srv     *engine.Server
	clients map[string]*engine.Client
	recs    map[string]*recorder
	callID  string
}

// gatherCrowd signs users in and lets them all into one call. Those with a
// recorded voice speak, in virtual time.
func gatherCrowd(t *testing.T, server func(*engine.ServerConfig), client func(*engine.ClientConfig), users ...string) *crowd {
	t.Helper()
	w := &crowd{t: t, clients: make(map[string]*engine.Client), recs: make(map[string]*recorder)}
	w.srv = serve(t, func(c *engine.ServerConfig) {
		c.Codec = libopus.Driver{}
		c.Mode = hooks.ModeMix
		if server != nil {
			server(c)
		}
	})
	for _, u := range users {
		w.clients[u], w.recs[u] = dial(t, w.srv, u, func(c *engine.ClientConfig) {
			c.Codec = libopus.Driver{}
			if slices.Contains(speech.Voices(), u) {
				c.Microphone = audio.NewSource(audio.SourceConfig{PCM: speech.PCM(u), Loop: true})
			}
			if client != nil {
				client(c)
			}
		})
	}
	first := w.clients[users[0]]
	must(t, first.GroupCall(t.Context(), users[1:], hooks.MediaAudio, ""))
	for _, u := range users[1:] {
		w.recs[u].wait(t, "invited")
		w.callID = w.recs[u].callID()
		must(t, w.clients[u].Accept(t.Context()))
	}
	for _, u := range users {
		for _, v := range users {
			if u != v && slices.Contains(speech.Voices(), v) {
				w.recs[u].wait(t, "audio "+v+" true")
			}
		}
	}
	return w
}

// hears records what a user hears for a while.
func (w *crowd) hears(user string, d time.Duration) []int16 {
	return w.allHear(d, user)[user]
}

// allHear records what several users hear at the same time.
func (w *crowd) allHear(d time.Duration, users ...string) map[string][]int16 {
	heard := make(map[string]*audio.Recording)
	var stops []func()
	for _, u := range users {
		h, stop := record(w.clients[u])
		heard[u] = h
		stops = append(stops, stop)
	}
	time.Sleep(d) // virtual
	out := make(map[string][]int16)
	for i, u := range users {
		stops[i]()
		out[u] = heard[u].PCM
	}
	return out
}

// like is how much of a voice there is in a sound, from 0 to 1.
func like(heard []int16, voice string) float64 {
	l, _ := audio.Similarity(heard, speech.PCM(voice))
	return l
}

// In a room that mixes everybody gets one track, with everybody else in it, and
// knows from it who speaks.
func TestMixedRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "alice", "bob", "u1", "u2")
		heard := w.allHear(4*time.Second, "alice", "bob", "u1", "u2")
		for _, c := range []struct {
			who, voice string
			yes        bool
		}{
			{"alice", "bob", true}, {"alice", "alice", false}, {"bob", "alice", true}, {"bob", "bob", false},
			{"u1", "alice", true}, {"u1", "bob", true}, {"u2", "alice", true}, {"u2", "bob", true},
		} {
			least := 0.5 // of two voices at once
			if c.who == c.voice || c.who == "alice" || c.who == "bob" {
				least = 0.8
			}
			if l := like(heard[c.who], c.voice); (l > least) != c.yes {
				t.Errorf("what %s heard is like %s's voice to %.2f", c.who, c.voice, l)
			}
		}
		for u, c := range w.clients {
			packets := 0
			for _, tr := range c.Stats().Tracks {
				if tr.Mix {
					packets += int(tr.Jitter.Received)
					if tr.Jitter.Lost != 0 || tr.Jitter.DecodeErrors != 0 {
						t.Errorf("%s: %+v", u, tr.Jitter)
					}
				} else if tr.Jitter.Received != 0 {
					t.Errorf("%s was sent %d packets of %s beside the mix", u, tr.Jitter.Received, tr.UserID)
				}
			}
			if packets < 150 {
				t.Errorf("%s got %d packets of the mix in 4 s", u, packets)
			}
			seen := make(map[string]int)
			w.recs[u].mu.Lock()
			for _, vs := range w.recs[u].volumes[3:] {
				for _, v := range vs {
					seen[v.UserID]++
				}
			}
			n := len(w.recs[u].volumes) - 3
			w.recs[u].mu.Unlock()
			for _, v := range []string{"alice", "bob"} {
				if seen[v] < n*2/3 {
					t.Errorf("%s: of %d volume callbacks %d had %s", u, n, seen[v], v)
				}
			}
			if len(seen) != 2 {
				t.Errorf("%s: volumes of %v", u, seen)
			}
		}
	})
}

// In one room some take the mix and others each talker's packets, and change.
func TestMixAndForwardInOneRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode = hooks.ModeDefault }, func(c *engine.ClientConfig) {
			if c.UserID == "weak" {
				c.Receive = hooks.ModeMix
			}
		}, "alice", "bob", "weak", "strong")
		tracks := func(user string) (mixed bool, forwarded int) {
			for _, tr := range w.clients[user].Stats().Tracks {
				mixed = mixed || tr.Mix
				if !tr.Mix && tr.Jitter.Received > 0 {
					forwarded++
				}
			}
			return mixed, forwarded
		}
		check := func(when string, user string, mix bool) {
			t.Helper()
			heard := w.hears(user, 3*time.Second)
			for _, v := range []string{"alice", "bob"} {
				if l := like(heard, v); l < 0.4 {
					t.Errorf("%s: what %s heard is like %s's voice to %.2f", when, user, v, l)
				}
			}
			if m, n := tracks(user); m != mix || mix && n != 0 || !mix && n != 2 {
				t.Errorf("%s: %s has a mix: %v, and %d tracks that are forwarded", when, user, m, n)
			}
		}
		check("at first", "weak", true)
		check("at first", "strong", false)
		must(t, w.clients["weak"].SetReceiveMode(t.Context(), hooks.ModeForward))
		must(t, w.clients["strong"].SetReceiveMode(t.Context(), hooks.ModeMix))
		check("changed", "weak", false)
		check("changed", "strong", true)
		must(t, w.clients["strong"].SetReceiveMode(t.Context(), hooks.ModeDefault))
		check("as the room has it", "strong", false)
	})
}

// loudness is the level of a sound in dBov, of both sides if it is stereo.
func loudness(pcm []int16) float64 { return mixer.Level(pcm) }

// One receiver hears a talker quieter, or not at all; nobody else does, and it
// costs an encode only while that talker speaks.
func TestRemoteAudioVolume(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode = mode }, nil, "alice", "u1", "u2")
				u1 := w.clients["u1"]
				level := func(user string) float64 { return loudness(w.hears(user, 4*time.Second)[48000:]) }
				before := level("u1")
				must(t, u1.SetRemoteAudioVolume(t.Context(), "alice", 50))
				if d := before - level("u1"); d < 3 || d > 9 {
					t.Errorf("at half the volume it is %.1f dB quieter, want 6", d)
				}
				if d := before - level("u2"); d < -3 || d > 3 {
					t.Errorf("another one hears %.1f dB less", d)
				}
				must(t, u1.SetRemoteAudioVolume(t.Context(), "alice", 0))
				if l := level("u1"); l > -100 {
					t.Errorf("at volume 0 there are %.1f dBov", l)
				}
				must(t, u1.SetRemoteAudioVolume(t.Context(), "alice", 100))
				must(t, u1.MuteRemoteAudio(t.Context(), "alice", true))
				time.Sleep(200 * time.Millisecond) // virtual: what was on its way
				if l := level("u1"); l > -100 {
					t.Errorf("muted there are %.1f dBov", l)
				}
				must(t, u1.MuteRemoteAudio(t.Context(), "alice", false))
				if d := before - level("u1"); d < -3 || d > 3 {
					t.Errorf("as before it is %.1f dB quieter", d)
				}
				var e *engine.Error
				for user, volume := range map[string]int{"alice": 151, "nobody": 100, "no body": 100} {
					if err := u1.SetRemoteAudioVolume(t.Context(), user, volume); !errors.As(err, &e) {
						t.Errorf("volume %d for %q: %v", volume, user, err)
					}
				}
				if err := u1.SetRemoteAudioVolume(t.Context(), "alice", -1); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
					t.Errorf("volume -1: %v", err)
				}
			})
		})
	}
}

// sides are the levels of what is heard left and right.
func sides(pcm []int16) (left, right float64) {
	var l, r []int16
	for i := 0; i+1 < len(pcm); i += 2 {
		l, r = append(l, pcm[i]), append(r, pcm[i+1])
	}
	return loudness(l), loudness(r)
}

// In a game those who stand at somebody's right are heard there, farther away
// quieter, and out of range not at all; who has no pose hears all as they are.
func TestSpatialMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, func(c *engine.ClientConfig) { c.Stereo = c.UserID == "u1" }, "alice", "u1", "u2")
		hear := func() []int16 {
			heard := new(audio.Recording)
			stop := make(chan struct{})
			var wg sync.WaitGroup
			wg.Go(func() {
				tick := time.NewTicker(10 * time.Millisecond)
				defer tick.Stop()
				block := make([]int16, 960)
				for {
					select {
					case <-tick.C:
						w.clients["u1"].ReadPCM(block)
						heard.Add(block, time.Now())
					case <-stop:
						return
					}
				}
			})
			time.Sleep(4 * time.Second) // virtual
			close(stop)
			wg.Wait()
			return heard.PCM[2*48000:]
		}
		id := w.callID
		poses := map[string]*mixer.Pose{"u1": {}, "alice": {Position: mixer.Vector{0, 5, 0}}}
		must(t, w.srv.SetPoses(id, poses))
		near, far := sides(hear())
		if near-far > -20 {
			t.Errorf("at the right: %.1f dBov left and %.1f right", near, far)
		}
		poses["alice"] = &mixer.Pose{Position: mixer.Vector{0, -20, 0}}
		must(t, w.srv.SetPoses(id, poses))
		left, right := sides(hear())
		if left-right < 20 {
			t.Errorf("at the left: %.1f dBov left and %.1f right", left, right)
		}
		if d := far - left; d < 3 || d > 9 {
			t.Errorf("at twice the full loudness' distance it is %.1f dB quieter, want 6", d)
		}
		must(t, w.srv.SetPoses(id, map[string]*mixer.Pose{"alice": {Position: mixer.Vector{500, 0, 0}}}))
		if left, right := sides(hear()); left > -80 || right > -80 {
			t.Errorf("out of range: %.1f and %.1f dBov", left, right)
		}
		if l := loudness(w.hears("u2", 3*time.Second)[48000:]); l < -30 {
			t.Errorf("who has no pose hears %.1f dBov", l)
		}
		must(t, w.srv.SetPoses(id, map[string]*mixer.Pose{"u1": nil}))
		if left, right := sides(hear()); left < -30 || left-right > 1 || right-left > 1 {
			t.Errorf("without a pose again: %.1f and %.1f dBov", left, right)
		}
	})
}

// Poses are checked where they come in, and a client may not choose its own
// unless the server lets it.
func TestPosesAreChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "alice", "u1")
		nan := float32(math.NaN())
		var e *engine.Error
		for name, c := range map[string]struct {
			call  string
			poses map[string]*mixer.Pose
		}{
			"no such call": {"nocall", map[string]*mixer.Pose{"alice": {}}},
			"not in it":    {w.callID, map[string]*mixer.Pose{"alice": {}, "bob": {}}},
			"no number":    {w.callID, map[string]*mixer.Pose{"alice": {Position: mixer.Vector{nan}}}},
		} {
			if err := w.srv.SetPoses(c.call, c.poses); !errors.As(err, &e) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := w.clients["u1"].UpdateSelf3DSpatialPosition(t.Context(), &mixer.Pose{}); !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("a client's own position: %v", err)
		}
		free := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mix.ClientPoses = true }, nil, "alice", "u1")
		must(t, free.clients["u1"].UpdateSelf3DSpatialPosition(t.Context(), &mixer.Pose{Position: mixer.Vector{1, 2, 3}}))
		must(t, free.clients["u1"].UpdateSelf3DSpatialPosition(t.Context(), nil))
		if err := free.clients["u1"].UpdateSelf3DSpatialPosition(t.Context(), &mixer.Pose{Position: mixer.Vector{0, nan}}); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
			t.Errorf("a position that is no number: %v", err)
		}
	})
}

// Everybody is told who has the floor, in a mix and where packets are passed on.
func TestDominantSpeakerIsTold(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		synctest.Test(t, func(t *testing.T) {
			w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode = mode }, nil, "alice", "bob", "u1")
			must(t, w.clients["bob"].SetMicMute(t.Context(), true))
			w.allHear(3*time.Second, "alice", "bob", "u1")
			must(t, w.clients["alice"].SetMicMute(t.Context(), true))
			must(t, w.clients["bob"].SetMicMute(t.Context(), false))
			w.allHear(4*time.Second, "alice", "bob", "u1")
			must(t, w.clients["bob"].SetMicMute(t.Context(), true))
			w.allHear(8*time.Second, "alice", "bob", "u1")
			for _, u := range []string{"alice", "bob", "u1"} {
				r := w.recs[u]
				r.mu.Lock()
				got := slices.Clone(r.floor)
				r.mu.Unlock()
				// What both said before the first was muted is either's.
				if len(got) > 3 && got[0] == "bob" {
					got = got[1:]
				}
				if !slices.Equal(got, []string{"alice", "bob", ""}) {
					t.Errorf("%s: %s was told %q", mode, u, got)
				}
			}
		})
	}
}

// A driver that does as it is told: its encoders panic once it is set to.
type fragileDriver struct {
	libopus.Driver
	broken *atomic.Bool
}

type fragileEncoder struct {
	codec.Encoder
	broken *atomic.Bool
}

func (d fragileDriver) NewEncoder(cfg codec.EncoderConfig) (codec.Encoder, error) {
	e, err := d.Driver.NewEncoder(cfg)
	return fragileEncoder{e, d.broken}, err
}

func (e fragileEncoder) Encode(pcm []int16, packet []byte) (int, error) {
	// Only a loud mix breaks it: that of the room where somebody speaks.
	if e.broken.Load() && mixer.Level(pcm) > -30 {
		panic("the encoder is broken")
	}
	return e.Encoder.Encode(pcm, packet)
}

// What panics in one room's tick ends that room's call, with word to those in
// it, and no other.
func TestPanicInOneRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := new(atomic.Bool)
		srv := serve(t, func(c *engine.ServerConfig) {
			c.Codec, c.Mode = fragileDriver{broken: broken}, hooks.ModeMix
		})
		pair := func(a, b string, mic engine.PCMSource) (*engine.Client, *engine.Client, *recorder) {
			ca, _ := dial(t, srv, a, func(c *engine.ClientConfig) { c.Codec, c.Microphone = libopus.Driver{}, mic })
			cb, rb := dial(t, srv, b, func(c *engine.ClientConfig) { c.Codec = libopus.Driver{} })
			must(t, ca.Call(t.Context(), b, hooks.MediaAudio))
			rb.wait(t, "invited")
			must(t, cb.Accept(t.Context()))
			return ca, cb, rb
		}
		_, _, r1 := pair("alice", "u1", audio.NewSource(audio.SourceConfig{PCM: speech.PCM("alice"), Loop: true}))
		quiet := speech.PCM("bob")
		low := make([]int16, len(quiet))
		for i, v := range quiet {
			low[i] = v / 30
		}
		_, u2, r2 := pair("bob", "u2", audio.NewSource(audio.SourceConfig{PCM: low, Loop: true}))
		time.Sleep(2 * time.Second) // virtual
		broken.Store(true)
		r1.wait(t, "end ended by server")
		heard, stop := record(u2)
		time.Sleep(3 * time.Second) // virtual
		stop()
		if l := like(heard.PCM, "bob"); l < 0.7 {
			t.Errorf("in the other room bob is heard to %.2f", l)
		}
		for _, e := range r2.all() {
			if strings.HasPrefix(e, "end") {
				t.Errorf("the other room was told %q", e)
			}
		}
	})
}

// A plugin may change each talker's sound where it is mixed, and is told how
// loud everybody is, in rooms that mix and in rooms that forward.
func TestProcessorAndVolumes(t *testing.T) {
	for _, c := range []struct {
		name  string
		mode  hooks.RoomMode
		trust bool
		codec codec.Driver
	}{
		{"mix", hooks.ModeMix, false, libopus.Driver{}},
		{"forward, decoded", hooks.ModeForward, false, pionopus.Driver{}},
		{"forward, trusted", hooks.ModeForward, true, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var told []hooks.RoomVolumes
				frames := 0
				w := gatherCrowd(t, func(cfg *engine.ServerConfig) {
					cfg.Mode, cfg.Codec, cfg.TrustLevels = c.mode, c.codec, c.trust
					cfg.Plugins = []hooks.Plugin{{
						Volumes: func(v hooks.RoomVolumes) {
							mu.Lock()
							told = append(told, v)
							mu.Unlock()
						},
						Processor: func(tr hooks.TrackInfo) hooks.PCMHook {
							if tr.UserID != "alice" {
								return nil
							}
							return func(pcm []int16) {
								frames++
								for i := range pcm {
									pcm[i] /= 16
								}
							}
						},
					}, {Processor: func(hooks.TrackInfo) hooks.PCMHook { panic("no") }}}
				}, nil, "alice", "u1")
				heard := w.hears("u1", 6*time.Second)
				synctest.Wait()
				level := loudness(heard[2*48000:])
				if c.mode == hooks.ModeMix && (level > -38 || frames < 250) || c.mode == hooks.ModeForward && (level < -28 || frames != 0) {
					t.Errorf("alice is heard at %.1f dBov; the hook saw %d frames", level, frames)
				}
				mu.Lock()
				defer mu.Unlock()
				loud, speech := 0, 0
				for _, v := range told {
					if v.CallID != w.callID {
						t.Errorf("volumes of call %q", v.CallID)
					}
					for _, u := range v.Users {
						if u.UserID != "alice" || u.Volume < 20 || v.Total != u.Volume {
							t.Errorf("told %+v", v)
						}
						loud++
						if u.Voice {
							speech++
						}
					}
				}
				if len(told) < 18 || loud < 15 || speech < loud*2/3 {
					t.Errorf("told %d times, of alice %d times, speaking %d times", len(told), loud, speech)
				}
			})
		})
	}
}

// What cannot be mixed is said so, at the border.
func TestMixErrors(t *testing.T) {
	for name, change := range map[string]func(*engine.ServerConfig){
		"no codec":            func(c *engine.ServerConfig) { c.Mode = hooks.ModeMix },
		"a codec that cannot": func(c *engine.ServerConfig) { c.Mode, c.Codec = hooks.ModeMix, pionopus.Driver{} },
		"no such mode":        func(c *engine.ServerConfig) { c.Mode = "mixed" },
		"frames of 30 ms": func(c *engine.ServerConfig) {
			c.Mode, c.Codec, c.Mix.FrameDuration = hooks.ModeMix, libopus.Driver{}, 30*time.Millisecond
		},
		"too many talkers": func(c *engine.ServerConfig) { c.Mode, c.Codec, c.Mix.Talkers = hooks.ModeMix, libopus.Driver{}, 16 },
	} {
		cfg := engine.ServerConfig{InProcess: true, SDKAppID: testApp, Key: testKey}
		change(&cfg)
		if _, err := engine.NewServer(cfg); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		var e *engine.Error
		alice, _ := dial(t, srv, "alice", func(c *engine.ClientConfig) { c.Receive = hooks.ModeMix })
		bob, b := dial(t, srv, "bob", nil)
		if err := alice.Call(t.Context(), "bob", hooks.MediaAudio); !errors.As(err, &e) || e.Code != hooks.CodeUnsupported {
			t.Errorf("a call for a mix where there is none: %v", err)
		}
		must(t, alice.SetReceiveMode(t.Context(), hooks.ModeForward))
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		if err := bob.SetReceiveMode(t.Context(), hooks.ModeMix); !errors.As(err, &e) || e.Code != hooks.CodeUnsupported {
			t.Errorf("asking for a mix in a call: %v", err)
		}
		if err := bob.SetReceiveMode(t.Context(), "loud"); !errors.As(err, &e) || e.Code != hooks.CodeBadParam {
			t.Errorf("no such mode: %v", err)
		}
		if err := srv.SetRoomMode(b.callID(), hooks.ModeMix); !errors.As(err, &e) || e.Code != hooks.CodeUnsupported {
			t.Errorf("a room's mode: %v", err)
		}
		if err := srv.SetRoomMode("nocall", hooks.ModeForward); !errors.As(err, &e) {
			t.Errorf("no such call: %v", err)
		}
		if _, err := engine.Dial(t.Context(), engine.ClientConfig{Dialer: srv.Pipe(), UserID: "x", UserSig: "x", Receive: "loud"}); !errors.As(err, &e) {
			t.Errorf("a client's mode: %v", err)
		}
	})
}

// A whole room can be switched between mixing and forwarding in the middle of a
// call, and a client that loses its connection gets its mix again.
func TestRoomModeAndResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode = hooks.ModeForward }, nil, "alice", "u1", "u2")
		for i, mode := range []hooks.RoomMode{hooks.ModeMix, hooks.ModeForward, hooks.ModeMix, hooks.ModeDefault} {
			must(t, w.srv.SetRoomMode(w.callID, mode))
			time.Sleep(100 * time.Millisecond) // virtual
			if l := like(w.hears("u1", 3*time.Second), "alice"); l < 0.75 {
				t.Errorf("switch %d, to %q: alice is heard to %.2f", i, mode, l)
			}
			if rooms := w.srv.MixStats().Rooms; rooms != map[bool]int{true: 1}[mode == hooks.ModeMix] {
				t.Errorf("switch %d, to %q: %d rooms mix", i, mode, rooms)
			}
		}
		if s := w.srv.MixStats(); s.Late != 0 || s.Skipped != 0 || s.Encoded == 0 || s.Ticks == 0 {
			t.Errorf("%+v", s)
		}
	})
}

// The server asks talkers to begin their frames so that packets come just
// before the tick, and they do.
func TestTalkersAreSteered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "alice", "bob", "u1")
		time.Sleep(5 * time.Second) // virtual
		for _, wait := range engine.Waits(w.srv, w.callID) {
			if wait < time.Millisecond || wait > 5*time.Millisecond {
				t.Errorf("a talker's packets come %v before the tick", wait)
			}
		}
		if len(engine.Waits(w.srv, w.callID)) != 2 {
			t.Fatal("two talk")
		}
	})
}

// Where packets to its receivers get lost the mix carries forward error
// correction, and they recover them; and a mix goes on after a connection was
// lost for a while.
func TestMixOverALossyLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *engine.ServerConfig) { c.Codec, c.Mode = libopus.Driver{}, hooks.ModeMix })
		withCodec := func(c *engine.ClientConfig) { c.Codec = libopus.Driver{} }
		alice, _ := w.dial(t, "alice", withCodec)
		bob, b := w.dial(t, "bob", withCodec)
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		listen(t, bob)
		mixed := func() (s jitter.Stats) {
			for _, tr := range bob.Stats().Tracks {
				if tr.Mix {
					s = tr.Jitter
				}
			}
			return s
		}
		time.Sleep(5 * time.Second) // virtual
		if s := mixed(); s.FECRecovered != 0 || s.Lost != 0 || s.Played < 200 {
			t.Errorf("on a good line: %+v", s)
		}
		w.mu.Lock()
		w.net.SetLink(w.at, w.conns["bob"][0], simnet.Link{Delay: 20 * time.Millisecond, Loss: 0.1})
		w.mu.Unlock()
		time.Sleep(10 * time.Second) // virtual: it is noticed
		before := mixed()
		time.Sleep(20 * time.Second) // virtual
		s := mixed()
		lost, recovered := s.Lost-before.Lost, s.FECRecovered-before.FECRecovered
		t.Logf("of %d lost packets %d were recovered", lost, recovered)
		if lost < 50 || float64(recovered) < 0.5*float64(lost) {
			t.Errorf("of %d lost packets %d were recovered", lost, recovered)
		}
		w.mu.Lock()
		w.net.SetLink(w.at, w.conns["bob"][0], simnet.Link{Delay: 20 * time.Millisecond})
		w.mu.Unlock()
		w.blackout(5 * time.Second)
		time.Sleep(3 * time.Second) // virtual
		hearsOn(t, bob)
	})
}
