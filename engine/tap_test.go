package engine_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// tapped is what a tap was told.
type tapped struct {
	mu      sync.Mutex
	packets []hooks.TapPacket
	pcm     map[string][]int16
	times   map[string][]time.Time
	odd     int // blocks that are no 960 samples a channel
}

func (g *tapped) packet(p hooks.TapPacket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.Data = bytes.Clone(p.Data)
	g.packets = append(g.packets, p)
}

func (g *tapped) sound(s hooks.TapSound) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pcm == nil {
		g.pcm, g.times = make(map[string][]int16), make(map[string][]time.Time)
	}
	if len(s.PCM) != 960*s.Channels {
		g.odd++
	}
	for i := 0; i < len(s.PCM); i += s.Channels {
		g.pcm[s.UserID] = append(g.pcm[s.UserID], s.PCM[i+s.Channels-1]) // the right one
	}
	g.times[s.UserID] = append(g.times[s.UserID], s.Time)
	clear(s.PCM) // it may be changed
}

// take returns what was told so far, and begins anew.
func (g *tapped) take() (packets []hooks.TapPacket, pcm map[string][]int16, times map[string][]time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	packets, pcm, times = g.packets, g.pcm, g.times
	g.packets, g.pcm, g.times = nil, nil, nil
	return packets, pcm, times
}

// Packets are told as they were sent, without a codec, also of who comes later
// and of the server's own sounds; not while muted.
func TestTapPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said := speech.Packets("alice")
		w := gatherCrowd(t, forwards, func(c *engine.ClientConfig) {
			if c.UserID == "alice" {
				c.Microphone, c.OpusMicrophone = nil, audio.NewPacketSource(said, true)
			}
		}, "alice", "u1")
		var all, bobs tapped
		tap, err := w.srv.TapPackets(w.callID, "", all.packet)
		must(t, err)
		_, err = w.srv.TapPackets(w.callID, "bob", bobs.packet)
		must(t, err)
		time.Sleep(3 * time.Second)
		packets, _, _ := all.take()
		if n := len(packets); n < 148 || n > 152 {
			t.Fatalf("%d packets in 3 s", n)
		}
		at := slices.IndexFunc(said, func(p []byte) bool { return bytes.Equal(p, packets[0].Data) })
		for i, p := range packets {
			if !bytes.Equal(p.Data, said[(at+i)%len(said)]) || p.UserID != "alice" || p.Video || p.Track != packets[0].Track {
				t.Fatalf("packet %d is not what was sent next", i)
			}
			if i > 0 && (p.SequenceNumber != packets[i-1].SequenceNumber+1 || p.Timestamp != packets[i-1].Timestamp+960 || p.Arrival.Sub(packets[i-1].Arrival) < 15*time.Millisecond) {
				t.Errorf("packet %d: %+v after %+v", i, p, packets[i-1])
			}
		}
		must(t, w.clients["alice"].SetMicMute(t.Context(), true))
		time.Sleep(100 * time.Millisecond)
		all.take()
		time.Sleep(time.Second)
		if packets, _, _ := all.take(); len(packets) > 0 {
			t.Errorf("%d packets while muted", len(packets))
		}
		w.clients["bob"], w.recs["bob"] = dial(t, w.srv, "bob", func(c *engine.ClientConfig) {
			c.OpusMicrophone = audio.NewPacketSource(speech.Packets("bob"), true)
		})
		must(t, w.clients["bob"].JoinCall(t.Context(), w.callID))
		p, err := w.srv.Play(t.Context(), engine.PlayConfig{CallID: w.callID, Opus: oggFile(t, "carol")})
		must(t, err)
		time.Sleep(time.Second)
		p.Stop()
		packets, _, _ = all.take()
		who := make(map[string]int)
		for _, p := range packets {
			who[p.UserID]++
		}
		if len(who) != 2 || who["bob"] < 45 || who["sound"] < 45 {
			t.Errorf("packets are of %v", who)
		}
		packets, _, _ = bobs.take()
		if d := len(packets) - who["bob"]; d < -1 || d > 1 || packets[0].UserID != "bob" {
			t.Errorf("%d packets of bob alone, and %d among all", len(packets), who["bob"])
		}
		must(t, tap.Close())
		<-tap.Done()
		all.take()
		time.Sleep(time.Second)
		if packets, _, _ := all.take(); len(packets) > 0 || tap.Dropped() != 0 {
			t.Errorf("%d packets after Close, %d dropped", len(packets), tap.Dropped())
		}
	})
}

