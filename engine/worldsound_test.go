package engine_test

import (
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// endless is a recorded voice that goes on.
func endless(voice string) engine.OpusSource {
	return audio.NewPacketSource(speech.Packets(voice), true)
}

func placeAt(m float32) *mixer.Vector { v := east(m); return &v }

// sides are gain and pan of all packets of a pair, which must be the same.
func (p *place) sides(t *testing.T, receiver, talker string) (gain, pan int) {
	t.Helper()
	time.Sleep(60 * time.Millisecond) // virtual
	p.take()
	time.Sleep(200 * time.Millisecond) // virtual
	n := 0
	for _, h := range p.take() {
		if h.receiver != receiver || h.talker != talker {
			continue
		}
		if n++; n > 1 && (h.gain != gain || h.pan != pan) {
			t.Errorf("%s hears %s with %d dB from %d, then with %d from %d", receiver, talker, gain, pan, h.gain, h.pan)
		}
		gain, pan = h.gain, h.pan
	}
	if n == 0 {
		t.Errorf("%s does not hear %s", receiver, talker)
	}
	return gain, pan
}

// TestWorldSound: a sound is at a place, on a player, for some or for all, and
// all that is said of players holds for it.
func TestWorldSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{Range: 10})
		w := p.world
		handles, err := w.Join(
			engine.Player{UserID: "ann"}, engine.Player{UserID: "ben", Position: east(50)}, engine.Player{UserID: "cat", Position: east(80)},
		)
		must(t, err)
		for _, u := range []string{"ann", "ben", "cat"} {
			p.dial(t, u)
		}
		play := func(cfg engine.PlayConfig) *engine.Sound {
			t.Helper()
			cfg.CallID, cfg.Opus = w.ID(), endless("carol")
			s, err := p.srv.Play(t.Context(), cfg)
			must(t, err)
			return s
		}
		end := func(s *engine.Sound) {
			t.Helper()
			s.Stop()
			<-s.Done()
			must(t, s.Err())
			p.want(t, s.UserID()+" was stopped")
			for _, u := range []string{"ann", "ben"} {
				if got := p.told(u); len(got) > 1 && got[len(got)-1] != "trackEnded" {
					t.Errorf("%s was told %q", u, got)
				}
			}
		}

		// At a place: it is heard as far as it carries, whatever players' range.
		bell := play(engine.PlayConfig{UserID: "bell", At: placeAt(20), Range: 25})
		p.want(t, "a bell", "ann<bell")
		if gain, pan := p.sides(t, "ann", "bell"); gain != -18 || pan != 8 { // a tenth by 0.8
			t.Errorf("the bell is heard with %d dB from %d", gain, pan)
		}
		if got := p.told("ben"); !slices.Equal(got, []string{"entered"}) {
			t.Errorf("ben, who is too far away, was told %q", got)
		}
		if r := w.Hears("ann", "bell"); r != audience.Near {
			t.Errorf("ann hears it for %v", r)
		}
		if st := w.Stats(); st.Players != 3 || st.Connected != 3 || st.Talkers != 1 || st.Voices != 1 {
			t.Errorf("%+v", st)
		}
		must(t, w.Move([]engine.Placement{{UserID: "bell", Position: east(30)}}))
		p.want(t, "it moves", "ben<bell")
		if _, pan := p.sides(t, "ben", "bell"); pan != -8 {
			t.Errorf("ben hears it from %d", pan)
		}
		h, ok := w.Handle("bell")
		if !ok {
			t.Error("it has no handle")
		}
		must(t, w.Move([]engine.Placement{{Player: h, Position: east(25)}}))
		p.want(t, "to both", "ann<bell", "ben<bell")
		must(t, w.SetReach(10, "bell"))
		p.want(t, "quieter")
		must(t, w.SetReach(25, "bell"))
		must(t, w.SetCategory(audience.Music, "bell"))
		must(t, w.SetCategoryVolume(audience.Music, 0, "ann"))
		p.want(t, "ann wants no music", "ben<bell")
		must(t, w.SetReach(40, "bell"))
		must(t, w.SetCategoryVolume(audience.Music, 0.5, "ann"))
		before, _ := p.sides(t, "ben", "bell")
		if gain, _ := p.sides(t, "ann", "bell"); gain != before-6 {
			t.Errorf("half as loud is %d dB beside %d", gain, before)
		}
		must(t, w.SetVolume("ben", 0, "bell"))
		p.want(t, "ben does not want this one", "ann<bell")
		must(t, w.Block("ann", true, "bell"))
		p.want(t, "nor does ann")
		must(t, w.SetVolume("ben", 1, "bell"))
		must(t, w.Block("ann", false, "bell"))
		must(t, w.SetMute(audience.MutedByModerator, true, "bell"))
		p.want(t, "nobody does")
		must(t, w.SetMute(audience.MutedByModerator, false, "bell"))
		p.want(t, "everybody does", "ann<bell", "ben<bell")
		end(bell)

		// On a player, who hears it too.
		radio := play(engine.PlayConfig{UserID: "radio", On: "ben", Category: audience.Music})
		p.want(t, "a radio", "ben<radio")
		must(t, w.SetCategoryVolume(audience.Music, 1, "ann"))
		must(t, w.Move([]engine.Placement{{Player: handles[1], Position: east(-5)}}))
		p.want(t, "it is carried", "ann<radio", "ben<radio")
		if gain, pan := p.sides(t, "ann", "radio"); gain != -14 || pan != -8 {
			t.Errorf("it is heard with %d dB from %d", gain, pan)
		}
		if gain, pan := p.sides(t, "ben", "radio"); gain != 0 || pan != 0 {
			t.Errorf("who carries it hears it with %d dB from %d", gain, pan)
		}
		must(t, w.Move([]engine.Placement{{UserID: "radio", Position: east(80)}}))
		p.want(t, "it is thrown away", "cat<radio")
		must(t, w.Move([]engine.Placement{{Player: handles[1], Position: east(50)}}))
		p.want(t, "it stays there", "cat<radio")
		end(radio)

		// For all, and for some, wherever they are; also who comes later.
		news := play(engine.PlayConfig{UserID: "news", Category: audience.Announcer})
		p.want(t, "an announcement", "ann<news", "ben<news", "cat<news")
		if gain, pan := p.sides(t, "cat", "news"); gain != 0 || pan != 0 {
			t.Errorf("it is heard with %d dB from %d", gain, pan)
		}
		end(news)
		hint := play(engine.PlayConfig{UserID: "hint", To: []string{"cat", "dan"}})
		p.want(t, "a hint", "cat<hint")
		_, err = w.Join(engine.Player{UserID: "dan", Position: east(500)}, engine.Player{UserID: "eve"})
		must(t, err)
		p.dial(t, "dan")
		p.dial(t, "eve")
		p.want(t, "who comes later", "cat<hint", "dan<hint")
		must(t, w.Leave("cat"))
		_, err = w.Join(engine.Player{UserID: "fay"}) // who gets cat's place
		must(t, err)
		p.dial(t, "fay")
		p.want(t, "who goes", "dan<hint")
		end(hint)
		hum := play(engine.PlayConfig{UserID: "hum", At: placeAt(3), To: []string{"ann", "dan"}})
		p.want(t, "at a place for some", "ann<hum")
		end(hum)
		none := play(engine.PlayConfig{UserID: "none", To: []string{}})
		p.want(t, "for nobody")
		end(none)
		if got := p.told("eve"); !slices.Equal(got, []string{"entered"}) {
			t.Errorf("eve was told %q", got)
		}
	})
}

