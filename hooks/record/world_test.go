package record_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/record"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// A world is recorded as a call is: the files of players who do not hear each other,
// of one who comes late, and of a sound of the server's are equally long and line up;
// who has not consented, and what nobody may hear, is in none.
func TestWorldLinesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		length := 15 * time.Second
		consents := func(r hooks.RecordRequest) error {
			if r.UserID == "erin" {
				return &hooks.Refusal{Message: "no"}
			}
			return nil
		}
		w := newWorld(t, simnet.Link{Delay: 20 * time.Millisecond, Jitter: 30 * time.Millisecond, JitterReorders: true, Loss: 0.03}, consents,
			func(c *engine.ServerConfig) { c.Codec = libopus.Driver{} })
		village, err := w.srv.NewWorld(engine.WorldConfig{ID: "village"})
		must(t, err)
		players := map[string]*player{
			"alice": newPlayer(t, "alice", -100, nil), "bob": newPlayer(t, "bob", 100, nil), "carol": newPlayer(t, "carol", 50, nil),
		}
		join := func(user string, x float32) {
			t.Helper()
			_, err := village.Join(engine.Player{UserID: user, Position: mixer.Vector{x, 0, 0}})
			must(t, err)
			p := players[user]
			if p == nil {
				p = newPlayer(t, user, 0, nil)
			}
			w.dial(user, func(c *engine.ClientConfig) { c.OpusMicrophone = p })
		}
		join("alice", 0)
		join("bob", 500)
		join("erin", 0)
		var d disk
		var told events
		began := time.Now()
		rec, err := record.Start(record.Config{Source: w.srv, CallID: "village", Create: d.create, OnEvent: told.add, Encoder: encoder(t)})
		must(t, err)
		time.Sleep(length/5 + 13*time.Millisecond) // virtual
		join("carol", 1000)
		bell := newPlayer(t, "dave", 0, nil)
		_, err = w.srv.Play(t.Context(), engine.PlayConfig{CallID: "village", UserID: "bell", Opus: bell, At: &mixer.Vector{500, 5, 0}})
		must(t, err)
		time.Sleep(length - time.Since(began)) // virtual
		must(t, village.Close())               // which ends it
		<-rec.Done()
		must(t, rec.Err())
		if n := rec.Dropped(); n > 0 {
			t.Errorf("%d packets were dropped", n)
		}
		lined(t, &d, players, began, length, 5)
		// The bell has no way to come.
		pcm, _ := decode(t, d.of(t, "bell", ".ogg"))
		marks, found := bell.marks(pcm, began, 0, length-time.Second), 0
		for _, m := range marks {
			if m.found && m.error > -10*time.Millisecond && m.error < 10*time.Millisecond {
				found++
			}
		}
		if len(marks) < 8 || found < len(marks) {
			t.Errorf("the bell: %d of %d chirps found where they were said", found, len(marks))
		}
		kinds := make(map[string]int)
		for _, e := range told.take() {
			if e.CallID != "village" {
				t.Errorf("%+v", e)
			}
			kinds[string(e.Kind)]++
			if e.UserID == "erin" && e.Kind != record.Refused {
				t.Errorf("erin: %+v", e)
			}
		}
		if kinds["began"] != 4 || kinds["ended"] != 4 || kinds["refused"] != 1 || len(rec.Files()) != 5 {
			t.Errorf("events: %v; files: %v", kinds, rec.Files())
		}
		all, _ := decode(t, d.of(t, "all.mix", ".ogg"))
		two := all[:length/5*48000/time.Second]
		if a, b, e := like(two, "alice"), like(two, "bob"), like(two, "erin"); a < 0.4 || b < 0.4 || e > 0.2 {
			t.Errorf("in the file of all alice is to %.2f, bob to %.2f, erin to %.2f", a, b, e)
		}
	})
}
