package main

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// presetHelp describes presets, for the help.
const presetHelp = `  wifi-bad   2 ms and up to 30 ms more, 2 % lost in bursts of 4, 20 Mbit/s
  train      35 ms and up to 40 ms more, 3 % lost in bursts of 10, 1 Mbit/s up
             and 4 down with a second of queue
  3g         60 ms and up to 30 ms more, 1 % lost, 384 kbit/s up and 2 Mbit/s
             down with half a second of queue
  satellite  280 ms and up to 10 ms more, 0.5 % lost, 3 Mbit/s up and 20 down
`

// preset returns a network by its name.
func preset(name string) (up, down simnet.Link, ok bool) {
	const ms = time.Millisecond
	switch name {
	case "wifi-bad":
		up = simnet.Link{Delay: 2 * ms, Jitter: 30 * ms, Burst: simnet.Bursts(0.02, 4), Rate: 20e6}
		return up, up, true
	case "train":
		up = simnet.Link{Delay: 35 * ms, Jitter: 40 * ms, Burst: simnet.Bursts(0.03, 10), Rate: 1e6, QueueTime: time.Second}
		down = up
		down.Rate = 4e6
	case "3g":
		up = simnet.Link{Delay: 60 * ms, Jitter: 30 * ms, Loss: 0.01, Rate: 384e3, QueueTime: 500 * ms}
		down = up
		down.Rate = 2e6
	case "satellite":
		up = simnet.Link{Delay: 280 * ms, Jitter: 10 * ms, Loss: 0.005, Rate: 3e6}
		down = up
		down.Rate = 20e6
	default:
		return up, down, false
	}
	return up, down, true
}

// linkFlags are the flags that make two links.
type linkFlags struct {
	preset         string
	both, up, down []func(*simnet.Link) // what to set, in the flags' order
}

func (f *linkFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&f.preset, "preset", "", "a network by its `name`: wifi-bad, train, 3g or satellite")
	f.defineLink(fs, "", "", &f.both)
	f.defineLink(fs, "up-", "to the server only", &f.up)
	f.defineLink(fs, "down-", "to clients only", &f.down)
}

// defineLink defines one flag for each field of a link.
func (f *linkFlags) defineLink(fs *flag.FlagSet, prefix, which string, set *[]func(*simnet.Link)) {
	define := func(name, usage string, parse func(string) (func(*simnet.Link), error)) {
		if prefix != "" {
			usage = "like -" + name + ", " + which
		}
		fs.Func(prefix+name, usage, func(s string) error {
			field, err := parse(s)
			*set = append(*set, field)
			return err
		})
	}
	duration := func(name, usage string, field func(*simnet.Link) *time.Duration) {
		define(name, usage, func(s string) (func(*simnet.Link), error) {
			v, err := parseTime(s)
			return func(l *simnet.Link) { *field(l) = v }, err
		})
	}
	share := func(name, usage string, field func(*simnet.Link) *float64) {
		define(name, usage, func(s string) (func(*simnet.Link), error) {
			v, err := parseShare(s)
			return func(l *simnet.Link) { *field(l) = v }, err
		})
	}
	duration("delay", "how `long` each packet takes, such as 40ms", func(l *simnet.Link) *time.Duration { return &l.Delay })
	duration("jitter", "up to how much `longer` some take; they stay in order", func(l *simnet.Link) *time.Duration { return &l.Jitter })
	share("loss", "the `share` of packets lost, each by itself, such as 2% or 0.02", func(l *simnet.Link) *float64 { return &l.Loss })
	share("reorder", "the `share` that come later than those behind them", func(l *simnet.Link) *float64 { return &l.Reorder })
	duration("reorder-delay", "how much `later` (default 10ms)", func(l *simnet.Link) *time.Duration { return &l.ReorderDelay })
	share("duplicate", "the `share` that come twice", func(l *simnet.Link) *float64 { return &l.Duplicate })
	define("burst", "`SHARE/N`: that share is lost, N packets in a row on average, such as 5%/8", func(s string) (func(*simnet.Link), error) {
		v, err := parseBurst(s)
		return func(l *simnet.Link) { l.Burst = v }, err
	})
	define("rate", "the line's speed in `bits` per second, such as 64000, 500k or 2M", func(s string) (func(*simnet.Link), error) {
		v, err := parseRate(s)
		return func(l *simnet.Link) { l.Rate = v }, err
	})
	define("queue", "what may wait for the line, a `time` or a number of bytes (default 250ms)", func(s string) (func(*simnet.Link), error) {
		bytes, wait, err := parseQueue(s)
		return func(l *simnet.Link) { l.QueueBytes, l.QueueTime = bytes, wait }, err
	})
	define("mtu", "lose packets of more than so many `bytes`", func(s string) (func(*simnet.Link), error) {
		v, err := strconv.ParseUint(s, 10, 16)
		if err != nil || v == 0 {
			return nil, errors.New("want bytes of UDP payload, 1 to 65535")
		}
		return func(l *simnet.Link) { l.MTU = int(v) }, nil
	})
}

