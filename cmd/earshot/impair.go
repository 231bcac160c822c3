package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/transport/simnet"
)

const impairHelp = `Usage: earshot impair [-listen 127.0.0.1:4434] [-to 127.0.0.1:4433] [flags]

A bad network for UDP: what comes to -listen goes on to -to, and the answers
come back: late, lost or out of order, as the flags have it. Point a client at
it instead of at the server. Each client has a line of its own, and the server
sees each at a port of its own.

  earshot impair -delay 40ms -jitter 10ms -loss 2%
  earshot impair -rate 2M -queue 150ms -burst 5%/8
  earshot impair -preset train -up-rate 500k -rebind 20s

Without flags the network is perfect. -delay and the like are for both
directions, -up-delay for packets to the server, -down-delay for those to
clients. They win over -preset, which has typical values, not measured ones:

` + presetHelp + `
It runs until Ctrl-C or for -for, and says at the end, or every -stats, what
became of the packets. With -json it prints one JSON object a line, the first
when it is ready, and nothing else:

  listen, to        the addresses
  at_s              how long it has run
  clients, refused  how many there are; packets of those beyond -clients
  up, down          sent, delivered, duplicated, reordered, under_way, and
                    dropped, by reason
`

// impairFlags are the command's flags.
type impairFlags struct {
	links                   linkFlags
	listen, to              string
	duration, every, rebind time.Duration
	away                    outage
	clients                 int
	seed                    uint64
	asJSON                  bool
}

func (f *impairFlags) define(fs *flag.FlagSet) {
	f.links.define(fs)
	fs.StringVar(&f.listen, "listen", "127.0.0.1:4434", "the UDP `address` for clients, host:port; without a host on all")
	fs.StringVar(&f.to, "to", "127.0.0.1:4433", "the server's UDP `address`, host:port")
	fs.DurationVar(&f.duration, "for", 0, "stop after so `long` (default: at Ctrl-C)")
	fs.DurationVar(&f.every, "stats", 0, "print statistics every so `often` (default: at the end)")
	fs.DurationVar(&f.rebind, "rebind", 0, "give all clients other ports every so `often`, as a NAT does that forgets them (default never)")
	fs.Func("outage", "`LONG/OFTEN`: lose everything for so long every so often, such as 3s/30s (default never)", func(s string) (err error) {
		f.away, err = parseOutage(s)
		return err
	})
	fs.IntVar(&f.clients, "clients", 256, "how many clients there may be at a time")
	fs.Uint64Var(&f.seed, "seed", 0, "with the same `number` the same packets of a client are lost")
	fs.BoolVar(&f.asJSON, "json", false, "print one JSON object a line and nothing else")
}

func (f *impairFlags) check() error {
	for _, a := range []struct{ name, addr string }{{"-listen", f.listen}, {"-to", f.to}} {
		if err := checkAddr(a.addr); err != nil {
			return usagef("%s: %w", a.name, err)
		}
	}
	if host, port, _ := net.SplitHostPort(f.to); host == "" || port == "0" {
		return usagef("-to %s: it must have a host and a port, such as 127.0.0.1:4433", f.to)
	}
	if f.to == f.listen {
		return usagef("-to %s: it must be another address than -listen", f.to)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"-for", f.duration}, {"-stats", f.every}, {"-rebind", f.rebind}} {
		if d.value < 0 {
			return usagef("%s %v: it must not be negative", d.name, d.value)
		}
	}
	if f.clients < 1 {
		return usagef("-clients %d: it must be 1 or more", f.clients)
	}
	return nil
}

func runImpair(ctx context.Context, fs *flag.FlagSet, args []string, con console) error {
	var f impairFlags
	f.define(fs)
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	up, down, err := f.links.links()
	if err != nil {
		return err
	}
	relay, err := simnet.NewRelay(simnet.RelayConfig{
		Listen: f.listen, Target: f.to, Up: up, Down: down, Seed: f.seed, MaxClients: f.clients,
	})
	if err != nil {
		return fmt.Errorf("cannot relay from %s to %s: %w", f.listen, f.to, err)
	}
	defer relay.Close()
	w := impairWriter{w: con.out, asJSON: f.asJSON, relay: relay, to: f.to, start: time.Now()}
	if f.asJSON {
		err = w.print()
	} else {
		_, err = fmt.Fprintf(con.out, "What comes to %v goes on to %s.\n  up    %s\n  down  %s\n",
			relay.Addr(), f.to, describe(up), describe(down))
	}
	if err != nil {
		return err
	}
	if err := f.watch(ctx, relay, w.print); err != nil {
		return err
	}
	return w.print()
}