// TestWorldSoundPriority: a sound of a higher priority makes players quieter, and
// is heard where there are more voices than a player hears.
func TestWorldSoundPriority(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{Voices: 1})
		_, err := p.world.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben"})
		must(t, err)
		p.dial(t, "ann")
		speakUp(t, p.dial(t, "ben"))
		p.want(t, "ben talks", "ann<ben")
		s, err := p.srv.Play(t.Context(), engine.PlayConfig{CallID: p.world.ID(), Opus: endless("carol"), Priority: 5})
		must(t, err)
		p.want(t, "the game talks", "ann<sound", "ben<sound")
		s.Stop()
		p.want(t, "ben goes on", "ann<ben")
	})
}

// TestWorldSoundEnds: a sound ends with its source, with its world, with the player
// it is on, and when it is told to leave; each time its track does.
func TestWorldSoundEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaceOf(t, engine.WorldConfig{}, func(c *engine.ServerConfig) { anybody(c); c.Codec = libopus.Driver{} })
		w := p.world
		_, err := w.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben"})
		must(t, err)
		p.dial(t, "ann")
		ends := func(what string, cfg engine.PlayConfig, end func(), want error) {
			t.Helper()
			cfg.CallID = w.ID()
			if cfg.Pull == nil {
				cfg.Opus = endless("carol")
			}
			s, err := p.srv.Play(t.Context(), cfg)
			must(t, err)
			time.Sleep(200 * time.Millisecond) // virtual
			end()
			select {
			case <-s.Done():
			case <-time.After(3 * time.Second): // virtual
				t.Fatalf("%s: it goes on", what)
			}
			time.Sleep(10 * time.Millisecond) // virtual
			if err := s.Err(); !errors.Is(err, want) {
				t.Errorf("%s: %v", what, err)
			}
			if got := p.told("ann"); !slices.Equal(got[len(got)-2:], []string{"trackAdded sound", "trackEnded"}) && what != "its world" {
				t.Errorf("%s: ann was told %q", what, got)
			}
			if _, ok := w.Handle("sound"); ok {
				t.Errorf("%s: it is still there", what)
			}
		}
		n := 0
		ends("its source", engine.PlayConfig{Pull: func([]int16) error {
			if n++; n > 20 {
				return io.EOF
			}
			return nil
		}}, func() {}, nil)
		ends("a source that fails", engine.PlayConfig{Pull: func([]int16) error {
			if n++; n > 60 {
				return io.ErrClosedPipe
			}
			return nil
		}}, func() {}, io.ErrClosedPipe)
		ends("it leaves", engine.PlayConfig{}, func() { must(t, w.Leave("sound")) }, nil)
		p.dial(t, "sound") // a user of that name, elsewhere
		ends("it is kicked", engine.PlayConfig{}, func() { must(t, w.Kick("enough", "sound")) }, nil)
		if got := p.srv.Online("sound"); len(got) != 1 {
			t.Error("a user with the sound's name was signed out")
		}
		ends("whom it is on", engine.PlayConfig{On: "ben"}, func() { must(t, w.Leave("ben")) }, nil)
		ends("its world", engine.PlayConfig{}, func() { must(t, w.Close()) }, nil)
	})
}

func TestWorldSoundErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{ID: "village"})
		w := p.world
		_, err := w.Join(engine.Player{UserID: "ann"})
		must(t, err)
		packets := speech.Packets("carol")
		play := func(cfg engine.PlayConfig) error {
			if cfg.CallID == "" {
				cfg.CallID = "village"
			}
			cfg.Opus = audio.NewPacketSource(packets, true)
			_, err := p.srv.Play(t.Context(), cfg)
			return err
		}
		nan := float32(math.NaN())
		for _, c := range []struct {
			cfg  engine.PlayConfig
			says string
		}{
			{engine.PlayConfig{CallID: "town"}, "no call or world"},
			{engine.PlayConfig{UserID: "ann"}, "is a player"},
			{engine.PlayConfig{At: placeAt(1), On: "ann"}, "both set"},
			{engine.PlayConfig{At: placeAt(nan)}, "no place"},
			{engine.PlayConfig{At: placeAt(2e6)}, "no place"},
			{engine.PlayConfig{On: "ben"}, "no player"},
			{engine.PlayConfig{On: strings.Repeat("x", 33)}, "On: "},
			{engine.PlayConfig{At: placeAt(1), Range: -1}, "no range"},
			{engine.PlayConfig{At: placeAt(1), Range: nan}, "no range"},
			{engine.PlayConfig{Range: 5}, "without a place"},
			{engine.PlayConfig{Category: audience.NumCategories}, "no category"},
			{engine.PlayConfig{Priority: 11}, "priority"},
			{engine.PlayConfig{To: []string{""}}, "user ID"},
			{engine.PlayConfig{Volume: 50}, "Volume"},
		} {
			err := play(c.cfg)
			if e := (*engine.Error)(nil); !errors.As(err, &e) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v: %v, want words of %q", c.cfg, err, c.says)
			}
		}
		must(t, play(engine.PlayConfig{UserID: "bell"}))
		if err := play(engine.PlayConfig{UserID: "bell"}); err == nil || !strings.Contains(err.Error(), "plays already") {
			t.Errorf("twice: %v", err)
		}
		if err := play(engine.PlayConfig{On: "bell"}); err == nil {
			t.Error("a sound on a sound")
		}
		if _, err := w.Join(engine.Player{UserID: "bell"}); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("a player of the same name: %v", err)
		}
		// A user of that name is nobody here, and has their calls.
		bell, _ := dial(t, p.srv, "bell", nil)
		dial(t, p.srv, "ben", nil)
		must(t, bell.Call(t.Context(), "ben", hooks.MediaAudio))
		for i := 2; ; i++ {
			if err := play(engine.PlayConfig{UserID: "s" + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + string(rune('a'+i/676))}); err != nil {
				if i != 1025 || !strings.Contains(err.Error(), "more than") {
					t.Errorf("sound %d: %v", i, err)
				}
				break
			}
		}
		must(t, w.Close())
		if err := play(engine.PlayConfig{}); err == nil {
			t.Error("a sound in a world that is closed")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, forwards, nil, "u1", "u2")
		for _, cfg := range []engine.PlayConfig{{At: placeAt(1)}, {On: "u1"}, {Category: 1}, {Priority: 1}} {
			cfg.CallID, cfg.Opus = w.callID, endless("carol")
			if _, err := w.srv.Play(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "for worlds") {
				t.Errorf("in a call: %v", err)
			}
		}
	})
}

