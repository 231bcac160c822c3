package record_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/record"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// Ten minutes of a call over a bad network: the speakers' files are equally long
// and line up within 20 ms, throughout, where one speaker's clock is fast and the
// other's slow, one pauses and is muted, and one joins late.
func TestSpeakersLineUp(t *testing.T) {
	length, late, least := 10*time.Minute, 2*time.Minute, 200
	if raceEnabled { // ten times slower
		length, late, least = 2*time.Minute, 30*time.Second, 30
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, simnet.Link{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, JitterReorders: true, Loss: 0.03}, everybody, nil)
		players := map[string]*player{
			"alice": newPlayer(t, "alice", -100, nil),
			"bob": newPlayer(t, "bob", 100, func(d time.Duration) bool {
				return d%(7*time.Second) > 5*time.Second || d%(3*time.Minute) > 150*time.Second // pauses, and mute
			}),
			"carol": newPlayer(t, "carol", 50, nil),
		}
		phones := make(map[string]*phone)
		for _, u := range []string{"alice", "bob", "carol"} {
			phones[u] = w.dial(u, func(c *engine.ClientConfig) { c.OpusMicrophone = players[u] })
		}
		w.call(hooks.MediaAudio, phones["alice"], phones["bob"])
		// They need not hear each other for it, which takes most of the time.
		var deaf []engine.Hearing
		for a := range players {
			for b := range players {
				deaf = append(deaf, engine.Hearing{Receiver: a, Talker: b})
			}
		}
		must(t, w.srv.SetHearing(w.callID, deaf))
		var d disk
		var told events
		began := time.Now()
		rec, err := record.Start(record.Config{Source: w.srv, CallID: w.callID, Create: d.create, OnEvent: told.add})
		must(t, err)
		time.Sleep(late + 13*time.Millisecond)
		must(t, phones["carol"].client.JoinCall(t.Context(), w.callID))
		time.Sleep(length - time.Since(began))
		must(t, rec.Stop())
		if n := rec.Dropped(); n > 0 {
			t.Errorf("%d packets were dropped", n)
		}
		if got, want := told.list(), 6; len(told.take()) != want {
			t.Errorf("events:\n%s", got)
		}
		first, last := time.Hour, -time.Hour
		for u, p := range players {
			pcm, samples := decode(t, d.of(t, u, ".ogg"))
			if off := time.Duration(samples)*time.Second/48000 - length; off < -10*time.Millisecond || off > 10*time.Millisecond {
				t.Errorf("%s's file is %v longer than the call", u, off)
			}
			found, said := 0, 0
			lo, hi := time.Hour, -time.Hour
			for _, m := range p.marks(pcm, began, time.Second, length-time.Second) {
				if p.quiet != nil && p.quiet(m.at-p.began.Sub(began)+40*time.Millisecond) {
					continue
				}
				said++
				if m.found {
					found++
					lo, hi = min(lo, m.error), max(hi, m.error)
				}
			}
			t.Logf("%s: %d of %d chirps found, %v to %v later than said", u, found, said, lo, hi)
			if said < least || found < said*8/10 {
				t.Errorf("%s: %d of %d chirps found", u, found, said)
			}
			first, last = min(first, lo), max(last, hi)
		}
		if last-first > 20*time.Millisecond {
			t.Errorf("the speakers' chirps are up to %v beside each other", last-first)
		}
	})
}
