package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/hooks"
)

// BenchmarkAgreement measures the same room twice, in turn: as Participants and
// ServerDelay do, with a server that the load starts and asks itself; and as a user
// does, with "earshot serve" and "earshot load -server", each a process of its own,
// where the server's costs are what its metrics say. Each row is one figure, and
// %apart how much the second differs from the first. It is ROOM_WINDOWS pairs and
// two at least, added up, the delays' medians, and two of the room that mixes, of which
// no delay is compared; one in which somebody got less than 95 % of the frames is
// refused, and measured again, twice at most. Without ROOM_SECONDS
// there are small rooms for a second, of which nothing is refused.
//
// It builds the command with the go tool, unless EARSHOT says where it is.
func BenchmarkAgreement(b *testing.B) {
	seconds, pairs, least := roomSeconds(), max(windows(), 2), 0.95
	rooms := []load.Config{{Mode: hooks.ModeForward, Users: 50, Delays: true}, {Mode: hooks.ModeMix, Users: 100}}
	if seconds == 0 {
		seconds, pairs, least = 1, 1, 0
		for i := range rooms {
			rooms[i].Users = 8
		}
	}
	command := buildCommand(b)
	for _, cfg := range rooms {
		cfg.Duration = time.Duration(seconds) * time.Second
		cfg, err := cfg.WithDefaults()
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%s/%dusers/%dtalk", cfg.Mode, cfg.Users, cfg.Talkers), func(b *testing.B) {
			var ours, theirs []load.Result
			refused, pairs := 0, pairs
			if cfg.Mode == hooks.ModeMix {
				pairs = min(pairs, 2)
			}
			for len(ours) < pairs {
				var a, z load.Result
				if (len(ours)+refused)%2 == 0 { // in turn, and neither always first
					a, z = run(b, cfg), loadCommand(b, command, cfg)
				} else {
					z, a = loadCommand(b, command, cfg), run(b, cfg)
				}
				if got := min(a.Least, z.Least); got >= least {
					ours, theirs = append(ours, a), append(theirs, z)
				} else if refused++; refused > 2 {
					b.Fatal("three results were refused: the machine has too much else to do")
				} else {
					b.Logf("refused: %.2f %% of the frames reached the one who got least", 100*got)
				}
			}
			for _, f := range []struct {
				name string
				of   func([]load.Result) float64
				only hooks.RoomMode
			}{
				{"participants-per-core", perCore, ""},
				{"frames-per-second", framesPerSecond, ""},
				{"delay-p50-ms", func(all []load.Result) float64 { return medianMS(all, p50) }, hooks.ModeForward},
				{"delay-p99-ms", func(all []load.Result) float64 { return medianMS(all, p99) }, hooks.ModeForward},
				{"encodes-per-second", encodesPerSecond, hooks.ModeMix},
			} {
				if f.only != "" && f.only != cfg.Mode {
					continue
				}
				b.Run(f.name, func(b *testing.B) {
					a, z := f.of(ours), f.of(theirs)
					b.ReportMetric(a, "go-test")
					b.ReportMetric(z, "earshot-load")
					b.ReportMetric(100*math.Abs(z/a-1), "%apart")
					b.ReportMetric(0, "ns/op")
				})
			}
		})
	}
}

func perCore(all []load.Result) float64 {
	var people, cores float64
	for _, r := range all {
		people += float64(r.Admitted)
		cores += r.CPU.Seconds() / r.Window.Seconds()
	}
	return people / cores
}

func framesPerSecond(all []load.Result) float64 {
	var n, s float64
	for _, r := range all {
		n, s = n+float64(r.Frames), s+r.Window.Seconds()
	}
	return n / s
}

func encodesPerSecond(all []load.Result) float64 {
	var n, s float64
	for _, r := range all {
		n, s = n+float64(r.Mix.Encoded), s+r.Window.Seconds()
	}
	return n / s
}

// buildCommand returns where the command is.
func buildCommand(b *testing.B) string {
	if at := os.Getenv("EARSHOT"); at != "" {
		return at
	}
	if _, err := exec.LookPath("go"); err != nil {
		b.Skip("there is no go tool to build the command with, and EARSHOT does not say where it is")
	}
	at := filepath.Join(b.TempDir(), "earshot")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-o", at, "../cmd/earshot").CombinedOutput(); err != nil {
		b.Fatalf("go build: %v\n%s", err, out)
	}
	return at
}

// loadCommand serves and loads with the command.
func loadCommand(b *testing.B, command string, cfg load.Config) (r load.Result) {
	ctx, cancel := context.WithTimeout(b.Context(), cfg.Duration+time.Minute)
	defer cancel()
	serve := exec.CommandContext(ctx, command, "serve", "-addr", "127.0.0.1:0", "-metrics", "127.0.0.1:0",
		"-mode", string(cfg.Mode), "-key", key, "-log", "error", "-grace", "0s")
	serve.Stderr = os.Stderr
	out, err := serve.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		b.Fatal(err)
	}
	defer serve.Wait()
	defer serve.Process.Signal(syscall.SIGTERM)
	addr, pin, metrics := "", "", ""
	for in := bufio.NewScanner(out); metrics == "" && in.Scan(); {
		if _, at, ok := strings.Cut(in.Text(), "WebTransport on "); ok {
			addr, _, _ = strings.Cut(at, ",")
		}
		if _, at, ok := strings.Cut(in.Text(), "; its pin: "); ok {
			pin = at
		}
		if _, at, ok := strings.Cut(in.Text(), "Metrics: "); ok {
			metrics = at
		}
	}
	args := []string{
		"load", "-server", addr, "-pin", pin, "-key", key, "-metrics", metrics, "-json",
		"-mode", string(cfg.Mode), "-users", fmt.Sprint(cfg.Users), "-talkers", fmt.Sprint(cfg.Talkers), "-duration", cfg.Duration.String(),
	}
	if cfg.Delays {
		args = append(args, "-delays")
	}
	client := exec.CommandContext(ctx, command, args...)
	client.Stderr = os.Stderr
	result, err := client.Output()
	if err != nil { // it says why, and that not all were admitted, if so
		b.Fatalf("earshot load: %v", err)
	}
	if err := json.Unmarshal(result, &r); err != nil {
		b.Fatal(err)
	}
	if err := r.Refused(); err != nil {
		b.Fatal(err)
	}
	return r
}
