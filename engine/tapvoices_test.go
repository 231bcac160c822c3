package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// TestTapVoices: what a user of a call hears is told voice by voice.
func TestTapVoices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := gatherCrowd(t, nil, nil, "alice", "bob", "u1")
		var hers tapped
		_, err := w.srv.TapVoices(w.callID, "alice", hers.sound)
		must(t, err)
		var mine voicesHeard
		tap, err := w.srv.TapVoices(w.callID, "u1", mine.sound)
		must(t, err)
		time.Sleep(4 * time.Second) // virtual
		if _, pcm, _ := hers.take(); like(pcm["bob"], "bob") < 0.9 || pcm["alice"] != nil {
			t.Errorf("alice hears %d voices, bob to %.2f", len(pcm), like(pcm["bob"], "bob"))
		}
		mine.check(t)
		if _, pcm, _ := mine.take(); len(pcm) != 2 || like(pcm["alice"], "alice") < 0.9 || like(pcm["bob"], "bob") < 0.9 || like(pcm["bob"], "alice") > 0.3 {
			t.Errorf("u1 hears %d voices, alice to %.2f, bob to %.2f", len(pcm), like(pcm["alice"], "alice"), like(pcm["bob"], "bob"))
		}
		must(t, w.srv.SetHearing(w.callID, []engine.Hearing{{Receiver: "u1", Talker: "bob", Video: true}}))
		must(t, w.srv.SetPoses(w.callID, map[string]*mixer.Pose{"u1": {}, "alice": {Position: mixer.Vector{0, 5, 0}}}))
		time.Sleep(500 * time.Millisecond) // virtual
		mine.take()
		time.Sleep(2 * time.Second) // virtual
		if _, pcm, _ := mine.take(); pcm["bob"] != nil || like(pcm["alice"], "alice") < 0.9 || mine.odd > 0 {
			t.Errorf("u1 hears alice to %.2f, and bob, whom it is not to hear: %v", like(pcm["alice"], "alice"), pcm["bob"] != nil)
		}
		must(t, tap.Close())
		<-tap.Done()
	})
}

// TestWorldTapVoices: and what a player of a world hears, with gain and pan.
func TestWorldTapVoices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, w := hamlet(t, nil)
		var hers voicesHeard
		_, err := srv.TapVoices("hamlet", "ann", hers.sound)
		must(t, err)
		talkative(t, srv, "alice", "bob")
		dial(t, srv, "ann", nil)
		must(t, w.Move([]engine.Placement{{UserID: "alice", Position: east(2)}, {UserID: "bob", Position: east(10)}}))
		time.Sleep(4 * time.Second) // virtual
		hers.check(t)
		_, pcm, _ := hers.take()
		if len(pcm) != 2 || like(pcm["alice"], "alice") < 0.9 || like(pcm["bob"], "bob") < 0.9 || mixer.Level(pcm["alice"]) < mixer.Level(pcm["bob"])+6 {
			t.Errorf("%d voices, alice to %.2f with %.0f dBov, bob to %.2f with %.0f", len(pcm), like(pcm["alice"], "alice"), mixer.Level(pcm["alice"]), like(pcm["bob"], "bob"), mixer.Level(pcm["bob"]))
		}
		must(t, w.Move([]engine.Placement{{UserID: "alice", Position: east(-2)}, {UserID: "bob", Position: east(100)}}))
		time.Sleep(500 * time.Millisecond) // virtual
		hers.take()
		time.Sleep(2 * time.Second) // virtual
		if _, pcm, _ := hers.take(); len(pcm) != 1 || mixer.Level(pcm["alice"]) > -70 {
			t.Errorf("%d voices; alice, at the left, has %.0f dBov at the right", len(pcm), mixer.Level(pcm["alice"]))
		}
	})
}

// voicesHeard notes what names the stream, too.
type voicesHeard struct {
	tapped
	blocks map[string][]hooks.TapSound
}

func (v *voicesHeard) sound(s hooks.TapSound) {
	v.mu.Lock()
	if v.blocks == nil {
		v.blocks = make(map[string][]hooks.TapSound)
	}
	v.blocks[s.UserID] = append(v.blocks[s.UserID], hooks.TapSound{Track: s.Track, Timestamp: s.Timestamp, Time: s.Time})
	v.mu.Unlock()
	v.tapped.sound(s)
}

// check fails unless the timestamps go as fast as time does, on one track for each.
func (v *voicesHeard) check(t *testing.T) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	tracks := map[uint64]bool{}
	for u, list := range v.blocks {
		a, b := list[10], list[len(list)-1]
		tracks[b.Track] = true
		off := time.Duration(int32(b.Timestamp-a.Timestamp))*time.Second/48000 - b.Time.Sub(a.Time)
		if a.Track != b.Track || a.Track == 0 || off < -40*time.Millisecond || off > 40*time.Millisecond {
			t.Errorf("%s: tracks %d and %d, timestamps that are %v ahead of time", u, a.Track, b.Track, off)
		}
	}
	if len(tracks) != len(v.blocks) {
		t.Errorf("%d tracks of %d voices", len(tracks), len(v.blocks))
	}
}
