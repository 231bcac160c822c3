package engine_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/internal/audio"
	bare "github.com/earshotrtc/earshot/internal/crowd"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// TestWorldChangesAtOnce: 20 ms and a tick after a change has been made, the last
// packet that it keeps from a receiver has left the server, and the first that
// it lets through has, too.
func TestWorldChangesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const tick = 40 * time.Millisecond
		p := newPlace(t, engine.WorldConfig{Range: 10, Tick: tick})
		w := p.world
		h, err := w.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben", Position: east(5)})
		must(t, err)
		p.dial(t, "ann")
		speakUp(t, p.dial(t, "ben"))
		time.Sleep(3 * time.Second) // virtual: he is steered
		at := func(m float32) error {
			return w.Move([]engine.Placement{{Player: h[1], Position: east(m)}})
		}
		for name, change := range map[string]func(off bool) error{
			"moderator": func(off bool) error { return w.SetMute(audience.MutedByModerator, off, "ben") },
			"self":      func(off bool) error { return w.SetMute(audience.MutedBySelf, off, "ben") },
			"deafened":  func(off bool) error { return w.SetMute(audience.DeafenedByModerator, off, "ann") },
			"block":     func(off bool) error { return w.Block("ann", off, "ben") },
			"volume": func(off bool) error {
				if off {
					return w.SetVolume("ann", 0, "ben")
				}
				return w.SetVolume("ann", 1, "ben")
			},
			"range": func(off bool) error {
				if off {
					return w.SetRange(4, "ann")
				}
				return w.SetRange(10, "ann")
			},
			"reach": func(off bool) error {
				if off {
					return w.SetReach(4, "ben")
				}
				return w.SetReach(10, "ben")
			},
			"place": func(off bool) error {
				if off {
					return at(11)
				}
				return at(5)
			},
		} {
			var most [2]time.Duration // that silence, and sound, took
			for i := range 40 {
				for k, off := range []bool{true, false} {
					time.Sleep(200*time.Millisecond + time.Duration(i)*1031*time.Microsecond) // virtual
					p.take()
					changed := time.Now()
					must(t, change(off))
					time.Sleep(190 * time.Millisecond) // virtual
					heard := p.take()
					switch {
					case off && len(heard) > 0:
						most[k] = max(most[k], heard[len(heard)-1].at.Sub(changed))
					case !off && len(heard) == 0:
						t.Fatalf("%s: nothing comes", name)
					case !off:
						most[k] = max(most[k], heard[0].at.Sub(changed))
					}
				}
			}
			if limit := tick + 20*time.Millisecond; most[0] > limit || most[1] > limit {
				t.Errorf("%s: the last packet left %v after, the first %v", name, most[0], most[1])
			}
			t.Logf("%s: off within %v, on within %v", name, most[0], most[1])
		}
	})
}

// TestWorldChangeAtTheEar: and a listener hears it the playout's delay later.
func TestWorldChangeAtTheEar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, anybody)
		w, err := srv.NewWorld(engine.WorldConfig{Range: 20})
		must(t, err)
		_, err = w.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "alice", Position: east(1)})
		must(t, err)
		ann, told := dial(t, srv, "ann", nil)
		_, second := dial(t, srv, "alice", func(c *engine.ClientConfig) {
			c.OpusMicrophone = audio.NewPacketSource(speech.Packets("alice"), true)
		})
		told.wait(t, "audio alice true")
		second.wait(t, "entered")
		// listen pulls for a while, and returns when what was pulled had something of
		// what she says first and last, counted from the beginning.
		decoded := func() jitter.Stats { return ann.Stats().Tracks[0].Jitter }
		pcm := make([]int16, 480)
		listen := func() (first, last time.Duration) {
			began := time.Now()
			for n := decoded().DecodedSamples; time.Since(began) < time.Second; n = decoded().DecodedSamples {
				time.Sleep(10 * time.Millisecond) // virtual
				ann.ReadPCM(pcm)
				if decoded().DecodedSamples == n {
					continue
				}
				if last = time.Since(began); first == 0 {
					first = last
				}
			}
			return first, last
		}
		listen()
		const tick, pull, frame = 33 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond
		for i := range 10 {
			time.Sleep(time.Duration(i) * 3 * time.Millisecond) // virtual
			listen()
			delay := decoded().Delay
			must(t, w.SetMute(audience.MutedByModerator, true, "alice"))
			if _, last := listen(); last > tick+20*time.Millisecond+delay+frame+pull {
				t.Errorf("she was heard for another %v, with a delay of %v", last, delay)
			}
			if pcm[0] = 0; mixer.Level(pcm) > -80 {
				t.Errorf("a second later %.0f dB is heard", mixer.Level(pcm))
			}
			must(t, w.SetMute(audience.MutedByModerator, false, "alice"))
			first, _ := listen()
			if delay = decoded().Delay; first == 0 || first > tick+20*time.Millisecond+frame+delay+pull {
				t.Errorf("she is heard after %v, with a delay of %v", first, delay)
			}
		}
	})
}

