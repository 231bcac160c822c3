// Command game-server is a small authoritative game server with voice: a world
// at 30 ticks a second in which bots walk about and talk, and each hears those
// near them, from where they stand.
//
//	go run ./examples/game-server -web localhost:8080
//
// serves a page: open it, walk in with the arrow keys, listen, and talk. Two
// windows are two people. Without a page, and for ten seconds:
//
//	go run ./examples/game-server -for 10s
//
// voice.go is all that voice takes in the server, page/voice.js in the page.
// Other clients sign in over QUIC at -addr; the bots are clients inside the
// process, with recorded voices.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"time"
)

func main() {
	var cfg config
	flag.StringVar(&cfg.addr, "addr", "localhost:4433", "UDP `address` for players; empty for none but the bots")
	flag.StringVar(&cfg.web, "web", "", "serve a page to walk in and listen on this TCP `address`, such as localhost:8080 (default none)")
	flag.IntVar(&cfg.bots, "bots", 20, "how many bots walk about; every third talks")
	flag.Float64Var(&cfg.side, "side", 60, "how long and wide the world is, in metres")
	flag.Float64Var(&cfg.hearing, "range", 15, "from how far players hear each other, in metres")
	flag.Float64Var(&cfg.speed, "speed", 2, "how fast bots walk, in metres a second")
	flag.DurationVar(&cfg.length, "for", 0, "how long to run; 0 is until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cfg, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

type config struct {
	addr, web            string
	bots                 int
	side, hearing, speed float64
	length               time.Duration
}

func run(ctx context.Context, cfg config, out io.Writer) error {
	if cfg.length > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, cfg.length)
		defer stop()
	}
	game := newGame(cfg)
	page, err := openPage(cfg, game)
	if err != nil {
		return err
	}
	defer page.close()
	game.voice, err = startVoice(cfg.addr, float32(cfg.hearing), game.signIn, page.origins()...)
	if err != nil {
		return err
	}
	defer game.voice.srv.Close()
	if cfg.addr != "" {
		fmt.Fprintf(out, "voice at %v, pin %x\n", game.voice.srv.Addr(), game.voice.srv.Pins()[0])
	}
	for i := range cfg.bots {
		p, err := game.login(fmt.Sprintf("bot%d", i), game.anywhere())
		if err != nil {
			return err
		}
		if p.ear, err = newBot(ctx, game.voice.srv, p.name, p.ticket, i); err != nil {
			return err
		}
		defer p.ear.close()
	}
	if page != nil {
		if err := page.serve(); err != nil {
			return err
		}
		fmt.Fprintf(out, "Walk in at %s/\n", page.origins()[0])
	}

	tick := time.NewTicker(time.Second / ticks)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			game.report(out)
			return nil
		case <-tick.C:
		}
		if err := game.tick(); err != nil {
			return err
		}
		if n%(ticks*5) == 0 {
			game.report(out)
		}
	}
}

// checkWeb looks at the addresses for a page.
func (cfg config) checkWeb(host string) error {
	switch {
	case cfg.addr == "":
		return errors.New("-web needs -addr: a page has its voice over UDP")
	case host != "localhost" && host != "127.0.0.1" && host != "::1":
		return fmt.Errorf("-web %s: browsers give the microphone to pages on this machine, such as localhost:8080, and at https addresses only", cfg.web)
	}
	return nil
}
