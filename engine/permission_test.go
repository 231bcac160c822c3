package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

var room = hooks.RoomID{Number: 123}

// mapKey makes a private-map key for a user and a room.
func mapKey(t testing.TB, user string, r hooks.RoomID, p usersig.Privileges, change ...func(*usersig.Claims, *usersig.PrivateMap)) string {
	t.Helper()
	c := usersig.Claims{SDKAppID: testApp, UserID: user, Issued: time.Now(), Lifetime: time.Hour}
	m := usersig.PrivateMap{SDKAppID: testApp, UserID: user, RoomID: r.Number, Room: r.Name, ExpiresAt: c.ExpiresAt(), Privileges: p}
	key := testKey
	for _, f := range change {
		f(&c, &m)
	}
	buf, err := usersig.BuildUserBuf(m)
	must(t, err)
	if c.UserBuf == nil {
		c.UserBuf = buf
	}
	sig, err := usersig.Sign(key, c)
	must(t, err)
	return sig
}

func keyed(c *engine.ServerConfig) { c.PrivateMapKeys = true }

// wantCode fails unless err is an *Error with a code, and the listener was told
// of it as a room that could not be entered.
func wantCode(t *testing.T, what string, err error, code hooks.Code, r *recorder) {
	t.Helper()
	var e *engine.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%s: %v, want code %d", what, err, code)
	}
	synctest.Wait()
	if got, want := r.all(), []string{fmt.Sprintf("entered %d", code), fmt.Sprintf("error %d", code)}; len(got) < 2 || !slices.Equal(got[len(got)-2:], want) {
		t.Errorf("%s: told %q, want %q at the end", what, got, want)
	}
}

func TestPrivateMapKeysNeedAKey(t *testing.T) {
	signIn := engine.UserSigSignIn(testApp, testKey)
	for _, cfg := range []engine.ServerConfig{{SignIn: signIn}, {SignIn: signIn, Key: testKey}, {SignIn: signIn, SDKAppID: testApp}} {
		cfg.PrivateMapKeys = true
		if _, err := engine.NewServer(cfg); err == nil {
			t.Errorf("a server was made that could check no key: %+v", cfg)
		}
	}
}

// Every key that does not hold for this user and this room, shown at every way
// into a room.
func TestPrivateMapKeysThatDoNotHold(t *testing.T) {
	const enter = usersig.EnterRoom | usersig.SendAudio | usersig.ReceiveAudio
	bad := map[string]func(t *testing.T, user string, all usersig.Privileges) string{
		"none":      func(*testing.T, string, usersig.Privileges) string { return "" },
		"junk":      func(*testing.T, string, usersig.Privileges) string { return "hello" },
		"a UserSig": func(t *testing.T, user string, _ usersig.Privileges) string { return sign(t, user) },
		"another user's": func(t *testing.T, _ string, all usersig.Privileges) string {
			return mapKey(t, "mallory", room, all)
		},
		"another user's, in the buffer": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, room, all, func(_ *usersig.Claims, m *usersig.PrivateMap) { m.UserID = "mallory" })
		},
		"another app's": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, room, all, func(c *usersig.Claims, _ *usersig.PrivateMap) { c.SDKAppID++ })
		},
		"another app's, in the buffer": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, room, all, func(_ *usersig.Claims, m *usersig.PrivateMap) { m.SDKAppID++ })
		},
		"expired": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, room, all, func(c *usersig.Claims, _ *usersig.PrivateMap) { c.Issued = c.Issued.Add(-2 * time.Hour) })
		},
		"expired, in the buffer": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, room, all, func(_ *usersig.Claims, m *usersig.PrivateMap) { m.ExpiresAt = time.Now().Add(-time.Second) })
		},
		"for another room": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, hooks.RoomID{Number: 124}, all)
		},
		"for the room of that name": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, hooks.RoomID{Name: "123"}, all)
		},
		"for no room": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, hooks.RoomID{}, all)
		},
		"half a buffer": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, room, all, func(c *usersig.Claims, _ *usersig.PrivateMap) { c.UserBuf = []byte{0, 0, 5} })
		},
		"without the right to enter": func(t *testing.T, user string, all usersig.Privileges) string {
			return mapKey(t, user, room, all&^usersig.EnterRoom)
		},
	}
	three(t, keyed, func(t *testing.T, _ *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder) {
		ctx, id := t.Context(), invitedTo(bob)
		call := func(key string) error {
			return alice.GroupCall(ctx, []string{"bob"}, hooks.MediaAudio, "g", engine.CallOptions{RoomID: room, PrivateMapKey: key, Timeout: time.Minute})
		}
		for name, key := range bad {
			wantCode(t, "call: "+name, call(key(t, "alice", usersig.AllPrivileges)), hooks.CodePrivateMapKey, a)
		}
		wantCode(t, "call: without the right to create", call(mapKey(t, "alice", room, enter)), hooks.CodePrivateMapKey, a)
		b.want(t)
		must(t, call(mapKey(t, "alice", room, enter|usersig.CreateRoom)))
		b.wait(t, "invited")
		for name, key := range bad {
			bob.SetPrivateMapKey(key(t, "bob", usersig.AllPrivileges))
			wantCode(t, "accept: "+name, bob.Accept(ctx), hooks.CodePrivateMapKey, b)
			carol.SetPrivateMapKey(key(t, "carol", usersig.AllPrivileges))
			wantCode(t, "join: "+name, carol.JoinCall(ctx, id()), hooks.CodePrivateMapKey, c)
		}
		// To enter takes no right to create.
		bob.SetPrivateMapKey(mapKey(t, "bob", room, enter))
		must(t, bob.Accept(ctx)) // it still rang
		carol.SetPrivateMapKey(mapKey(t, "carol", room, enter))
		must(t, carol.JoinCall(ctx, id()))
		a.wait(t, "enter carol")
	})
}

