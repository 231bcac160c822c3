package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// raw is a client that speaks the protocol by hand, and can break it.
type raw struct {
	t    testing.TB
	sess transport.Session
	in   *signal.Reader
}

func rawDial(t testing.TB, srv *engine.Server) *raw {
	t.Helper()
	sess, err := srv.Pipe().Dial(t.Context(), "")
	must(t, err)
	t.Cleanup(func() { sess.Close() })
	return &raw{t, sess, signal.NewReader(sess.Control())}
}

func (r *raw) write(b []byte) {
	r.t.Helper()
	r.sess.Control().SetWriteDeadline(time.Now().Add(5 * time.Second))
	r.sess.Control().Write(b)
}

func (r *raw) send(typ signal.Type, id uint64, body any) {
	r.t.Helper()
	frame, err := signal.Encode(signal.Message{Type: typ, ID: id}, body)
	must(r.t, err)
	r.write(frame)
}

// next reads one message.
func (r *raw) next() (signal.Message, any) {
	r.t.Helper()
	m, err := r.in.Read()
	if err != nil {
		r.t.Fatalf("reading a message: %v (session: %v)", err, r.sess.Err())
	}
	b, err := m.Body()
	must(r.t, err)
	return m, b
}

// read reads until a message of a type comes.
func (r *raw) read(typ signal.Type) (signal.Message, any) {
	r.t.Helper()
	for {
		if m, b := r.next(); m.Type == typ {
			return m, b
		}
	}
}

func (r *raw) signIn(user string) *signal.Welcome {
	r.t.Helper()
	r.send(signal.TypeSignIn, 0, signal.SignIn{Version: 1, SDKAppID: testApp, UserID: user, UserSig: sign(r.t, user)})
	m, b := r.next()
	w, ok := b.(*signal.Welcome)
	if !ok {
		r.t.Fatalf("sign-in was answered by %s %+v", m.Type, b)
	}
	return w
}

func (r *raw) resume(token string, last uint64) (*signal.Welcome, *signal.Goodbye) {
	r.t.Helper()
	r.send(signal.TypeResume, 0, signal.Resume{Version: 1, Token: token, Last: last})
	_, b := r.next()
	switch b := b.(type) {
	case *signal.Welcome:
		return b, nil
	case *signal.Goodbye:
		return nil, b
	}
	r.t.Fatalf("resume was answered by %+v", b)
	return nil, nil
}

// goodbye reads the server's last words, and waits until it closes.
func (r *raw) goodbye() hooks.Code {
	r.t.Helper()
	_, b := r.read(signal.TypeGoodbye)
	<-r.sess.Done()
	return b.(*signal.Goodbye).Code
}

// wellAfter checks that the server goes on serving others.
func wellAfter(t *testing.T, srv *engine.Server) {
	t.Helper()
	alice, a := dial(t, srv, "well-alice", nil)
	bob, b := dial(t, srv, "well-bob", nil)
	must(t, alice.Call(t.Context(), "well-bob", hooks.MediaAudio))
	b.wait(t, "invited")
	must(t, bob.Accept(t.Context()))
	a.wait(t, "begin")
}

func TestRefusedSignIns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		token := func(key string, app uint32, user string, issued time.Time) string {
			sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: app, UserID: user, Issued: issued, Lifetime: time.Hour})
			must(t, err)
			return sig
		}
		now := time.Now()
		for name, c := range map[string]struct {
			user, sig string
			want      hooks.Code
		}{
			"forged":           {"alice", token("another key", testApp, "alice", now), hooks.CodeUserSigCheck},
			"expired":          {"alice", token(testKey, testApp, "alice", now.Add(-2*time.Hour)), hooks.CodeUserSigCheck},
			"another's":        {"alice", token(testKey, testApp, "bob", now), hooks.CodeUserSigCheck},
			"another app's":    {"alice", token(testKey, testApp+1, "alice", now), hooks.CodeUserSigCheck},
			"not a UserSig":    {"alice", "hello", hooks.CodeUserSig},
			"none":             {"alice", "", hooks.CodeUserSig},
			"no user":          {"", "x", hooks.CodeUserID},
			"not a user's ID":  {"a/b", "x", hooks.CodeUserID},
			"a huge signature": {"alice", strings.Repeat("A", 9<<10), hooks.CodeBadParam},
		} {
			_, err := engine.Dial(t.Context(), engine.ClientConfig{Dialer: srv.Pipe(), SDKAppID: testApp, UserID: c.user, UserSig: c.sig})
			var e *engine.Error
			if !errors.As(err, &e) || e.Code != c.want {
				t.Errorf("%s: %v, want code %d", name, err, c.want)
			}
		}
		_, err := engine.Dial(t.Context(), engine.ClientConfig{
			Dialer: srv.Pipe(), SDKAppID: testApp + 1, UserID: "alice", UserSig: sign(t, "alice"),
		})
		var e *engine.Error
		if !errors.As(err, &e) || e.Code != hooks.CodeUserSigCheck {
			t.Errorf("a client of another app: %v, want code %d", err, hooks.CodeUserSigCheck)
		}
		wellAfter(t, srv)
	})
}

