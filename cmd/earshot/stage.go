package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/termview"
	"github.com/earshotrtc/earshot/hooks/webview"
	"github.com/earshotrtc/earshot/internal/bots"
)

// stageConfig configures runStage. Board and Keys must be set.
type stageConfig struct {
	Board *termview.Board
	// Keys are those that are pressed; the stage is over when they end.
	Keys <-chan string
	// Open opens the first link. Default: nothing does.
	Open func(link string) error
	// Ring is for how long the bots let a call ring. Default 2 s.
	Ring time.Duration
	// Logger is the server's. Default none.
	Logger *slog.Logger
}

const (
	// stagePerson is the person at the page.
	stagePerson   = "you"
	stageLinkLife = time.Hour
	stageKeys     = "a b: alice or bob calls you   A B: with video   l: a new link   q: quit"
)

// literal is shown on a Board as it is, whatever its length.
type literal string

// A stage is a server with a page, for a person to talk to bots.
type stage struct {
	cfg  stageConfig
	srv  *engine.Server
	page *page
	key  string
	// speakers call who presses their letter.
	speakers map[string]*bots.Speaker
}

// runStage lets a person talk to alice, bob and an echo until they press q, or
// ctx ends. It returns when all of it has ended.
func runStage(ctx context.Context, cfg stageConfig) (err error) {
	s := &stage{cfg: cfg, key: randomKey(), speakers: make(map[string]*bots.Speaker)}
	names := []string{"alice", "bob", "echo"}
	contacts := []webview.Contact{
		{UserID: "alice", Nick: "Alice"}, {UserID: "bob", Nick: "Bob"}, {UserID: "echo", Nick: "Echo"},
	}
	s.page, err = openPage(pageConfig{
		Addr: "127.0.0.1:0", AppID: demoAppID, Key: s.key, Contacts: contacts, Logger: cfg.Logger,
	})
	if err != nil {
		return fmt.Errorf("cannot serve a page: %w", err)
	}
	defer s.page.close()
	s.srv, err = engine.NewServer(engine.ServerConfig{
		Addr: "127.0.0.1:0", AllowedOrigins: s.page.origins, SDKAppID: demoAppID, Key: s.key, Logger: cfg.Logger,
		Plugins: []hooks.Plugin{{Name: "stage", Observe: s.observe}},
	})
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.srv.Listen(); err != nil {
		return err
	}
	go s.srv.Serve()
	for _, c := range contacts {
		bot, err := s.bot(ctx, c, names)
		if err != nil {
			return fmt.Errorf("%s cannot sign in: %w", c.UserID, err)
		}
		defer bot.Close()
	}
	if err := s.page.serve(s.srv); err != nil {
		return err
	}
	return s.run(ctx)
}

// bot signs one of the three in.
func (s *stage) bot(ctx context.Context, c webview.Contact, names []string) (bot interface{ Close() }, err error) {
	sig, err := usersig.Sign(s.key, usersig.Claims{SDKAppID: demoAppID, UserID: c.UserID})
	if err != nil {
		return nil, err
	}
	cfg := bots.Config{
		Client: engine.ClientConfig{
			Dialer: s.srv.Pipe(), SDKAppID: demoAppID, UserID: c.UserID, UserSig: sig, Agent: "earshot-demo",
			Codec: libopus.Driver{}, Listener: s.teller(c.UserID), Logger: s.cfg.Logger,
		},
		Ring: s.cfg.Ring, Others: names,
	}
	var client *engine.Client
	if c.UserID == "echo" {
		echo, err := bots.NewEcho(ctx, bots.EchoConfig{Config: cfg})
		if err != nil {
			return nil, err
		}
		bot, client = echo, echo.Client()
	} else {
		speaker, err := bots.NewSpeaker(ctx, bots.SpeakerConfig{Config: cfg})
		if err != nil {
			return nil, err
		}
		s.speakers[c.UserID[:1]] = speaker
		bot, client = speaker, speaker.Client()
	}
	if err := client.SetSelfInfo(ctx, c.Nick, ""); err != nil {
		bot.Close()
		return nil, err
	}
	return bot, nil
}

// teller shows the callbacks of a bot, as the demo's call does, but for those
// that come all the time.
func (s *stage) teller(user string) hooks.Listener {
	often := []string{"OnUserVoiceVolume", "OnNetworkQuality", "OnTargetBitrate", "OnDominantSpeaker", "OnCallReceived"}
	return &teller{tell: func(name, words string) {
		if !slices.Contains(often, name) {
			s.cfg.Board.Printf("%-6s %s %s", user, name, words)
		}
	}}
}

// observe tells of the person's coming and going.
func (s *stage) observe(e hooks.Event) {
	if e.UserID == stagePerson && (e.Kind == hooks.EventSignedIn || e.Kind == hooks.EventSignedOut) {
		s.cfg.Board.Printf("%-6s %s", stagePerson, string(e.Kind))
	}
}

// run gives a link and does what the keys say.
func (s *stage) run(ctx context.Context) error {
	b := s.cfg.Board
	b.Printf("\nNow you: call alice, bob and an echo, by voice or video, or let them call you.\n" +
		"Open this link, good for an hour, in Chrome, Edge or another Chromium:\n")
	link, err := s.link()
	if err != nil {
		return err
	}
	if s.cfg.Open != nil {
		if err := s.cfg.Open(link); err != nil {
			b.Printf("It is not opened by itself: %v", err)
		}
	}
	b.Status(stageKeys)
	defer b.Status("")
	for {
		select {
		case <-ctx.Done():
			return nil
		case key, ok := <-s.cfg.Keys:
			if !ok || s.press(ctx, key) {
				return nil
			}
		}
	}
}

// link makes a link and shows it.
func (s *stage) link() (string, error) {
	link, err := s.page.link(stagePerson, stageLinkLife)
	if err == nil {
		s.cfg.Board.Printf("  %s\n", literal(link))
	}
	return link, err
}

// press does what a key says.
func (s *stage) press(ctx context.Context, key string) (quit bool) {
	key = strings.TrimSpace(key)
	switch key {
	case "a", "b":
		s.call(ctx, key, hooks.MediaAudio)
	case "A", "B":
		s.call(ctx, strings.ToLower(key), hooks.MediaVideo)
	case "l", "L":
		if _, err := s.link(); err != nil {
			s.cfg.Board.Printf("No link: %s", explain(err))
		}
	case "q", "Q", "\x03", "\x04": // Ctrl-C and Ctrl-D of a terminal in raw mode
		return true
	}
	return false
}

// call has one of the two call the person.
func (s *stage) call(ctx context.Context, letter string, media hooks.MediaType) {
	speaker := s.speakers[letter]
	name := speaker.Client().UserID()
	if len(s.srv.Online(stagePerson)) == 0 {
		s.cfg.Board.Printf("Open the link first: without a page you cannot hear %s call.", name)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s.cfg.Board.Printf("%-6s calls you (%v)", name, media)
	if err := speaker.Call(ctx, stagePerson, media); err != nil && !errors.Is(err, context.Canceled) {
		s.cfg.Board.Printf("%-6s cannot call you: %s", name, explain(err))
	}
}

// close tells the page that it is over, and ends the server.
func (s *stage) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.srv.Shutdown(ctx)
}
