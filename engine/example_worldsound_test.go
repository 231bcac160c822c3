package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// recorded is a sound of the game's: yours is a file, mediafile.OpenAudio("bell.ogg",
// mediafile.Options{Loop: true}), PCM, or a function that makes it.
func recorded(voice string) engine.OpusSource {
	return audio.NewPacketSource(speech.Packets(voice), true)
}

// A world has sounds of its own, beside its players' voices.
func ExampleServer_Play_world() {
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SignIn: anyone})
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve()
	defer srv.Close()
	village, err := srv.NewWorld(engine.WorldConfig{ID: "village", Range: 30})
	if err != nil {
		log.Fatal(err)
	}
	village.Join(engine.Player{UserID: "bard"}, engine.Player{UserID: "hero", Position: mixer.Vector{60, 0, 0}})
	ctx := context.Background()
	for _, user := range []string{"bard", "hero"} {
		c, err := engine.Dial(ctx, engine.ClientConfig{Dialer: srv.Pipe(), UserID: user, UserSig: "-"})
		if err != nil {
			log.Fatal(err)
		}
		defer c.Destroy()
	}

	for _, sound := range []engine.PlayConfig{
		// README:begin
		{UserID: "bell", Opus: recorded("carol"), At: &mixer.Vector{10, 0, 0}, Range: 80},
		{UserID: "lute", Opus: recorded("dave"), On: "bard", Category: audience.Music},
		{UserID: "hint", Opus: recorded("erin"), To: []string{"hero"}},
		// README:end
	} {
		sound.CallID = village.ID()
		if _, err := srv.Play(ctx, sound); err != nil {
			log.Fatal(err)
		}
		fmt.Println(sound.UserID, "bard:", village.Hears("bard", sound.UserID), "hero:", village.Hears("hero", sound.UserID))
	}
	village.Move([]engine.Placement{{UserID: "bard", Position: mixer.Vector{50, 0, 0}}})
	fmt.Println("lute", "hero:", village.Hears("hero", "lute"))
	village.SetCategoryVolume(audience.Music, 0, "hero")
	fmt.Println("lute", "hero:", village.Hears("hero", "lute"))
	// Output:
	// bell bard: near hero: near
	// lute bard: near hero: nothing
	// hint bard: nothing hero: broadcast
	// lute hero: near
	// lute hero: nothing
}