// What users say is told as evenly spaced blocks, in which all is that they
// said; a decoder is enough for it.
func TestTapTalker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode, c.Codec = hooks.ModeForward, pionopus.Driver{} }, nil, "alice", "bob", "u1")
		var all, alices tapped
		_, err := w.srv.TapTalker(w.callID, "", all.sound)
		must(t, err)
		_, err = w.srv.TapTalker(w.callID, "alice", alices.sound)
		must(t, err)
		time.Sleep(4 * time.Second)
		synctest.Wait() // blocks may be due at this very moment
		_, pcm, times := all.take()
		if len(pcm) != 2 {
			t.Fatalf("voices of %d users", len(pcm))
		}
		for u, voice := range pcm {
			if l := like(voice, u); l < 0.9 {
				t.Errorf("%s is told with a likeness of %.2f", u, l)
			}
			if n := len(times[u]); n < 190 || n > 202 {
				t.Errorf("%d blocks of %s in 4 s", n, u)
			}
			for i := 1; i < len(times[u]); i++ {
				if d := times[u][i].Sub(times[u][i-1]); d != frame20 {
					t.Errorf("%s: block %d comes %v after the one before", u, i, d)
				}
			}
		}
		if a, b := times["alice"], times["bob"]; !a[len(a)-1].Equal(b[len(b)-1]) {
			t.Errorf("alice's last block is of %v, bob's of %v", a[len(a)-1], b[len(b)-1])
		}
		if _, pcm, _ := alices.take(); len(pcm) != 1 || like(pcm["alice"], "alice") < 0.9 {
			t.Error("alice alone is told otherwise")
		}
		must(t, w.clients["alice"].SetMicMute(t.Context(), true))
		time.Sleep(500 * time.Millisecond)
		alices.take()
		time.Sleep(500 * time.Millisecond)
		if _, pcm, _ := alices.take(); pcm != nil {
			t.Error("alice is told while she is muted")
		}
		must(t, w.clients["alice"].SetMicMute(t.Context(), false))
		time.Sleep(3 * time.Second)
		if _, pcm, _ := alices.take(); like(pcm["alice"], "alice") < 0.9 {
			t.Error("alice is not told after she was muted")
		}
		if all.odd+alices.odd > 0 {
			t.Error("there are blocks of other lengths")
		}
	})
}