func TestSignInDecider(t *testing.T) {
	for name, c := range map[string]struct {
		decide hooks.SignInDecider
		want   hooks.Code
		words  string
	}{
		"refuses with words": {func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
			return hooks.SignIn{}, &hooks.Refusal{Code: hooks.CodeRefused, Message: "come back tomorrow"}
		}, hooks.CodeRefused, "come back tomorrow"},
		"fails": {func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
			return hooks.SignIn{}, errors.New("secret: the database is down")
		}, hooks.CodeEnterRefused, "refused by the host"},
		"panics": {func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) {
			panic("oh")
		}, hooks.CodeEnterRefused, "refused by the host"},
		"sleeps": {func(ctx context.Context, _ hooks.SignInRequest) (hooks.SignIn, error) {
			time.Sleep(time.Minute)
			return hooks.SignIn{}, nil
		}, hooks.CodeEnterRefused, "refused by the host"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, func(s *engine.ServerConfig) { s.SignIn = c.decide })
				for range 3 { // it is never taken off
					_, err := engine.Dial(t.Context(), engine.ClientConfig{Dialer: srv.Pipe(), UserID: "alice", UserSig: "x"})
					var e *engine.Error
					if !errors.As(err, &e) || e.Code != c.want || !strings.Contains(e.Message, c.words) {
						t.Errorf("got %v, want code %d and %q", err, c.want, c.words)
					}
				}
				time.Sleep(2 * time.Minute) // virtual: the sleeper ends
			})
		})
	}
}

func TestNoSignInNoServer(t *testing.T) {
	for _, cfg := range []engine.ServerConfig{{}, {Key: "k"}, {SDKAppID: 1}} {
		if _, err := engine.NewServer(cfg); !errors.Is(err, engine.ErrNoSignIn) {
			t.Errorf("NewServer(%+v): %v, want ErrNoSignIn", cfg, err)
		}
	}
}

func frame(n uint32, body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, n), body...)
}

func TestHostileSignalling(t *testing.T) {
	for name, c := range map[string]struct {
		signedIn bool
		bytes    []byte
		want     hooks.Code
	}{
		"garbage":                   {false, bytes.Repeat([]byte{0xFF}, 1000), hooks.CodeBadParam},
		"an empty message":          {false, frame(0, ""), hooks.CodeBadParam},
		"a message a megabyte long": {false, frame(1<<20, "{"), hooks.CodeBadParam},
		"no JSON":                   {false, frame(4, "oops"), hooks.CodeBadParam},
		"a call before signing in":  {false, message(t, signal.TypeCall, 1, signal.Call{UserIDs: []string{"bob"}, Media: 1}), hooks.CodeBadParam},
		"version 2":                 {false, message(t, signal.TypeSignIn, 0, signal.SignIn{Version: 2, UserID: "a", UserSig: "x"}), hooks.CodeUnsupported},
		"a token of nobody":         {false, message(t, signal.TypeResume, 0, signal.Resume{Version: 1, Token: strings.Repeat("0", 32)}), hooks.CodeDisconnected},
		"no token":                  {false, message(t, signal.TypeResume, 0, signal.Resume{Version: 1}), hooks.CodeDisconnected},
		"garbage, signed in":        {true, bytes.Repeat([]byte{0xFF}, 1000), hooks.CodeBadParam},
		"no JSON, signed in":        {true, frame(4, "oops"), hooks.CodeBadParam},
		"a megabyte, signed in":     {true, frame(1<<20, "{"), hooks.CodeBadParam},
		"a request without an id":   {true, message(t, signal.TypeCall, 0, signal.Call{UserIDs: []string{"bob"}, Media: 1}), hooks.CodeBadParam},
		"a request out of order":    {true, message(t, signal.TypeHangup, 9, signal.CallRef{CallID: "x"}), hooks.CodeBadParam},
		"a flood of pings":          {true, bytes.Repeat(message(t, signal.TypePing, 0, signal.Ping{}), 500), hooks.CodeRefused},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := serve(t, nil)
				r := rawDial(t, srv)
				if c.signedIn {
					r.signIn("mallory")
				}
				r.write(c.bytes)
				if got := r.goodbye(); got != c.want {
					t.Errorf("goodbye with code %d, want %d", got, c.want)
				}
				wellAfter(t, srv)
			})
		})
	}
}

