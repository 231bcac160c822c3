package peers

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/hooks"
)

// The measured servers and the calibration are this program again.
func TestMain(m *testing.M) {
	Child()
	os.Exit(m.Run())
}

// A peer is what is measured.
type peer struct {
	name string
	run  func(*testing.B, load.Config) (load.Result, error)
}

// compared are all of them.
var compared = []peer{
	{"pion", func(b *testing.B, cfg load.Config) (load.Result, error) { return Run(b.Context(), cfg) }},
	{"earshot", func(b *testing.B, cfg load.Config) (load.Result, error) { return load.Run(b.Context(), cfg) }},
	{"earshot-at-once", func(b *testing.B, cfg load.Config) (load.Result, error) {
		cfg.Window = -1
		return load.Run(b.Context(), cfg)
	}},
	{"quic-relay", func(b *testing.B, cfg load.Config) (load.Result, error) {
		cfg.Bare, cfg.Relay = true, true
		return load.Run(b.Context(), cfg)
	}},
	{"quic-ready", func(b *testing.B, cfg load.Config) (load.Result, error) {
		cfg.Bare = true
		return load.Run(b.Context(), cfg)
	}},
}

// tries is how often a window that does not count is measured anew.
const tries = 3

// BenchmarkForward is what a packet delivered costs each of them, in xUDP: see
// README.md. They take turns; figures are medians of three windows.
// ROOM_SECONDS is the length of a window; without it there is one short window
// of a small room each, to see that it works. ROOM_USERS is the sizes of the
// rooms, by default "50 200".
func BenchmarkForward(b *testing.B) {
	seconds, _ := strconv.Atoi(os.Getenv("ROOM_SECONDS"))
	if seconds == 0 {
		b.Run("10users-3talk", func(b *testing.B) {
			compare(b, load.Config{Users: 10, Talkers: 3, Duration: 2 * time.Second}, 1)
		})
		return
	}
	sizes := strings.Fields(os.Getenv("ROOM_USERS"))
	if len(sizes) == 0 {
		sizes = []string{"50", "200"}
	}
	for _, size := range sizes {
		b.Run(size+"users-5talk", func(b *testing.B) {
			users, err := strconv.Atoi(size)
			if err != nil {
				b.Fatalf("ROOM_USERS: %v", err)
			}
			compare(b, load.Config{Users: users, Talkers: 5, Duration: time.Duration(seconds) * time.Second}, 3)
		})
	}
}

// compare measures each in turn. Who fails is left out, and the others go on.
func compare(b *testing.B, cfg load.Config, windows int) {
	cfg.Mode = hooks.ModeForward
	failed := make([]bool, len(compared))
	xUDP, micros := make([][]float64, len(compared)), make([][]float64, len(compared))
	for b.Loop() {
		for range windows {
			for i, p := range compared {
				if failed[i] {
					continue
				}
				r, err := measure(b, p, cfg)
				if err != nil {
					b.Errorf("%s: %v", p.name, err)
					failed[i] = true
					continue
				}
				cost := float64(r.CPU.Microseconds()) / float64(r.Packets)
				xUDP[i], micros[i] = append(xUDP[i], r.XUDP()), append(micros[i], cost)
				b.Logf("%s: xUDP %.2f, %.1f µs a packet, send and receive %.2f µs, %.1f to %.1f %% delivered",
					p.name, r.XUDP(), cost, float64(r.Calibration.SendRecv.Nanoseconds())/1000, 100*r.Least, 100*r.Most)
			}
		}
	}
	for i, p := range compared {
		if failed[i] {
			continue
		}
		b.ReportMetric(median(xUDP[i]), "xUDP-"+p.name)
		b.ReportMetric(100*(slices.Max(xUDP[i])-slices.Min(xUDP[i]))/median(xUDP[i]), "%spread-"+p.name)
		b.ReportMetric(median(micros[i]), "µs-"+p.name)
		b.Logf("%s: xUDP %.2f, median of %d", p.name, median(xUDP[i]), len(xUDP[i]))
	}
	b.ReportMetric(0, "ns/op")
}

// measure refuses a window in which somebody was missing or got less than 99 %
// of what was due, and tries again.
func measure(b *testing.B, p peer, cfg load.Config) (r load.Result, err error) {
	for range tries {
		if r, err = p.run(b, cfg); err != nil {
			return r, err
		}
		if r.Admitted == cfg.Users && r.Hearing == cfg.Users && r.Least >= 0.99 {
			return r, nil
		}
		err = fmt.Errorf("of %d users %d were admitted and %d heard something; the worst served got %.1f %% of what was due, all together %d packets",
			cfg.Users, r.Admitted, r.Hearing, 100*r.Least, r.Packets)
		b.Logf("%s: does not count: %v", p.name, err)
	}
	return r, err
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}