// What was shown at the door holds inside: who may not send does not, and who
// may not receive is sent nothing.
func TestPrivateMapRightsInTheRoom(t *testing.T) {
	const door = usersig.CreateRoom | usersig.EnterRoom
	for _, media := range []struct {
		kind           signal.Kind
		send, receive  usersig.Privileges
		other          usersig.Privileges // the same for the other kind, which helps nothing
		asked, started bool               // by itself, from the start
	}{
		{signal.KindAudio, usersig.SendAudio, usersig.ReceiveAudio, usersig.SendVideo | usersig.ReceiveVideo | usersig.SendSubstream | usersig.ReceiveSubstream, false, true},
		{signal.KindVideo, usersig.SendVideo, usersig.ReceiveVideo, usersig.SendAudio | usersig.ReceiveAudio | usersig.SendSubstream | usersig.ReceiveSubstream, true, false},
	} {
		for name, c := range map[string]struct {
			sender, receiver usersig.Privileges
			sends, receives  bool
		}{
			"both may":              {media.send, media.receive, true, true},
			"the sender may not":    {media.receive | media.other, media.receive | media.other, false, false},
			"the receiver may not":  {media.send, media.send | media.other, true, false},
			"who only listens":      {media.send, usersig.ListenOnly, true, true},
			"the receiver's key: 0": {media.send, 0, true, false},
		} {
			t.Run(string(media.kind)+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					srv := serve(t, keyed)
					alice, bob := rawDial(t, srv), rawDial(t, srv)
					alice.signIn("alice")
					bob.signIn("bob")
					alice.send(signal.TypeCall, 1, signal.Call{UserIDs: []string{"bob"}, Media: 2, RoomID: room, PrivateMapKey: mapKey(t, "alice", room, door|c.sender)})
					_, res := alice.read(signal.TypeResult)
					id := res.(*signal.Result).CallID
					bob.read(signal.TypeInvited)
					bob.send(signal.TypeAccept, 1, signal.Enter{CallID: id, PrivateMapKey: mapKey(t, "bob", room, usersig.EnterRoom|c.receiver)})
					bob.read(signal.TypeResult)

					alice.send(signal.TypePublish, 2, signal.Publish{CallID: id, Kind: media.kind})
					_, res = alice.read(signal.TypeResult)
					r := res.(*signal.Result)
					if !c.sends {
						if r.Code != hooks.CodePrivateMapKey || r.Track != nil {
							t.Errorf("publish: %+v", r)
						}
						return
					}
					if r.Track == nil {
						t.Fatalf("publish: %+v", r)
					}
					_, added := bob.read(signal.TypeTrackAdded)
					track := added.(*signal.Track)
					var got atomic.Int32
					bob.sess.HandleFlow(track.Flow, func([]byte, time.Time) { got.Add(1) })
					seq := uint16(0)
					packet := func() {
						seq++
						alice.sess.Send(transport.Packet{Flow: r.Track.Flow, Payload: rtpPacket(r.Track, seq)})
						synctest.Wait()
					}
					packet()
					if want := c.receives && media.started; got.Load() > 0 != want {
						t.Errorf("sent %d packets before asking", got.Load())
					}
					bob.send(signal.TypeSubscribe, 2, signal.Subscribe{TrackID: track.TrackID, On: true})
					_, res = bob.read(signal.TypeResult)
					if code := res.(*signal.Result).Code; c.receives != (code == 0) || !c.receives && code != hooks.CodePrivateMapKey {
						t.Errorf("subscribe: code %d", code)
					}
					synctest.Wait()
					before := got.Load()
					packet()
					if got.Load() > before != c.receives {
						t.Errorf("sent %d packets after asking, allowed: %v", got.Load()-before, c.receives)
					}
				})
			})
		}
	}
}

