package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

const (
	app = 1400000000
	key = "a key for benchmarks only"
)

// house is a server with its users.
type house struct {
	place
	srv    *engine.Server
	served chan error
	users  []*user
}

// newHouse starts a server.
func newHouse(p place) (*house, error) {
	conn, err := p.listen()
	if err != nil {
		return nil, err
	}
	srv, err := engine.NewServer(engine.ServerConfig{Conn: conn, SDKAppID: app, Key: key})
	if err != nil {
		conn.Close()
		return nil, err
	}
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	h := &house{place: p, srv: srv, served: make(chan error, 1)}
	go func() { h.served <- srv.Serve() }()
	return h, nil
}

// close ends everything, and returns when it has ended.
func (h *house) close() {
	for _, u := range h.users {
		u.Destroy()
		<-u.Done()
	}
	h.srv.Close()
	<-h.served
	h.place.close()
}

// user is a client, and what it was told.
type user struct {
	*engine.Client
	*told
}

// told is a listener that passes on what a caller waits for.
type told struct {
	hooks.NopListener
	invited, begun, filmed, ended chan struct{}
}

func (t *told) OnInvited(hooks.Invitation) { signal(t.invited) }
func (t *told) OnCallBegin(hooks.CallInfo) { signal(t.begun) }
func (t *told) OnUserVideoAvailable(_ string, yes bool) {
	if yes {
		signal(t.filmed)
	}
}
func (t *told) OnCallEnd(hooks.CallInfo, hooks.EndReason, time.Duration) { signal(t.ended) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// errEnded: the call ended before it was measured.
var errEnded = errors.New("network: the call ended")

// wait waits until something was told.
func (u *user) wait(ctx context.Context, what string, c chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-u.ended:
		return fmt.Errorf("%w: %s waited until %s", errEnded, u.UserID(), what)
	case <-ctx.Done():
		return fmt.Errorf("network: %s was not %s: %w", u.UserID(), what, ctx.Err())
	}
}

// signIn signs a user in. mic may be nil.
func (h *house) signIn(ctx context.Context, name string, p Path, driver codec.Driver, mic engine.PCMSource) (*user, error) {
	addr, open, err := h.connect(name, p)
	if err != nil {
		return nil, err
	}
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: name, Issued: time.Now(), Lifetime: time.Hour})
	if err != nil {
		return nil, err
	}
	pin := h.srv.Pins()[0]
	u := &user{told: &told{
		invited: make(chan struct{}, 1), begun: make(chan struct{}, 1), filmed: make(chan struct{}, 1), ended: make(chan struct{}, 1),
	}}
	u.Client, err = engine.Dial(ctx, engine.ClientConfig{
		Addr: addr, Dialer: &transport.QUICDialer{Pin: pin[:], Conn: open}, SDKAppID: app, UserID: name, UserSig: sig,
		Codec: driver, Microphone: mic, Listener: u.told,
		// As a game would that expects bad networks.
		Encoder: codec.EncoderConfig{Signal: codec.SignalVoice, FEC: true, PacketLoss: 10},
	})
	if err != nil {
		return nil, err
	}
	h.users = append(h.users, u)
	return u, nil
}

// accept takes the call that rings.
func (u *user) accept(ctx context.Context) error {
	if err := u.wait(ctx, "invited", u.invited); err != nil {
		return err
	}
	return u.Accept(ctx)
}