// links returns what the flags ask for. A flag that would have no effect is an
// error.
func (f *linkFlags) links() (up, down simnet.Link, err error) {
	if f.preset != "" {
		var ok bool
		if up, down, ok = preset(f.preset); !ok {
			return up, down, usagef("-preset %s: it must be wifi-bad, train, 3g or satellite", f.preset)
		}
	}
	for _, d := range []struct {
		link *simnet.Link
		own  []func(*simnet.Link)
	}{{&up, f.up}, {&down, f.down}} {
		for _, set := range append(f.both[:len(f.both):len(f.both)], d.own...) {
			set(d.link)
		}
		if l := *d.link; (l.QueueTime > 0 || l.QueueBytes > 0) && l.Rate == 0 {
			return up, down, usagef("-queue does nothing without -rate in the same direction")
		} else if l.ReorderDelay > 0 && l.Reorder == 0 {
			return up, down, usagef("-reorder-delay does nothing without -reorder in the same direction")
		}
	}
	return up, down, nil
}

func parseTime(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("want a time such as 40ms or 1.5s")
	}
	return d, nil
}

// parseShare reads 2% or 0.02.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	v, err := strconv.ParseFloat(number, 64)
	if percent {
		v /= 100
	}
	if err != nil || !(v >= 0 && v <= 1) {
		return 0, errors.New("want a share such as 2% or 0.02, at most 100%")
	}
	return v, nil
}

// parseBurst reads 5%/8.
func parseBurst(s string) (simnet.BurstLoss, error) {
	first, second, _ := strings.Cut(s, "/")
	share, err := parseShare(first)
	packets, err2 := strconv.ParseFloat(second, 64)
	if err != nil || err2 != nil || !(packets >= 1 && packets <= 1e6) {
		return simnet.BurstLoss{}, errors.New("want a share and how many packets are lost in a row, such as 5%/8")
	}
	return simnet.Bursts(share, packets), nil
}

// parseRate reads 64000, 500k or 2M.
func parseRate(s string) (int64, error) {
	number, unit := s, 1.0
	for suffix, u := range map[string]float64{"k": 1e3, "M": 1e6, "G": 1e9} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = n, u
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if v = math.Round(v * unit); err != nil || !(v >= 1 && v <= 1e12) {
		return 0, errors.New("want bits per second, such as 64000, 500k or 2M")
	}
	return int64(v), nil
}

// parseQueue reads a time or a number of bytes.
func parseQueue(s string) (bytes int, wait time.Duration, err error) {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil && n > 0 {
		return int(n), 0, nil
	}
	if d, err := time.ParseDuration(s); err == nil && d > 0 {
		return 0, d, nil
	}
	return 0, 0, errors.New("want a time such as 150ms or a number of bytes such as 30000")
}

// An outage is a network that is away for so long, every so often.
type outage struct{ long, every time.Duration }

// parseOutage reads 3s/30s.
func parseOutage(s string) (outage, error) {
	first, second, _ := strings.Cut(s, "/")
	long, err := time.ParseDuration(first)
	every, err2 := time.ParseDuration(second)
	if err != nil || err2 != nil || long <= 0 || every <= long {
		return outage{}, errors.New("want how long and how often, such as 3s/30s")
	}
	return outage{long, every}, nil
}

// describe puts a link into words.
func describe(l simnet.Link) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if l.Delay > 0 || l.Jitter > 0 {
		add("%v delay and up to %v more", l.Delay, l.Jitter)
	}
	if l.Loss > 0 {
		add("%.3g %% lost", 100*l.Loss)
	}
	if b := l.Burst; b.Enter > 0 {
		share, packets := 1.0, math.Inf(1)
		if b.Leave > 0 {
			share, packets = b.Enter/(b.Enter+b.Leave), 1/b.Leave
		}
		add("%.3g %% lost, %.3g in a row", 100*share, packets)
	}
	if l.Reorder > 0 {
		add("%.3g %% reordered", 100*l.Reorder)
	}
	if l.Duplicate > 0 {
		add("%.3g %% doubled", 100*l.Duplicate)
	}
	if l.Rate > 0 {
		queue := "250ms"
		if l.QueueTime > 0 {
			queue = l.QueueTime.String()
		} else if l.QueueBytes > 0 {
			queue = fmt.Sprintf("%d bytes", l.QueueBytes)
		}
		add("%g kbit/s with a queue of %s", float64(l.Rate)/1e3, queue)
	}
	if l.MTU > 0 {
		add("packets of at most %d bytes", l.MTU)
	}
	if len(parts) == 0 {
		return "perfect"
	}
	return strings.Join(parts, ", ")
}
