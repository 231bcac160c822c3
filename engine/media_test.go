package engine_test

import (
	"context"
	"encoding/hex"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
)

// record pulls what a client hears, 10 ms every 10 ms at a random phase, until
// stop is called.
func record(c *engine.Client) (heard *audio.Recording, stop func()) {
	heard = new(audio.Recording)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { audio.Pull(ctx, audio.RandomPhase(), c.ReadPCM, heard.Add) })
	return heard, func() { cancel(); wg.Wait() }
}

// Over real QUIC on loopback, with real Opus: what each hears is the other's
// speech, and who speaks is seen in the volumes. A busy machine may lose a packet or
// two to the clock; that none is lost is tested in virtual time.
func TestTwoPeopleTalk(t *testing.T) {
	srv := serve(t, func(c *engine.ServerConfig) { c.InProcess, c.Addr = false, "127.0.0.1:0" })
	pin := srv.Pins()[0]
	voices := map[string][]int16{"alice": speech.PCM("alice"), "bob": speech.PCM("bob")}
	overQUIC := func(c *engine.ClientConfig) {
		c.Dialer, c.Addr, c.Pin = nil, srv.Addr().String(), hex.EncodeToString(pin[:])
		c.Codec = libopus.Driver{}
		c.Microphone = audio.NewSource(audio.SourceConfig{PCM: voices[c.UserID], Loop: true})
	}
	alice, a := dial(t, srv, "alice", overQUIC)
	bob, b := dial(t, srv, "bob", overQUIC)
	must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
	b.wait(t, "invited")
	must(t, bob.Accept(t.Context()))
	a.wait(t, "audio bob true")
	b.wait(t, "audio alice true")
	heardByA, stopA := record(alice)
	heardByB, stopB := record(bob)
	talk := time.NewTimer(4 * time.Second)
	<-talk.C
	stopA()
	stopB()
	for _, c := range []struct {
		who, said string
		client    *engine.Client
		rec       *recorder
		heard     *audio.Recording
	}{{"alice", "bob", alice, a, heardByA}, {"bob", "alice", bob, b, heardByB}} {
		like, _ := audio.Similarity(c.heard.PCM, voices[c.said])
		if like < 0.8 {
			t.Errorf("what %s heard is like %s's speech to %.2f, want 0.8", c.who, c.said, like)
		}
		if wrong, _ := audio.Similarity(c.heard.PCM, voices[c.who]); wrong > 0.6 {
			t.Errorf("what %s heard is like their own speech to %.2f", c.who, wrong)
		}
		s := c.client.Stats().Tracks[0]
		if s.Jitter.Lost > s.Jitter.Received/20 || s.Refused != 0 || s.Jitter.DecodeErrors != 0 || s.Jitter.Received < 150 {
			t.Errorf("%s: %+v", c.who, s)
		}
		c.rec.mu.Lock()
		var mine, theirs int
		for _, vs := range c.rec.volumes {
			for _, v := range vs {
				switch v.UserID {
				case c.who:
					mine++
				case c.said:
					theirs++
				}
			}
		}
		n := len(c.rec.volumes)
		c.rec.mu.Unlock()
		if n < 8 || mine < n/2 || theirs < n/2 {
			t.Errorf("%s: of %d volume callbacks %d had their own volume and %d the other's", c.who, n, mine, theirs)
		}
	}
}

// In virtual time and without a socket the sound is the speaker's to the
// sample, but for the jitter buffer's fitting.
func TestPlayoutInVirtualTime(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, _ *engine.Client, a, b *recorder) {
		carol, _ := dial(t, srv, "carol", func(c *engine.ClientConfig) {
			c.OpusMicrophone = audio.NewPacketSource(speech.Packets("carol"), true)
		})
		must(t, carol.Call(t.Context(), "alice", hooks.MediaAudio))
		a.wait(t, "invited")
		must(t, alice.Accept(t.Context()))
		a.wait(t, "audio carol true")
		heard, stop := record(alice)
		time.Sleep(5 * time.Second) // virtual
		stop()
		if like, _ := audio.Similarity(heard.PCM, speech.PCM("carol")); like < 0.98 {
			t.Errorf("heard is like said to %.3f", like)
		}
		if s := alice.Stats().Tracks[0]; s.Jitter.Lost != 0 || s.Jitter.Received < 240 {
			t.Errorf("%+v", s)
		}
		// Muted, nobody is heard; unmuted, they are again.
		volumes := func() int {
			c := 0
			a.mu.Lock()
			defer a.mu.Unlock()
			for _, vs := range a.volumes {
				c += len(vs)
			}
			return c
		}
		must(t, carol.SetMicMute(t.Context(), true))
		a.wait(t, "audio carol false")
		time.Sleep(500 * time.Millisecond) // virtual
		before := volumes()
		heard, stop = record(alice)
		time.Sleep(2 * time.Second) // virtual
		stop()
		for _, v := range heard.PCM {
			if v != 0 {
				t.Fatal("a muted talker is heard")
			}
		}
		if n := volumes() - before; n != 0 {
			t.Errorf("%d volumes of a muted talker", n)
		}
		must(t, carol.SetMicMute(t.Context(), false))
		heard, stop = record(alice)
		time.Sleep(3 * time.Second) // virtual
		stop()
		if like, _ := audio.Similarity(heard.PCM, speech.PCM("carol")); like < 0.9 {
			t.Errorf("after unmuting, heard is like said to %.3f", like)
		}
		if volumes() == before {
			t.Error("no volumes after unmuting")
		}
	})
}

func TestVolumeIntervals(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		calls := func() int {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.volumes)
		}
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		synctest.Wait()
		for _, c := range []struct {
			set  time.Duration
			want int // in 3 s
		}{{300 * time.Millisecond, 10}, {time.Millisecond, 30}, {time.Second, 3}, {0, 0}, {-1, 0}} {
			alice.EnableAudioVolumeEvaluation(c.set)
			time.Sleep(1100 * time.Millisecond) // virtual: the tick before
			before := calls()
			time.Sleep(3 * time.Second) // virtual
			if n := calls() - before; n < c.want-1 || n > c.want+1 {
				t.Errorf("every %v: %d callbacks in 3 s, want %d", c.set, n, c.want)
			}
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		for i, v := range a.volumes {
			if len(v) != 0 || a.totals[i] != 0 {
				t.Errorf("nobody speaks, and the volumes are %v, total %d", v, a.totals[i])
			}
		}
	})
}

// A microphone that fails is told to the listener; the call goes on.
func TestMicrophoneFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		alice, a := dial(t, srv, "alice", func(c *engine.ClientConfig) {
			c.Codec, c.Microphone = libopus.Driver{}, brokenMic{}
		})
		bob, b := dial(t, srv, "bob", nil)
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		a.wait(t, "error -1302")
		time.Sleep(time.Minute) // virtual
		must(t, alice.Hangup(t.Context()))
		b.wait(t, "end hangup 1m0s")
	})
}

type brokenMic struct{}

func (brokenMic) ReadPCM(context.Context, []int16) error { return errUnplugged }

var errUnplugged = errors.New("unplugged")
