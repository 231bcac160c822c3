// Command announcer plays announcements into a running call, from the server: a
// chime that the program makes up, to all, and then a file, to one player alone.
//
//	go run ./examples/announcer [announcement.ogg]
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

func main() {
	file := ""
	if len(os.Args) > 1 {
		file = os.Args[1]
	}
	if err := run(context.Background(), os.Stdout, file); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer, file string) error {
	srv, err := engine.NewServer(engine.ServerConfig{
		InProcess: true, // the players of this example are in this program
		SignIn:    anybody,
		Codec:     libopus.Driver{}, // for the chime; ready Opus needs none
	})
	if err != nil {
		return err
	}
	go srv.Serve()
	defer srv.Close()
	red, err := join(ctx, srv, "red")
	if err != nil {
		return err
	}
	defer red.client.Destroy()
	blue, err := join(ctx, srv, "blue")
	if err != nil {
		return err
	}
	defer blue.client.Destroy()
	if err := red.client.Call(ctx, "blue", hooks.MediaAudio); err != nil {
		return err
	}
	call := <-blue.invited
	if err := blue.client.Accept(ctx); err != nil {
		return err
	}

	// To all, from a function that the server asks for 20 ms at a time.
	chime, err := srv.Play(ctx, engine.PlayConfig{CallID: call, UserID: "announcer", Pull: bell()})
	if err != nil {
		return err
	}
	report(out, "the chime", chime, red, blue)

	// To one player, from a file, whose packets are passed on as they are.
	if file != "" {
		voice, err := mediafile.OpenAudio(file, mediafile.Options{})
		if err != nil {
			return err
		}
		defer voice.Close()
		order, err := srv.Play(ctx, engine.PlayConfig{CallID: call, UserID: "announcer", Opus: voice, To: []string{"blue"}})
		if err != nil {
			return err
		}
		report(out, "the order", order, red, blue)
	}
	return red.client.Hangup(ctx)
}

// report says who hears a sound, while it plays.
func report(out io.Writer, what string, sound *engine.Sound, players ...*player) {
	loudest := make([]float64, len(players))
	for i := range loudest {
		loudest[i] = mixer.Silence
	}
	block := make([]int16, 480)
	tick := time.NewTicker(10 * time.Millisecond) // as a sound card would
	defer tick.Stop()
	for playing := true; playing; {
		select {
		case <-tick.C:
			for i, p := range players {
				p.client.ReadPCM(block)
				loudest[i] = max(loudest[i], mixer.Level(block))
			}
		case <-sound.Done():
			playing = false
		}
	}
	if err := sound.Err(); err != nil {
		fmt.Fprintf(out, "%s failed: %v\n", what, err)
	}
	for i, p := range players {
		fmt.Fprintf(out, "%s hears %s: %v\n", p.client.UserID(), what, loudest[i] > -40)
	}
}

// bell is a second of a bell.
func bell() func(pcm []int16) error {
	n := 0
	return func(pcm []int16) error {
		if n >= 48000 {
			return io.EOF
		}
		for i := range pcm {
			t := float64(n) / 48000
			pcm[i] = int16(9000 * math.Exp(-4*t) * (math.Sin(2*math.Pi*880*t) + math.Sin(2*math.Pi*1320*t)))
			n++
		}
		return nil
	}
}

func anybody(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
	return hooks.SignIn{}, nil // yours asks the game's own sessions
}

// A player is one player's client.
type player struct {
	hooks.NopListener
	client  *engine.Client
	invited chan string
}

func (p *player) OnInvited(i hooks.Invitation) { p.invited <- i.CallID }

func join(ctx context.Context, srv *engine.Server, name string) (*player, error) {
	p := &player{invited: make(chan string, 1)}
	var err error
	p.client, err = engine.Dial(ctx, engine.ClientConfig{
		Dialer: srv.Pipe(), UserID: name, UserSig: "-", Codec: libopus.Driver{}, Listener: p,
	})
	return p, err
}