// What a user hears: the others and not themselves, in both kinds of room, as
// loud as they want it.
func TestTapReceiver(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		t.Run(string(mode), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode = mode }, nil, "alice", "bob", "u1")
				var hers, mine tapped
				tap, err := w.srv.TapReceiver(w.callID, "alice", hers.sound)
				must(t, err)
				_, err = w.srv.TapReceiver(w.callID, "u1", mine.sound)
				must(t, err)
				hers.take()
				heard := w.hears("u1", 4*time.Second)
				_, pcm, times := hers.take()
				if l, own := like(pcm["alice"], "bob"), like(pcm["alice"], "alice"); l < 0.9 || own > 0.3 {
					t.Errorf("alice hears bob with a likeness of %.2f, and herself with %.2f", l, own)
				}
				for i := 1; i < len(times["alice"]); i++ {
					if d := times["alice"][i].Sub(times["alice"][i-1]); d != frame20 {
						t.Errorf("block %d comes %v after the one before", i, d)
					}
				}
				_, pcm, _ = mine.take()
				if l, _ := audio.Similarity(heard, pcm["u1"]); l < 0.8 || like(pcm["u1"], "bob") < 0.4 || like(pcm["u1"], "alice") < 0.4 {
					t.Errorf("what u1 hears and what is told are alike to %.2f, bob %.2f, alice %.2f", l, like(pcm["u1"], "bob"), like(pcm["u1"], "alice"))
				}
				must(t, w.clients["u1"].SetRemoteAudioVolume(t.Context(), "bob", 0))
				must(t, w.srv.SetHearing(w.callID, []engine.Hearing{{Receiver: "alice", Talker: "bob", Video: true}}))
				time.Sleep(100 * time.Millisecond)
				hers.take()
				mine.take()
				time.Sleep(3 * time.Second)
				if _, pcm, _ := mine.take(); like(pcm["u1"], "alice") < 0.9 || like(pcm["u1"], "bob") > 0.3 {
					t.Errorf("without bob u1 hears alice %.2f, bob %.2f", like(pcm["u1"], "alice"), like(pcm["u1"], "bob"))
				}
				if _, pcm, _ := hers.take(); pcm != nil && mixer.Level(pcm["alice"]) > -90 {
					t.Error("alice hears whom she is not to hear")
				}
				// In stereo from where one stands, and again after coming back.
				must(t, w.srv.SetPoses(w.callID, map[string]*mixer.Pose{
					"alice": {Position: mixer.Vector{0, 5, 0}}, "u1": {Forward: mixer.Vector{1, 0, 0}, Right: mixer.Vector{0, 1, 0}, Up: mixer.Vector{0, 0, 1}},
				}))
				time.Sleep(3 * time.Second)
				if _, pcm, _ := mine.take(); mine.odd > 0 || like(pcm["u1"], "alice") < 0.8 {
					t.Errorf("in stereo: %d blocks of another length, alice %.2f", mine.odd, like(pcm["u1"], "alice"))
				}
				must(t, w.clients["u1"].Hangup(t.Context()))
				time.Sleep(time.Second)
				mine.take()
				time.Sleep(time.Second)
				if _, pcm, _ := mine.take(); pcm != nil {
					t.Error("u1 hears without being there")
				}
				must(t, w.clients["u1"].JoinCall(t.Context(), w.callID))
				time.Sleep(3 * time.Second)
				if _, pcm, _ := mine.take(); like(pcm["u1"], "alice") < 0.4 || like(pcm["u1"], "bob") < 0.4 {
					t.Errorf("back again u1 hears alice %.2f", like(pcm["u1"], "alice"))
				}
				must(t, tap.Close())
				<-tap.Done()
			})
		})
	}
}

// The frames of a camera are told whole, byte for byte, beginning with a key
// frame, also where packets get lost on their way.
func TestTapVideo(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		connect(t, alice, bob, b, hooks.MediaVideo)
		must(t, alice.OpenCamera(t.Context(), newCamera(t)))
		b.wait(t, "video alice true")
		time.Sleep(time.Second)
		var got tapped
		_, err := srv.TapPackets(b.callID(), "alice", got.packet)
		must(t, err)
		time.Sleep(4 * time.Second)
		packets, _, _ := got.take()
		clip, err := video.Frames(speech.VP8())
		must(t, err)
		if len(packets) < 40 || !packets[0].KeyFrame || packets[0].Width != 320 || packets[0].Height != 240 {
			t.Fatalf("%d frames", len(packets))
		}
		last := -1
		for i, p := range packets {
			n := slices.IndexFunc(clip, func(c engine.VideoFrame) bool { return bytes.Equal(c.Data, p.Data) })
			if n < 0 || !p.Video || p.UserID != "alice" {
				t.Fatalf("frame %d is none of the clip's", i)
			}
			if last >= 0 && n != (last+1)%len(clip) && !p.KeyFrame {
				t.Errorf("frame %d of the clip follows %d", n, last)
			}
			if i > 0 && int32(p.Timestamp-packets[i-1].Timestamp) <= 0 {
				t.Errorf("frame %d is not later", i)
			}
			last = n
		}
	})
}

