// Command game-server is a small authoritative game server with voice: a world
// at 30 ticks a second in which bots walk about and talk, and each hears those
// near them, from where they stand.
//
//	go run ./examples/game-server -bots 20 -for 10s
//
// Real players sign in over QUIC at -addr; the bots are clients inside the
// process, with recorded voices.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

func main() {
	var cfg config
	flag.StringVar(&cfg.addr, "addr", "localhost:4433", "UDP `address` for players; empty for none but the bots")
	flag.IntVar(&cfg.bots, "bots", 20, "how many bots walk about")
	flag.Float64Var(&cfg.side, "side", 60, "how long and wide the world is, in metres")
	flag.Float64Var(&cfg.hearing, "range", 15, "from how far players hear each other, in metres")
	flag.DurationVar(&cfg.length, "for", 0, "how long to run; 0 is until interrupted")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, cfg, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

type config struct {
	addr          string
	bots          int
	side, hearing float64
	length        time.Duration
}

func run(ctx context.Context, cfg config, out io.Writer) error {
	if cfg.length > 0 {
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, cfg.length)
		defer stop()
	}
	game := newGame(cfg)
	voice, err := startVoice(cfg.addr, float32(cfg.hearing), game.signIn)
	if err != nil {
		return err
	}
	defer voice.srv.Close()
	if cfg.addr != "" {
		fmt.Fprintf(out, "voice at %v, pin %x\n", voice.srv.Addr(), voice.srv.Pins()[0])
	}
	// The game's own login gives out a ticket; a player's client shows it.
	for i := range cfg.bots {
		ticket := game.login(fmt.Sprintf("bot%d", i))
		bot, err := newBot(ctx, voice.srv, game.players[i].name, ticket, i)
		if err != nil {
			return err
		}
		defer bot.close()
		game.players[i].ear = bot
		if err := voice.enter(game.players[i]); err != nil {
			return err
		}
	}

	tick := time.NewTicker(time.Second / 30)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			game.report(out, voice)
			return nil
		case <-tick.C:
		}
		game.step()
		if err := voice.tick(game.players); err != nil {
			return err
		}
		if n%(30*5) == 0 {
			game.report(out, voice)
		}
	}
}

// A player is one of the game's, with what voice needs of them.
type player struct {
	name    string
	ticket  string
	at, way mixer.Vector
	ear     *bot
}

// A game is the world as the server has it: it decides.
type game struct {
	cfg     config
	players []*player
	dice    dice

	mu      sync.Mutex
	tickets map[string]string // by player
}

func newGame(cfg config) *game { return &game{cfg: cfg, tickets: make(map[string]string)} }

// login lets a player into the game.
func (g *game) login(name string) (ticket string) {
	var b [16]byte
	rand.Read(b[:])
	ticket = hex.EncodeToString(b[:])
	side := float32(g.cfg.side)
	g.mu.Lock()
	g.tickets[name] = ticket
	g.mu.Unlock()
	g.players = append(g.players, &player{name: name, ticket: ticket, at: mixer.Vector{g.dice.roll() * side, g.dice.roll() * side}})
	return ticket
}

// signIn is where a player's client shows the ticket of the game's login.
func (g *game) signIn(_ context.Context, req hooks.SignInRequest) (hooks.SignIn, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if ticket := g.tickets[req.UserID]; ticket == "" || ticket != req.UserSig {
		return hooks.SignIn{}, errors.New("log in to the game first")
	}
	return hooks.SignIn{}, nil
}

// step is one tick: everybody walks on, and seldom turns.
func (g *game) step() {
	const stride = 2.0 / 30 // metres
	for _, p := range g.players {
		if p.way == (mixer.Vector{}) || g.dice.roll() < 0.02 {
			p.way = direction(g.dice.roll())
		}
		for k := range 2 {
			p.at[k] += stride * p.way[k]
			if p.at[k] < 0 || p.at[k] > float32(g.cfg.side) {
				p.way[k] = -p.way[k]
			}
		}
	}
}

func (g *game) report(out io.Writer, v *voice) {
	st := v.world.Stats()
	var audible int
	for _, p := range g.players {
		if p.ear.hears() {
			audible++
		}
	}
	fmt.Fprintf(out, "%d players, %d talk and are heard %d times; %d of them hear somebody\n", st.Connected, st.Talkers, st.Voices, audible)
}
