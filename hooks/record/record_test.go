package record_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/record"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport/simnet"
)

var near = simnet.Link{Delay: 5 * time.Millisecond}

// talk makes a call of users who speak, each in their own voice.
func talk(t *testing.T, mayRecord func(hooks.RecordRequest) error, users ...string) (*world, map[string]*phone) {
	t.Helper()
	w := newWorld(t, near, mayRecord, func(c *engine.ServerConfig) { c.Codec = libopus.Driver{} })
	phones := make(map[string]*phone)
	var list []*phone
	for _, u := range users {
		phones[u] = w.dial(u, func(c *engine.ClientConfig) {
			if u == "bob" { // he hears them
				c.Codec = libopus.Driver{}
			}
			c.OpusMicrophone = audio.NewPacketSource(speech.Packets(u), true)
		})
		list = append(list, phones[u])
	}
	w.call(hooks.MediaAudio, list[0], list[1:]...)
	return w, phones
}

func like(pcm []int16, voice string) float64 {
	l, _ := audio.Similarity(pcm, speech.PCM(voice))
	return l
}

func encoder(t testing.TB) record.Encoder {
	e, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
	must(t, err)
	return e
}

func stereo() (record.Encoder, error) {
	return libopus.Driver{}.NewEncoder(codec.EncoderConfig{Channels: 2, Bitrate: 96000, Signal: codec.SignalMusic})
}

// Who says no is in no file, not even in that of all; who is excluded is in it
// up to there, and who is included again is in a new one.
func TestConsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := talk(t, func(req hooks.RecordRequest) error {
			if req.UserID == "bob" {
				return &hooks.Refusal{Code: hooks.CodeRefused, Message: "not me"}
			}
			return nil
		}, "alice", "bob", "carol")
		var d disk
		var told events
		rec, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Create: d.create, Encoder: encoder(t), OnEvent: told.add})
		must(t, err)
		time.Sleep(3 * time.Second)
		rec.Exclude("carol")
		time.Sleep(3 * time.Second)
		rec.Include("carol")
		rec.Include("alice") // is recorded already
		time.Sleep(3 * time.Second)
		must(t, rec.Stop())
		must(t, rec.Stop())
		rec.Exclude("alice")
		if n := len(d.files); n != 4 || len(rec.Files()) != 4 {
			t.Errorf("%d files: %v", n, rec.Files())
		}
		for name, f := range d.files {
			if !f.closed || strings.Contains(name, "bob") {
				t.Errorf("%s is closed: %v", name, f.closed)
			}
		}
		got := strings.Split(strings.TrimSpace(told.list()), "\n")
		slices.Sort(got)
		if want := "began alice,began carol,began carol,ended alice,ended carol,ended carol,refused bob"; strings.Join(got, ",") != want {
			t.Errorf("events %v", got)
		}
		sec := func(pcm []int16, from, to float64) []int16 { return pcm[int(from*48000):int(to*48000)] }
		hers, _ := decode(t, d.of(t, "alice", ".ogg"))
		first, n := decode(t, d.of(t, "carol", ".ogg"))
		second, _ := decode(t, d.of(t, "carol-2", ".ogg"))
		mix, _ := decode(t, d.of(t, "all.mix", ".ogg"))
		if l := like(hers[:3*48000], "alice"); l < 0.75 || len(hers) != 9*48000-312 || len(mix) != len(hers) || len(second) != len(hers) {
			t.Errorf("alice's file is like her to %.2f; %d, %d and %d samples", l, len(hers), len(mix), len(second))
		}
		if l := like(first, "carol"); l < 0.9 || n < 2.9*48000 || n > 3.1*48000 {
			t.Errorf("carol's first file is like her to %.2f, %d samples", l, n)
		}
		if quiet, l := mixer.Level(sec(second, 0, 5.9)), like(sec(second, 6.5, 9), "carol"); quiet > -80 || l < 0.9 {
			t.Errorf("carol's second file has %.0f dBov before she was included, and is like her to %.2f", quiet, l)
		}
		for name, part := range map[string][]int16{"before": sec(mix, 0.5, 3), "while": sec(mix, 3.3, 5.9), "after": sec(mix, 6.5, 9)} {
			a, b, c := like(part, "alice"), like(part, "bob"), like(part, "carol")
			if a < 0.3 || b > 0.2 || (c > 0.3) == (name == "while") {
				t.Errorf("%s: in the file of all alice is to %.2f, bob to %.2f, carol to %.2f", name, a, b, c)
			}
		}
	})
}

// A decider that panics is a no.
func TestDeciderPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := talk(t, nil, "alice", "bob")
		var d disk
		var told events
		rec, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Create: d.create, OnEvent: told.add})
		must(t, err)
		time.Sleep(2 * time.Second) // the decider panics: a nil function
		must(t, rec.Stop())
		if len(d.files) > 0 || strings.Count(told.list(), "refused") != 2 {
			t.Errorf("%d files, events\n%s", len(d.files), told.list())
		}
	})
}

