package engine_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// tone is a steady 500 Hz as Opus packets that can be played in a circle.
var tone = sync.OnceValue(func() [][]byte {
	const around = 50
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
	if err != nil {
		panic(err)
	}
	pcm := make([]int16, 960) // ten periods
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*500*float64(i)/48000))
	}
	var packets [][]byte
	for range 2 * around {
		packet := make([]byte, 1000)
		n, err := enc.Encode(pcm, packet)
		if err != nil {
			panic(err)
		}
		packets = append(packets, packet[:n])
	}
	return packets[around:]
})

// An ear pulls what a client hears as a sound card does, and notes of every
// 10 ms how loud it was.
type ear struct {
	c    *engine.Client
	stop func()

	mu     sync.Mutex
	blocks []block
}

type block struct {
	at    time.Time
	level float64       // dBov
	made  uint64        // samples concealed and silent so far
	delay time.Duration // from a packet's arrival to its play, mean of the last 16
}

func newEar(t *testing.T, c *engine.Client) *ear {
	e := &ear{c: c}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { audio.Pull(ctx, 3*time.Millisecond, c.ReadPCM, e.add) })
	e.stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(e.stop)
	return e
}

func (e *ear) add(pcm []int16, at time.Time) error {
	b := block{at: at, level: mixer.Level(pcm)}
	for _, t := range e.c.Stats().Tracks {
		b.made += t.Jitter.ConcealedSamples + t.Jitter.SilentSamples
		b.delay = max(b.delay, t.Jitter.Delay)
	}
	e.mu.Lock()
	e.blocks = append(e.blocks, b)
	e.mu.Unlock()
	return nil
}

// A gap is what one hears of a change of the network.
type gap struct {
	silence time.Duration // the longest stretch 20 dB or more below the tone
	made    time.Duration // concealed or silent, in all
	back    time.Duration // from the end of the outage until the tone is heard for good
	grew    time.Duration // by how much the playout delay grew at most
	settled time.Duration // from when the tone is back until the delay is within 10 ms of before
}

func (g gap) String() string {
	ms := func(d time.Duration) int64 { return d.Round(time.Millisecond).Milliseconds() }
	return fmt.Sprintf("silence %4d ms, made up %4d ms, back after %4d ms, delay grew %3d ms, settled after %4d ms",
		ms(g.silence), ms(g.made), ms(g.back), ms(g.grew), ms(g.settled))
}

// gap measures what happened since the change, of which the outage was over at
// the time end.
func (e *ear) gap(change, end time.Time) (g gap) {
	e.stop()
	n := slices.IndexFunc(e.blocks, func(b block) bool { return b.at.After(change) })
	before, after := e.blocks[n-100:n], e.blocks[n:]
	var level float64
	var delay time.Duration
	for _, b := range before {
		level += b.level / float64(len(before))
		delay += b.delay / time.Duration(len(before))
	}
	const pull = 10 * time.Millisecond
	var run time.Duration
	back := end
	for _, b := range after {
		if b.level > level-20 {
			run = 0
			continue
		}
		run += pull
		g.silence = max(g.silence, run)
		back = b.at.Add(pull)
	}
	if back.After(end) {
		g.back = back.Sub(end)
	}
	for _, b := range after {
		if b.at.Before(end) {
			continue
		}
		g.grew = max(g.grew, b.delay-delay)
		if b.delay > delay+pull && b.at.After(back) {
			g.settled = b.at.Add(pull).Sub(back)
		}
	}
	g.made = time.Duration(after[len(after)-1].made-before[len(before)-1].made) * time.Second / 48000
	return g
}

// A networkChange happens to alice in the middle of a call with bob.
type networkChange struct {
	name   string
	up     time.Duration // for how long nothing of hers arrives
	down   time.Duration // nor anything for her
	happen func(t *testing.T, w *world, alice *engine.Client)
	// back is when the sound must be back, once the outage is over.
	back time.Duration
	// warned: she is told that the connection is silent.
	warned bool
}

