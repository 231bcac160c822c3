// Command radio-filter makes the voices of one team sound as over a radio, on
// the server: a plugin gives a hook of hooks/effects to each of their
// microphones. What Red says comes out of a loudspeaker between 300 and 3000 Hz;
// what Blue says is as it is.
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/effects"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	srv, err := engine.NewServer(engine.ServerConfig{
		InProcess: true, // the players of this example are in this program
		SignIn:    anybody,
		Codec:     libopus.Driver{},
		Mode:      hooks.ModeMix, // a hook changes what is mixed
		Plugins:   []hooks.Plugin{{Name: "radio", Processor: radio}},
	})
	if err != nil {
		return err
	}
	go srv.Serve()
	defer srv.Close()
	red, err := join(ctx, srv, "red", &voice{})
	if err != nil {
		return err
	}
	defer red.client.Destroy()
	blue, err := join(ctx, srv, "blue", &voice{})
	if err != nil {
		return err
	}
	defer blue.client.Destroy()
	if err := red.client.Call(ctx, "blue", hooks.MediaAudio); err != nil {
		return err
	}
	<-blue.invited
	if err := blue.client.Accept(ctx); err != nil {
		return err
	}
	for _, p := range []*player{red, blue} {
		<-p.audible
		pcm := p.listen(2 * time.Second)
		fmt.Fprintf(out, "%s hears 1000 Hz: %v, 6000 Hz: %v\n", p.client.UserID(), has(pcm, 1000), has(pcm, 6000))
	}
	return red.client.Hangup(ctx)
}

// radio is asked once for each microphone.
func radio(t hooks.TrackInfo) hooks.PCMHook {
	if t.UserID != "red" {
		return nil // nothing is changed, and nothing is paid
	}
	r, err := effects.NewRadio(effects.RadioConfig{})
	if err != nil {
		return nil
	}
	return r.Process
}

// has tells whether there is a tone in a sound, 40 dB below full scale or
// louder.
func has(pcm []int16, hz float64) bool {
	pcm = pcm[len(pcm)/2:]
	var re, im float64
	for i, v := range pcm {
		sin, cos := math.Sincos(2 * math.Pi * hz * float64(i) / 48000)
		w := 1 - math.Cos(2*math.Pi*float64(i)/float64(len(pcm)))
		re += w * float64(v) * cos
		im += w * float64(v) * sin
	}
	return 2*math.Hypot(re, im)/float64(len(pcm)) > 327
}

func anybody(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
	return hooks.SignIn{}, nil // yours asks the game's own sessions
}

// A player is one player's client.
type player struct {
	hooks.NopListener
	client  *engine.Client
	invited chan bool
	audible chan bool
}

func (p *player) OnInvited(hooks.Invitation) { p.invited <- true }
func (p *player) OnUserAudioAvailable(_ string, yes bool) {
	if yes {
		p.audible <- true
	}
}

func join(ctx context.Context, srv *engine.Server, name string, mic engine.PCMSource) (*player, error) {
	p := &player{invited: make(chan bool, 1), audible: make(chan bool, 1)}
	var err error
	p.client, err = engine.Dial(ctx, engine.ClientConfig{
		Dialer: srv.Pipe(), UserID: name, UserSig: "-", Codec: libopus.Driver{}, Microphone: mic, Listener: p,
	})
	return p, err
}

// listen hears for a while, 10 ms at a time as a sound card would.
func (p *player) listen(d time.Duration) (pcm []int16) {
	block := make([]int16, 480)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range d / (10 * time.Millisecond) {
		<-tick.C
		p.client.ReadPCM(block)
		pcm = append(pcm, block...)
	}
	return pcm
}

// A voice is a microphone that hears 1000 and 6000 Hz.
type voice struct {
	began time.Time
	n     int
}

func (v *voice) ReadPCM(ctx context.Context, pcm []int16) error {
	if v.began.IsZero() {
		v.began = time.Now()
	}
	for i := range pcm {
		t := float64(v.n) / 48000
		pcm[i] = int16(4000 * (math.Sin(2*math.Pi*1000*t) + math.Sin(2*math.Pi*6000*t)))
		v.n++
	}
	select {
	case <-time.After(time.Until(v.began.Add(time.Duration(v.n) * time.Second / 48000))):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
