// Package termview shows calls in a terminal: it rings, shows who speaks, how
// good the connection is and how long the call is, and takes single keys to
// answer, reject, mute and hang up. Where the output is no terminal it prints
// plain lines.
//
// It is a [hooks.View], knows nothing of the engine, and is given what its keys
// do:
//
//	var client *engine.Client
//	view := termview.New(termview.Config{
//		UserID: "bob",
//		Size:   func() (int, int) { c, r, _ := term.GetSize(0); return c, r },
//		Accept: func(ctx context.Context) error { return client.Accept(ctx) },
//		...
//	})
//	client, err := engine.Dial(ctx, engine.ClientConfig{View: view, ...})
//	view.Run(ctx, termview.Keys(ctx, os.Stdin, true)) // raw: see term.MakeRaw
//
// What others send, names as much as texts, is hostile: control characters and
// what else could move the cursor are taken out, and it is cut to length.
package termview

import (
	"cmp"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// Config configures a View. The zero value shows calls as lines on the standard
// output, and its keys do nothing.
type Config struct {
	// UserID is the user who looks at it. Default "you".
	UserID string
	// Out is where it is shown. Default os.Stdout.
	Out io.Writer
	// Size is the size of the terminal that Out is, in characters. Default:
	// Out is no terminal.
	Size func() (columns, rows int)

	// Accept, Reject, Ignore, Hangup, Mute and Invite are what the keys do:
	// the functions of the same names of a client. They are called on Run's
	// goroutine. Default: the view does not offer that key.
	Accept, Reject, Ignore, Hangup func(context.Context) error
	Mute                           func(ctx context.Context, muted bool) error
	Invite                         func(ctx context.Context, userIDs []string) error
	// Patience is how long a function that a key calls may take. Default 5 s.
	Patience time.Duration

	// Idle is printed by Run and after each call. Default nothing.
	Idle string
	// Explain puts an error into words. Default its Error method.
	Explain func(error) string
}

const (
	bellEvery   = 2 * time.Second
	redrawEvery = time.Second
)

// A View shows calls in a terminal. Its methods may be called from any
// goroutine.
type View struct {
	hooks.NopListener
	cfg   Config
	board *Board

	mu       sync.Mutex
	phase    phase
	call     hooks.ViewState
	ended    bool   // the call's end was told
	declined string // what is said of a call that the user declines
	muted    bool
	silent   map[string]bool // users whose microphone was turned off
	volumes  map[string]hooks.UserVolume
	quality  map[string]hooks.Quality
	typing   bool // the names of whom to invite
	typed    []rune
}

// phase is how far the call is.
type phase uint8

const (
	idle phase = iota
	ringing
	dialling
	talking
)

var _ hooks.View = (*View)(nil)

// New returns a view. It shows calls from then on; its keys work, and its bell
// rings again, while Run runs.
func New(cfg Config) *View {
	cfg.UserID = cmp.Or(cfg.UserID, "you")
	cfg.Patience = cmp.Or(cfg.Patience, 5*time.Second)
	if cfg.Out == nil {
		cfg.Out = os.Stdout
	}
	if cfg.Explain == nil {
		cfg.Explain = error.Error
	}
	v := &View{cfg: cfg, board: NewBoard(cfg.Out, cfg.Size)}
	v.forget()
	return v
}

// Printf prints a line above what is shown. Its arguments are cleaned of what
// could harm a terminal.
func (v *View) Printf(format string, args ...any) { v.board.Printf(format, args...) }

// Run takes keys, of which the function Keys makes a channel, until the user
// quits or ctx ends. Without keys it still rings, and keeps the time. One
// goroutine runs a view.
func (v *View) Run(ctx context.Context, keys <-chan string) {
	defer v.board.Status("")
	tick := time.NewTicker(redrawEvery)
	defer tick.Stop()
	bell := time.NewTicker(bellEvery)
	defer bell.Stop()
	v.waiting()
	for {
		select {
		case key, ok := <-keys:
			if !ok {
				keys = nil
			}
			if quit := v.key(ctx, key); quit {
				return
			}
		case <-tick.C:
			v.mu.Lock()
			v.draw()
			v.mu.Unlock()
		case <-bell.C:
			v.mu.Lock()
			v.ring()
			v.mu.Unlock()
		case <-ctx.Done():
			return
		}
	}
}

// waiting says that there is no call, if there is none.
func (v *View) waiting() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.phase == idle && v.cfg.Idle != "" {
		v.board.Printf("%s", v.cfg.Idle)
	}
}

// forget is the end of a call. v.mu is held, as in all below.
func (v *View) forget() {
	v.phase, v.call, v.ended, v.declined = idle, hooks.ViewState{}, false, ""
	v.typing, v.typed = false, nil
	v.silent = make(map[string]bool)
	v.volumes = make(map[string]hooks.UserVolume)
	v.quality = make(map[string]hooks.Quality)
}

func (v *View) ring() {
	if v.phase == ringing {
		v.board.Bell()
	}
}

// peers are those whom one talks with, or would like to.
func (v *View) peers() string {
	s := &v.call
	switch {
	case len(s.Users) > 0:
		return names(s.Users)
	case len(s.Invited) > 0:
		return names(s.Invited)
	case s.Sponsor != "":
		return clean(s.Sponsor)
	case s.Inviter != v.cfg.UserID:
		return clean(s.Inviter)
	}
	return "nobody"
}

// maxNames is how many users are named in a line.
const maxNames = 8

// names lists users, a few of them.
func names(users []string) string {
	rest := ""
	if len(users) > maxNames {
		rest = plural(len(users)-maxNames, " and %d other", " and %d others")
		users = users[:maxNames]
	}
	list := make([]string, len(users))
	for i, u := range users {
		list[i] = clean(u)
	}
	return strings.Join(list, ", ") + rest
}

// offers lists the keys that do something now.
func (v *View) offers() string {
	var list []string
	add := func(yes bool, words string) {
		if yes {
			list = append(list, words)
		}
	}
	in := v.phase == dialling || v.phase == talking
	add(v.phase == ringing && v.cfg.Accept != nil, "a answers")
	add(v.phase == ringing && v.cfg.Reject != nil, "r rejects")
	add(v.phase == ringing && v.cfg.Ignore != nil, "i ignores")
	add(v.phase == talking && v.cfg.Mute != nil, "m mutes")
	add(v.mayInvite(), "i invites")
	add(in && v.cfg.Hangup != nil, "h hangs up")
	if len(list) == 0 {
		return ""
	}
	return " " + strings.Join(list, ", ") + "."
}

func (v *View) mayInvite() bool {
	return (v.phase == dialling || v.phase == talking) && v.call.IsGroup && v.cfg.Invite != nil
}