// The recording ends with its call.
func TestCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, phones := talk(t, everybody, "alice", "bob")
		var d disk
		rec, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Create: d.create})
		must(t, err)
		time.Sleep(3 * time.Second)
		must(t, phones["alice"].client.Hangup(t.Context()))
		<-rec.Done()
		must(t, rec.Err())
		if pcm, _ := decode(t, d.of(t, "bob", ".ogg")); like(pcm, "bob") < 0.9 {
			t.Error("bob's file is not like him")
		}
		if _, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Create: d.create}); err == nil {
			t.Error("a call that is over is recorded")
		}
	})
}

// A full disk is told once for each file, with the code of a recording that
// cannot be written; the call goes on.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, phones := talk(t, everybody, "alice", "bob")
		d := disk{room: 30000}
		var told events
		rec, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Create: d.create, Encoder: encoder(t), OnEvent: told.add, Heard: []string{"bob"}, HeardEncoder: stereo})
		must(t, err)
		time.Sleep(20 * time.Second)
		failed, ended := 0, 0
		for _, e := range told.take() {
			switch e.Kind {
			case record.Failed:
				failed++
				if e.Code != hooks.CodeRecordWrite || !errors.Is(e.Err, errFull) || e.Name == "" {
					t.Errorf("event %+v", e)
				}
			case record.Ended:
				ended++
			}
		}
		if failed != 4 || ended != 2 {
			t.Errorf("%d failed, %d ended:\n%s", failed, ended, told.list())
		}
		if err := rec.Stop(); !errors.Is(err, errFull) {
			t.Errorf("Stop: %v", err)
		}
		if n := len(told.take()); n != failed+ended+2 {
			t.Errorf("events\n%s", told.list())
		}
		heard := new(audio.Recording)
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		audio.Pull(ctx, 0, phones["bob"].client.ReadPCM, heard.Add)
		if l := like(heard.PCM, "alice"); l < 0.8 {
			t.Errorf("bob hears alice with a likeness of %.2f", l)
		}
	})
}

func TestNoFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, _ := talk(t, everybody, "alice", "bob")
		var told events
		rec, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Dir: t.TempDir() + "/missing", OnEvent: told.add})
		must(t, err)
		time.Sleep(2 * time.Second)
		if err := rec.Stop(); err == nil || strings.Count(told.list(), "failed") != 2 || strings.Count(told.list(), "ended") != 2 {
			t.Errorf("%v, events\n%s", err, told.list())
		}
	})
}

// A user with a camera has a WebM file with each picture as it was sent, and
// their sound, in the recording's time.
func TestVideoCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, simnet.Link{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, Loss: 0.01}, everybody, nil)
		voice := newPlayer(t, "alice", 0, nil)
		alice := w.dial("alice", func(c *engine.ClientConfig) { c.OpusMicrophone = voice })
		bob := w.dial("bob", nil)
		w.call(hooks.MediaVideo, alice, bob)
		var d disk
		began := time.Now()
		rec, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Create: d.create})
		must(t, err)
		time.Sleep(2 * time.Second)
		cam, err := video.NewSource(speech.VP8())
		must(t, err)
		must(t, alice.client.OpenCamera(t.Context(), cam))
		time.Sleep(18 * time.Second)
		must(t, rec.Stop())

		file := d.of(t, "alice", ".webm")
		r, err := webm.NewReader(bytes.NewReader(file))
		must(t, err)
		if h := r.Header(); len(h.Tracks) != 2 || h.Tracks[0].Width != 320 || h.Tracks[0].Height != 240 || h.Tracks[1].CodecID != webm.Opus {
			t.Errorf("header %+v", h)
		}
		clip, err := video.Frames(speech.VP8())
		must(t, err)
		pictures, keys, at := 0, 0, -1
		var sounds []webm.Frame
		for {
			f, err := r.NextFrame()
			if err != nil {
				break
			}
			if f.Track == 1 {
				f.Data = bytes.Clone(f.Data)
				sounds = append(sounds, f)
				continue
			}
			n := slices.IndexFunc(clip, func(c engine.VideoFrame) bool { return bytes.Equal(c.Data, f.Data) })
			if n < 0 || pictures == 0 && (!f.KeyFrame || f.Time < 2*time.Second || f.Time > 3*time.Second) {
				t.Fatalf("picture %d at %v is number %d of the clip", pictures, f.Time, n)
			}
			if at >= 0 && n != (at+1)%len(clip) && !f.KeyFrame {
				t.Errorf("picture %d of the clip follows %d", n, at)
			}
			at = n
			pictures++
			if f.KeyFrame {
				keys++
			}
		}
		if pictures < 240 || len(sounds) < 850 {
			t.Errorf("%d pictures and %d packets of sound in 18 s", pictures, len(sounds))
		}
		// The sound is where it is in the Ogg file.
		off := 0
		for _, f := range sounds {
			i := slices.IndexFunc(voice.packets, func(p []byte) bool { return bytes.Equal(p, f.Data) })
			said := voice.began.Sub(began) + time.Duration(i)*20*time.Millisecond
			loop := time.Duration(len(voice.packets)) * 20 * time.Millisecond
			if late := (f.Time - said + loop/2) % loop; late < loop/2+5*time.Millisecond || late > loop/2+40*time.Millisecond {
				off++
			}
		}
		if off > len(sounds)/20 {
			t.Errorf("%d of %d packets of sound are not where they were said", off, len(sounds))
		}
		if pcm, _ := decode(t, d.of(t, "alice", ".ogg")); like(pcm[:8*48000], "alice") < 0.8 {
			t.Errorf("alice's Ogg file is like her to %.2f", like(pcm[:8*48000], "alice"))
		}
		t.Logf("%d pictures, %d of them key frames, %d packets of sound, %d bytes", pictures, keys, len(sounds), len(file))
	})
}

