package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

const loadHelp = `Usage: earshot load [-mode mix] [-rooms 1] [-users 100] [-talkers 5]
       earshot load -server HOST:PORT -pin PIN -key KEY [-metrics URL] …

Loads a server with rooms full of people, of whom some talk with recorded
speech, and says what it costs. It prints nothing but an error if not all of
them were admitted, and heard.

Without -server it starts a server on this machine. Three processes run, over
QUIC on 127.0.0.1: the server, which alone is measured, the people, and a small
calibration that says how fast the machine is meanwhile. An encode-time is one
libopus encode of 20 ms of speech; an xUDP is one sendto and one recvfrom of
100 bytes.

  earshot load                                  a room of 100, mixed
  earshot load -users 400                       a larger one
  earshot load -rooms 60 -users 4 -talkers 1    many small ones
  earshot load -mode forward -users 50          packets passed on, not mixed
  earshot load -bare                            a bare loop over quic-go
  earshot load -curve curve.svg                 rooms of many sizes, a plot

With -server it loads one that runs already, here or elsewhere, such as that of

  earshot serve -key KEY -metrics localhost:9464

whose address and pin that prints. The people sign in with UserSigs made with
its key, as users whose names begin with "load-", as fast as it lets one address
sign in (20 a second if nothing else is said), and sign out at the end. What the
server costs is what it says at -metrics; without that it is left out. If it is
on another machine, leave encode-times and xUDP out of account: they are not
printed. Ask whoever runs it before you load it.

  earshot load -server 192.0.2.7:4433 -pin PIN -key KEY \
      -metrics http://192.0.2.7:9464/metrics -mode forward -users 50 -delays
`

func runLoad(ctx context.Context, fs *flag.FlagSet, args []string, con console) error {
	var cfg load.Config
	var k keyFlags
	server := fs.String("server", "", "load the server at this `address`, host:port (default: start one here)")
	pin := fs.String("pin", "", "the SHA-256 `hash` of its certificate, hex or base64 (default: trust this machine's roots)")
	metrics := fs.String("metrics", "", "the `URL` at which it gives its metrics, such as http://localhost:9464/metrics (default: costs are not known)")
	k.define(fs)
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
	fs.BoolVar(&cfg.Delays, "delays", false, "measure how long packets take, where rooms forward; they then carry the time in place of some of the sound")
	curve := fs.String("curve", "", "measure rooms of many sizes, and draw their costs into this SVG `file`")
	fs.StringVar(&cfg.Profile, "profile", "", "write the server's CPU profile to this `file`")
	fs.StringVar(&cfg.MutexProfile, "mutexprofile", "", "write the profile of the server's locks that others wait for to this `file`")
	fs.StringVar(&cfg.BlockProfile, "blockprofile", "", "write the profile of what the server's goroutines wait for to this `file`")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if err := k.check(con); err != nil {
		return err
	}
	cfg.Mode = hooks.RoomMode(*mode)
	if cfg.Mode == hooks.ModeDefault {
		return usagef("-mode is empty: it must be mix or forward")
	}
	if err := elsewhere(fs, &cfg, *server, *pin, *metrics, k); err != nil {
		return err
	}
	if *curve != "" && cfg.Server != nil {
		return usagef("-curve is for a server that the load starts itself, not with -server")
	}
	if *curve != "" {
		for _, name := range []string{"mode", "rooms", "users", "talkers", "every", "frame", "frames", "bare", "window", "delays", "json", "profile", "mutexprofile", "blockprofile"} {
			if given(fs, name) {
				return usagef("-curve is of rooms that mix, of many sizes, as a table: not with -%s", name)
			}
		}
	}
	cfg.InServer = cfg.Delays && cfg.Server == nil
	if err := cfg.Check(); err != nil {
		return usageError{err}
	}
	if err := needOpus(); err != nil {
		return err
	}
	if *curve != "" {
		return drawCurve(ctx, con.out, cfg, *curve)
	}
	r, err := load.Run(ctx, cfg)
	if err == nil {
		err = r.Refused()
	}
	if err != nil {
		return explainLoad(err)
	}
	if *asJSON {
		return json.NewEncoder(con.out).Encode(r)
	}
	printLoad(con.out, r)
	return nil
}

// elsewhere fills in the server that is loaded, if it is not one's own.
func elsewhere(fs *flag.FlagSet, cfg *load.Config, server, pin, metrics string, k keyFlags) error {
	if server == "" {
		for _, name := range []string{"pin", "key", "app-id", "metrics"} {
			if given(fs, name) {
				return usagef("-%s is of a server that runs already: say with -server where that is", name)
			}
		}
		return nil
	}
	host, _, err := net.SplitHostPort(server)
	if err == nil {
		err = checkAddr(server)
	}
	switch {
	case err != nil:
		return usagef("-server: %w; want host:port, such as localhost:4433", err)
	case host == "":
		return usagef("-server %s: want host:port, such as localhost:4433", server)
	case k.key == "":
		return usagef("-key is missing, and EARSHOT_KEY is empty: people sign in with UserSigs that are made with the server's key")
	}
	cfg.Server = &load.Server{Addr: server, AppID: uint32(k.appID), Key: k.key, Metrics: metrics}
	if pin != "" {
		if cfg.Server.Pin, err = transport.ParsePin(pin); err != nil {
			return usagef("-pin: %w", err)
		}
	}
	if metrics != "" {
		u, err := url.Parse(metrics)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return usagef("-metrics %q: want a URL, such as http://localhost:9464/metrics", metrics)
		}
	}
	return nil
}