func message(t testing.TB, typ signal.Type, id uint64, body any) []byte {
	b, err := signal.Encode(signal.Message{Type: typ, ID: id}, body)
	must(t, err)
	return b
}

func TestRequestsThatCannotBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		alice, _ := dial(t, srv, "alice", nil)
		_, b := dial(t, srv, "bob", nil)
		must(t, alice.Call(t.Context(), "bob", hooks.MediaAudio))
		b.wait(t, "invited")

		r := rawDial(t, srv)
		r.signIn("mallory")
		id := uint64(0)
		ask := func(typ signal.Type, body any) hooks.Code {
			id++
			r.send(typ, id, body)
			_, res := r.read(signal.TypeResult)
			if res.(*signal.Result).Re != id {
				t.Fatalf("result for %d, asked %d", res.(*signal.Result).Re, id)
			}
			return res.(*signal.Result).Code
		}
		theirs := callID(t, srv, "bob2")
		for name, c := range map[string]struct {
			typ  signal.Type
			body any
			want hooks.Code
		}{
			"accept another's call":        {signal.TypeAccept, signal.CallRef{CallID: theirs}, hooks.CodeRefused},
			"reject another's call":        {signal.TypeReject, signal.CallRef{CallID: theirs}, hooks.CodeRefused},
			"hang up another's call":       {signal.TypeHangup, signal.CallRef{CallID: theirs}, hooks.CodeRefused},
			"publish into another's call":  {signal.TypePublish, signal.Publish{CallID: theirs, Kind: signal.KindAudio}, hooks.CodeRefused},
			"unpublish what is not theirs": {signal.TypeUnpublish, signal.TrackRef{TrackID: 1}, hooks.CodeBadParam},
			"mute what is not theirs":      {signal.TypeMute, signal.Mute{TrackID: 1, Muted: true}, hooks.CodeBadParam},
			"a call of a thousand":         {signal.TypeCall, signal.Call{UserIDs: many(1000), IsGroup: true, Media: 1}, hooks.CodeBadParam},
			"a server's message":           {signal.TypeCallEnd, signal.CallEnd{CallID: theirs}, hooks.CodeUnsupported},
			"an unknown message":           {"dance", nil, hooks.CodeUnsupported},
			"sign in again":                {signal.TypeSignIn, signal.SignIn{Version: 1, UserID: "bob", UserSig: "x"}, hooks.CodeUnsupported},
			"a body of another message":    {signal.TypeCall, signal.Ping{T: 1}, hooks.CodeBadParam},
		} {
			if got := ask(c.typ, c.body); got != c.want {
				t.Errorf("%s: code %d, want %d", name, got, c.want)
			}
		}
		if got := len(b.all()); got != 1 {
			t.Errorf("bob was told %q", b.all())
		}
	})
}

// callID makes a call between two others and returns its id.
func callID(t testing.TB, srv *engine.Server, callee string) string {
	r := rawDial(t, srv)
	r.signIn("caller-of-" + callee)
	r.send(signal.TypeCall, 1, signal.Call{UserIDs: []string{callee}, Media: 1})
	_, res := r.read(signal.TypeResult)
	return res.(*signal.Result).CallID
}

