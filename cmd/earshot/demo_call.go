package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
)

// demoConfig configures runDemo. Only Duration is needed. The functions may be
// called from several goroutines, and block what they tell of.
type demoConfig struct {
	// Duration is how long the two talk.
	Duration time.Duration
	// OutDir takes alice.wav and bob.wav, what each heard. Default none.
	OutDir string
	// Step is told what the demo itself does, Event of each callback, and
	// Volumes of those of OnUserVoiceVolume again.
	Step    func(at time.Duration, text string)
	Event   func(demoEvent)
	Volumes func(user string, volumes []hooks.UserVolume)
	// Logger is the server's and the clients'. Default none.
	Logger *slog.Logger
}

// A demoEvent is a callback.
type demoEvent struct {
	At    time.Duration // since the start
	User  string
	Name  string
	Words string
}

const (
	demoAppID = 1
	// demoPatience is how long any step of the demo may take.
	demoPatience = 10 * time.Second
)

// demo is one run.
type demo struct {
	cfg   demoConfig
	start time.Time

	mu     sync.Mutex
	events []demoEvent
}

// runDemo carries out a whole call over QUIC inside this process and measures
// it. It returns when all of it has ended, early with ctx's error.
func runDemo(ctx context.Context, cfg demoConfig) (*demoResult, error) {
	d := &demo{cfg: cfg, start: time.Now()}
	if d.cfg.Step == nil {
		d.cfg.Step = func(time.Duration, string) {}
	}
	key := randomKey()
	srv, err := engine.NewServer(engine.ServerConfig{
		Addr: "127.0.0.1:0", SDKAppID: demoAppID, Key: key, Logger: cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	defer srv.Close()
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	go srv.Serve()
	pin := srv.Pins()[0]
	d.step("server on %v, certificate %x…", srv.Addr(), pin[:6])

	var pair [2]*talker
	for i, name := range []string{"alice", "bob"} {
		if pair[i], err = d.signIn(ctx, name, srv.Addr().String(), hex.EncodeToString(pin[:]), key); err != nil {
			return nil, fmt.Errorf("%s cannot sign in: %w", name, err)
		}
		defer pair[i].close()
		d.step("%s signed in over QUIC after %.1f ms", name, ms(pair[i].signInTook))
	}
	r, err := d.talk(ctx, pair[0], pair[1])
	if err != nil {
		return nil, err
	}
	for _, t := range pair {
		t.close()
	}
	if err := srv.Shutdown(ctx); err != nil {
		return nil, err
	}
	d.step("all signed out, server shut down")
	d.mu.Lock()
	r.Events = d.events
	d.mu.Unlock()
	return r, r.measure(pair[0], pair[1], cfg.OutDir)
}

func (d *demo) step(format string, args ...any) {
	d.cfg.Step(time.Since(d.start), fmt.Sprintf(format, args...))
}

// A talker is one of the two: a client with a voice and an ear.
type talker struct {
	name       string
	client     *engine.Client
	signInTook time.Duration

	voice   *audio.Source
	said    []int16 // what voice loops over
	markers []int   // where in said

	invited, begun, hears, ended chan struct{} // closed by callbacks

	stop  context.CancelFunc // of the ear
	ear   sync.WaitGroup
	heard audio.Recording
	pulls error
}

// signIn makes a talker whose ear is open already: a sound card runs on its
// own, and its phase is nobody's choice.
func (d *demo) signIn(ctx context.Context, name, addr, pin, key string) (*talker, error) {
	t := &talker{name: name}
	for _, c := range []*chan struct{}{&t.invited, &t.begun, &t.hears, &t.ended} {
		*c = make(chan struct{})
	}
	t.said, t.markers = audio.Markers(speech.PCM(name), min(400*time.Millisecond, d.cfg.Duration/8))
	t.voice = audio.NewSource(audio.SourceConfig{
		PCM: t.said, Loop: true, Hold: true, Stay: true, Limit: d.cfg.Duration,
	})
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: demoAppID, UserID: name, Lifetime: time.Hour})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, demoPatience)
	defer cancel()
	began := time.Now()
	t.client, err = engine.Dial(ctx, engine.ClientConfig{
		Addr: addr, Pin: pin, SDKAppID: demoAppID, UserID: name, UserSig: sig,
		Codec: libopus.Driver{}, Microphone: t.voice,
		Listener: d.listener(t), Logger: d.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	t.signInTook = time.Since(began)

	earCtx, stop := context.WithCancel(context.Background())
	t.stop = stop
	t.ear.Go(func() {
		t.pulls = audio.Pull(earCtx, audio.RandomPhase(), t.client.ReadPCM, t.heard.Add)
	})
	return t, nil
}

// close ends the client and its ear. It may be called again.
func (t *talker) close() {
	t.stop()
	t.ear.Wait()
	t.client.Destroy()
}

// listener records t's callbacks and closes the channels that talk waits on.
func (d *demo) listener(t *talker) hooks.Listener {
	marks := map[string]chan struct{}{
		"OnInvited": t.invited, "OnCallBegin": t.begun, "OnUserAudioAvailable": t.hears, "OnCallEnd": t.ended,
	}
	l := &teller{tell: func(name, words string) {
		e := demoEvent{At: time.Since(d.start), User: t.name, Name: name, Words: words}
		d.mu.Lock()
		d.events = append(d.events, e)
		d.mu.Unlock()
		if d.cfg.Event != nil {
			d.cfg.Event(e)
		}
		if c := marks[name]; c != nil {
			close(c)
			delete(marks, name)
		}
	}}
	if d.cfg.Volumes != nil {
		l.volumes = func(v []hooks.UserVolume) { d.cfg.Volumes(t.name, v) }
	}
	return l
}

// talk has alice call bob, both speak, and alice hang up.
func (d *demo) talk(ctx context.Context, alice, bob *talker) (*demoResult, error) {
	d.step("alice calls bob")
	dialled := time.Now()
	if err := alice.client.Call(ctx, "bob", hooks.MediaAudio); err != nil {
		return nil, fmt.Errorf("alice cannot call: %w", err)
	}
	if err := alice.wait(ctx, bob.invited, "bob is not told of the call"); err != nil {
		return nil, err
	}
	d.step("bob answers")
	if err := bob.client.Accept(ctx); err != nil {
		return nil, fmt.Errorf("bob cannot answer: %w", err)
	}
	for _, t := range []*talker{alice, bob} {
		if err := t.wait(ctx, t.begun, t.name+" is not told that the call has begun"); err != nil {
			return nil, err
		}
		if err := t.wait(ctx, t.hears, t.name+" does not get the other's track"); err != nil {
			return nil, err
		}
	}
	r := &demoResult{Setup: time.Since(dialled), Duration: d.cfg.Duration}
	d.step("both talk for %v", d.cfg.Duration)
	alice.voice.Begin()
	bob.voice.Begin()

	for end := time.Now().Add(d.cfg.Duration); time.Now().Before(end); {
		if err := d.sleep(ctx, min(250*time.Millisecond, time.Until(end)), alice, bob); err != nil {
			return nil, err
		}
		r.watch(alice, bob)
	}
	// The last words are on their way; so are the last packets.
	for range 10 {
		if err := d.sleep(ctx, 50*time.Millisecond, alice, bob); err != nil {
			return nil, err
		}
		if r.count(alice, bob); r.Lost() == 0 {
			break
		}
	}
	d.step("alice hangs up")
	if err := alice.client.Hangup(ctx); err != nil {
		return nil, fmt.Errorf("alice cannot hang up: %w", err)
	}
	for _, t := range []*talker{alice, bob} {
		if err := t.wait(ctx, t.ended, t.name+" is not told that the call has ended"); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// wait waits for a callback.
func (t *talker) wait(ctx context.Context, c <-chan struct{}, otherwise string) error {
	patience := time.NewTimer(demoPatience)
	defer patience.Stop()
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.client.Done():
		return fmt.Errorf("%s: %w", otherwise, t.client.Err())
	case <-patience.C:
		return errors.New(otherwise + " within 10 s")
	}
}

// sleep waits while both are in the call.
func (d *demo) sleep(ctx context.Context, how time.Duration, alice, bob *talker) error {
	timer := time.NewTimer(how)
	defer timer.Stop()
	var t *talker
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-alice.ended:
		t = alice
	case <-bob.ended:
		t = bob
	}
	return fmt.Errorf("the call ended too early for %s", t.name)
}

// wavPath is where what a talker heard goes.
func (t *talker) wavPath(dir string) string { return filepath.Join(dir, t.name+"-heard.wav") }

// lookahead is Opus' algorithmic delay.
func lookahead() time.Duration {
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
	if err != nil {
		return 0
	}
	return time.Duration(enc.Lookahead()) * time.Second / codec.SampleRate
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
