package bots

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/internal/audio"
)

// EchoConfig configures an Echo.
type EchoConfig struct {
	Config
	// Delay is by how much later it says what it hears, and shows what it sees,
	// 20 ms to 10 s. Default 1 s.
	Delay time.Duration
}

// An Echo answers, and says what it hears a little later. In a call with video
// it shows the picture of the first who has a camera on likewise.
type Echo struct {
	Bot
	delay time.Duration
	clock *audio.Source // the microphone's pace
	line  atomic.Pointer[delayLine]

	mu       sync.Mutex // guards what follows
	seen     []string   // whose cameras are on, in their order
	mirrored string     // whose picture is shown
	reel     *reel      // through which
}

// NewEcho signs an echo in. Errors: those of engine.Dial.
func NewEcho(ctx context.Context, cfg EchoConfig) (*Echo, error) {
	if cfg.Delay == 0 {
		cfg.Delay = time.Second
	}
	e := &Echo{delay: max(20*time.Millisecond, min(10*time.Second, cfg.Delay)), clock: audio.Silence()}
	e.forget()
	if err := e.open(ctx, cfg.Config, e); err != nil {
		return nil, err
	}
	return e, nil
}

// forget makes it say nothing of an earlier call.
func (e *Echo) forget() { e.line.Store(newDelayLine(e.delay)) }

// ReadPCM implements engine.PCMSource: the microphone is what was heard.
func (e *Echo) ReadPCM(ctx context.Context, pcm []int16) error {
	if err := e.clock.ReadPCM(ctx, pcm); err != nil {
		return err
	}
	e.client.ReadPCM(pcm)
	e.line.Load().pass(pcm)
	return nil
}

func (e *Echo) begin(bool) {}
func (e *Echo) media(bool) {}
func (e *Echo) end() {
	e.forget()
	e.mu.Lock()
	e.seen = nil
	e.mu.Unlock()
	e.dark()
}

// video mirrors the first who has a camera on.
func (e *Echo) video(userID string, shown bool) {
	e.mu.Lock()
	e.seen = slices.DeleteFunc(e.seen, func(u string) bool { return u == userID })
	if shown {
		e.seen = append(e.seen, userID)
	}
	over := !shown && userID == e.mirrored
	e.mu.Unlock()
	if over {
		e.dark()
		e.ask("show nothing", e.closeCamera)
	}
	e.mu.Lock()
	next := ""
	if e.mirrored == "" && len(e.seen) > 0 {
		next = e.seen[0]
	}
	e.mu.Unlock()
	if next != "" {
		e.mirror(next)
	}
}

// closeCamera closes the camera; the call may have done so already.
func (e *Echo) closeCamera(ctx context.Context) error {
	e.client.CloseCamera(ctx)
	return nil
}

// dark ends what is mirrored.
func (e *Echo) dark() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reel != nil {
		e.reel.close()
	}
	e.mirrored, e.reel = "", nil
}

// mirror shows a user's picture back.
func (e *Echo) mirror(userID string) {
	r := newReel(e.delay)
	look := func(ctx context.Context) error { return e.client.StartRemoteView(ctx, userID, r) }
	r.wantKey = func() {
		e.spawn(func(context.Context) {
			e.mu.Lock()
			still := e.reel == r
			e.mu.Unlock()
			if still { // a view that starts anew begins with a key frame
				e.ask("see a key frame", look)
			}
		})
	}
	e.mu.Lock()
	e.mirrored, e.reel = userID, r
	e.mu.Unlock()
	if !e.ask("look at "+userID, look) ||
		!e.ask("show "+userID, func(ctx context.Context) error { return e.client.OpenCamera(ctx, r) }) {
		e.dark()
	}
}

// A delayLine holds sound back for a time. One goroutine uses it.
type delayLine struct {
	ring []int16
	at   int
}

func newDelayLine(d time.Duration) *delayLine {
	return &delayLine{ring: make([]int16, d*audio.Rate/time.Second)}
}

// pass puts pcm in, and what went in the delay ago into pcm.
func (l *delayLine) pass(pcm []int16) {
	for i, v := range pcm {
		pcm[i], l.ring[l.at] = l.ring[l.at], v
		l.at = (l.at + 1) % len(l.ring)
	}
}
