package bots_test

import (
	"context"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/bots"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is a server in virtual time, and a person who calls.
type stage struct {
	t   *testing.T
	srv *engine.Server
}

func play(t *testing.T, test func(t *testing.T, s *stage)) {
	if !libopus.Available {
		t.Skip("built without cgo")
	}
	for _, name := range []string{"alice", "bob"} {
		speech.PCM(name) // decoded outside the bubble
	}
	synctest.Test(t, func(t *testing.T) {
		srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SDKAppID: 1, Key: "key"})
		must(t, err)
		go srv.Serve()
		defer srv.Close()
		test(t, &stage{t, srv})
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stage) config(user string, l hooks.Listener) engine.ClientConfig {
	sig, err := usersig.Sign("key", usersig.Claims{SDKAppID: 1, UserID: user, Issued: time.Now(), Lifetime: time.Hour})
	must(s.t, err)
	return engine.ClientConfig{
		Dialer: s.srv.Pipe(), SDKAppID: 1, UserID: user, UserSig: sig, Codec: libopus.Driver{}, Listener: l,
	}
}

// A person is who calls the bots: what they are told, hear and see.
type person struct {
	hooks.NopListener
	t      *testing.T
	client *engine.Client
	stop   context.CancelFunc
	ear    sync.WaitGroup
	heard  audio.Recording

	mu     sync.Mutex
	events []string
	at     map[string]time.Time // when each came first
}

func (s *stage) person(user string, mic []int16) *person {
	p := &person{t: s.t, at: make(map[string]time.Time)}
	cfg := s.config(user, p)
	if mic != nil {
		cfg.Microphone = audio.NewSource(audio.SourceConfig{PCM: mic, Loop: true})
	}
	var err error
	p.client, err = engine.Dial(s.t.Context(), cfg)
	must(s.t, err)
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	p.ear.Go(func() { audio.Pull(ctx, 0, p.client.ReadPCM, p.heard.Add) })
	return p
}

func (p *person) close() {
	p.stop()
	p.ear.Wait()
	p.client.Destroy()
	<-p.client.Done()
}

func (p *person) note(e string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.events = append(p.events, e)
	if p.at[e].IsZero() {
		p.at[e] = time.Now()
	}
}

// has reports whether something was told, and when first.
func (p *person) has(e string) (time.Time, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.at[e], slices.Contains(p.events, e)
}

func (p *person) want(e string) time.Time {
	p.t.Helper()
	at, ok := p.has(e)
	if !ok {
		p.t.Fatalf("no %q, but %q", e, p.events)
	}
	return at
}

func (p *person) OnInvited(hooks.Invitation)   { p.note("invited") }
func (p *person) OnAccept(u string)            { p.note("accept " + u) }
func (p *person) OnCallBegin(c hooks.CallInfo) { p.note("begin " + c.Media.String()) }
func (p *person) OnCallEnd(_ hooks.CallInfo, why hooks.EndReason, _ time.Duration) {
	p.note("end " + why.String())
}
func (p *person) OnUserEnter(u string) { p.note("enter " + u) }
func (p *person) OnUserVideoAvailable(u string, on bool) {
	if on {
		p.note("video " + u)
	} else {
		p.note("dark " + u)
	}
}

// A call is answered after its ringing, and the speaker is heard from the first
// word and seen, in two calls one after the other, one of which it makes.
func TestSpeaker(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		ctx := t.Context()
		alice, err := bots.NewSpeaker(ctx, bots.SpeakerConfig{Config: bots.Config{Client: s.config("alice", nil), Ring: 3 * time.Second}})
		must(t, err)
		defer alice.Close()
		you := s.person("you", nil)
		defer you.close()

		dialled := time.Now()
		must(t, you.client.Call(ctx, "alice", hooks.MediaVideo))
		time.Sleep(6 * time.Second) // virtual
		if d := you.want("accept alice").Sub(dialled); d < 3*time.Second || d > 3500*time.Millisecond {
			t.Errorf("answered after %v", d)
		}
		begun := you.want("begin video")
		you.want("video alice")
		screen := &video.Sink{}
		must(t, you.client.StartRemoteView(ctx, "alice", screen))
		time.Sleep(2 * time.Second)
		frames := screen.Frames()
		if len(frames) < 28 || !frames[0].KeyFrame || frames[0].Width != 320 || frames[0].Height != 240 {
			t.Errorf("%d frames were seen in 2 s at 15 a second", len(frames))
		}
		must(t, you.client.Hangup(ctx))
		time.Sleep(time.Second)

		must(t, alice.Call(ctx, "you", hooks.MediaAudio))
		time.Sleep(2 * time.Second)
		you.want("invited")
		if _, ok := you.has("begin audio"); ok {
			t.Error("the call began unanswered")
		}
		must(t, you.client.Accept(ctx))
		time.Sleep(5 * time.Second)
		again := you.want("begin audio")
		must(t, you.client.Hangup(ctx))
		you.stop()
		you.ear.Wait()
		for _, began := range []time.Time{begun, again} {
			n := you.heard.From(began)
			heard := you.heard.PCM[n:min(len(you.heard.PCM), n+4*audio.Rate)]
			like, _ := audio.Similarity(heard, speech.PCM("alice")[:4*audio.Rate])
			if other, _ := audio.Similarity(heard, speech.PCM("bob")[:4*audio.Rate]); like < 0.7 || other > like-0.2 {
				t.Errorf("what is heard is like alice's first words by %.2f, like bob's by %.2f", like, other)
			}
		}
	})
}