// TestWorldUnderWay: whatever a game does meanwhile, each device is told in
// order: entered, then of tracks, each of which ends once if at all, and nothing
// after callEnd.
func TestWorldUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlace(t, engine.WorldConfig{Range: 30, Linger: 100 * time.Millisecond})
		w := p.world
		var users []string
		var people []*bare.Person
		for i := range 8 {
			users = append(users, fmt.Sprint("p", i))
			_, err := w.Join(engine.Player{UserID: users[i]})
			must(t, err)
			people = append(people, p.dial(t, users[i]))
		}
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for i, me := range people {
			wg.Go(func() { // talks, and publishes again when that has ended
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
					}
					if n%4 == 0 {
						me.Publish(t.Context()) // or it is published, or they are out
					}
					me.Speak([]byte{0x78, 1, 2, 3}, 30)
					time.Sleep(20 * time.Millisecond) // virtual
				}
			})
			wg.Go(func() { // and the game has eight loops
				rng := rand.New(rand.NewPCG(3, uint64(i)))
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Duration(1+rng.IntN(40)) * time.Millisecond): // virtual
					}
					u, v := users[rng.IntN(len(users))], users[rng.IntN(len(users))]
					switch rng.IntN(16) {
					case 0:
						w.Leave(u)
					case 1, 2:
						w.Join(engine.Player{UserID: u})
					case 3:
						w.SetMute(audience.MutedByModerator, rng.IntN(4) == 0, u)
					case 4:
						w.Block(u, rng.IntN(4) == 0, v)
					case 5:
						w.SetTeam(fmt.Sprint(rng.IntN(300)), u, v)
					case 6:
						w.Ban(time.Now().Add(3*time.Millisecond), u)
					case 7:
						w.Hears(u, v)
						w.Stats()
					case 8:
						w.SetTargets(engine.Targets{Users: []string{v}}, u)
					default:
						w.Move([]engine.Placement{{UserID: u, Position: east(50 * rng.Float32())}})
					}
				}
			})
		}
		time.Sleep(5 * time.Second) // virtual
		close(stop)
		wg.Wait()
		must(t, w.Close())
		time.Sleep(100 * time.Millisecond) // virtual
		tracks := 0
		for _, u := range users {
			in, open := false, 0
			for i, e := range p.told(u) {
				typ, _, _ := strings.Cut(e, " ")
				ok := in
				switch typ {
				case "entered":
					ok, in, open = !in, true, 0
				case "callEnd":
					in = false
				case "trackAdded":
					open++
					tracks++
				case "trackEnded":
					open--
					ok = in && open >= 0
				}
				if !ok {
					t.Fatalf("%s was told %q as number %d", u, e, i)
				}
			}
			if in {
				t.Errorf("%s is still in", u)
			}
		}
		if n := len(p.take()); n < 1000 || tracks < 20 {
			t.Errorf("hardly anything was heard: %d packets of %d tracks", n, tracks)
		}
	})
}
