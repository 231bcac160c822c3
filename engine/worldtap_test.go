package engine_test

import (
	"bytes"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// hamlet is a world with Go clients: alice and bob talk, ann listens.
func hamlet(t *testing.T, server func(*engine.ServerConfig)) (srv *engine.Server, w *engine.World) {
	t.Helper()
	srv = serve(t, func(c *engine.ServerConfig) {
		anybody(c)
		c.Codec = pionopus.Driver{} // decoding is enough
		if server != nil {
			server(c)
		}
	})
	w, err := srv.NewWorld(engine.WorldConfig{ID: "hamlet", Range: 20})
	must(t, err)
	_, err = w.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "alice", Position: east(2)}, engine.Player{UserID: "bob", Position: east(100)})
	must(t, err)
	return srv, w
}

func talkative(t *testing.T, srv *engine.Server, users ...string) {
	t.Helper()
	for _, u := range users {
		dial(t, srv, u, func(c *engine.ClientConfig) { c.OpusMicrophone = audio.NewPacketSource(speech.Packets(u), true) })
	}
}

// TestWorldTaps: taps of a world are told what players say, wherever they are, as
// they said it; not what nobody may hear.
func TestWorldTaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, w := hamlet(t, nil)
		var early, sent, said, alices tapped
		tap, err := srv.TapPackets("hamlet", "", early.packet)
		must(t, err)
		talkative(t, srv, "alice", "bob")
		time.Sleep(500 * time.Millisecond) // virtual
		if packets, _, _ := early.take(); len(packets) < 30 {
			t.Errorf("%d packets of those who came after the tap", len(packets))
		}
		must(t, tap.Close())
		_, err = srv.TapPackets("hamlet", "bob", sent.packet)
		must(t, err)
		_, err = srv.TapTalker("hamlet", "", said.sound)
		must(t, err)
		_, err = srv.TapTalker("hamlet", "alice", alices.sound)
		must(t, err)
		time.Sleep(3 * time.Second) // virtual
		packets, _, _ := sent.take()
		if len(packets) < 148 || len(packets) > 152 {
			t.Errorf("%d packets of bob in 3 s", len(packets))
		}
		bobs := speech.Packets("bob")
		first := -1
		for i, p := range bobs {
			if bytes.Equal(p, packets[0].Data) {
				first = i
			}
		}
		for i, p := range packets {
			if p.UserID != "bob" || !bytes.Equal(p.Data, bobs[(first+i)%len(bobs)]) || i > 0 && p.SequenceNumber != packets[i-1].SequenceNumber+1 {
				t.Fatalf("packet %d is not what bob sent next", i)
			}
		}
		_, pcm, times := said.take()
		if a, b := like(pcm["alice"], "alice"), like(pcm["bob"], "bob"); a < 0.95 || b < 0.95 {
			t.Errorf("what is said is like what was said to %.2f and %.2f", a, b)
		}
		for u := range times {
			for i := 1; i < len(times[u]); i++ {
				if d := times[u][i].Sub(times[u][i-1]); d != frame20 {
					t.Errorf("%s: block %d comes %v after the one before", u, i, d)
				}
			}
		}
		if _, pcm, _ := alices.take(); len(pcm) != 1 || like(pcm["alice"], "alice") < 0.95 {
			t.Errorf("alice's tap is told of %d users", len(pcm))
		}
		must(t, w.SetMute(audience.MutedBySelf, true, "alice"))
		must(t, w.SetSpectator(true, "bob"))
		time.Sleep(time.Second) // virtual
		said.take()
		time.Sleep(time.Second) // virtual
		if _, pcm, _ := said.take(); len(pcm) > 0 {
			t.Errorf("%d users are told of whom nobody may hear", len(pcm))
		}
		must(t, w.SetMute(audience.MutedBySelf, false, "alice"))
		time.Sleep(time.Second) // virtual
		if _, pcm, _ := said.take(); pcm["alice"] == nil || pcm["bob"] != nil {
			t.Error("alice is not told of any more, or bob is")
		}
		must(t, w.Close())
		time.Sleep(time.Second) // virtual
		if _, err := srv.TapTalker("hamlet", "", said.sound); err == nil {
			t.Error("a tap on a world that is closed")
		}
	})
}

