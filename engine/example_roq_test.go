package engine_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"log"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/transport"
)

// An endpoint that speaks RTP over QUIC and nothing else is let into a call: the
// host knows it by the name that it dials, and says which flows it uses.
func Example_foreignEndpoint() {
	ringing := make(chan string, 1) // the call in which the radio rings
	radio := hooks.Plugin{
		Name: "radio",
		// The radio has no signalling; when it is called the host learns of it here.
		Push: func(_ context.Context, req hooks.PushRequest) error {
			ringing <- req.CallID
			return nil
		},
		AdmitRoQ: func(_ context.Context, req hooks.RoQRequest) (hooks.RoQAnswer, error) {
			if req.ServerName != "radio.test" { // better: look at req.Certificates
				return hooks.RoQAnswer{}, &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: "unknown"}
			}
			return hooks.RoQAnswer{
				UserID: "radio",
				CallID: <-ringing,
				Sends:  []hooks.RoQStream{{Flow: 1, PayloadType: 100}}, // Opus
				Audio:  &hooks.RoQReceive{Flow: 2, PayloadType: 100},   // everybody's Opus, on one flow
				Video:  &hooks.RoQReceive{Flow: 10, Flows: 4},          // up to four cameras, a flow each
			}, nil
		},
	}
	srv, err := engine.NewServer(engine.ServerConfig{
		Addr: "127.0.0.1:0", SDKAppID: 1, Key: "known to your server alone", Plugins: []hooks.Plugin{radio},
	})
	check(err)
	check(srv.Listen())
	go srv.Serve()
	defer srv.Close()

	sig, err := usersig.Sign("known to your server alone", usersig.Claims{SDKAppID: 1, UserID: "alice"})
	check(err)
	heard := make(chan string, 1)
	alice, err := engine.Dial(context.Background(), engine.ClientConfig{
		Dialer: srv.Pipe(), SDKAppID: 1, UserID: "alice", UserSig: sig, Listener: &available{heard: heard},
	})
	check(err)
	defer alice.Destroy()
	check(alice.Call(context.Background(), "radio", hooks.MediaAudio))

	// The radio: here with our dialer, but any implementation will do.
	pin := srv.Pins()[0]
	d := transport.RoQDialer{Pin: pin[:], TLSConfig: serverName("radio.test")}
	sess, err := d.Dial(context.Background(), srv.Addr().String())
	check(err)
	defer sess.Close()
	go func() {
		for i, opus := range speech.Packets("carol") {
			rtp := []byte{0x80, 100, byte(i >> 8), byte(i), 0, 0, 0, 0, 0, 0, 0, 42}
			binary.BigEndian.PutUint32(rtp[4:], uint32(960*i))
			if sess.Send(transport.Packet{Flow: 1, Payload: append(rtp, opus...)}) != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	fmt.Println("alice can hear", <-heard)
	// Output: alice can hear radio
}

// available is told whose sound can be heard.
type available struct {
	hooks.NopListener
	heard chan string
}

func (a *available) OnUserAudioAvailable(user string, yes bool) {
	if yes {
		a.heard <- user
	}
}

func serverName(name string) *tls.Config { return &tls.Config{ServerName: name} }

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
