package network

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// Config says what call to measure. The zero value is twenty seconds of a call
// without video over a perfect network.
type Config struct {
	// Path is bob's, who hears and watches, or with Uplink alice's, who talks
	// and films. The other one's has an RTT of 10 ms and no fault.
	Path   Path
	Uplink bool
	// Video is what alice's camera makes unless it is told to make less, in bits
	// per second. Default 0: no video.
	Video int
	// Duration is how long it is measured, from StartRemoteView on, when alice
	// has talked for a second. Default 20 s.
	Duration time.Duration
	// Changes are made to the path meanwhile, in this order.
	Changes []Change
	// Relay uses real sockets and real time. Default: a simulated network, whose
	// time is virtual if Run is called in a synctest bubble.
	Relay bool
	// Seed decides what is lost. Default 0, a seed like any other.
	Seed uint64

	// pcm is what alice says, and record has what bob hears; of tests.
	pcm    []int16
	record *audio.Recording
}

// Change is a change of the path, some time after the measuring began.
type Change struct {
	At   time.Duration
	Path Path
}

// Result is how a call went.
type Result struct {
	Audio Audio
	// Video is nil without video.
	Video *Video

	began time.Time // of the measuring
	spoke time.Time // when alice's first sample was captured
	shown []shown
}

// Audio is how a call sounded.
type Audio struct {
	// Concealed is the share of what was heard that was made up or silent: of a
	// talker who does not pause there should be none.
	Concealed float64
	// DelayP50, DelayP99 and DelayMax are from mouth to ear: from when a sample
	// was captured to when its frame is decoded for the sound card that pulls
	// it. It is the frame's length, the codec's lookahead, the network and the
	// jitter buffer; the place in the block of 10 ms being pulled comes on top.
	DelayP50, DelayP99, DelayMax time.Duration
}

// setup is how long it may take until alice and bob talk.
const setup = time.Minute

// Run makes a call and measures it. Errors are of setting it up: ctx's, the
// engine's, and one that says so if the call ended by itself.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	if cfg.Duration == 0 {
		cfg.Duration = 20 * time.Second
	}
	if cfg.pcm == nil {
		cfg.pcm = speech.PCM("alice")
	}
	var at place = newSimulated(cfg.Seed)
	if cfg.Relay {
		at = newRelayed(cfg.Seed)
	}
	h, err := newHouse(at)
	if err != nil {
		at.close()
		return nil, err
	}
	defer h.close()
	ctx, cancel := context.WithTimeout(ctx, setup+cfg.Duration)
	defer cancel()
	c := &call{house: h, cfg: cfg, stamps: &stamps{Driver: libopus.Driver{}}}
	if err := c.begin(ctx); err != nil {
		return nil, err
	}
	// By then the microphone is published, whatever was lost of that.
	if err := sleep(ctx, time.Second); err != nil {
		return nil, err
	}
	c.mic.Begin()
	stop := c.listen(ctx)
	defer stop()
	if err := sleep(ctx, time.Second); err != nil {
		return nil, err
	}
	return c.measure(ctx)
}

// call is one in progress.
type call struct {
	*house
	cfg        Config
	stamps     *stamps
	mic        *audio.Source
	camera     *Camera
	alice, bob *user
}

// begin makes the call, and the camera run.
func (c *call) begin(ctx context.Context) (err error) {
	up, down := good, c.cfg.Path
	if c.cfg.Uplink {
		up, down = down, up
	}
	c.mic = audio.NewSource(audio.SourceConfig{PCM: c.cfg.pcm, Loop: true, Hold: true})
	if c.alice, err = c.signIn(ctx, "alice", up, c.stamps, c.mic); err != nil {
		return err
	}
	if c.bob, err = c.signIn(ctx, "bob", down, c.stamps, nil); err != nil {
		return err
	}
	media := hooks.MediaAudio
	if c.cfg.Video > 0 {
		media = hooks.MediaVideo
	}
	if err := c.alice.Call(ctx, "bob", media); err != nil {
		return err
	}
	if err := c.bob.accept(ctx); err != nil {
		return err
	}
	for _, u := range []*user{c.alice, c.bob} {
		if err := u.wait(ctx, "told that the call begins", u.begun); err != nil {
			return err
		}
	}
	if c.cfg.Video == 0 {
		return nil
	}
	c.camera = NewCamera(c.cfg.Video, c.cfg.Seed)
	if err := c.alice.OpenCamera(ctx, c.camera); err != nil {
		return err
	}
	return c.bob.wait(ctx, "told of the camera", c.bob.filmed)
}

// phase is how much later than alice's sound card bob's begins a block, in all
// calls the same, so that they compare.
const phase = 3700 * time.Microsecond

// listen makes bob's sound card pull, until stop; alice's has just begun.
func (c *call) listen(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		audio.Pull(ctx, phase, c.bob.ReadPCM, func(pcm []int16, at time.Time) error {
			if c.cfg.record != nil {
				return c.cfg.record.Add(pcm, at)
			}
			return nil
		})
	})
	return func() { cancel(); wg.Wait() }
}

func (c *call) measure(ctx context.Context) (*Result, error) {
	before := c.heard()
	start := time.Now()
	end := start.Add(c.cfg.Duration)
	screen := new(Screen)
	if c.camera != nil {
		if err := c.bob.StartRemoteView(ctx, "alice", screen); err != nil {
			return nil, err
		}
	}
	bad := "bob"
	if c.cfg.Uplink {
		bad = "alice"
	}
	for _, ch := range c.cfg.Changes {
		if err := sleep(ctx, time.Until(start.Add(ch.At))); err != nil {
			return nil, err
		}
		if err := c.set(bad, ch.Path); err != nil {
			return nil, err
		}
	}
	if err := sleep(ctx, time.Until(end)); err != nil {
		return nil, err
	}
	for _, u := range []*user{c.alice, c.bob} {
		select {
		case <-u.ended:
			return nil, fmt.Errorf("%w for %s while it was measured", errEnded, u.UserID())
		default:
		}
	}
	after := c.heard()
	r := &Result{began: start, spoke: c.mic.Began(), Audio: listened(before, after, c.stamps.between(start, end))}
	if c.camera != nil {
		v := watched(screen, c.camera, start, end)
		r.shown, _ = screen.all()
		r.Video = &v
	}
	return r, nil
}

// heard are the statistics of what bob hears of alice.
func (c *call) heard() jitter.Stats {
	for _, t := range c.bob.Stats().Tracks {
		if t.UserID == "alice" {
			return t.Jitter
		}
	}
	return jitter.Stats{}
}

func listened(before, after jitter.Stats, delays []time.Duration) Audio {
	good := after.DecodedSamples - before.DecodedSamples
	// What was taken for a pause after all moves from concealed to silent.
	bad := after.ConcealedSamples + after.SilentSamples - before.ConcealedSamples - before.SilentSamples
	a := Audio{DelayP50: quantile(delays, 0.5), DelayP99: quantile(delays, 0.99), DelayMax: quantile(delays, 1)}
	if good+bad > 0 {
		a.Concealed = float64(bad) / float64(good+bad)
	}
	return a
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

var (
	_ engine.KeyFramer = (*Camera)(nil)
	_ codec.Driver     = (*stamps)(nil)
)
