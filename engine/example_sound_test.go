package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"sync"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/speech"
)

// character is a listener of one of the game's own characters.
type character struct {
	hooks.NopListener
	client  *engine.Client
	invited chan hooks.Invitation
	speaks  chan string // who can be heard
}

func (c *character) OnInvited(i hooks.Invitation) { c.invited <- i }
func (c *character) OnUserAudioAvailable(user string, yes bool) {
	if yes {
		c.speaks <- user
	}
}

func npc(ctx context.Context, srv *engine.Server, name string, voice engine.OpusSource) *character {
	c := &character{invited: make(chan hooks.Invitation, 1), speaks: make(chan string, 1)}
	var err error
	c.client, err = engine.Dial(ctx, engine.ClientConfig{
		Dialer: srv.Pipe(), UserID: name, UserSig: "-", Listener: c, OpusMicrophone: voice,
	})
	if err != nil {
		log.Fatal(err)
	}
	return c
}

// A character of the game's own is a client inside the server's process, with no
// socket: it is called, answers, speaks, and could listen with ReadPCM, as a
// player does.
func ExampleServer_Pipe() {
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SignIn: anyone})
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve()
	defer srv.Close()
	ctx := context.Background()

	file := bytes.NewReader(speech.Ogg("erin")) // yours: mediafile.OpenAudio("oracle.ogg", …)
	voice, err := mediafile.NewAudio(file, mediafile.Options{Loop: true})
	if err != nil {
		log.Fatal(err)
	}
	oracle, hero := npc(ctx, srv, "oracle", voice), npc(ctx, srv, "hero", nil)
	defer oracle.client.Destroy()
	defer hero.client.Destroy()

	if err := hero.client.Call(ctx, "oracle", hooks.MediaAudio); err != nil {
		log.Fatal(err)
	}
	fmt.Println((<-oracle.invited).Sponsor, "asks the oracle")
	if err := oracle.client.Accept(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println("the hero hears", <-hero.speaks)
	// Output:
	// hero asks the oracle
	// the hero hears oracle
}

func anyone(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil }

// The server whispers to one user, and a tap hears what everybody says: here the
// whisper.
func ExampleServer_Play() {
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SignIn: anyone, Codec: pionopus.Driver{}})
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve()
	defer srv.Close()
	ctx := context.Background()
	red, blue := npc(ctx, srv, "red", nil), npc(ctx, srv, "blue", nil)
	defer red.client.Destroy()
	defer blue.client.Destroy()
	if err := red.client.Call(ctx, "blue", hooks.MediaAudio); err != nil {
		log.Fatal(err)
	}
	call := (<-blue.invited).CallID
	if err := blue.client.Accept(ctx); err != nil {
		log.Fatal(err)
	}

	var once sync.Once
	heard := make(chan string, 1)
	tap, err := srv.TapTalker(call, "", func(s hooks.TapSound) { once.Do(func() { heard <- s.UserID }) })
	if err != nil {
		log.Fatal(err)
	}
	voice, err := mediafile.NewAudio(bytes.NewReader(speech.Ogg("carol")), mediafile.Options{})
	if err != nil {
		log.Fatal(err)
	}
	whisper, err := srv.Play(ctx, engine.PlayConfig{CallID: call, UserID: "narrator", Opus: voice, To: []string{"blue"}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("blue hears", <-blue.speaks)
	fmt.Println("the tap hears", <-heard)
	whisper.Stop()
	<-whisper.Done()
	fmt.Println("it ended:", whisper.Err())
	tap.Close()
	<-tap.Done()
	// Output:
	// blue hears narrator
	// the tap hears narrator
	// it ended: <nil>
}
