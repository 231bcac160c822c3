package record_test

import (
	"math/rand/v2"
	"os"
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
	length := 10 * time.Minute
	if raceEnabled { // ten times slower
		length = 30 * time.Second
	}
	synctest.Test(t, func(t *testing.T) { lineUp(t, length) })
}

// The same by the clock on the wall: make soak.
func TestSpeakersLineUpInRealTime(t *testing.T) {
	length, err := time.ParseDuration(os.Getenv("RECORD_SOAK"))
	if err != nil {
		t.Skip("RECORD_SOAK is not set, to 10m for one")
	}
	lineUp(t, length)
}

func lineUp(t *testing.T, length time.Duration) {
	late, least := length/5, int(length/(4*time.Second))
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
	length = time.Since(began) // it is later in real time
	must(t, rec.Stop())
	if n := rec.Dropped(); n > 0 {
		t.Errorf("%d packets were dropped", n)
	}
	if got, want := told.list(), 6; len(told.take()) != want {
		t.Errorf("events:\n%s", got)
	}
	lined(t, &d, players, began, length, least)
}

// lined checks that the speakers' files are as long as the recording, and that
// their chirps are where they were said.
func lined(t *testing.T, d *disk, players map[string]*player, began time.Time, length time.Duration, least int) {
	t.Helper()
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
}

// Where nothing gets lost and nobody pauses, a clock that runs wrong is followed
// all the same, by little steps: after two minutes it would be 60 ms.
func TestDriftIsFollowed(t *testing.T) {
	const length = 2 * time.Minute
	for _, ppm := range []float64{-500, 500} {
		synctest.Test(t, func(t *testing.T) {
			var s source
			var d disk
			began := time.Now()
			rec, err := record.Start(record.Config{Source: &s, CallID: "call", Create: d.create})
			must(t, err)
			p := newPlayer(t, "dave", ppm, nil)
			p.began = began
			r := rand.New(rand.NewPCG(1, 2))
			arrival := began
			for n := 1; p.real(n*960) < length; n++ {
				due := began.Add(p.real(n * 960)).Add(time.Duration(r.IntN(15000)) * time.Microsecond)
				if due.After(arrival) {
					arrival = due
				}
				time.Sleep(time.Until(arrival))
				s.packet(hooks.TapPacket{
					UserID: "dave", Track: 1, SequenceNumber: uint16(n), Timestamp: uint32(n) * 960,
					Data: p.packets[(n-1)%len(p.packets)], Arrival: arrival,
				})
			}
			time.Sleep(length - time.Since(began))
			must(t, rec.Stop())
			pcm, samples := decode(t, d.of(t, "dave", ".ogg"))
			lo, hi, found, said := time.Hour, -time.Hour, 0, 0
			for _, m := range p.marks(pcm, began, time.Second, length-time.Second) {
				said++
				if m.found {
					found++
					lo, hi = min(lo, m.error), max(hi, m.error)
				}
			}
			t.Logf("%v ppm: %d of %d chirps found, %v to %v later than said; the file is %d samples", ppm, found, said, lo, hi, samples)
			if found < said*9/10 || hi > 13*time.Millisecond || lo < -10*time.Millisecond {
				t.Errorf("%v ppm: %d of %d chirps found, %v to %v later than said", ppm, found, said, lo, hi)
			}
		})
	}
}