// The rights are the device's in that call: those of the next call are those
// of the next key.
func TestPrivateMapRightsEndWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, keyed)
		r := rawDial(t, srv)
		r.signIn("alice")
		id := uint64(0)
		ask := func(typ signal.Type, body any) *signal.Result {
			id++
			r.send(typ, id, body)
			_, res := r.read(signal.TypeResult)
			return res.(*signal.Result)
		}
		for _, c := range []struct {
			p    usersig.Privileges
			want hooks.Code
		}{{usersig.AllPrivileges, 0}, {usersig.AllPrivileges &^ usersig.SendAudio, hooks.CodePrivateMapKey}, {usersig.AllPrivileges, 0}} {
			call := ask(signal.TypeCall, signal.Call{UserIDs: []string{"bob"}, Media: 1, RoomID: room, PrivateMapKey: mapKey(t, "alice", room, c.p)}).CallID
			// To join again with another key changes nothing.
			ask(signal.TypeJoin, signal.Enter{CallID: call, PrivateMapKey: mapKey(t, "alice", room, usersig.AllPrivileges)})
			if got := ask(signal.TypePublish, signal.Publish{CallID: call, Kind: signal.KindAudio}).Code; got != c.want {
				t.Errorf("with rights %d: publish gave %d, want %d", c.p, got, c.want)
			}
			ask(signal.TypeHangup, signal.CallRef{CallID: call})
		}
	})
}

// Without the right to send, a client's microphone is an error that the
// listener hears; it hears the other all the same.
func TestMicrophoneWithoutTheRightToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, keyed)
		alice, a := w.dial(t, "alice", nil)
		bob, b := w.dial(t, "bob", nil)
		listen(t, bob)
		must(t, alice.Call(t.Context(), "bob", hooks.MediaVideo, engine.CallOptions{RoomID: room, PrivateMapKey: mapKey(t, "alice", room, usersig.AllPrivileges)}))
		b.wait(t, "invited")
		bob.SetPrivateMapKey(mapKey(t, "bob", room, usersig.ListenOnly))
		must(t, bob.Accept(t.Context()))
		b.wait(t, "error -100006")
		b.wait(t, "audio alice true")
		hearsOn(t, bob)
		var e *engine.Error
		if err := bob.OpenCamera(t.Context(), nopCamera{}); !errors.As(err, &e) || e.Code != hooks.CodePrivateMapKey {
			t.Errorf("camera: %v", err)
		}
		for _, e := range a.all() {
			if strings.HasPrefix(e, "audio") {
				t.Errorf("alice was told %q", e)
			}
		}
	})
}

type nopCamera struct{}

func (nopCamera) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	<-ctx.Done()
	return engine.VideoFrame{}, ctx.Err()
}