// In a group call all of them answer, and when only bots are left they hang up.
func TestGroupOfBots(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		ctx := t.Context()
		for _, name := range []string{"alice", "bob"} {
			b, err := bots.NewSpeaker(ctx, bots.SpeakerConfig{Config: bots.Config{
				Client: s.config(name, nil), Ring: -1, Others: []string{"alice", "bob", "echo"},
			}})
			must(t, err)
			defer b.Close()
		}
		you, dave := s.person("you", nil), s.person("dave", nil)
		defer you.close()
		defer dave.close()
		must(t, you.client.GroupCall(ctx, []string{"alice", "bob", "dave"}, hooks.MediaVideo, ""))
		time.Sleep(time.Second)
		must(t, dave.client.Accept(ctx))
		time.Sleep(time.Second)
		for _, want := range []string{"enter alice", "enter bob", "video alice", "video bob"} {
			you.want(want)
			dave.want(want)
		}
		must(t, you.client.Hangup(ctx))
		time.Sleep(time.Second)
		if _, ended := dave.has("end hangup"); ended {
			t.Fatal("the bots hung up on dave")
		}
		must(t, dave.client.Hangup(ctx))
		time.Sleep(time.Second)
		// Both are free again.
		must(t, you.client.GroupCall(ctx, []string{"alice", "bob"}, hooks.MediaAudio, ""))
		time.Sleep(time.Second)
		you.want("begin audio")
		if n := you.count("enter alice") + you.count("enter bob"); n != 4 {
			t.Errorf("they came %d times in two calls: %q", n, you.events)
		}
	})
}

func (p *person) count(e string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, have := range p.events {
		if have == e {
			n++
		}
	}
	return n
}

// A call that is taken back while it rings is not answered, nor is the next one
// before its time.
func TestTakenBack(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		ctx := t.Context()
		alice, err := bots.NewSpeaker(ctx, bots.SpeakerConfig{Config: bots.Config{Client: s.config("alice", nil)}})
		must(t, err)
		defer alice.Close()
		you := s.person("you", nil)
		defer you.close()
		must(t, you.client.Call(ctx, "alice", hooks.MediaAudio))
		time.Sleep(1500 * time.Millisecond)
		must(t, you.client.Hangup(ctx))
		must(t, you.client.Call(ctx, "alice", hooks.MediaVideo))
		time.Sleep(1500 * time.Millisecond)
		if _, ok := you.has("accept alice"); ok {
			t.Error("answered after 1.5 s, or for the call that was taken back")
		}
		time.Sleep(time.Second)
		you.want("begin video")
		alice.Close() // in the middle of a call: that is over
		alice.Close()
		time.Sleep(time.Second)
		you.want("end hangup")
	})
}

