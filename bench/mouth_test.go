package bench

import (
	"context"
	"encoding/hex"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

const (
	app = 1400000000
	key = "a key for benchmarks only"
)

// newServer starts a server on loopback.
func newServer(b *testing.B, change func(*engine.ServerConfig)) *engine.Server {
	cfg := engine.ServerConfig{Addr: "127.0.0.1:0", SDKAppID: app, Key: key, SignInsPerSecond: 1e6, MaxPendingPerAddr: 1e6}
	if change != nil {
		change(&cfg)
	}
	srv, err := engine.NewServer(cfg)
	if err != nil {
		b.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() { srv.Serve(); close(done) }()
	b.Cleanup(func() { srv.Close(); <-done })
	return srv
}

// signIn signs a user in over QUIC on loopback.
func signIn(b *testing.B, srv *engine.Server, user string, l hooks.Listener, mic engine.PCMSource, frame time.Duration) *engine.Client {
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: user, Issued: time.Now(), Lifetime: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	pin := srv.Pins()[0]
	c, err := engine.Dial(b.Context(), engine.ClientConfig{
		Addr: srv.Addr().String(), Pin: hex.EncodeToString(pin[:]), SDKAppID: app, UserID: user, UserSig: sig,
		Codec: libopus.Driver{}, Microphone: mic, Listener: l, Encoder: codec.EncoderConfig{FrameDuration: frame},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.Destroy(); <-c.Done() })
	return c
}

// answerer accepts whoever calls, and says when the call has begun.
type answerer struct {
	hooks.NopListener
	client  *engine.Client
	invited chan struct{}
	begun   chan struct{}
	audible chan struct{}
}

func newAnswerer() *answerer {
	return &answerer{invited: make(chan struct{}, 1), begun: make(chan struct{}, 1), audible: make(chan struct{}, 1)}
}

func (a *answerer) OnInvited(hooks.Invitation) {
	a.invited <- struct{}{}
	a.client.Accept(context.Background())
}
func (a *answerer) OnCallBegin(hooks.CallInfo) { a.begun <- struct{}{} }
func (a *answerer) OnUserAudioAvailable(_ string, yes bool) {
	if yes {
		a.audible <- struct{}{}
	}
}

// BenchmarkMouthToEar is the time that sound takes from one user's microphone
// to the other's ear, over QUIC on loopback, in a room that forwards and in one
// that mixes, measured on markers in the sound. Each iteration is one call of
// 2.5 s, or of 6 s in a mix, where the first seconds are for the server to ask
// the talker to move their frames, with a sink that pulls 10 ms blocks at a
// random phase; run it with -benchtime 20x.
func BenchmarkMouthToEar(b *testing.B) {
	for _, c := range []struct {
		name  string
		mode  hooks.RoomMode
		frame time.Duration
	}{
		{"forward", hooks.ModeForward, 20 * time.Millisecond},
		{"mix", hooks.ModeMix, 20 * time.Millisecond},
		{"mix-10ms", hooks.ModeMix, 10 * time.Millisecond},
	} {
		b.Run(c.name, func(b *testing.B) { mouthToEar(b, c.mode, c.frame) })
	}
}

func mouthToEar(b *testing.B, mode hooks.RoomMode, frame time.Duration) {
	srv := newServer(b, func(c *engine.ServerConfig) {
		c.Codec, c.Mode, c.Mix.FrameDuration = libopus.Driver{}, mode, frame
	})
	marked, at := audio.Markers(speech.PCM("alice"), 250*time.Millisecond)
	length, settle := 2500*time.Millisecond, time.Duration(0)
	if mode == hooks.ModeMix {
		length, settle = 6*time.Second, 3*time.Second
	}
	at = slices.DeleteFunc(at, func(place int) bool { return place < int(settle*codec.SampleRate/time.Second) })
	var all, medians []time.Duration
	var jitterDelay time.Duration
	missed, concealed, total := 0, uint64(0), uint64(0)
	calls := 0
	for b.Loop() {
		calls++
		mic := audio.NewSource(audio.SourceConfig{PCM: marked, Loop: true})
		a, z := newAnswerer(), newAnswerer()
		a.client = signIn(b, srv, "alice", a, mic, frame)
		z.client = signIn(b, srv, "bob", z, nil, frame)
		if err := a.client.Call(b.Context(), "bob", hooks.MediaAudio); err != nil {
			b.Fatal(err)
		}
		<-z.audible
		heard := new(audio.Recording)
		ctx, cancel := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		wg.Go(func() { audio.Pull(ctx, audio.RandomPhase(), z.client.ReadPCM, heard.Add) })
		talk := time.NewTimer(length)
		<-talk.C
		cancel()
		wg.Wait()
		var js jitter.Stats
		for _, tr := range z.client.Stats().Tracks {
			if tr.Mix == (mode == hooks.ModeMix) {
				js = tr.Jitter
			}
		}
		jitterDelay += js.Delay
		concealed += js.ConcealedSamples
		total += js.DecodedSamples + js.ConcealedSamples
		d := audio.MouthToEar(marked, at, mic.Began(), length, heard)
		all = append(all, d.Found...)
		if len(d.Found) > 0 {
			medians = append(medians, d.Quantile(0.5))
		}
		missed += d.Missed
		a.client.Destroy()
		z.client.Destroy()
	}
	b.ReportMetric(float64(len(all)), "markers")
	b.ReportMetric(float64(missed), "missed")
	b.ReportMetric(0, "ns/op")
	switch {
	case total == 0:
		b.Fatal("nothing was heard")
	case len(all) > 0:
	case calls == 1: // that it works is seen: a marker is looked for until 250 ms after it was said
		b.Logf("no marker found, %d missed: the machine has too much else to do", missed)
		return
	default:
		b.Fatalf("no marker found, %d missed", missed)
	}
	slices.Sort(all)
	slices.Sort(medians)
	enc, err := libopus.Driver{}.NewEncoder(codec.EncoderConfig{})
	if err != nil {
		b.Fatal(err)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	b.ReportMetric(ms(all[len(all)/2]), "ms/p50")
	b.ReportMetric(ms(all[len(all)*99/100]), "ms/p99")
	b.ReportMetric(ms(medians[len(medians)-1]), "ms/worst-call-p50")
	b.ReportMetric(ms(jitterDelay)/float64(calls), "ms/jitter-buffer")
	b.ReportMetric(float64(enc.Lookahead())*1000/codec.SampleRate, "ms/lookahead")
	b.ReportMetric(100*float64(concealed)/float64(total), "%concealed")
}
