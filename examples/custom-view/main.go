// Command custom-view shows who shows a call: the default view, the host alone
// from its listener, or a view of the host's own for the calls that it claims.
//
//	go run ./examples/custom-view
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/termview"
)

// lines is what is shown, by whom; a step of run goes on when it has seen one.
type lines chan string

func (l lines) say(who, words string) { l <- who + ": " + strings.TrimSpace(words) }

// tagged is an io.Writer for the default view, which writes a line at a time.
type tagged struct {
	who   string
	lines lines
}

func (t tagged) Write(b []byte) (int, error) {
	t.lines.say(t.who, string(b))
	return len(b), nil
}

// game is bob's host, a listener that drives calls by itself.
type game struct {
	hooks.NopListener
	lines lines
	bob   *engine.Client
}

func (g *game) OnInvited(inv hooks.Invitation) {
	g.lines.say("game", "the phone in the tavern rings: "+inv.Sponsor)
	if err := g.bob.Accept(context.Background()); err != nil { // fine in a callback
		g.lines.say("game", err.Error())
	}
}

func (g *game) OnCallBegin(call hooks.CallInfo) {
	g.lines.say("game", "the barkeeper talks with "+call.Inviter)
}

// mirror is a view of the game's own, for video calls.
type mirror struct {
	hooks.NopListener
	lines lines
}

func (m *mirror) Present(c hooks.ViewState) {
	m.lines.say("mirror", c.Sponsor+" appears in the mirror")
}
func (m *mirror) Dismiss(string) { m.lines.say("mirror", "only a mirror again") }

func run(ctx context.Context, out io.Writer) error {
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SDKAppID: 1, Key: "a secret"})
	if err != nil {
		return err
	}
	defer srv.Close()
	if err := srv.Listen(); err != nil {
		return err
	}
	go srv.Serve()
	dial := func(user string, cfg engine.ClientConfig) (*engine.Client, error) {
		sig, err := usersig.Sign("a secret", usersig.Claims{SDKAppID: 1, UserID: user, Issued: time.Now(), Lifetime: time.Hour})
		if err != nil {
			return nil, err
		}
		cfg.Dialer, cfg.SDKAppID, cfg.UserID, cfg.UserSig = srv.Pipe(), 1, user, sig
		return engine.Dial(ctx, cfg)
	}
	shown := make(lines, 64)
	own := &mirror{lines: shown}
	bob, err := dial("bob", engine.ClientConfig{
		View: termview.New(termview.Config{UserID: "bob", Out: tagged{"default view", shown}}),
		ViewRoute: func(call hooks.ViewState, standard hooks.View) hooks.View {
			if call.Media == hooks.MediaVideo {
				return own // claimed; call.IsGroup and call.Sponsor are others to go by
			}
			return standard
		},
	})
	if err != nil {
		return err
	}
	defer bob.Destroy()
	host := &game{lines: shown, bob: bob}
	alice, err := dial("alice", engine.ClientConfig{})
	if err != nil {
		return err
	}
	defer alice.Destroy()

	steps := []struct {
		words string
		do    func() error
		until string // a line with this in it
	}{
		{"alice calls", func() error { return alice.Call(ctx, "bob", hooks.MediaAudio) }, "alice calls"},
		{"bob answers", func() error { return bob.Accept(ctx) }, "You talk with alice"},
		{"alice hangs up", func() error { return alice.Hangup(ctx) }, "is over"},
		{"the default view is turned off, and alice calls", func() error {
			bob.SetCallingListener(host)
			if err := bob.EnableCustomViewRoute(true); err != nil {
				return err
			}
			return alice.Call(ctx, "bob", hooks.MediaAudio)
		}, "the barkeeper talks"},
		{"it is turned on again, in the middle of the call", func() error { return bob.EnableCustomViewRoute(false) }, "You talk with alice"},
		{"bob hangs up", func() error { bob.RemoveCallingListener(host); return bob.Hangup(ctx) }, "is over"},
		{"alice makes a video call", func() error { return alice.Call(ctx, "bob", hooks.MediaVideo) }, "appears"},
		{"and takes it back", func() error { return alice.Hangup(ctx) }, "only a mirror"},
	}
	for _, s := range steps {
		fmt.Fprintf(out, "-- %s\n", s.words)
		if err := s.do(); err != nil {
			return err
		}
		for line := ""; !strings.Contains(line, s.until); fmt.Fprintln(out, line) {
			select {
			case line = <-shown:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
