// Package bots are users who answer by themselves: a Speaker talks and shows a
// picture, an Echo says and shows again what it is told and shown. The demo has
// them for a person to call, and tests for whatever needs somebody to talk to.
//
//	alice, err := bots.NewSpeaker(ctx, bots.SpeakerConfig{Config: bots.Config{Client: cfg}})
//	defer alice.Close()
//	err = alice.Call(ctx, "bob", hooks.MediaVideo) // and it answers who calls it
package bots

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// Config is what all bots have in common.
type Config struct {
	// Client says how the bot signs in. Codec must encode and decode; the
	// microphone is the bot's own. A Listener is told what happens from when
	// the bot is there.
	Client engine.ClientConfig
	// Ring is for how long the bot lets a call ring before it answers; negative
	// is not at all. Default 2 s.
	Ring time.Duration
	// Others are bots, too: when nobody but them is left in a call, the bot
	// hangs up. Default none.
	Others []string
}

const (
	defaultRing = 2 * time.Second
	// patience is how long the server may take to answer.
	patience = 5 * time.Second
)

// A Bot is a client that answers every call, and hangs up when only bots are
// left. Its methods may be called from any goroutine.
type Bot struct {
	client *engine.Client
	ready  chan struct{} // closed when client is set
	cfg    Config
	part   part
	stop   context.CancelFunc
	ctx    context.Context // ends with the bot
	wg     sync.WaitGroup  // what it does on its own

	mu     sync.Mutex
	closed bool
	answer context.CancelFunc // takes back the answer that is due
	others []string           // who else is in the call
}

// A part is what one kind of bot does in a call. Its functions are called on the
// goroutine of the callbacks, and may ask the server.
type part interface {
	engine.PCMSource
	begin(video bool)                // the call is answered
	media(video bool)                // it goes to video, or to audio
	video(userID string, shown bool) // somebody's camera goes on, or off
	end()                            // it is over
}

// open signs a bot in.
func (b *Bot) open(ctx context.Context, cfg Config, p part) error {
	if cfg.Ring == 0 {
		cfg.Ring = defaultRing
	}
	b.cfg, b.part, b.ready = cfg, p, make(chan struct{})
	b.ctx, b.stop = context.WithCancel(context.Background())
	c := cfg.Client
	host := c.Listener
	c.Listener, c.Microphone, c.OpusMicrophone, c.MicrophoneRate, c.Stereo = &ear{bot: b}, p, nil, 0, false
	client, err := engine.Dial(ctx, c)
	if err != nil {
		b.stop()
		return err
	}
	if host != nil {
		client.SetCallingListener(host)
	}
	b.client = client
	close(b.ready)
	return nil
}

// Client is the bot's own, to ask or to do more with.
func (b *Bot) Client() *engine.Client { return b.client }

// Call calls a user. Errors: those of engine.Client.Call.
func (b *Bot) Call(ctx context.Context, userID string, media hooks.MediaType) error {
	return b.client.Call(ctx, userID, media)
}

// Close hangs up, signs out, and returns when all that the bot does has ended.
// It is idempotent, and must not be called inside a callback.
func (b *Bot) Close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.client.Destroy()
	b.wg.Wait()
	<-b.client.Done()
}

// spawn does something beside the callbacks.
func (b *Bot) spawn(f func(ctx context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.wg.Go(func() { f(b.ctx) })
	}
}

// ask asks the server for something, and logs what it says against it: that the
// call is over meanwhile is no news.
func (b *Bot) ask(what string, f func(ctx context.Context) error) (ok bool) {
	<-b.ready
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	err := f(ctx)
	if err != nil && b.ctx.Err() == nil && !errors.Is(err, engine.ErrNoCall) && b.cfg.Client.Logger != nil {
		b.cfg.Client.Logger.Warn("a bot cannot do what it wants", "user", b.cfg.Client.UserID, "what", what, "err", err)
	}
	return err == nil
}

// ring answers after a while, unless silence is called first.
func (b *Bot) ring() {
	ctx, cancel := context.WithCancel(b.ctx)
	b.silence()
	b.mu.Lock()
	b.answer = cancel
	b.mu.Unlock()
	b.spawn(func(context.Context) {
		defer cancel()
		if b.cfg.Ring > 0 {
			timer := time.NewTimer(b.cfg.Ring)
			defer timer.Stop()
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		b.ask("answer", b.accept)
	})
}

func (b *Bot) accept(ctx context.Context) error { return b.client.Accept(ctx) }

// silence takes back an answer that is due: the call rings no longer.
func (b *Bot) silence() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.answer != nil {
		b.answer()
		b.answer = nil
	}
}

// entered and left keep account of who is in the call.
func (b *Bot) entered(userID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.others, userID) {
		b.others = append(b.others, userID)
	}
}

// left reports whether only bots are left.
func (b *Bot) left(userID string) (alone bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.others = slices.DeleteFunc(b.others, func(u string) bool { return u == userID })
	return !slices.ContainsFunc(b.others, func(u string) bool { return !slices.Contains(b.cfg.Others, u) })
}

func (b *Bot) nobody() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.others = nil
}

// An ear is the listener of a bot.
type ear struct {
	hooks.NopListener
	bot *Bot
}

func (e *ear) OnInvited(hooks.Invitation) { e.bot.ring() }
func (e *ear) OnCallingCancel()           { e.bot.silence() }
func (e *ear) OnCallingTimeout(u []string) {
	if len(u) == 0 { // its own invitation
		e.bot.silence()
	}
}
func (e *ear) OnCallBegin(c hooks.CallInfo)                 { e.bot.part.begin(c.Media == hooks.MediaVideo) }
func (e *ear) OnCallMediaTypeChanged(_, to hooks.MediaType) { e.bot.part.media(to == hooks.MediaVideo) }
func (e *ear) OnUserVideoAvailable(user string, shown bool) { e.bot.part.video(user, shown) }
func (e *ear) OnUserEnter(user string)                      { e.bot.entered(user) }
func (e *ear) OnUserLeave(user string, _ hooks.LeaveReason) {
	if e.bot.left(user) {
		e.bot.ask("hang up", func(ctx context.Context) error { return e.bot.client.Hangup(ctx) })
	}
}

func (e *ear) OnCallEnd(hooks.CallInfo, hooks.EndReason, time.Duration) {
	e.bot.silence()
	e.bot.nobody()
	e.bot.part.end()
}