// A function that blocks holds up nobody: what it cannot keep is dropped and
// counted. One that panics again and again is taken off.
func TestTapBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "alice", "u1")
		hang := make(chan struct{})
		packets, err := w.srv.TapPackets(w.callID, "", func(hooks.TapPacket) { <-hang })
		must(t, err)
		talker, err := w.srv.TapTalker(w.callID, "", func(hooks.TapSound) { <-hang })
		must(t, err)
		receiver, err := w.srv.TapReceiver(w.callID, "u1", func(hooks.TapSound) { <-hang })
		must(t, err)
		bad, err := w.srv.TapPackets(w.callID, "alice", func(hooks.TapPacket) { panic("a bad tap") })
		must(t, err)
		if l := like(w.hears("u1", 25*time.Second)[20*48000:], "alice"); l < 0.75 {
			t.Errorf("u1 hears alice with a likeness of %.2f", l)
		}
		for name, tap := range map[string]hooks.Tap{"packets": packets, "talker": talker, "receiver": receiver} {
			if tap.Dropped() < 150 {
				t.Errorf("%s: %d dropped", name, tap.Dropped())
			}
		}
		<-bad.Done()
		close(hang)
		time.Sleep(time.Second)
		n := talker.Dropped()
		time.Sleep(time.Second)
		if talker.Dropped() != n {
			t.Error("it drops after it has gone on")
		}
	})
}

func TestTapEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "alice", "u1")
		var self hooks.Tap
		ready := make(chan struct{})
		self, err := w.srv.TapPackets(w.callID, "", func(hooks.TapPacket) {
			<-ready
			self.Close() // in its own function
		})
		must(t, err)
		close(ready)
		<-self.Done()
		must(t, self.Close())
		var g tapped
		var taps []hooks.Tap
		for range 64 {
			tap, err := w.srv.TapReceiver(w.callID, "u1", g.sound)
			must(t, err)
			taps = append(taps, tap)
		}
		none := func(hooks.TapSound) {}
		for name, f := range map[string]func() (hooks.Tap, error){
			"one more":    func() (hooks.Tap, error) { return w.srv.TapTalker(w.callID, "alice", none) },
			"no call":     func() (hooks.Tap, error) { return w.srv.TapTalker("nowhere", "alice", none) },
			"no user":     func() (hooks.Tap, error) { return w.srv.TapReceiver(w.callID, "", none) },
			"bad user":    func() (hooks.Tap, error) { return w.srv.TapTalker(w.callID, "a b", none) },
			"no function": func() (hooks.Tap, error) { return w.srv.TapPackets(w.callID, "alice", nil) },
		} {
			if _, err := f(); err == nil {
				t.Errorf("%s: no error", name)
			}
		}
		must(t, w.clients["alice"].Hangup(t.Context()))
		for _, tap := range taps {
			<-tap.Done()
		}
		w = gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode, c.Codec = hooks.ModeForward, nil }, nil, "alice", "u1")
		if _, err := w.srv.TapTalker(w.callID, "", none); !errors.Is(err, engine.ErrNoCodec) {
			t.Errorf("without a codec: %v", err)
		}
		last, err := w.srv.TapPackets(w.callID, "", g.packet)
		must(t, err)
		w.srv.Close()
		<-last.Done()
		if _, err := w.srv.TapPackets(w.callID, "", g.packet); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		// A function that hangs does not hang the server's Close.
		hung := gatherCrowd(t, nil, nil, "alice", "u1")
		hang := make(chan struct{})
		bad, err := hung.srv.TapPackets(hung.callID, "alice", func(hooks.TapPacket) { <-hang })
		must(t, err)
		time.Sleep(time.Second)
		began := time.Now()
		hung.srv.Close()
		if d := time.Since(began); d < time.Second || d > 3*time.Second {
			t.Errorf("Close took %v", d)
		}
		close(hang)
		<-bad.Done()
		decodes := gatherCrowd(t, func(c *engine.ServerConfig) { c.Mode, c.Codec = hooks.ModeForward, pionopus.Driver{} }, nil, "alice", "u1")
		if _, err := decodes.srv.TapReceiver(decodes.callID, "u1", none); !errors.Is(err, engine.ErrNoCodec) {
			t.Errorf("with a decoder alone: %v", err)
		}
	})
}

