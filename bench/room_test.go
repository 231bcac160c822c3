package bench

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/hooks"
)

// BenchmarkRoom is what a server costs under whole rooms, measured alone, over
// QUIC on loopback: see package bench/load. A room is measured in turn with a
// bare loop over quic-go that sends ready datagrams at the same rate; figures
// are medians of ROOM_WINDOWS windows each, by default three. Without
// ROOM_SECONDS, which is the length of a window, there is one small room for two
// seconds, to see that it works.
func BenchmarkRoom(b *testing.B) {
	seconds := roomSeconds()
	if seconds == 0 {
		b.Run("20users-3talk", func(b *testing.B) {
			room(b, load.Config{Users: 20, Talkers: 3, Duration: 2 * time.Second}, 1, false)
		})
		return
	}
	d := time.Duration(seconds) * time.Second
	for _, c := range []struct {
		name string
		cfg  load.Config
		bare bool
	}{
		{"100users-5talk", load.Config{}, true},
		{"100users-5talk-60ms", load.Config{FramesPerPacket: 3}, true},
		{"400users-5talk", load.Config{Users: 400}, false},
		{"60rooms-4users-1talks", load.Config{Rooms: 60, Users: 4, Talkers: 1}, false},
		{"250rooms-4users-every5th", load.Config{Rooms: 250, Users: 4, Talkers: 1, Every: 5}, false},
		{"50users-5talk-forward", load.Config{Users: 50, Mode: hooks.ModeForward}, true},
		{"50users-5talk-forward-at-once", load.Config{Users: 50, Mode: hooks.ModeForward, Window: -1}, false},
		{"200users-5talk-forward", load.Config{Users: 200, Mode: hooks.ModeForward}, true},
	} {
		b.Run(c.name, func(b *testing.B) {
			c.cfg.Duration = d
			room(b, c.cfg, windows(), c.bare)
		})
	}
}

// BenchmarkParticipants is how many participants a core serves, by the size of the
// room and by how many of them talk, in both modes, over QUIC: see load.Result's
// PerCore. Without ROOM_SECONDS there is one small room of each for a second.
func BenchmarkParticipants(b *testing.B) {
	seconds := roomSeconds()
	sizes := []load.Config{
		{Rooms: 15, Users: 4, Talkers: 1}, {Rooms: 4, Users: 25}, {Users: 100}, {Users: 200},
		{Users: 100, Talkers: 1}, {Users: 100, Talkers: 10},
	}
	least := enough
	if seconds == 0 {
		sizes, seconds, least = []load.Config{{Users: 10, Talkers: 2}}, 1, 0
	}
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		for _, cfg := range sizes {
			cfg.Mode, cfg.Duration = mode, time.Duration(seconds)*time.Second
			cfg, err := cfg.WithDefaults()
			if err != nil {
				b.Fatal(err)
			}
			b.Run(fmt.Sprintf("%s/%dusers/%dtalk", mode, cfg.Users, cfg.Talkers), func(b *testing.B) {
				check := whole{least: least}
				var perCore, got []float64
				for b.Loop() {
					r := check.run(b, cfg)
					perCore, got = append(perCore, r.PerCore()), append(got, 100*r.Least)
				}
				b.ReportMetric(median(perCore), "participants/core")
				b.ReportMetric(slices.Min(got), "%delivered-least")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// enough is the share of the frames due that everybody must have got, lest a result
// is refused.
const enough = 0.9

// roomSeconds is ROOM_SECONDS, or 0.
func roomSeconds() int {
	n, _ := strconv.Atoi(os.Getenv("ROOM_SECONDS"))
	return max(n, 0)
}

// windows is how many there are of each room: ROOM_WINDOWS, by default 3.
func windows() int {
	if n, err := strconv.Atoi(os.Getenv("ROOM_WINDOWS")); err == nil && n > 0 {
		return n
	}
	return 3
}

func room(b *testing.B, cfg load.Config, windows int, besideBare bool) {
	check := whole{least: enough}
	if roomSeconds() == 0 {
		check.least = 0
	}
	var bareUDP []float64
	var cost, bare, xUDP, late, least, mixing, perCore []float64
	for b.Loop() {
		for range windows {
			r := check.run(b, cfg)
			cost, xUDP = append(cost, r.EncodeTimes()), append(xUDP, r.XUDP())
			perCore = append(perCore, r.PerCore())
			late, least = append(late, 100*r.LateTicks()), append(least, 100*r.Least)
			if !besideBare {
				continue
			}
			loop := cfg
			loop.Bare = true
			br := check.run(b, loop)
			bare, bareUDP = append(bare, br.EncodeTimes()), append(bareUDP, br.XUDP())
			if cfg.Mode == hooks.ModeForward {
				continue
			}
			m, err := load.NewMixing(r.Config.Users, r.Config.Talkers)
			if err != nil {
				b.Fatal(err)
			}
			mixing = append(mixing, m.EncodeTimes(300))
		}
	}
	b.ReportMetric(median(cost), "encodes/s")
	b.ReportMetric(median(xUDP), "xUDP")
	b.ReportMetric(median(perCore), "participants/core")
	b.ReportMetric(median(late), "%late-ticks")
	b.ReportMetric(slices.Min(least), "%delivered-least")
	if besideBare && cfg.Mode == hooks.ModeForward {
		b.ReportMetric(median(bareUDP), "xUDP-bare")
		b.ReportMetric(median(xUDP)/median(bareUDP), "total/bare")
	} else if besideBare {
		b.ReportMetric(median(mixing), "encodes/s-mixing")
		b.ReportMetric(median(bare), "encodes/s-bare")
		b.ReportMetric((median(cost)-median(mixing))/median(bare), "transport/bare")
	}
	b.ReportMetric(0, "ns/op")
}

func run(b *testing.B, cfg load.Config) load.Result {
	r, err := load.Run(b.Context(), cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := r.Refused(); err != nil {
		b.Fatal(err)
	}
	return r
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
