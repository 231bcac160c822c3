package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

const (
	ticks   = 30               // a second
	haste   = 4                // how fast people walk, in metres a second
	absence = 10 * time.Second // for how long somebody's page may be away
	crowd   = 100              // players at most
)

// A player is one of the game's: a bot, or somebody with a page. The map has
// east at its right and south below.
type player struct {
	name   string
	ticket string
	at     mixer.Vector
	way    mixer.Vector // they walk: of length 1 at most
	look   mixer.Vector
	ear    *bot // of a bot

	// Of somebody with a page.
	goal  *mixer.Vector // where they walk by themselves, or nil
	pages int           // that show them the world now
	seen  time.Time     // when one last did
}

// A game is the world as the server has it: it decides.
type game struct {
	cfg   config
	voice *voice

	mu      sync.Mutex // guards what follows, and the players
	players []*player
	tickets map[string]*player
	dice    dice
}

func newGame(cfg config) *game { return &game{cfg: cfg, tickets: make(map[string]*player)} }

var errFull = errors.New("the place is full")

// login lets a player into the game, and gives them a ticket, which their
// client shows when it signs in for voice.
func (g *game) login(name string, at mixer.Vector) (*player, error) {
	var b [16]byte
	rand.Read(b[:])
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.players) >= crowd {
		return nil, errFull
	}
	// Who looks down on a map, north at the top, hears at the right what is there
	// at the right; bots look where they walk.
	p := &player{name: name, ticket: hex.EncodeToString(b[:]), at: at, look: mixer.Vector{0, -1}, seen: time.Now()}
	if err := g.voice.enter(p); err != nil {
		return nil, err
	}
	g.players = append(g.players, p)
	g.tickets[p.ticket] = p
	return p, nil
}

// middle is where people come in, and anywhere where bots do.
func (g *game) middle() mixer.Vector {
	return mixer.Vector{float32(g.cfg.side / 2), float32(g.cfg.side / 2)}
}

func (g *game) anywhere() mixer.Vector {
	side := float32(g.cfg.side)
	return mixer.Vector{g.dice.roll() * side, g.dice.roll() * side}
}

// signIn is where a player's client shows the ticket of the game's login.
func (g *game) signIn(_ context.Context, req hooks.SignInRequest) (hooks.SignIn, error) {
	if p := g.player(req.UserSig); p == nil || p.name != req.UserID {
		return hooks.SignIn{}, errors.New("log in to the game first")
	}
	return hooks.SignIn{}, nil
}

// player is the one with a ticket, or nil.
func (g *game) player(ticket string) *player {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tickets[ticket]
}

// tick is a turn of the game's loop: everybody walks on, and voice hears of it.
func (g *game) tick() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := len(g.players) - 1; i >= 0; i-- {
		p := g.players[i]
		switch {
		case p.ear != nil:
			g.wander(p)
		case p.pages == 0 && time.Since(p.seen) > absence:
			g.players = append(g.players[:i], g.players[i+1:]...)
			delete(g.tickets, p.ticket)
			if err := g.voice.world.Leave(p.name); err != nil {
				return err
			}
		default:
			g.walk(p)
		}
	}
	return g.voice.tick(g.players)
}

// wander moves a bot, which seldom turns.
func (g *game) wander(p *player) {
	if p.way == (mixer.Vector{}) || g.dice.roll() < 0.02 {
		p.way = direction(g.dice.roll())
	}
	for k := range 2 {
		p.at[k] += float32(g.cfg.speed) / ticks * p.way[k]
		if p.at[k] < 0 && p.way[k] < 0 || p.at[k] > float32(g.cfg.side) && p.way[k] > 0 {
			p.way[k] = -p.way[k]
		}
	}
	p.look = p.way
}

// walk moves somebody as they asked to.
func (g *game) walk(p *player) {
	way, stride := p.way, float32(haste)/ticks
	if p.goal != nil {
		x, y := p.goal[0]-p.at[0], p.goal[1]-p.at[1]
		d := float32(math.Hypot(float64(x), float64(y)))
		if d <= stride {
			p.at, p.goal = *p.goal, nil
			return
		}
		way = mixer.Vector{x / d, y / d}
	}
	for k := range 2 {
		p.at[k] = max(0, min(float32(g.cfg.side), p.at[k]+stride*way[k]))
	}
}

// An input is what a player's page asks for: a way to walk, of length 1 at most,
// or a place to walk to, in metres.
type input struct {
	Way *[2]float32 `json:"way"`
	To  *[2]float32 `json:"to"`
}

// steer takes an input; what is out of bounds is brought within.
func (g *game) steer(p *player, in input) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p.way, p.goal = mixer.Vector{}, nil
	switch {
	case in.To != nil:
		side := float32(g.cfg.side)
		p.goal = &mixer.Vector{max(0, min(side, in.To[0])), max(0, min(side, in.To[1]))}
	case in.Way != nil:
		x, y := max(-1, min(1, in.Way[0])), max(-1, min(1, in.Way[1]))
		d := max(1, float32(math.Hypot(float64(x), float64(y))))
		p.way = mixer.Vector{x / d, y / d}
	}
}

func (g *game) report(out io.Writer) {
	st := g.voice.world.Stats()
	g.mu.Lock()
	defer g.mu.Unlock()
	var audible int
	for _, p := range g.players {
		if p.ear != nil && p.ear.hears() {
			audible++
		}
	}
	fmt.Fprintf(out, "%d players, %d talk and are heard %d times; %d bots hear somebody\n", st.Connected, st.Talkers, st.Voices, audible)
}