// Over a line that loses packets the frames that are told are whole, in order, and
// a gap ends with a key frame.
func TestTapVideoOverALossyLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, _ := w.dial(t, "alice", func(c *engine.ClientConfig) { c.OpusMicrophone = nil })
		bob, b := w.dial(t, "bob", func(c *engine.ClientConfig) { c.OpusMicrophone = nil })
		connect(t, alice, bob, b, hooks.MediaVideo)
		must(t, alice.OpenCamera(t.Context(), newCamera(t)))
		b.wait(t, "video alice true")
		var got tapped
		tap, err := w.srv.TapPackets(b.callID(), "", got.packet)
		must(t, err)
		w.net.SetDefault(simnet.Link{Delay: 20 * time.Millisecond, Jitter: 10 * time.Millisecond, JitterReorders: true, Loss: 0.05})
		time.Sleep(30 * time.Second) // virtual
		packets, _, _ := got.take()
		clip, err := video.Frames(speech.VP8())
		must(t, err)
		last, jumps := -1, 0
		for i, p := range packets {
			n := slices.IndexFunc(clip, func(c engine.VideoFrame) bool { return bytes.Equal(c.Data, p.Data) })
			if n < 0 {
				t.Fatalf("frame %d is none of the clip's", i)
			}
			if last >= 0 && n != (last+1)%len(clip) {
				if jumps++; !p.KeyFrame {
					t.Errorf("frame %d of the clip, which is no key frame, follows %d", n, last)
				}
			}
			last = n
		}
		t.Logf("%d frames of 450, %d jumps", len(packets), jumps)
		if len(packets) < 300 || time.Since(packets[len(packets)-1].Arrival) > time.Second || tap.Dropped() > 0 {
			t.Errorf("%d frames of 450, the last %v ago, %d dropped", len(packets), time.Since(packets[len(packets)-1].Arrival), tap.Dropped())
		}
	})
}

// Of a camera that sends several sizes the largest is told, and a smaller one, from
// a key frame on, while it sends no larger.
func TestTapSimulcast(t *testing.T) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		connect(t, alice, bob, b, hooks.MediaVideo)
		cam := &twoSizes{Synthetic: video.Synthetic{Sizes: 2, Fixed: true}}
		must(t, alice.OpenCamera(t.Context(), cam))
		b.wait(t, "video alice true")
		var got tapped
		_, err := srv.TapPackets(b.callID(), "alice", got.packet)
		must(t, err)
		told := func() (layers [2]int) {
			time.Sleep(2 * time.Second)
			got.take()
			time.Sleep(3 * time.Second)
			packets, _, _ := got.take()
			last := -1
			for _, p := range packets {
				n, layer := video.Number(p.Data)
				if n <= last {
					t.Errorf("picture %d of size %d follows %d", n, layer, last)
				}
				last = n
				layers[layer]++
			}
			return layers
		}
		if l := told(); l[0] != 0 || l[1] < 85 {
			t.Errorf("%d and %d frames of two sizes", l[0], l[1])
		}
		cam.small.Store(true)
		if l := told(); l[0] < 85 || l[1] != 0 {
			t.Errorf("%d and %d frames when only the small one is sent", l[0], l[1])
		}
		cam.small.Store(false)
		if l := told(); l[0] != 0 || l[1] < 85 {
			t.Errorf("%d and %d frames when both are sent again", l[0], l[1])
		}
	})
}

// twoSizes is a camera that may leave out its large size.
type twoSizes struct {
	video.Synthetic
	small atomic.Bool
}

func (s *twoSizes) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	for {
		f, err := s.Synthetic.ReadFrame(ctx)
		if err != nil || f.Layer == 0 || !s.small.Load() {
			return f, err
		}
	}
}
