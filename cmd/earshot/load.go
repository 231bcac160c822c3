package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/hooks"
)

const loadHelp = `Usage: earshot load [-mode mix] [-rooms 1] [-users 100] [-talkers 5]

Loads a server on this machine with rooms full of people, and says what it
costs. Three processes run, over QUIC on 127.0.0.1: the server, which alone is
measured, the people, and a small calibration that says how fast the machine
is meanwhile. An encode-time is one libopus encode of 20 ms of speech; an xUDP
is one sendto and one recvfrom of 100 bytes.

  earshot load                                  a room of 100, mixed
  earshot load -users 400                       a larger one
  earshot load -rooms 60 -users 4 -talkers 1    many small ones
  earshot load -mode forward -users 50          packets passed on, not mixed
  earshot load -bare                            a bare loop over quic-go
  earshot load -curve curve.svg                 rooms of many sizes, a plot
`

func runLoad(ctx context.Context, fs *flag.FlagSet, args []string, con console) error {
	var cfg load.Config
	mode := fs.String("mode", "mix", "how rooms work: mix or forward")
	asJSON := fs.Bool("json", false, "print one JSON object")
	fs.IntVar(&cfg.Rooms, "rooms", 1, "how many rooms")
	fs.IntVar(&cfg.Users, "users", 100, "how many users in each")
	fs.IntVar(&cfg.Talkers, "talkers", 5, "how many of those talk")
	fs.IntVar(&cfg.Every, "every", 1, "only one room in so many talks")
	fs.DurationVar(&cfg.Duration, "duration", 10*time.Second, "how long to measure")
	fs.DurationVar(&cfg.Frame, "frame", 20*time.Millisecond, "sound in a packet, 10ms or 20ms")
	fs.IntVar(&cfg.FramesPerPacket, "frames", 1, "frames in a packet for those who only listen, 1 to 3")
	fs.BoolVar(&cfg.Bare, "bare", false, "a bare loop over quic-go in the server's place; in forward mode its datagrams hold all voices")
	fs.DurationVar(&cfg.Window, "window", 0, "how long voices wait for one another where rooms forward; -1ns for not at all (default the engine's, 5ms)")
	fs.BoolVar(&cfg.Unsteered, "unsteered", false, "talkers keep their frames where they are")
	fs.BoolVar(&cfg.Delays, "delays", false, "measure how long packets take, where rooms forward")
	curve := fs.String("curve", "", "measure rooms of many sizes, and draw their costs into this SVG `file`")
	fs.StringVar(&cfg.Profile, "profile", "", "write the server's CPU profile to this `file`")
	fs.StringVar(&cfg.MutexProfile, "mutexprofile", "", "write the profile of the server's locks that others wait for to this `file`")
	fs.StringVar(&cfg.BlockProfile, "blockprofile", "", "write the profile of what the server's goroutines wait for to this `file`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	cfg.Mode = hooks.RoomMode(*mode)
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	if *curve != "" {
		return drawCurve(ctx, con.out, cfg, *curve)
	}
	r, err := load.Run(ctx, cfg)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(con.out).Encode(r)
	}
	printLoad(con.out, r)
	return nil
}

// drawCurve measures how the cost of a room grows: a table and a plot.
func drawCurve(ctx context.Context, w io.Writer, cfg load.Config, file string) error {
	fmt.Fprintln(w, "| users | talkers | what | encode-times/s | packets/s | late ticks |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	points, err := load.Curve(ctx, cfg, func(p load.Point) {
		what := "mixing alone"
		if p.QUIC {
			what = "whole server, over QUIC"
		}
		fmt.Fprintf(w, "| %d | %d | %s | %.0f | %.0f | %.2f %% |\n", p.Users, p.Talkers, what, p.Cost, p.Packets, p.Late)
	})
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := load.WriteCurve(f, points); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

func printLoad(w io.Writer, r load.Result) {
	c := r.Config
	what := "rooms of " + string(c.Mode)
	if c.Bare {
		what = "bare loops over quic-go"
	}
	perSecond := func(n float64) float64 { return n / r.Window.Seconds() }
	ms := r.CPU.Seconds() * 1000
	fmt.Fprintf(w, "%d %s, %d users each, %d of them talking; %d were admitted, %d heard somebody\n",
		c.Rooms, what, c.Users, c.Talkers, r.Admitted, r.Hearing)
	fmt.Fprintf(w, "server      %.0f ms/s of CPU = %.0f encode-times/s; %.2f ms/s a user; at most %d MB\n",
		perSecond(ms), r.EncodeTimes(), perSecond(ms)/float64(r.Admitted), r.Peak>>20)
	fmt.Fprintf(w, "packets     %.0f/s delivered, %.1f µs and %.1f xUDP each; %d lost\n",
		perSecond(float64(r.Packets)), ms*1000/float64(r.Packets), r.XUDP(), r.Lost)
	fmt.Fprintf(w, "delivery    %.1f to %.1f %% of the frames due to each\n", 100*r.Least, 100*r.Most)
	fmt.Fprintf(w, "locks       %.2f ms/s waited for in the server, by all goroutines together\n", perSecond(r.LockWait.Seconds()*1000))
	if c.Delays {
		fmt.Fprintf(w, "delay       %.2f ms p50, %.2f ms p99 from client to client; %.3f ms p50, %.3f ms p99 in the server\n",
			float64(r.Delay.P50.Microseconds())/1e3, float64(r.Delay.P99.Microseconds())/1e3,
			float64(r.Added.P50.Microseconds())/1e3, float64(r.Added.P99.Microseconds())/1e3)
	}
	if r.Mix.Ticks > 0 {
		fmt.Fprintf(w, "mixing      %.0f ticks/s, %.2f %% late; %.0f frames decoded and %.0f encoded a second\n",
			perSecond(float64(r.Mix.Ticks)), 100*r.LateTicks(), perSecond(float64(r.Mix.Decoded)), perSecond(float64(r.Mix.Encoded)))
	}
	fmt.Fprintf(w, "calibration encode %.1f µs, decode %.1f µs, send and receive %.2f µs\n",
		float64(r.Calibration.Encode)/1e3, float64(r.Calibration.Decode)/1e3, float64(r.Calibration.SendRecv)/1e3)
}
