package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// A phone is the terminal client: what it shows, and what its keys do. All but
// talking belongs to run's goroutine.
type phone struct {
	user, callee string // callee is empty for a phone that waits
	auto         bool
	board        *board
	con          console

	talking atomic.Bool // in a call that was answered
	events  chan func()
	gone    chan struct{} // closed when run has returned

	client *engine.Client
	state  state
	peer   string
	muted  bool
	over   error // why a call of one's own came to nothing
	done   bool
}

type state int

const (
	idle state = iota
	dialling
	ringing
	talking
)

func newPhone(user, callee string, con console) *phone {
	return &phone{user: user, callee: callee, con: con, board: newBoard(con.out),
		events: make(chan func(), 16), gone: make(chan struct{})}
}

// patience is how long the server may take to answer a key.
const patience = 5 * time.Second

// run shows what happens until the user quits, or the call of one's own is
// over.
func (p *phone) run(ctx context.Context, client *engine.Client, server string) error {
	defer close(p.gone)
	p.client = client
	keyCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	keys, raw, restore := readKeys(keyCtx, p.con.in)
	defer restore()
	if raw {
		p.board.raw()
	}
	defer p.board.clear()

	p.board.printf("Signed in at %s as %s.", server, p.user)
	if p.callee != "" {
		if err := p.dial(ctx); err != nil {
			return err
		}
	} else {
		p.board.printf("Waiting for a call; q quits.")
	}
	bell := time.NewTicker(2 * time.Second)
	defer bell.Stop()
	for !p.done {
		select {
		case event := <-p.events:
			event()
		case key := <-keys:
			if err := p.key(ctx, key); err != nil {
				p.board.printf("That did not work: %s", explain(err))
			}
		case <-bell.C:
			p.ring()
		case <-client.Done():
			return client.Err()
		case <-ctx.Done():
			return nil
		}
	}
	return p.over
}

func (p *phone) dial(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := p.client.Call(ctx, p.callee, hooks.MediaAudio); err != nil {
		return fmt.Errorf("cannot call %s: %w", p.callee, err)
	}
	p.state, p.peer = dialling, p.callee
	p.board.printf("Calling %s… h hangs up.", p.callee)
	return nil
}

// key does what a key says, where it says something now.
func (p *phone) key(ctx context.Context, key byte) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch {
	case key == 'q' || key == ctrlC:
		p.done = true
	case key == 'a' && p.state == ringing:
		return p.client.Accept(ctx)
	case key == 'r' && p.state == ringing:
		defer p.hungUp("You rejected the call.")
		return p.client.Reject(ctx)
	case key == 'h' && p.state == ringing:
		defer p.hungUp("You rejected the call.")
		return p.client.Hangup(ctx)
	case key == 'h' && p.state != idle:
		return p.client.Hangup(ctx)
	case key == 'm':
		p.muted = !p.muted
		p.board.printf("Your microphone is %s.", onOff(!p.muted))
		return p.client.SetMicMute(ctx, p.muted)
	case key > ' ':
		p.board.printf("Keys: a answer, r reject, m mute, h hang up, q quit. %s", [...]string{
			idle: "There is no call now.", dialling: "It rings at " + p.peer + ".",
			ringing: p.peer + " is calling.", talking: "You talk with " + p.peer + ".",
		}[p.state])
	}
	return nil
}

// ring rings the bell of a terminal.
func (p *phone) ring() {
	if p.state == ringing && p.board.lasts {
		fmt.Fprint(p.con.out, "\a")
	}
}

// hungUp is the end of a call.
func (p *phone) hungUp(words string) {
	p.board.clear()
	p.talking.Store(false)
	if p.state != idle && words != "" {
		p.board.printf("%s", words)
	}
	p.state = idle
	if p.callee != "" {
		p.done = true
	} else {
		p.board.printf("Waiting for a call; q quits.")
	}
}

// phoneListener brings callbacks to run's goroutine.
type phoneListener struct {
	hooks.NopListener
	p *phone
}

func (p *phone) listener() hooks.Listener { return &phoneListener{p: p} }

// do waits for the phone, as long as there is one.
func (l *phoneListener) do(f func()) {
	select {
	case l.p.events <- f:
	case <-l.p.gone:
	}
}

func (l *phoneListener) OnInvited(inv hooks.Invitation) {
	l.do(func() {
		p := l.p
		p.state, p.peer = ringing, inv.Sponsor
		if p.auto {
			p.board.printf("%s calls (%v); answering.", inv.Sponsor, inv.Media)
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := p.client.Accept(ctx); err != nil {
				p.board.printf("That did not work: %s", explain(err))
			}
			return
		}
		p.board.printf("%s calls (%v). a answers, r rejects.", inv.Sponsor, inv.Media)
		p.ring()
	})
}

func (l *phoneListener) OnCallBegin(hooks.CallInfo) {
	l.do(func() {
		l.p.state = talking
		l.p.talking.Store(true)
		l.p.board.show(l.p.user, l.p.peer)
		l.p.board.printf("You talk with %s. m mutes, h hangs up.", l.p.peer)
	})
}

func (l *phoneListener) OnCallEnd(_ hooks.CallInfo, reason hooks.EndReason, d time.Duration) {
	l.do(func() {
		p := l.p
		words := fmt.Sprintf("The call is over after %.1f s (%v).", d.Seconds(), reason)
		var failed error
		switch reason {
		case hooks.EndReject:
			failed = fmt.Errorf("%s rejected the call", p.peer)
		case hooks.EndLineBusy:
			failed = fmt.Errorf("%s is on another call", p.peer)
		case hooks.EndNoResponse:
			failed = fmt.Errorf("%s did not answer", p.peer)
		case hooks.EndCanceled:
			words = "You took the call back."
		case hooks.EndOffline, hooks.EndByServer:
			failed = fmt.Errorf("the call was cut off after %.1f s (%v)", d.Seconds(), reason)
		}
		if failed != nil && p.callee != "" {
			words, p.over = "", failed
		}
		p.hungUp(words)
	})
}

func (l *phoneListener) OnCallingCancel() {
	l.do(func() { l.p.hungUp(l.p.peer + " took the call back.") })
}

func (l *phoneListener) OnCallingTimeout(users []string) {
	if len(users) == 0 {
		l.do(func() { l.p.hungUp("You did not answer " + l.p.peer + ".") })
	}
}

func (l *phoneListener) OnUserAudioAvailable(user string, on bool) {
	if !on {
		l.do(func() { l.p.board.printf("%s's microphone is off.", user) })
	}
}

func (l *phoneListener) OnUserVoiceVolume(volumes []hooks.UserVolume, _ int) {
	l.do(func() {
		if l.p.state == talking {
			l.p.board.volumes(volumes)
		}
	})
}

func (l *phoneListener) OnError(code hooks.Code, message string) {
	l.do(func() {
		if code == hooks.CodeMicStart {
			l.p.board.printf("You are silent: %s. -mic speech:alice lends you a voice.", message)
			return
		}
		l.p.board.printf("Error: %s: %v", message, code)
	})
}

func (l *phoneListener) OnWarning(code hooks.Code, message string) {
	l.do(func() { l.p.board.printf("Warning: %s: %v", message, code) })
}

func (l *phoneListener) OnUserSigExpired() {
	l.do(func() { l.p.board.printf("Your UserSig is no longer valid; the next sign-in needs a new one.") })
}
