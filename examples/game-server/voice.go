package main

import (
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// README:begin
type voice struct {
	srv   *engine.Server
	world *engine.World
	moves []engine.Placement
}

// startVoice starts a server on a UDP address, with a world in it; pages of these
// origins may connect.
func startVoice(addr string, metres float32, signIn hooks.SignInDecider, origins ...string) (v *voice, err error) {
	v = &voice{}
	cfg := engine.ServerConfig{Addr: addr, InProcess: addr == "", SignIn: signIn, AllowedOrigins: origins}
	if v.srv, err = engine.NewServer(cfg); err != nil {
		return nil, err
	}
	if v.world, err = v.srv.NewWorld(engine.WorldConfig{Range: metres}); err != nil {
		return nil, err
	}
	go v.srv.Serve()
	return v, v.srv.Listen()
}

// enter is for a player whom the game lets in; leave is v.world.Leave(p.name).
func (v *voice) enter(p *player) error {
	_, err := v.world.Join(engine.Player{UserID: p.name, Position: p.at})
	return err
}

// tick is for each turn of the game's loop.
func (v *voice) tick(players []*player) error {
	v.moves = v.moves[:0]
	for _, p := range players {
		v.moves = append(v.moves, engine.Placement{UserID: p.name, Position: p.at, Forward: p.look})
	}
	return v.world.Move(v.moves)
}

// README:end