func many(n int) (users []string) {
	for i := range n {
		users = append(users, fmt.Sprintf("user%d", i))
	}
	return users
}

func TestResumeTokens(t *testing.T) {
	gone := func(t *testing.T, srv *engine.Server, token string) {
		t.Helper()
		if w, _ := rawDial(t, srv).resume(token, 0); w != nil {
			t.Errorf("a void token resumed")
		}
	}
	t.Run("work once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := serve(t, nil)
			r := rawDial(t, srv)
			first := r.signIn("alice").Token
			r.sess.Close()
			r = rawDial(t, srv)
			w, _ := r.resume(first, 0)
			if w == nil || !w.Resumed || w.Token == first || len(w.Token) != 32 {
				t.Fatalf("welcome %+v", w)
			}
			r.send(signal.TypeAck, 0, nil)
			synctest.Wait()
			gone(t, srv, first)
			r2 := rawDial(t, srv)
			if w, bye := r2.resume(w.Token, 0); w == nil {
				t.Errorf("the successor was refused: %+v", bye)
			}
		})
	})
	// A welcome that got lost must not cost the call: its receiver has only
	// the old token.
	t.Run("work again until the successor is confirmed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := serve(t, nil)
			r := rawDial(t, srv)
			first := r.signIn("alice").Token
			lost := rawDial(t, srv)
			w1, _ := lost.resume(first, 0)
			r = rawDial(t, srv)
			w2, _ := r.resume(first, 0)
			if w2 == nil {
				t.Fatal("refused")
			}
			<-lost.sess.Done()
			r.send(signal.TypeAck, 0, nil)
			synctest.Wait()
			gone(t, srv, w1.Token)
			gone(t, srv, first)
		})
	})
	t.Run("are void after sign-out", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := serve(t, nil)
			r := rawDial(t, srv)
			token := r.signIn("alice").Token
			r.send(signal.TypeSignOut, 1, nil)
			r.read(signal.TypeResult)
			gone(t, srv, token)
		})
	})
	t.Run("are void after a kick", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := serve(t, nil)
			r := rawDial(t, srv)
			token := r.signIn("alice").Token
			dial(t, srv, "alice", nil)
			r.read(signal.TypeKicked)
			gone(t, srv, token)
		})
	})
	t.Run("are void after the window", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := serve(t, nil)
			r := rawDial(t, srv)
			token := r.signIn("alice").Token
			r.sess.Close()
			time.Sleep(16 * time.Second) // virtual
			gone(t, srv, token)
		})
	})
	t.Run("do not reach into the future", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			srv := serve(t, nil)
			r := rawDial(t, srv)
			token := r.signIn("alice").Token
			if _, bye := rawDial(t, srv).resume(token, 1<<40); bye == nil || bye.Code != hooks.CodeBadParam {
				t.Errorf("got %+v", bye)
			}
			// Nothing came of it: the device can come back, and if it does not it
			// goes when its time is up.
			r.sess.Close()
			time.Sleep(10 * time.Second) // virtual
			if _, bye := rawDial(t, srv).resume(token, 1<<40); bye == nil {
				t.Error("resumed from the future")
			}
			time.Sleep(10 * time.Second) // virtual
			if err := srv.Kick("alice", ""); err == nil {
				t.Error("the device is there after the window")
			}
		})
	})
}

func TestSignInTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		for _, half := range [][]byte{nil, {0, 0, 0}, frame(100, `{"type":"signIn"`)} {
			r := rawDial(t, srv)
			start := time.Now()
			if half != nil {
				r.write(half)
			}
			<-r.sess.Done()
			if took := time.Since(start); took != 5*time.Second {
				t.Errorf("closed after %v, want 5s", took)
			}
			if err := r.sess.Err(); !strings.Contains(err.Error(), "no sign-in within 5s") {
				t.Errorf("closed with %v", err)
			}
		}
		wellAfter(t, srv)
	})
}

// A client that reads nothing while much is to be told is closed; its caller
// is not held up.
func TestClientThatStopsReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		r := rawDial(t, srv)
		r.signIn("deaf")
		stop := time.Now().Add(5 * time.Minute)
		id := uint64(0)
		for r.sess.Err() == nil && time.Now().Before(stop) {
			id++
			r.send(signal.TypeHangup, id, signal.CallRef{CallID: "none"})
			time.Sleep(30 * time.Millisecond) // virtual: below the limit of requests
		}
		if r.sess.Err() == nil {
			t.Error("still signed in after five minutes of reading nothing")
		}
		wellAfter(t, srv)
	})
}

