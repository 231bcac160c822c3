package main

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
)

// A bot is a player's client inside the process. Every third talks, with a
// recorded voice; all listen.
type bot struct {
	client *engine.Client
	stop   context.CancelFunc
	wg     sync.WaitGroup
	loud   atomic.Int64 // when it last heard something, in Unix nanoseconds
}

func newBot(ctx context.Context, srv *engine.Server, name, ticket string, n int) (*bot, error) {
	cfg := engine.ClientConfig{Dialer: srv.Pipe(), UserID: name, UserSig: ticket, Codec: pionopus.Driver{}, Stereo: true}
	if n%3 == 0 {
		voices := speech.Voices()
		cfg.OpusMicrophone = audio.NewPacketSource(speech.Packets(voices[n/3%len(voices)]), true)
	}
	c, err := engine.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	b := &bot{client: c}
	ctx, b.stop = context.WithCancel(context.Background())
	b.wg.Go(func() { b.listen(ctx) })
	return b, nil
}

// listen hears as a sound card would.
func (b *bot) listen(ctx context.Context) {
	pcm := make([]int16, 2*480)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		if b.client.ReadPCM(pcm); mixer.Level(pcm) > -50 {
			b.loud.Store(time.Now().UnixNano())
		}
	}
}

// hears reports whether the bot heard something within the last second.
func (b *bot) hears() bool { return time.Since(time.Unix(0, b.loud.Load())) < time.Second }

func (b *bot) close() {
	b.stop()
	b.wg.Wait()
	b.client.Destroy()
}

// dice is chance that is the same every time.
type dice struct{ state uint64 }

// roll is a number from 0 to 1.
func (d *dice) roll() float32 {
	d.state = d.state*6364136223846793005 + 1442695040888963407
	return float32(d.state>>40) / (1 << 24)
}

// direction is a way to walk: a part of a full turn.
func direction(turn float32) mixer.Vector {
	sin, cos := math.Sincos(float64(turn) * 2 * math.Pi)
	return mixer.Vector{float32(cos), float32(sin)}
}