// A source that sends what it likes.
type source struct {
	packet func(hooks.TapPacket)
	sound  func(hooks.TapSound)
	voices func(hooks.TapSound)
	broken error // of TapVoices
	taps   []fakeTap
}

type fakeTap struct{ over chan struct{} }

func (t fakeTap) Close() error {
	select {
	case <-t.over:
	default:
		close(t.over)
	}
	return nil
}
func (t fakeTap) Done() <-chan struct{} { return t.over }
func (t fakeTap) Dropped() uint64       { return 0 }

func (s *source) MayRecord(context.Context, hooks.RecordRequest) error { return nil }
func (s *source) TapPackets(_, _ string, f func(hooks.TapPacket)) (hooks.Tap, error) {
	s.packet = f
	return s.tap(), nil
}
func (s *source) TapTalker(_, _ string, f func(hooks.TapSound)) (hooks.Tap, error) {
	s.sound = f
	return s.tap(), nil
}
func (s *source) TapVoices(_, _ string, f func(hooks.TapSound)) (hooks.Tap, error) {
	s.voices = f
	return s.tap(), s.broken
}
func (s *source) tap() hooks.Tap {
	s.taps = append(s.taps, fakeTap{make(chan struct{})})
	return s.taps[len(s.taps)-1]
}

// Whatever timestamps, numbers and lengths come, a file is no longer than the
// recording, and can be read.
func TestHostileSender(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			var s source
			var d disk
			rec, err := record.Start(record.Config{Source: &s, CallID: "x/../y", Create: d.create, Encoder: encoder(t), Heard: []string{"ann"}, HeardEncoder: stereo})
			must(t, err)
			seq, ts := uint16(r.Uint32()), r.Uint32()
			for range 300 {
				time.Sleep(time.Duration(r.IntN(40)) * time.Millisecond)
				data := make([]byte, 1+r.IntN(60))
				for i := range data {
					data[i] = byte(r.Uint32())
				}
				switch r.IntN(20) {
				case 0:
					seq, ts = uint16(r.Uint32()), r.Uint32()
				case 1:
					ts += uint32(r.IntN(100000))
				case 2:
					seq -= uint16(r.IntN(100))
				}
				seq++
				ts += 960
				s.packet(hooks.TapPacket{UserID: "eve", Track: uint64(1 + r.IntN(100)/99), Video: r.IntN(10) == 0, SequenceNumber: seq, Timestamp: ts, Data: data, Arrival: time.Now(), KeyFrame: true, Width: r.IntN(3) * 160, Height: 120})
				s.sound(hooks.TapSound{UserID: "eve", PCM: make([]int16, 960), Channels: 1, Time: time.Now().Add(-time.Duration(r.IntN(100)) * time.Millisecond)})
				noise := make([]int16, r.IntN(2000))
				for i := range noise {
					noise[i] = int16(r.Uint32())
				}
				s.voices(hooks.TapSound{
					UserID: "eve", PCM: noise, Channels: r.IntN(4), Track: uint64(1 + r.IntN(100)/99), Timestamp: ts - uint32(r.IntN(5000)),
					Time: time.Now().Add(time.Duration(r.IntN(1000)-600) * time.Millisecond),
				})
			}
			if len(d.files) < 3 {
				t.Errorf("%d files", len(d.files))
			}
			rec.Stop()
			for name, f := range d.files {
				if strings.Contains(name, "/") || strings.HasSuffix(name, ".webm") {
					continue
				}
				if _, n := readOgg(t, f.Bytes()); n > 13*48000 {
					t.Errorf("%s plays %.1f s", name, float64(n)/48000)
				}
			}
		})
	}
}

func TestConfig(t *testing.T) {
	var s source
	var d disk
	for _, c := range []record.Config{
		{CallID: "x", Create: d.create}, {Source: &s, Create: d.create}, {Source: &s, CallID: "x"},
		{Source: &s, CallID: "x", Create: d.create, NoSpeakers: true, NoVideo: true},
	} {
		if _, err := record.Start(c); !errors.Is(err, record.ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