// The invited are told the room, so that their app can fetch a key for it: in
// the callback, before it accepts.
func TestInvitedAreToldTheRoom(t *testing.T) {
	for name, r := range map[string]hooks.RoomID{"a number": room, "a name": {Name: "123"}} {
		t.Run(name, func(t *testing.T) {
			two(t, keyed, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
				bob.SetCallingListener(&keyFetcher{t: t, c: bob})
				must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio, engine.CallOptions{RoomID: r, PrivateMapKey: mapKey(t, "alice", r, usersig.AllPrivileges)}))
				a.wait(t, "begin")
				synctest.Wait() // the callback has returned
			})
		})
	}
	t.Run("chosen by the server", func(t *testing.T) {
		seen := make(chan hooks.RoomID, 1)
		two(t, plugged(hooks.Plugin{Push: func(_ context.Context, r hooks.PushRequest) error { seen <- r.RoomID; return nil }}),
			func(t *testing.T, _ *engine.Server, alice, _ *engine.Client, _, _ *recorder) {
				must(t, alice.Call(t.Context(), "offline", hooks.MediaAudio))
				if r := <-seen; r.Number == 0 || r.Name != "" || r.Check() != nil {
					t.Errorf("the server chose %v", r)
				}
			})
	})
}

// keyFetcher accepts what it is invited to, with a key for the room.
type keyFetcher struct {
	hooks.NopListener
	t *testing.T
	c *engine.Client
}

func (k *keyFetcher) OnInvited(inv hooks.Invitation) {
	k.c.SetPrivateMapKey(mapKey(k.t, "bob", inv.RoomID, usersig.AllPrivileges))
	if err := k.c.Accept(k.t.Context()); err != nil {
		k.t.Error(err)
	}
}

func TestRoomsAreNumbersOrNames(t *testing.T) {
	three(t, nil, func(t *testing.T, _ *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder) {
		ctx := t.Context()
		in := func(r hooks.RoomID) engine.CallOptions { return engine.CallOptions{RoomID: r} }
		for _, r := range []hooks.RoomID{{Number: 1, Name: "1"}, {Number: 4294967295}, {Name: strings.Repeat("x", 65)}, {Name: "\xFF"}} {
			wantCode(t, fmt.Sprint("room ", r), alice.Call(ctx, "dave", hooks.MediaAudio, in(r)), hooks.CodeRoomID, a)
		}
		for _, r := range []hooks.RoomID{{Number: 1}, {Number: 4294967294}, {Name: "x"}, {Name: strings.Repeat("x", 64)}} {
			must(t, alice.Call(ctx, "dave", hooks.MediaAudio, in(r)))
			must(t, alice.Hangup(ctx))
		}
		// 123 is not "123".
		must(t, alice.Call(ctx, "dave", hooks.MediaAudio, in(room)))
		must(t, bob.Call(ctx, "erin", hooks.MediaAudio, in(hooks.RoomID{Name: "123"})))
		wantCode(t, "a room with a call", carol.Call(ctx, "frank", hooks.MediaAudio, in(room)), hooks.CodeEnterRoom, c)
		must(t, alice.Hangup(ctx))
		must(t, carol.Call(ctx, "frank", hooks.MediaAudio, in(room)))
	})
}

// The server itself refuses a bad room ID: not every client is ours.
func TestBadRoomIDOnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := rawDial(t, serve(t, nil))
		r.signIn("alice")
		for i, js := range []string{`4294967295`, `-1`, `1.5`, `"` + strings.Repeat("x", 65) + `"`} {
			r.send(signal.TypeCall, uint64(i+1), map[string]any{"userIDs": []string{"bob"}, "media": 1, "roomID": rawJSON(js)})
			if _, res := r.read(signal.TypeResult); res.(*signal.Result).Code != hooks.CodeRoomID {
				t.Errorf("room %s: %+v", js, res)
			}
		}
	})
	two(t, keyed, func(t *testing.T, _ *engine.Server, alice, _ *engine.Client, a, _ *recorder) {
		err := alice.Call(t.Context(), "bob", hooks.MediaAudio, engine.CallOptions{PrivateMapKey: mapKey(t, "alice", room, usersig.AllPrivileges)})
		wantCode(t, "no room, where keys are wanted", err, hooks.CodeRoomID, a)
	})
}

type rawJSON string

func (j rawJSON) MarshalJSON() ([]byte, error) { return []byte(j), nil }

