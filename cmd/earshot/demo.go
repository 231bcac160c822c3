package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/termview"
)

const demoHelp = `Usage: earshot demo [-duration 10s] [-json] [-out DIR]

Starts a server in this process, on a free UDP port of 127.0.0.1. Alice and Bob
sign in over QUIC; Alice calls, Bob answers, and both speak: recorded voices,
encoded, sent, forwarded, decoded and pulled as a sound card would. Shows the
callbacks as they come, how loud both are, and at the end a summary.

Each voice has short chirps mixed in. They are found again in what the other
heard, which gives the time from mouth to ear.

On a terminal it then stays up with a page for you: it prints a link, and opens
it where there is a desktop. You can call alice and bob, who answer with their
voices and a picture, and an echo, which says and shows again what you do. Keys:
a and b have alice or bob call you, A and B with video, l makes a new link, q or
Ctrl-C ends it. A link is good for an hour. Where the input or the output is no
terminal, and with -json, it ends with the summary.

With -json it prints one JSON object and nothing else:

  setup_ms          from dialling until both can hear each other
  duration_s        how long they talked
  events            the names of all callbacks of both, in order
  sent, received,   audio packets of both directions together;
  lost              lost is sent less received
  volume_callbacks  how many of the events are OnUserVoiceVolume
  mouth_to_ear_ms   p50 and p99
  output_wav        the files with what Alice (a) and Bob (b) heard
`

// The bounds of -duration.
const (
	minDemo = 2 * time.Second
	maxDemo = 10 * time.Minute
)

func runDemoCommand(ctx context.Context, fs *flag.FlagSet, args []string, con console) error {
	duration := fs.Duration("duration", 10*time.Second, "how `long` they talk, 2s to 10m")
	asJSON := fs.Bool("json", false, "print one JSON object and nothing else")
	out := fs.String("out", "", "write what each heard into this `directory` (default a new one for temporary files)")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if *duration < minDemo || *duration > maxDemo {
		return usagef("-duration %v: it must be 2s to 10m", *duration)
	}
	if err := needOpus(); err != nil {
		return err
	}
	dir, err := outDir(*out)
	if err != nil {
		return err
	}
	cfg := demoConfig{Duration: *duration, OutDir: dir}
	b := termview.NewBoard(con.out, terminalSize(con.out))
	if !*asJSON {
		cfg.Step = func(at time.Duration, text string) { b.Printf("%6d ms  %s", at.Milliseconds(), text) }
		cfg.Event = func(e demoEvent) {
			if e.Name != "OnUserVoiceVolume" {
				b.Printf("%6d ms  %-6s %s %s", e.At.Milliseconds(), e.User, e.Name, e.Words)
			}
		}
		cfg.Volumes = func(user string, volumes []hooks.UserVolume) {
			if user == "bob" { // both hear both; one of them is enough to look at
				b.Status(meters(volumes, "alice", "bob"))
			}
		}
	}
	r, err := runDemo(ctx, cfg)
	b.Status("")
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(con.out).Encode(r.report())
	}
	printSummary(con.out, r)
	return stayUp(ctx, con, b)
}

// stayUp goes on with a page, where there is a person at a terminal.
func stayUp(ctx context.Context, con console, b *termview.Board) error {
	raw, restore := rawMode(con)
	if !raw {
		return nil
	}
	defer restore()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	return runStage(ctx, stageConfig{Board: b, Keys: termview.Keys(ctx, con.in, true), Open: linkOpener(con)})
}

// meters are bars for users.
func meters(volumes []hooks.UserVolume, users ...string) string {
	var line strings.Builder
	for _, u := range users {
		var v hooks.UserVolume
		if i := slices.IndexFunc(volumes, func(v hooks.UserVolume) bool { return v.UserID == u }); i >= 0 {
			v = volumes[i]
		}
		fmt.Fprintf(&line, "  %s %s", u, termview.Meter(v, 20))
	}
	return line.String()
}

// outDir is where the WAV files go.
func outDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "earshot-demo-")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("-out: %w", err)
	}
	return dir, nil
}
