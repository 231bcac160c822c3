package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/mediafile"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/termview"
)

// A phone is a client with the terminal as its view: it calls somebody, and is
// over with that call, or waits to be called until the user quits.
type phone struct {
	hooks.NopListener
	callee string // empty for a phone that waits
	auto   bool   // it answers by itself
	view   *termview.View
	cam    *mediafile.Video // nil: no picture is sent
	tape   *tape            // nil: nothing is recorded

	client  *engine.Client
	ready   chan struct{} // closed when client is set
	talking atomic.Bool   // in a call that was answered
	over    chan struct{} // closed when the call of one's own is over
	once    sync.Once

	mu     sync.Mutex
	failed error // why that call came to nothing
}

// patience is how long the server may take to answer a call of one's own.
const patience = 5 * time.Second

func newPhone(user, callee string, con console) *phone {
	p := &phone{callee: callee, ready: make(chan struct{}), over: make(chan struct{})}
	cfg := termview.Config{
		UserID: user, Out: con.out, Size: terminalSize(con.out), Explain: explain,
		Accept: func(ctx context.Context) error { return p.client.Accept(ctx) },
		Reject: func(ctx context.Context) error { return p.client.Reject(ctx) },
		Ignore: func(ctx context.Context) error { return p.client.Ignore(ctx) },
		Hangup: func(ctx context.Context) error { return p.client.Hangup(ctx) },
		Mute:   func(ctx context.Context, muted bool) error { return p.client.SetMicMute(ctx, muted) },
		Invite: func(ctx context.Context, users []string) error { return p.client.InviteUser(ctx, users) },
	}
	if callee == "" {
		cfg.Idle = "Waiting for a call; q quits."
	}
	p.view = termview.New(cfg)
	return p
}

// run shows what happens until the user quits, or the call of one's own is
// over.
func (p *phone) run(ctx context.Context, client *engine.Client, server string, keys <-chan string) error {
	p.client = client
	close(p.ready)
	p.view.Printf("Signed in at %s as %s.", server, client.UserID())
	if p.callee != "" {
		dialCtx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := client.Call(dialCtx, p.callee, p.media()); err != nil {
			return fmt.Errorf("cannot call %s: %w", p.callee, err)
		}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		defer stop()
		select {
		case <-p.over:
		case <-client.Done():
		case <-ctx.Done():
		}
	}()
	p.view.Run(ctx, keys)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed != nil {
		return p.failed
	}
	return client.Err()
}

// phoneView is the terminal; it tells when it has shown the call of one's own
// to its end.
type phoneView struct {
	*termview.View
	p *phone
}

func (v phoneView) Dismiss(callID string) {
	v.View.Dismiss(callID)
	if v.p.callee != "" {
		v.p.once.Do(func() { close(v.p.over) })
	}
}

func (v phoneView) OnError(code hooks.Code, message string) {
	if code == hooks.CodeMicStart {
		v.Printf("You are silent: %s. -mic speech:alice lends you a voice.", message)
		return
	}
	v.View.OnError(code, message)
}

func (p *phone) OnInvited(hooks.Invitation) {
	if !p.auto {
		return
	}
	<-p.ready
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.client.Accept(ctx); err != nil {
		p.view.Printf("Cannot answer: %s", explain(err))
	}
}

func (p *phone) OnCallBegin(call hooks.CallInfo) {
	p.talking.Store(true)
	<-p.ready
	p.film(call.Media)
}

// media is that of a call of one's own.
func (p *phone) media() hooks.MediaType {
	if p.cam != nil || p.tape != nil {
		return hooks.MediaVideo
	}
	return hooks.MediaAudio
}

func (p *phone) OnCallEnd(_ hooks.CallInfo, reason hooks.EndReason, d time.Duration) {
	p.talking.Store(false)
	p.tape.finish(p.view.Printf)
	if p.callee == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch reason {
	case hooks.EndReject:
		p.failed = fmt.Errorf("%s rejected the call", p.callee)
	case hooks.EndLineBusy:
		p.failed = fmt.Errorf("%s is on another call", p.callee)
	case hooks.EndNoResponse:
		p.failed = fmt.Errorf("%s did not answer", p.callee)
	case hooks.EndOffline, hooks.EndByServer:
		p.failed = fmt.Errorf("the call was cut off after %.1f s (%v)", d.Seconds(), reason)
	}
}