// TestWorldTapReceiver: a tap is told what a player hears, in stereo from where it
// comes, the same as their client plays.
func TestWorldTapReceiver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, w := hamlet(t, nil)
		var hers bothEars
		tap, err := srv.TapReceiver("hamlet", "ann", hers.sound)
		must(t, err)
		talkative(t, srv, "alice", "bob")
		time.Sleep(time.Second) // virtual
		if left, right := hers.take(t); len(left)+len(right) > 0 {
			t.Errorf("ann hears before she is there: %d", len(left))
		}
		ann, told := dial(t, srv, "ann", func(c *engine.ClientConfig) { c.Stereo = true })
		told.wait(t, "audio alice true")
		play := func(d time.Duration) (left, right []int16) {
			pcm := make([]int16, 2*480)
			for range d / (10 * time.Millisecond) {
				time.Sleep(10 * time.Millisecond) // virtual
				ann.ReadPCM(pcm)
				for i := 0; i < len(pcm); i += 2 {
					left, right = append(left, pcm[i]), append(right, pcm[i+1])
				}
			}
			return left, right
		}
		play(time.Second)
		hers.take(t)
		_, played := play(3 * time.Second)
		left, right := hers.take(t)
		if n := len(right); n < 48000*29/10 || n > 48000*31/10 {
			t.Errorf("%d samples in 3 s", n)
		}
		if l := like(right, "alice"); l < 0.9 || mixer.Level(left) > -70 || like(right, "bob") > 0.3 {
			t.Errorf("at the right alice is heard with a likeness of %.2f; at the left are %.0f dB; bob %.2f", l, mixer.Level(left), like(right, "bob"))
		}
		if l, _ := audio.Similarity(played, right); l < 0.9 {
			t.Errorf("it is like what her client plays to %.2f", l)
		}
		if a, b := mixer.Level(played), mixer.Level(right); a-b > 1 || b-a > 1 {
			t.Errorf("it has %.1f dB, the client %.1f", b, a)
		}
		// Both, one at each side; and one goes.
		must(t, w.Move([]engine.Placement{{UserID: "bob", Position: east(-2)}}))
		play(time.Second)
		hers.take(t)
		play(3 * time.Second)
		left, right = hers.take(t)
		if a, b := like(right, "alice"), like(left, "bob"); a < 0.9 || b < 0.9 {
			t.Errorf("alice is at the right with a likeness of %.2f, bob at the left of %.2f", a, b)
		}
		must(t, w.Move([]engine.Placement{{UserID: "alice", Position: east(100)}}))
		must(t, w.SetVolume("ann", 0, "bob"))
		time.Sleep(time.Second) // virtual
		hers.take(t)
		time.Sleep(time.Second) // virtual
		if left, _ := hers.take(t); len(left) > 0 {
			t.Errorf("%d samples while she hears nobody", len(left))
		}
		must(t, w.SetVolume("ann", 1, "bob"))
		time.Sleep(6 * time.Second) // virtual: alice's voice is forgotten
		must(t, w.Move([]engine.Placement{{UserID: "alice", Position: east(2)}}))
		time.Sleep(time.Second) // virtual
		hers.take(t)
		time.Sleep(3 * time.Second) // virtual
		if _, right = hers.take(t); like(right, "alice") < 0.9 {
			t.Errorf("back again alice is heard with a likeness of %.2f", like(right, "alice"))
		}
		must(t, tap.Close())
		<-tap.Done()
		hers.take(t)
		time.Sleep(time.Second) // virtual
		if left, _ := hers.take(t); len(left) > 0 {
			t.Error("a tap that is closed is told something")
		}
		if n := tap.Dropped(); n > 0 {
			t.Errorf("%d packets were dropped", n)
		}
		// Another holds until the world ends.
		second, err := srv.TapReceiver("hamlet", "ann", hers.sound)
		must(t, err)
		must(t, w.Leave("ann"))
		time.Sleep(time.Second) // virtual
		hers.take(t)
		_, err = w.Join(engine.Player{UserID: "ann", Position: east(2)})
		must(t, err)
		time.Sleep(time.Second) // virtual
		if left, _ := hers.take(t); len(left) == 0 {
			t.Error("who left and came again hears nothing")
		}
		must(t, w.Close())
		<-second.Done()
	})
}

// bothEars are what is told of the left and the right.
type bothEars struct {
	tapped
	both sync.Mutex
	left []int16
}

func (e *bothEars) sound(s hooks.TapSound) {
	e.both.Lock()
	defer e.both.Unlock()
	for i := 0; s.Channels == 2 && i < len(s.PCM); i += 2 {
		e.left = append(e.left, s.PCM[i])
	}
	e.tapped.sound(s)
}

// take is what was heard, in blocks that follow each other.
func (e *bothEars) take(t *testing.T) (left, right []int16) {
	t.Helper()
	e.both.Lock()
	defer e.both.Unlock()
	_, pcm, times := e.tapped.take()
	for u, list := range times {
		for i := 1; i < len(list); i++ {
			if d := list[i].Sub(list[i-1]); d%frame20 != 0 || d <= 0 {
				t.Errorf("%s: block %d comes %v after the one before", u, i, d)
			}
		}
		right = pcm[u]
	}
	left, e.left = e.left, nil
	if e.odd > 0 || len(left) != len(right) {
		t.Errorf("%d blocks of another length; %d and %d samples", e.odd, len(left), len(right))
	}
	return left, right
}

func TestWorldTapErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, anybody) // without a codec
		_, err := srv.NewWorld(engine.WorldConfig{ID: "hamlet"})
		must(t, err)
		var g tapped
		if _, err := srv.TapTalker("hamlet", "", g.sound); !errors.Is(err, engine.ErrNoCodec) {
			t.Errorf("without a codec: %v", err)
		}
		if _, err := srv.TapReceiver("hamlet", "ann", g.sound); !errors.Is(err, engine.ErrNoCodec) {
			t.Errorf("without a codec: %v", err)
		}
		if _, err := srv.TapReceiver("hamlet", "", g.sound); err == nil {
			t.Error("nobody's ears")
		}
		if _, err := srv.TapPackets("town", "", g.packet); err == nil {
			t.Error("there is no such world")
		}
		for i := range 65 {
			if _, err := srv.TapPackets("hamlet", "", g.packet); (err != nil) != (i == 64) {
				t.Errorf("tap %d: %v", i, err)
			}
		}
	})
}
