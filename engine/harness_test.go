package engine_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/codec/pionopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

const (
	testApp = 1400000000
	testKey = "a key for tests only"
)

// sign makes a UserSig that the test servers accept.
func sign(t testing.TB, user string) string {
	t.Helper()
	sig, err := usersig.Sign(testKey, usersig.Claims{SDKAppID: testApp, UserID: user, Issued: time.Now(), Lifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// serve starts a server inside the process, and ends it with the test.
func serve(t testing.TB, change func(*engine.ServerConfig)) *engine.Server {
	t.Helper()
	cfg := engine.ServerConfig{InProcess: true, SDKAppID: testApp, Key: testKey}
	if change != nil {
		change(&cfg)
	}
	srv, err := engine.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := srv.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; err != engine.ErrClosed {
			t.Errorf("Serve returned %v", err)
		}
	})
	return srv
}

// dial signs a user in, with a recorder as listener, and destroys the client
// with the test.
func dial(t testing.TB, srv *engine.Server, user string, change func(*engine.ClientConfig)) (*engine.Client, *recorder) {
	t.Helper()
	rec := newRecorder()
	cfg := engine.ClientConfig{
		Dialer: srv.Pipe(), SDKAppID: testApp, UserID: user, UserSig: sign(t, user),
		Codec: pionopus.Driver{}, Listener: rec,
	}
	if change != nil {
		change(&cfg)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := engine.Dial(ctx, cfg)
	if err != nil {
		t.Fatalf("%s: %v", user, err)
	}
	rec.client = c
	t.Cleanup(func() {
		c.Destroy()
		<-c.Done()
	})
	return c, rec
}

// recorder is a listener that writes down what it is told. Volumes are kept
// apart.
type recorder struct {
	client *engine.Client

	mu      sync.Mutex
	events  []string
	volumes [][]hooks.UserVolume
	totals  []int
	targets []int    // of OnTargetBitrate
	floor   []string // who had it, one after the other
	// quality is the newest of each user, and qualities counts the callbacks.
	quality   map[string]hooks.Quality
	qualities int
	changed   chan struct{}
	call      string // that of the last invitation
	// on is called for each event, on the callback goroutine.
	on func(event string)
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{})} }

func (r *recorder) note(format string, args ...any) {
	e := fmt.Sprintf(format, args...)
	r.mu.Lock()
	r.events = append(r.events, e)
	close(r.changed)
	r.changed = make(chan struct{})
	on := r.on
	r.mu.Unlock()
	if on != nil {
		on(e)
	}
}

// all returns the events so far.
func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// callID is the call that the user was last invited to.
func (r *recorder) callID() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.call
}

// wait waits until an event that begins with prefix has come, and returns it.
func (r *recorder) wait(t testing.TB, prefix string) string {
	t.Helper()
	late := time.After(2 * time.Minute)
	for {
		r.mu.Lock()
		i := slices.IndexFunc(r.events, func(e string) bool { return strings.HasPrefix(e, prefix) })
		changed := r.changed
		events := slices.Clone(r.events)
		r.mu.Unlock()
		if i >= 0 {
			return events[i]
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("no %s came, only %q", prefix, events)
		}
	}
}

// want fails unless the events, without those that depend on the pace of
// things, are exactly these.
func (r *recorder) want(t testing.TB, want ...string) {
	t.Helper()
	if got := r.all(); !slices.Equal(got, want) {
		t.Errorf("events:\n got %q\nwant %q", got, want)
	}
}

func (r *recorder) OnError(code hooks.Code, m string)   { r.note("error %d", int(code)) }
func (r *recorder) OnWarning(code hooks.Code, m string) { r.note("warning %d", int(code)) }
func (r *recorder) OnInvited(i hooks.Invitation) {
	r.mu.Lock()
	r.call = i.CallID
	r.mu.Unlock()
	r.note("invited by %s %v %v", i.Sponsor, i.Media, i.Timeout.Round(time.Second))
}
func (r *recorder) OnCallReceived(hooks.CallInfo)           {}
func (r *recorder) OnGroupCallInviteeListUpdate(u []string) { r.note("invitees %v", u) }
func (r *recorder) OnAccept(u string)                       { r.note("accept %s", u) }
func (r *recorder) OnReject(u string)                       { r.note("reject %s", u) }
func (r *recorder) OnLineBusy(u string)                     { r.note("busy %s", u) }
func (r *recorder) OnNoResp(u string)                       { r.note("noresp %s", u) }
func (r *recorder) OnCallingCancel()                        { r.note("cancel") }
func (r *recorder) OnCallingTimeout(u []string)             { r.note("timeout %v", u) }
func (r *recorder) OnEnterRoom(result int) {
	if result > 0 {
		r.note("entered")
	} else {
		r.note("entered %d", result)
	}
}
func (r *recorder) OnUserEnter(u string)                        { r.note("enter %s", u) }
func (r *recorder) OnUserLeave(u string, why hooks.LeaveReason) { r.note("leave %s %d", u, why) }
func (r *recorder) OnCallBegin(c hooks.CallInfo)                { r.note("begin %s %v", c.Inviter, c.Media) }
func (r *recorder) OnCallEnd(c hooks.CallInfo, why hooks.EndReason, d time.Duration) {
	r.note("end %v %v", why, d.Round(time.Second))
}
func (r *recorder) OnUserAudioAvailable(u string, yes bool)         { r.note("audio %s %v", u, yes) }
func (r *recorder) OnUserVideoAvailable(u string, yes bool)         { r.note("video %s %v", u, yes) }
func (r *recorder) OnFirstVideoFrame(u string, w, h int)            { r.note("frame %s %dx%d", u, w, h) }
func (r *recorder) OnCallMediaTypeChanged(from, to hooks.MediaType) { r.note("media %v %v", from, to) }
func (r *recorder) OnUserVoiceVolume(v []hooks.UserVolume, total int) {
	r.mu.Lock()
	r.volumes = append(r.volumes, v)
	r.totals = append(r.totals, total)
	r.mu.Unlock()
}
func (r *recorder) OnTargetBitrate(bps int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.targets = append(r.targets, bps)
}
func (r *recorder) OnDominantSpeaker(u string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.floor = append(r.floor, u)
}
func (r *recorder) OnNetworkQuality(local hooks.UserQuality, remote []hooks.UserQuality) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quality = map[string]hooks.Quality{local.UserID: local.Quality}
	for _, u := range remote {
		r.quality[u.UserID] = u.Quality
	}
	r.qualities++
}
func (r *recorder) OnKickedOffline()  { r.note("kicked") }
func (r *recorder) OnUserSigExpired() { r.note("expired") }

var _ hooks.Listener = (*recorder)(nil)