// given reports whether a flag is on the command line.
func given(fs *flag.FlagSet, name string) (yes bool) {
	fs.Visit(func(f *flag.Flag) { yes = yes || f.Name == name })
	return yes
}

// explainLoad says what to do about what a server that is loaded refuses.
func explainLoad(err error) error {
	var refused *engine.Error
	advice := ""
	if errors.As(err, &refused) {
		switch refused.Code {
		case hooks.CodeUserSigCheck, hooks.CodeUserSig:
			advice = "-key or -app-id is not the server's: \"earshot serve\" is started with both, or prints the key that it made"
		case hooks.CodeRefused, hooks.CodeBadParam:
			advice = "the server allows less: take fewer -users, or more -rooms with fewer in each"
		}
	}
	text := strings.TrimPrefix(err.Error(), "load: ")
	if advice != "" {
		return errors.New(text + "\n" + advice)
	}
	return loadError{err, text}
}

// A loadError is one in the words of the command.
type loadError struct {
	error
	text string
}

func (e loadError) Error() string { return e.text }
func (e loadError) Unwrap() error { return e.error }

// drawCurve measures how the cost of a room grows: a table and a plot.
func drawCurve(ctx context.Context, w io.Writer, cfg load.Config, file string) error {
	// Before minutes of measuring; what is there stays until there is something new.
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	defer f.Close()
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
	if err := f.Truncate(0); err != nil {
		return err
	}
	if err := load.WriteCurve(f, points); err != nil {
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
	inTimes := r.Calibration != (load.Calibration{}) // known for the server's machine
	fmt.Fprintf(w, "%d %s, %d users each, %d of them talking; %d were admitted, %d heard somebody\n",
		c.Rooms, what, c.Users, c.Talkers, r.Admitted, r.Hearing)
	switch {
	case r.CPU == 0:
		fmt.Fprintln(w, "server      its costs are not known: -metrics says where it tells them")
	case inTimes:
		fmt.Fprintf(w, "server      %.0f ms/s of CPU = %.0f encode-times/s; %.2f ms/s a user; %d MB\n",
			perSecond(ms), r.EncodeTimes(), perSecond(ms)/float64(r.Admitted), r.Peak>>20)
	default:
		fmt.Fprintf(w, "server      %.0f ms/s of CPU; %.2f ms/s a user; %d MB\n", perSecond(ms), perSecond(ms)/float64(r.Admitted), r.Peak>>20)
	}
	if r.CPU > 0 {
		fmt.Fprintf(w, "capacity    %.0f participants on each core that it used\n", r.PerCore())
	}
	fmt.Fprintf(w, "packets     %.0f/s delivered", perSecond(float64(r.Packets)))
	if r.CPU > 0 {
		fmt.Fprintf(w, ", %.1f µs", ms*1000/float64(r.Packets))
		if inTimes {
			fmt.Fprintf(w, " and %.1f xUDP", r.XUDP())
		}
		fmt.Fprint(w, " each")
	}
	fmt.Fprintf(w, "; %d lost\n", r.Lost)
	fmt.Fprintf(w, "delivery    %.1f to %.1f %% of the frames due to each\n", 100*r.Least, 100*r.Most)
	if c.Server == nil {
		fmt.Fprintf(w, "locks       %.2f ms/s waited for in the server, by all goroutines together\n", perSecond(r.LockWait.Seconds()*1000))
	}
	if c.Delays {
		fmt.Fprintf(w, "delay       %.2f ms p50, %.2f ms p99 from client to client", inMS(r.Delay.P50), inMS(r.Delay.P99))
		if r.Added.N > 0 {
			fmt.Fprintf(w, "; %.3f ms p50, %.3f ms p99 in the server", inMS(r.Added.P50), inMS(r.Added.P99))
		}
		fmt.Fprintln(w)
	}
	if r.Mix.Ticks > 0 {
		fmt.Fprintf(w, "mixing      %.0f ticks/s, %.2f %% late; %.0f frames decoded and %.0f encoded a second\n",
			perSecond(float64(r.Mix.Ticks)), 100*r.LateTicks(), perSecond(float64(r.Mix.Decoded)), perSecond(float64(r.Mix.Encoded)))
	}
	if inTimes {
		fmt.Fprintf(w, "calibration encode %.1f µs, decode %.1f µs, send and receive %.2f µs\n",
			float64(r.Calibration.Encode)/1e3, float64(r.Calibration.Decode)/1e3, float64(r.Calibration.SendRecv)/1e3)
	}
}

func inMS(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
