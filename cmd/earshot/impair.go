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

func runImpair(ctx context.Context, fs *flag.FlagSet, args []string, con console) error {
	var links linkFlags
	links.define(fs)
	listen := fs.String("listen", "127.0.0.1:4434", "the UDP `address` for clients, host:port; without a host on all")
	to := fs.String("to", "127.0.0.1:4433", "the server's UDP `address`, host:port")
	duration := fs.Duration("for", 0, "stop after so `long` (default: at Ctrl-C)")
	every := fs.Duration("stats", 0, "print statistics every so `often` (default: at the end)")
	rebind := fs.Duration("rebind", 0, "give all clients other ports every so `often`, as a NAT does that forgets them (default never)")
	clients := fs.Int("clients", 256, "how many clients there may be at a time")
	seed := fs.Uint64("seed", 0, "with the same `number` the same packets of a client are lost")
	asJSON := fs.Bool("json", false, "print one JSON object a line and nothing else")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	up, down, err := links.links()
	if err != nil {
		return err
	}
	for _, a := range []struct{ name, addr string }{{"-listen", *listen}, {"-to", *to}} {
		if err := checkAddr(a.addr); err != nil {
			return usagef("%s: %w", a.name, err)
		}
	}
	if host, port, _ := net.SplitHostPort(*to); host == "" || port == "0" {
		return usagef("-to %s: it must have a host and a port, such as 127.0.0.1:4433", *to)
	}
	if *to == *listen {
		return usagef("-to %s: it must be another address than -listen", *to)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{{"-for", *duration}, {"-stats", *every}, {"-rebind", *rebind}} {
		if d.value < 0 {
			return usagef("%s %v: it must not be negative", d.name, d.value)
		}
	}
	if *clients < 1 {
		return usagef("-clients %d: it must be 1 or more", *clients)
	}
	relay, err := simnet.NewRelay(simnet.RelayConfig{
		Listen: *listen, Target: *to, Up: up, Down: down, Seed: *seed, MaxClients: *clients,
	})
	if err != nil {
		return fmt.Errorf("cannot relay from %s to %s: %w", *listen, *to, err)
	}
	defer relay.Close()
	w := impairWriter{w: con.out, relay: relay, to: *to, start: time.Now()}
	if w.asJSON = *asJSON; !w.asJSON {
		fmt.Fprintf(con.out, "What comes to %v goes on to %s.\n  up    %s\n  down  %s\n",
			relay.Addr(), *to, describe(up), describe(down))
	} else if err := w.print(); err != nil {
		return err
	}
	if err := watch(ctx, *duration, *every, *rebind, w.print, relay); err != nil {
		return err
	}
	return w.print()
}

// watch does what is due now and then, until the end.
func watch(ctx context.Context, duration, every, rebind time.Duration, stats func() error, relay *simnet.Relay) error {
	if duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, duration)
		defer cancel()
	}
	ticker := func(d time.Duration) (<-chan time.Time, func()) {
		if d == 0 {
			return nil, func() {}
		}
		t := time.NewTicker(d)
		return t.C, t.Stop
	}
	statsTick, stopStats := ticker(every)
	defer stopStats()
	rebindTick, stopRebind := ticker(rebind)
	defer stopRebind()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-statsTick:
			err = stats()
		case <-rebindTick:
			err = relay.Rebind()
		}
		if err != nil {
			return err
		}
	}
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