// What is not a picture is refused, and so is who may not sign in.
func TestNoSpeaker(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		good := s.config("alice", nil)
		bad := good
		bad.UserSig = "none"
		for what, cfg := range map[string]bots.SpeakerConfig{
			"a picture that is none": {Config: bots.Config{Client: good}, Picture: speech.WAV()},
			"a wrong UserSig":        {Config: bots.Config{Client: bad}},
		} {
			if _, err := bots.NewSpeaker(t.Context(), cfg); err == nil {
				t.Errorf("%s: no error", what)
			}
		}
	})
}

// An echo says a tone back after its delay, and shows the camera's own frames;
// another one's after the first has gone dark.
func TestEcho(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		ctx := t.Context()
		echo, err := bots.NewEcho(ctx, bots.EchoConfig{Config: bots.Config{Client: s.config("echo", nil), Ring: -1}})
		must(t, err)
		defer echo.Close()
		// Every three seconds 300 ms of 1 kHz.
		mic := make([]int16, 3*audio.Rate)
		for i := range mic[:3*audio.Rate/10] {
			mic[audio.Rate+i] = int16(9000 * math.Sin(2*math.Pi*1000*float64(i)/audio.Rate))
		}
		you := s.person("you", mic)
		defer you.close()
		must(t, you.client.GroupCall(ctx, []string{"echo"}, hooks.MediaVideo, ""))
		said := time.Now().Add(time.Second) // the microphone was read from then on
		time.Sleep(500 * time.Millisecond)
		you.want("begin video")
		if _, ok := you.has("video echo"); ok {
			t.Error("the echo shows a picture before it saw one")
		}
		camera := &video.Synthetic{FPS: 15, Bitrate: 200_000, Fixed: true}
		must(t, you.client.OpenCamera(ctx, camera))
		time.Sleep(500 * time.Millisecond)
		you.want("video echo")
		screen := &video.Sink{}
		must(t, you.client.StartRemoteView(ctx, "echo", screen))
		time.Sleep(5 * time.Second)
		checkMirror(t, screen.Frames(), 15*3)

		// A key frame for who loses one: it is asked for where it can be made.
		asked := camera.Asked()
		again := &video.Sink{}
		must(t, you.client.StartRemoteView(ctx, "echo", again))
		time.Sleep(4 * time.Second)
		checkMirror(t, again.Frames(), 15)
		t.Logf("key frames asked for: %d, then %d", asked, camera.Asked())

		must(t, you.client.CloseCamera(ctx))
		time.Sleep(500 * time.Millisecond)
		you.want("dark echo")
		must(t, you.client.OpenCamera(ctx, &video.Synthetic{FPS: 15, Fixed: true}))
		time.Sleep(2 * time.Second)
		if n := you.count("video echo"); n != 2 {
			t.Errorf("it showed a picture %d times, want 2", n)
		}
		third := &video.Sink{}
		must(t, you.client.StartRemoteView(ctx, "echo", third))
		time.Sleep(3 * time.Second)
		checkMirror(t, third.Frames(), 15)
		must(t, you.client.Hangup(ctx))
		you.stop()
		you.ear.Wait()

		heard := you.heard.PCM[you.heard.From(said):]
		at, like := audio.Find(heard[:5*audio.Rate/2], mic[audio.Rate:audio.Rate*13/10])
		if later := time.Duration(at) * time.Second / audio.Rate; like < 0.7 || later < time.Second || later > 1300*time.Millisecond {
			t.Errorf("the tone came back after %v, alike by %.2f", later, like)
		}
	})
}

// checkMirror looks for the camera's own frames, in their order and their time.
// Who asks for a key frame may be shown the last again, and what came since, at
// once.
func checkMirror(t *testing.T, frames []video.Shown, least int) {
	t.Helper()
	if len(frames) < least || !frames[0].KeyFrame {
		t.Fatalf("%d frames came back, want %d; a key frame first", len(frames), least)
	}
	for i, f := range frames[1:] {
		n, _ := video.Number(f.Data)
		last, _ := video.Number(frames[i].Data)
		if n != last+1 && !f.KeyFrame {
			t.Fatalf("frame %d came after frame %d", n, last)
		}
		if f.Time <= frames[i].Time {
			t.Fatalf("a frame of %v came after one of %v", f.Time, frames[i].Time)
		}
	}
}