// TestWorldSoundAtTheEar: from PCM, with a volume of its own, at a Go client's ear.
func TestWorldSoundAtTheEar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, func(c *engine.ServerConfig) { anybody(c); c.Codec = libopus.Driver{} })
		w, err := srv.NewWorld(engine.WorldConfig{})
		must(t, err)
		_, err = w.Join(engine.Player{UserID: "ann"})
		must(t, err)
		ann, told := dial(t, srv, "ann", func(c *engine.ClientConfig) { c.Stereo = true })
		told.wait(t, "entered")
		s, err := srv.Play(t.Context(), engine.PlayConfig{
			CallID: w.ID(), UserID: "bird", PCM: audio.NewSource(audio.SourceConfig{PCM: speech.PCM("dave"), Loop: true}), At: placeAt(-3),
		})
		must(t, err)
		told.wait(t, "audio bird true")
		hear := func() (left, right []int16) {
			pcm := make([]int16, 2*480)
			for range 300 {
				time.Sleep(10 * time.Millisecond) // virtual
				ann.ReadPCM(pcm)
				for i := 0; i < len(pcm); i += 2 {
					left, right = append(left, pcm[i]), append(right, pcm[i+1])
				}
			}
			return left, right
		}
		hear()
		left, right := hear()
		if l := like(left, "dave"); l < 0.9 || mixer.Level(right) > mixer.Level(left)-30 {
			t.Errorf("at the left it is like the voice to %.2f, with %.0f and %.0f dB", l, mixer.Level(left), mixer.Level(right))
		}
		must(t, s.SetVolume(10))
		hear()
		if quiet, _ := hear(); mixer.Level(quiet) > mixer.Level(left)-15 {
			t.Errorf("a tenth as loud it is heard with %.0f dB, before %.0f", mixer.Level(quiet), mixer.Level(left))
		}
		s.Stop()
		told.wait(t, "audio bird false")
	})
}

// The sounds in README.md are those of the example.
func TestWorldSoundREADME(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	must(t, err)
	code, err := os.ReadFile("example_worldsound_test.go")
	must(t, err)
	_, rest, _ := strings.Cut(string(code), "// README:begin\n")
	lines, _, ok := strings.Cut(rest, "\t\t// README:end")
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		call := "srv.Play(ctx, engine.PlayConfig{CallID: village.ID(), " + strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(line), "{"), ",") + ")\n"
		if !ok || !strings.Contains(string(readme), call) {
			t.Errorf("README.md has not %q", call)
		}
	}
}
