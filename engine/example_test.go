package engine_test

import (
	"context"
	"fmt"
	"log"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

// bobsPhone answers every call.
type bobsPhone struct {
	hooks.NopListener
	client *engine.Client
	begun  chan hooks.CallInfo
}

func (p *bobsPhone) OnInvited(inv hooks.Invitation) {
	fmt.Println(inv.Sponsor, "calls")
	if err := p.client.Accept(context.Background()); err != nil {
		log.Println(err)
	}
}

func (p *bobsPhone) OnCallBegin(call hooks.CallInfo) { p.begun <- call }

// A server and two of its clients in one process, without a socket. Over a
// network a client has Addr, and Pin or RootCAs, instead of Dialer.
func Example() {
	const app, key = 1, "known to the server alone"
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SDKAppID: app, Key: key})
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve()
	defer srv.Close()

	ctx := context.Background()
	dial := func(user string, l hooks.Listener) *engine.Client {
		sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: user})
		if err != nil {
			log.Fatal(err)
		}
		c, err := engine.Dial(ctx, engine.ClientConfig{Dialer: srv.Pipe(), SDKAppID: app, UserID: user, UserSig: sig, Listener: l})
		if err != nil {
			log.Fatal(err)
		}
		return c
	}
	bob := &bobsPhone{begun: make(chan hooks.CallInfo, 1)}
	bob.client = dial("bob", bob)
	defer bob.client.Destroy()
	alice := dial("alice", nil)
	defer alice.Destroy()

	if err := alice.Call(ctx, "bob", hooks.MediaAudio); err != nil {
		log.Fatal(err)
	}
	call := <-bob.begun
	fmt.Println("an", call.Media, "call by", call.Inviter)
	// Output:
	// alice calls
	// an audio call by alice
}