func TestGarbageMedia(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob, a, b := w.talk(t)
		before := len(a.all()) + len(b.all())
		// Mallory signs in, too, and sends what nobody asked for.
		pin := w.srv.Pins()[0]
		d := &transport.QUICDialer{Pin: pin[:], Conn: func() (net.PacketConn, error) { return w.endpoint("mallory") }}
		sess, err := d.Dial(t.Context(), "10.0.0.1:4433")
		must(t, err)
		defer sess.Close()
		m := &raw{t, sess, signal.NewReader(sess.Control())}
		m.signIn("mallory")
		for i := range 2000 {
			pkt := bytes.Repeat([]byte{byte(i)}, 1+i%1100)
			if i%2 == 0 && len(pkt) >= 12 {
				pkt[0] = 0x80
			}
			sess.Send(transport.Packet{Flow: uint64(i % 70), Payload: pkt})
			if i%50 == 0 {
				time.Sleep(10 * time.Millisecond) // virtual
			}
		}
		hearsOn(t, alice)
		hearsOn(t, bob)
		if n := len(a.all()) + len(b.all()); n != before {
			t.Errorf("somebody was told: %q %q", a.all(), b.all())
		}
	})
}

// What a talker sends besides its track is not passed on.
func TestForeignPacketsOnATrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		_, b := dial(t, srv, "bob", nil)
		r := rawDial(t, srv)
		r.signIn("mallory")
		r.send(signal.TypeCall, 1, signal.Call{UserIDs: []string{"bob"}, Media: 1})
		_, res := r.read(signal.TypeResult)
		call := res.(*signal.Result).CallID
		b.wait(t, "invited")
		must(t, b.client.Accept(t.Context()))
		r.send(signal.TypePublish, 2, signal.Publish{CallID: call, Kind: signal.KindAudio})
		var track *signal.Track
		for track == nil {
			_, res := r.read(signal.TypeResult)
			track = res.(*signal.Result).Track
		}
		b.wait(t, "audio mallory true")
		good := rtpPacket(track, 1)
		for _, p := range [][]byte{
			rtpPacket(&signal.Track{SSRC: track.SSRC + 1, PayloadType: track.PayloadType}, 2),
			rtpPacket(&signal.Track{SSRC: track.SSRC, PayloadType: 96}, 3),
			good[:12],                         // no payload
			append([]byte{0x40}, good[1:]...), // version 1
			append([]byte{0xA0}, append(good[1:], 200)...), // padding beyond the packet
			append([]byte{0x90}, good[1:]...),              // an extension that is not there
			good,
		} {
			r.sess.Send(transport.Packet{Flow: track.Flow, Payload: p})
		}
		synctest.Wait()
		s := b.client.Stats().Tracks[0]
		if s.Jitter.Received != 1 || s.Refused != 0 {
			t.Errorf("bob got %d packets and refused %d, want the one good one", s.Jitter.Received, s.Refused)
		}
		// Nor what it sends although it is muted.
		r.send(signal.TypeMute, 3, signal.Mute{TrackID: track.TrackID, Muted: true})
		b.wait(t, "audio mallory false")
		r.sess.Send(transport.Packet{Flow: track.Flow, Payload: rtpPacket(track, 2)})
		synctest.Wait()
		if got := b.client.Stats().Tracks[0].Jitter.Received; got != 1 {
			t.Errorf("bob got %d packets, the last from a muted track", got)
		}
	})
}

func rtpPacket(t *signal.Track, seq uint16) []byte {
	p := []byte{0x80, t.PayloadType, byte(seq >> 8), byte(seq), 0, 0, 0, 0}
	p = binary.BigEndian.AppendUint32(p, t.SSRC)
	if t.Kind == signal.KindVideo { // a key frame of 320x240 in one packet
		p[1] |= 0x80
		return append(p, 0x10, 0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00, 0x55)
	}
	return append(p, 0xF8, 0xFF, 0xFE) // Opus: 20 ms of CELT silence
}
