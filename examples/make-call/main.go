package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"log"
	"math"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	appID = 1
	key   = "known to your server alone"
)

func main() {
	// The server: in your game server, or anywhere.
	srv, err := engine.NewServer(engine.ServerConfig{Addr: "localhost:0", SDKAppID: appID, Key: key})
	check(err)
	check(srv.Listen())
	go srv.Serve()
	defer srv.Close()

	// Two clients; yours would be in other processes.
	alice, bob := signIn(srv, "alice"), signIn(srv, "bob")
	defer alice.client.Destroy()
	defer bob.client.Destroy()

	ctx := context.Background()
	check(alice.client.Call(ctx, "bob", hooks.MediaAudio))
	fmt.Println(<-bob.invited, "calls bob")
	check(bob.client.Accept(ctx))
	<-alice.begun

	// Bob listens for a second, 10 ms at a time, as a sound card would.
	var loudest int16
	block := make([]int16, 480)
	tick := time.NewTicker(10 * time.Millisecond)
	for range 100 {
		<-tick.C
		bob.client.ReadPCM(block)
		for _, v := range block {
			loudest = max(loudest, v)
		}
	}
	fmt.Println("bob hears a sound:", loudest > 1000)
	check(alice.client.Hangup(ctx))
	fmt.Println("the call ended by", <-bob.ended)
}

// phone is told what happens to one client's calls.
type phone struct {
	hooks.NopListener
	client  *engine.Client
	invited chan string
	begun   chan bool
	ended   chan hooks.EndReason
}

func (p *phone) OnInvited(inv hooks.Invitation)                                   { p.invited <- inv.Sponsor }
func (p *phone) OnCallBegin(hooks.CallInfo)                                       { p.begun <- true }
func (p *phone) OnCallEnd(_ hooks.CallInfo, why hooks.EndReason, _ time.Duration) { p.ended <- why }

func signIn(srv *engine.Server, user string) *phone {
	p := &phone{invited: make(chan string, 1), begun: make(chan bool, 1), ended: make(chan hooks.EndReason, 1)}
	// Only who has the key can make a UserSig: your server, after its own login.
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: appID, UserID: user})
	check(err)
	pin := srv.Pins()[0]
	p.client, err = engine.Dial(context.Background(), engine.ClientConfig{
		Addr: srv.Addr().String(), Pin: hex.EncodeToString(pin[:]),
		SDKAppID: appID, UserID: user, UserSig: sig,
		Codec: libopus.Driver{}, Microphone: &tone{}, Listener: p,
	})
	check(err)
	return p
}

// tone is a microphone that hears 440 Hz.
type tone struct {
	tick *time.Ticker
	n    int
}

func (t *tone) ReadPCM(ctx context.Context, pcm []int16) error {
	if t.tick == nil {
		t.tick = time.NewTicker(20 * time.Millisecond) // len(pcm) is 960
	}
	select {
	case <-t.tick.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(t.n)/48000))
		t.n++
	}
	return nil
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
