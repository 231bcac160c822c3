package engine_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

// A program with one user signs in at one place and calls at another.
func ExampleSharedInstance() {
	const app, key = 1, "known to the server alone"
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SDKAppID: app, Key: key})
	if err != nil {
		log.Fatal(err)
	}
	go srv.Serve()
	defer srv.Close()

	_, err = engine.SharedInstance()
	fmt.Println("before Init:", errors.Is(err, engine.ErrNotInit))

	ctx := context.Background()
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: "alice"})
	if err != nil {
		log.Fatal(err)
	}
	if _, err := engine.Init(ctx, engine.ClientConfig{Dialer: srv.Pipe(), SDKAppID: app, UserID: "alice", UserSig: sig}); err != nil {
		log.Fatal(err)
	}

	// Somewhere else:
	alice, err := engine.SharedInstance()
	if err != nil {
		log.Fatal(err)
	}
	defer alice.Destroy()
	err = alice.Call(ctx, "bob", hooks.MediaAudio, engine.CallOptions{Timeout: time.Minute})
	fmt.Println("alice calls bob:", err)
	// Output:
	// before Init: true
	// alice calls bob: <nil>
}
