package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// A game server puts its players into a world, and says where they are.
func ExampleWorld() {
	srv, err := engine.NewServer(engine.ServerConfig{
		InProcess: true, // yours has an Addr
		SignIn: func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
			return hooks.SignIn{}, nil // yours asks the game's own sessions
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve()
	defer srv.Close()

	village, err := srv.NewWorld(engine.WorldConfig{Range: 30}) // metres
	if err != nil {
		log.Fatal(err)
	}
	players, err := village.Join(
		engine.Player{UserID: "bard"},
		engine.Player{UserID: "hero", Position: mixer.Vector{100, 0, 0}},
	)
	if err != nil {
		log.Fatal(err)
	}
	for _, user := range []string{"bard", "hero"} { // in your players' programs
		c, err := engine.Dial(context.Background(), engine.ClientConfig{Dialer: srv.Pipe(), UserID: user, UserSig: "-"})
		if err != nil {
			log.Fatal(err)
		}
		defer c.Destroy()
	}

	fmt.Println("100 m away:", village.Hears("hero", "bard"))
	village.Move([]engine.Placement{{Player: players[1], Position: mixer.Vector{10, 0, 0}}}) // each tick
	fmt.Println("10 m away:", village.Hears("hero", "bard"))
	village.SetTeam("red", "hero", "bard")
	fmt.Println("in a team:", village.Hears("hero", "bard"))
	village.SetMute(audience.MutedByModerator, true, "bard")
	fmt.Println("muted:", village.Hears("hero", "bard"))
	// Output:
	// 100 m away: nothing
	// 10 m away: near
	// in a team: team
	// muted: nothing
}