// watch does what is due now and then, until the end.
func (f *impairFlags) watch(ctx context.Context, relay *simnet.Relay, stats func() error) (err error) {
	if f.duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	statsDue, stop := ticker(f.every)
	defer stop()
	rebindDue, stop := ticker(f.rebind)
	defer stop()
	outageDue, stop := ticker(f.away.every)
	defer stop()
	var outageOver <-chan time.Time
	setDown := func(lost bool) error {
		up, down := relay.Links()
		up.Down, down.Down = lost, lost
		return relay.SetLinks(up, down)
	}
	for ctx.Err() == nil && err == nil {
		select {
		case <-ctx.Done():
		case <-statsDue:
			err = stats()
		case <-rebindDue:
			err = relay.Rebind()
		case <-outageDue:
			err, outageOver = setDown(true), time.After(f.away.long)
		case <-outageOver:
			err = setDown(false)
		}
	}
	return err
}

// ticker is a time.Ticker that never ticks for 0.
func ticker(d time.Duration) (ticks <-chan time.Time, stop func()) {
	if d == 0 {
		return nil, func() {}
	}
	t := time.NewTicker(d)
	return t.C, t.Stop
}

// impairWriter prints what became of the packets.
type impairWriter struct {
	w      io.Writer
	asJSON bool
	relay  *simnet.Relay
	to     string
	start  time.Time
}

// directionReport is one direction in -json.
type directionReport struct {
	Sent       uint64            `json:"sent"`
	Delivered  uint64            `json:"delivered"`
	Duplicated uint64            `json:"duplicated"`
	Reordered  uint64            `json:"reordered"`
	UnderWay   int               `json:"under_way"`
	Dropped    map[string]uint64 `json:"dropped"`
}

// impairReport is what -json prints.
type impairReport struct {
	Listen  string          `json:"listen"`
	To      string          `json:"to"`
	At      float64         `json:"at_s"`
	Clients int             `json:"clients"`
	Refused uint64          `json:"refused"`
	Up      directionReport `json:"up"`
	Down    directionReport `json:"down"`
}

func (w impairWriter) print() error {
	s, at := w.relay.Stats(), time.Since(w.start)
	if w.asJSON {
		return json.NewEncoder(w.w).Encode(impairReport{
			Listen: w.relay.Addr().String(), To: w.to, At: at.Seconds(), Clients: s.Clients, Refused: s.Refused,
			Up: reportOf(s.Up), Down: reportOf(s.Down),
		})
	}
	_, err := fmt.Fprintf(w.w, "%7.1f s  up   %s\n           down %s\n", at.Seconds(), inWords(s.Up), inWords(s.Down))
	if err == nil && s.Refused > 0 {
		_, err = fmt.Fprintf(w.w, "           %d packets of clients beyond -clients dropped\n", s.Refused)
	}
	return err
}

func reportOf(s simnet.Stats) directionReport {
	r := directionReport{
		Sent: s.Sent, Delivered: s.Delivered, Duplicated: s.Duplicated, Reordered: s.Reordered, UnderWay: s.UnderWay,
		Dropped: map[string]uint64{},
	}
	for reason, n := range s.Dropped {
		if n > 0 {
			r.Dropped[simnet.DropReason(reason).String()] = n
		}
	}
	return r
}

func inWords(s simnet.Stats) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d packets came, %d went on", s.Sent, s.Delivered)
	for _, c := range []struct {
		n    uint64
		what string
	}{{s.Duplicated, "doubled"}, {s.Reordered, "reordered"}, {uint64(s.UnderWay), "under way"}} {
		if c.n > 0 {
			fmt.Fprintf(&b, ", %d %s", c.n, c.what)
		}
	}
	if n := s.DroppedTotal(); n > 0 {
		var reasons []string
		for reason, n := range s.Dropped {
			if n > 0 {
				reasons = append(reasons, fmt.Sprintf("%v %d", simnet.DropReason(reason), n))
			}
		}
		fmt.Fprintf(&b, ", %d dropped (%s)", n, strings.Join(reasons, ", "))
	}
	return b.String()
}
