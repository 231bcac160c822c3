// Command place-players is a game server with voice: it mixes for its players,
// and each hears the others from where they stand. A bard sings at the well
// while Hero walks past him.
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
	"github.com/earshotrtc/earshot/mixer"
)

func main() {
	if err := run(context.Background(), os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, out io.Writer) error {
	// The game server mixes: each player gets one stream, whatever the crowd.
	srv, err := engine.NewServer(engine.ServerConfig{
		InProcess: true, // the players of this example are in this program
		SignIn:    anybody,
		Codec:     libopus.Driver{},
		Mode:      hooks.ModeMix,
		Mix:       engine.MixConfig{Spatial: mixer.Spatial{Range: 50}}, // metres
	})
	if err != nil {
		return err
	}
	go srv.Serve()
	defer srv.Close()

	bard, err := player(ctx, srv, "bard", &song{})
	if err != nil {
		return err
	}
	defer bard.client.Destroy()
	hero, err := player(ctx, srv, "hero", nil)
	if err != nil {
		return err
	}
	defer hero.client.Destroy()

	// Everybody in the village is in one call.
	if err := bard.client.GroupCall(ctx, []string{"hero"}, hooks.MediaAudio, ""); err != nil {
		return err
	}
	village := <-hero.invited
	if err := hero.client.Accept(ctx); err != nil {
		return err
	}
	<-hero.audible

	// The game knows where everybody is, and says so as often as it likes. Hero
	// looks north, and walks past the bard from the left to the right.
	well := &mixer.Pose{Position: mixer.Vector{4, 0, 0}} // 4 m ahead of the gate
	for _, east := range []float32{-20, -6, 0, 6, 20} {
		at := &mixer.Pose{
			Position: mixer.Vector{0, east, 0},
			Forward:  mixer.Vector{1, 0, 0}, Right: mixer.Vector{0, 1, 0}, Up: mixer.Vector{0, 0, 1},
		}
		if err := srv.SetPoses(village, map[string]*mixer.Pose{"bard": well, "hero": at}); err != nil {
			return err
		}
		left, right := hero.listen()
		fmt.Fprintf(out, "%3.0f m east of the gate: %s\n", east, words(left, right))
	}
	return bard.client.Hangup(ctx)
}

// words says from where something is heard, and how loud.
func words(left, right float64) string {
	where := "ahead"
	switch {
	case right-left > 3:
		where = "at the right"
	case left-right > 3:
		where = "at the left"
	}
	if max(left, right) < -22 {
		return "the bard, far away, " + where
	}
	return "the bard, " + where
}

func anybody(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
	return hooks.SignIn{}, nil // yours asks the game's own sessions
}

// A villager is one player's client.
type villager struct {
	hooks.NopListener
	client  *engine.Client
	invited chan string
	audible chan bool
}

func (v *villager) OnInvited(i hooks.Invitation) { v.invited <- i.CallID }
func (v *villager) OnUserAudioAvailable(_ string, yes bool) {
	if yes {
		v.audible <- true
	}
}

func player(ctx context.Context, srv *engine.Server, name string, mic engine.PCMSource) (*villager, error) {
	v := &villager{invited: make(chan string, 1), audible: make(chan bool, 1)}
	var err error
	v.client, err = engine.Dial(ctx, engine.ClientConfig{
		Dialer: srv.Pipe(), UserID: name, UserSig: "-", Codec: libopus.Driver{},
		Microphone: mic, Stereo: true, Listener: v,
	})
	return v, err
}

// listen hears for a second, 10 ms at a time as a sound card would, and returns
// how loud the last half of it is left and right, in dBov.
func (v *villager) listen() (left, right float64) {
	var l, r []int16
	block := make([]int16, 2*480)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for i := range 100 {
		<-tick.C
		v.client.ReadPCM(block)
		for k := 0; i >= 50 && k < len(block); k += 2 {
			l, r = append(l, block[k]), append(r, block[k+1])
		}
	}
	return mixer.Level(l), mixer.Level(r)
}

// A song is a microphone that hears one note.
type song struct {
	began time.Time
	n     int
}

func (s *song) ReadPCM(ctx context.Context, pcm []int16) error {
	if s.began.IsZero() {
		s.began = time.Now()
	}
	for i := range pcm {
		pcm[i] = int16(8000 * math.Sin(2*math.Pi*330*float64(s.n)/48000))
		s.n++
	}
	end := s.began.Add(time.Duration(s.n) * time.Second / 48000)
	select {
	case <-time.After(time.Until(end)):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
