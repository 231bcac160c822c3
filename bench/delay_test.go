package bench

import (
	"testing"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/hooks"
)

// BenchmarkServerDelay is how long a voice takes through a server that forwards,
// in a room of 50 with five who talk at random phases: with no window, in turn
// with a bare loop over quic-go that relays the same at the same phases; and
// with the engine's window, with talkers whose frames are steered and with some
// whose are not. Without ROOM_SECONDS there is a small room for a second.
func BenchmarkServerDelay(b *testing.B) {
	seconds := roomSeconds()
	cfg := load.Config{Mode: hooks.ModeForward, Delays: true, InServer: true, Users: 50, Talkers: 5, Duration: time.Duration(seconds) * time.Second}
	windows, least := windows(), 0.99
	if seconds == 0 {
		cfg.Users, cfg.Talkers, cfg.Duration = 10, 3, time.Second
		windows, least = 1, 0 // a second says nothing of that
	}
	off, relay, unsteered := cfg, cfg, cfg
	off.Window = -1
	relay.Bare, relay.Relay = true, true
	unsteered.Unsteered = true

	var none float64 // p50 without a window
	b.Run("no-window", func(b *testing.B) {
		check := whole{least: least}
		var ours, bare []load.Result
		for b.Loop() {
			for i := range windows {
				off.Phases, relay.Phases = uint64(i)+1, uint64(i)+1
				bare = append(bare, check.run(b, relay))
				ours = append(ours, check.run(b, off))
			}
		}
		none = reportDelays(b, ours)
		ratio := func(of func(load.Result) time.Duration) float64 {
			var all []float64
			for i := range ours {
				all = append(all, float64(of(ours[i]))/float64(of(bare[i])))
			}
			return median(all)
		}
		b.ReportMetric(float64(check.refused), "refused")
		b.ReportMetric(medianMS(bare, p50), "ms/bare-p50")
		b.ReportMetric(medianMS(bare, p99), "ms/bare-p99")
		b.ReportMetric(ratio(p50), "xbare-p50")
		b.ReportMetric(ratio(p99), "xbare-p99")
		b.ReportMetric(medianMS(bare, func(r load.Result) time.Duration { return r.Added.P50 }), "ms/bare-in-server-p50")
		b.ReportMetric(medianMS(bare, func(r load.Result) time.Duration { return r.Added.P99 }), "ms/bare-in-server-p99")
	})
	for _, w := range []struct {
		name string
		cfg  load.Config
	}{{"window-steered", cfg}, {"window-unsteered", unsteered}} {
		b.Run(w.name, func(b *testing.B) {
			check := whole{least: least}
			var all []load.Result
			for b.Loop() {
				w.cfg.Phases = 1
				all = append(all, check.run(b, w.cfg))
			}
			b.ReportMetric(float64(check.refused), "refused")
			if typical := reportDelays(b, all); none > 0 {
				b.ReportMetric(typical-none, "ms/window-p50")
			}
		})
	}
}

// reportDelays reports medians over the windows, and returns that of the p50
// from client to client, in ms.
func reportDelays(b *testing.B, all []load.Result) float64 {
	b.ReportMetric(medianMS(all, p50), "ms/p50")
	b.ReportMetric(medianMS(all, p99), "ms/p99")
	b.ReportMetric(medianMS(all, func(r load.Result) time.Duration { return r.Added.P50 }), "ms/in-server-p50")
	b.ReportMetric(medianMS(all, func(r load.Result) time.Duration { return r.Added.P99 }), "ms/in-server-p99")
	b.ReportMetric(0, "ns/op")
	return medianMS(all, p50)
}

// From client to client.
func p50(r load.Result) time.Duration { return r.Delay.P50 }
func p99(r load.Result) time.Duration { return r.Delay.P99 }

func medianMS(all []load.Result, of func(load.Result) time.Duration) float64 {
	var v []float64
	for _, r := range all {
		v = append(v, float64(of(r).Microseconds())/1000)
	}
	return median(v)
}

// whole runs loads of which everything must have arrived: the costs of a server that
// did not do its work, or had no time for it, say nothing. Of a load that is only to
// be seen to work, which least 0 says, it asks for no pace.
type whole struct {
	least   float64 // share of what is due to each
	refused int     // results that were not
}

// run runs a load. A result is refused if somebody got less than the least share
// of what was due: then it is run again, twice at most.
func (w *whole) run(b *testing.B, cfg load.Config) load.Result {
	for range 3 {
		r := run(b, cfg)
		want := int64(1)
		if w.least > 0 { // in a short window, what comes between the processes' readings is much
			want = r.Packets * 9 / 10
		}
		if cfg.InServer && min(r.Delay.N, r.Added.N) < want {
			b.Fatalf("of %d packets the delay of %d was measured, and of %d in the server", r.Packets, r.Delay.N, r.Added.N)
		}
		if r.Least >= w.least {
			return r
		}
		w.refused++
		b.Logf("refused: bare %v, window %v: %.2f %% of the frames reached the one who got least", cfg.Bare, cfg.Window, 100*r.Least)
	}
	b.Fatal("three results in a row were refused: the machine has too much else to do, or too little power")
	return load.Result{}
}

// BenchmarkBadReceivers is what the other 47 of 50 notice of three bad receivers
// in a room that forwards: one who neither reads nor acknowledges, one behind 64
// kbit/s, one who floods requests for key frames and lost packets. With them and
// without is measured in turn. Without ROOM_SECONDS there is a small room for a
// second.
func BenchmarkBadReceivers(b *testing.B) {
	seconds := roomSeconds()
	good := load.Config{Mode: hooks.ModeForward, Delays: true, InServer: true, Users: 50, Talkers: 5, Aside: 3, Duration: time.Duration(seconds) * time.Second}
	windows, least := windows(), 0.99
	if seconds == 0 {
		good.Users, good.Talkers, good.Duration = 10, 3, time.Second
		windows, least = 1, 0
	}
	bad := good
	bad.Bad = true
	check := whole{least: least}
	var without, with []load.Result
	for b.Loop() {
		for range windows {
			without = append(without, check.run(b, good))
			with = append(with, check.run(b, bad))
		}
	}
	for name, all := range map[string][]load.Result{"without": without, "with": with} {
		var lost, packets int64
		for _, r := range all {
			lost, packets = lost+r.Lost, packets+r.Packets
		}
		b.ReportMetric(medianMS(all, p50), "ms/p50-"+name)
		b.ReportMetric(medianMS(all, p99), "ms/p99-"+name)
		b.ReportMetric(100*float64(lost)/float64(lost+packets), "%lost-"+name)
	}
	b.ReportMetric(float64(check.refused), "refused")
	b.ReportMetric(0, "ns/op")
}