var path = simnet.Link{Delay: 20 * time.Millisecond}

func networkChanges() []networkChange {
	dead := simnet.Link{Delay: path.Delay, Down: true}
	move := func(t *testing.T, w *world, alice *engine.Client) {
		mobile, err := w.endpoint("mobile")
		must(t, err)
		must(t, alice.Migrate(t.Context(), mobile))
	}
	blackout := func(l line) func(*testing.T, *world, *engine.Client) {
		return func(_ *testing.T, w *world, _ *engine.Client) {
			w.setLine("alice", l)
			time.Sleep(3 * time.Second) // virtual
			w.setLine("alice", line{path, path})
		}
	}
	const outage = 3 * time.Second
	return []networkChange{
		{name: "migration", happen: move, back: 200 * time.Millisecond},
		{name: "migration-old-path-dead", back: 300 * time.Millisecond,
			happen: func(t *testing.T, w *world, alice *engine.Client) {
				w.sever("alice")
				move(t, w, alice)
			}},
		{name: "rebinding", back: 300 * time.Millisecond,
			happen: func(t *testing.T, w *world, alice *engine.Client) {
				w.mu.Lock()
				defer w.mu.Unlock()
				_, err := w.conns["alice"][0].Rebind("10.0.9.9:777")
				must(t, err)
			}},
		{name: "blackout-up", up: outage, happen: blackout(line{dead, path}), back: time.Second},
		{name: "blackout-down", down: outage, happen: blackout(line{path, dead}), back: time.Second, warned: true},
		{name: "blackout-both", up: outage, down: outage, happen: blackout(line{dead, dead}), back: time.Second, warned: true},
	}
}

// run makes the change happen, and returns what bob hears of alice (up) and
// she of him (down).
func (n networkChange) run(t *testing.T) (up, down gap) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		speaks := func(c *engine.ClientConfig) {
			c.Codec, c.OpusMicrophone = libopus.Driver{}, audio.NewPacketSource(tone(), true)
		}
		alice, a := w.dial(t, "alice", speaks)
		bob, b := w.dial(t, "bob", speaks)
		connect(t, alice, bob, b, hooks.MediaAudio)
		a.wait(t, "audio bob true")
		b.wait(t, "audio alice true")
		hers, his := newEar(t, alice), newEar(t, bob)
		time.Sleep(4 * time.Second) // virtual
		toldA, toldB := len(a.all()), len(b.all())

		start := time.Now()
		n.happen(t, w, alice)
		time.Sleep(15 * time.Second) // virtual
		for _, e := range append(a.all()[toldA:], b.all()[toldB:]...) {
			if !n.warned || !strings.HasPrefix(e, "warning 6007") {
				t.Errorf("somebody was told: %s", e)
			}
		}
		down, up = hers.gap(start, start.Add(n.down)), his.gap(start, start.Add(n.up))
		must(t, alice.Hangup(t.Context()))
		b.wait(t, "end hangup")
	})
	return up, down
}

// Whatever happens to the network, the call goes on, nobody is told that
// somebody left, and the sound is back soon.
func TestNetworkChange(t *testing.T) {
	for _, n := range networkChanges() {
		t.Run(n.name, func(t *testing.T) {
			up, down := n.run(t)
			t.Logf("up:   %v", up)
			t.Logf("down: %v", down)
			for _, d := range []struct {
				name   string
				gap    gap
				outage time.Duration
			}{{"bob hears", up, n.up}, {"alice hears", down, n.down}} {
				if d.gap.back > n.back {
					t.Errorf("%s: the sound is back after %v, want %v at most", d.name, d.gap.back, n.back)
				}
				if d.outage > 0 && d.gap.made < d.outage {
					t.Errorf("%s: %v made up in an outage of %v: was there one?", d.name, d.gap.made, d.outage)
				}
			}
		})
	}
}