// Each code with which a room cannot be entered, at each way in: the asker gets
// an error, and the listener OnEnterRoom and OnError.
func TestRoomCannotBeEntered(t *testing.T) {
	var mu sync.Mutex
	var admit func(ctx context.Context) error
	p := hooks.Plugin{Admit: func(ctx context.Context, _ hooks.AdmitRequest) error {
		mu.Lock()
		f := admit
		mu.Unlock()
		if f == nil {
			return nil
		}
		return f(ctx)
	}}
	set := func(f func(context.Context) error) {
		mu.Lock()
		admit = f
		mu.Unlock()
	}
	no := func(code hooks.Code) func(context.Context) error {
		return func(context.Context) error { return &hooks.Refusal{Code: code, Message: "no"} }
	}
	three(t, plugged(p), func(t *testing.T, srv *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder) {
		ctx, id := t.Context(), invitedTo(bob)
		set(nil)
		must(t, alice.GroupCall(ctx, []string{"bob", "offline"}, hooks.MediaAudio, "", engine.CallOptions{Timeout: 10 * time.Minute}))
		b.wait(t, "invited")
		ways := map[string]struct {
			ask func(ctx context.Context) error
			r   *recorder
		}{
			"call":   {func(ctx context.Context) error { return carol.Call(ctx, "dave", hooks.MediaAudio) }, c},
			"accept": {bob.Accept, b},
			"join":   {func(ctx context.Context) error { return carol.JoinCall(ctx, id()) }, c},
		}
		for name, w := range ways {
			for _, code := range []hooks.Code{hooks.CodeEnterRoom, hooks.CodeConnectTimeout, hooks.CodeRoomID, hooks.CodeEnterRefused, hooks.CodePrivateMapKey} {
				set(no(code))
				wantCode(t, name, w.ask(ctx), code, w.r)
			}
			set(func(context.Context) error { return errors.New("the database is down") })
			wantCode(t, name, w.ask(ctx), hooks.CodeEnterRefused, w.r)

			set(func(context.Context) error { time.Sleep(1500 * time.Millisecond); return nil })
			short, cancel := context.WithTimeout(ctx, time.Second)
			err := w.ask(short)
			cancel()
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s: %v, want the deadline", name, err)
			}
			synctest.Wait()
			if got := w.r.all(); !slices.Equal(got[len(got)-2:], []string{"entered -3308", "error -3308"}) {
				t.Errorf("%s, late: told %q", name, got)
			}
			// It is let in after all, and leaves again by itself.
			time.Sleep(time.Second) // virtual
			synctest.Wait()
			if got := w.r.all(); !strings.HasPrefix(got[len(got)-1], "end") {
				t.Errorf("%s, let in too late: told %q", name, got)
			}
			if name == "accept" { // that ended it for bob: ring him again
				set(nil)
				must(t, alice.InviteUser(ctx, []string{"bob"}))
			}
		}
		// Who takes the question back is told nothing but the error.
		n := len(c.all())
		gone, cancel := context.WithCancel(ctx)
		cancel()
		if err := carol.Call(gone, "dave", hooks.MediaAudio); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		synctest.Wait()
		if got := c.all()[n:]; len(got) > 0 {
			t.Errorf("cancelled: told %q", got)
		}
		err := carol.JoinCall(ctx, "no such call")
		var e *engine.Error
		if !errors.As(err, &e) || e.Code != hooks.CodeRefused {
			t.Errorf("joining what is not there: %v", err)
		}
		synctest.Wait()
		if got := c.all()[n:]; !slices.Equal(got, []string{"entered -3301", "error -3301"}) {
			t.Errorf("joining what is not there: told %q", got)
		}
	})
}

// A server that shuts down lets nobody into a new call: failed.
func TestRoomCannotBeEnteredAtShutdown(t *testing.T) {
	three(t, nil, func(t *testing.T, srv *engine.Server, alice, bob, carol *engine.Client, a, b, c *recorder) {
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		go srv.Shutdown(t.Context())
		synctest.Wait()
		var e *engine.Error
		if err := carol.Call(t.Context(), "dave", hooks.MediaAudio); !errors.As(err, &e) || e.Code != hooks.CodeServerFailed {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
		c.want(t, "entered -3301", "error -3301")
	})
}
