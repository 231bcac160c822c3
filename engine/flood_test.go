package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/transport"
)

// ask sends a request and reads its result.
func (r *raw) ask(typ signal.Type, id uint64, body any) *signal.Result {
	r.t.Helper()
	r.send(typ, id, body)
	for {
		_, b := r.read(signal.TypeResult)
		if res := b.(*signal.Result); res.Re == id {
			return res
		}
	}
}

// beside runs a hostile client beside two in a call, and fails if those notice
// anything.
func beside(t *testing.T, attack func(t *testing.T, mallory *raw)) {
	two(t, nil, func(t *testing.T, srv *engine.Server, alice, bob *engine.Client, a, b *recorder) {
		connect(t, alice, bob, b, hooks.MediaAudio)
		synctest.Wait()
		told := len(a.all()) + len(b.all())
		mallory := rawDial(t, srv)
		mallory.signIn("mallory")
		attack(t, mallory)
		synctest.Wait()
		if n := len(a.all()) + len(b.all()); n != told {
			t.Errorf("alice was told %q, bob %q", a.all(), b.all())
		}
		must(t, alice.Hangup(t.Context()))
		b.wait(t, "end hangup")
	})
}

// A flood of requests ends its sender's connection, with a reason. Two who talk
// go on hearing each other.
func TestFloodOfRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		alice, bob, a, b := w.talk(t)
		told := len(a.all()) + len(b.all())
		for name, c := range map[string]struct {
			typ  signal.Type
			body any
		}{
			"calls":   {signal.TypeCall, signal.Call{UserIDs: []string{"alice"}, Media: 1}},
			"hangups": {signal.TypeHangup, signal.CallRef{CallID: "x"}},
			"infos":   {signal.TypeSelfInfo, signal.UserInfo{Nick: strings.Repeat("n", 500)}},
			"records": {signal.TypeRecent, signal.Recent{}},
			"unknown": {"dance", nil},
		} {
			mallory := rawDial(t, w.srv)
			mallory.signIn("mallory-" + name)
			go func() {
				for i := range uint64(1000) {
					b, err := signal.Encode(signal.Message{Type: c.typ, ID: i + 1}, c.body)
					if err != nil {
						return
					}
					mallory.sess.Control().SetWriteDeadline(time.Now().Add(time.Second))
					if _, err := mallory.sess.Control().Write(b); err != nil {
						return
					}
				}
			}()
			_, bye := mallory.read(signal.TypeGoodbye)
			if g := bye.(*signal.Goodbye); g.Code != hooks.CodeRefused || !strings.Contains(g.Message, "too many") {
				t.Errorf("%s: goodbye %+v", name, g)
			}
			<-mallory.sess.Done()
		}
		hearsOn(t, alice)
		hearsOn(t, bob)
		if n := len(a.all()) + len(b.all()); n != told {
			t.Errorf("alice was told %q, bob %q", a.all(), b.all())
		}
	})
}

// Invitations to a thousand users, at once or one after the other: refused,
// with words.
func TestInvitationsToAThousand(t *testing.T) {
	beside(t, func(t *testing.T, mallory *raw) {
		refused := func(res *signal.Result, code hooks.Code, words string) {
			t.Helper()
			if res.Code != code || !strings.Contains(res.Message, words) {
				t.Errorf("code %d %q, want %d and %q", res.Code, res.Message, code, words)
			}
		}
		users := many(1000)
		refused(mallory.ask(signal.TypeCall, 1, signal.Call{UserIDs: users, IsGroup: true, Media: 1}), hooks.CodeBadParam, "at most 300")
		res := mallory.ask(signal.TypeCall, 2, signal.Call{UserIDs: users[:290], IsGroup: true, Media: 1})
		if res.Code != 0 {
			t.Fatalf("290 users: %+v", res)
		}
		call := res.CallID
		refused(mallory.ask(signal.TypeInvite, 3, signal.Invite{CallID: call, UserIDs: users}), hooks.CodeBadParam, "at most 300")
		refused(mallory.ask(signal.TypeInvite, 4, signal.Invite{CallID: call, UserIDs: users[290:310]}), hooks.CodeBadParam, "at most 300")
		// Again and again, 300 at a time: the first two, and no more.
		id, calls := uint64(4), 1
		for range 20 {
			id++
			mallory.ask(signal.TypeHangup, id, signal.CallRef{CallID: call})
			id++
			res := mallory.ask(signal.TypeCall, id, signal.Call{UserIDs: users[:290], IsGroup: true, Media: 1})
			if res.Code == 0 {
				calls++
				call = res.CallID
			} else {
				refused(res, hooks.CodeRefused, "too many invitations")
			}
		}
		if calls != 2 {
			t.Errorf("%d calls of 290 users each in no time, want 2", calls)
		}
		time.Sleep(6 * time.Second) // virtual: 300 more may be invited
		if res := mallory.ask(signal.TypeCall, id+1, signal.Call{UserIDs: users[:290], IsGroup: true, Media: 1}); res.Code != 0 {
			t.Errorf("after a while: %+v", res)
		}
	})
}

// A request that is sent twice is carried out once, and answered once.
func TestReplayedRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		_, b := dial(t, srv, "bob", nil)
		r := rawDial(t, srv)
		r.signIn("mallory")
		call := signal.Call{UserIDs: []string{"bob"}, Media: 1}
		id := r.ask(signal.TypeCall, 1, call).CallID
		for range 5 {
			r.send(signal.TypeCall, 1, call)
		}
		r.ask(signal.TypeHangup, 2, signal.CallRef{CallID: id})
		for range 5 { // of calls that are over, too
			r.send(signal.TypeCall, 1, call)
			r.send(signal.TypeHangup, 2, signal.CallRef{CallID: id})
		}
		r.send(signal.TypeUserInfo, 3, signal.UserRef{UserID: "bob"})
		for {
			m, body := r.next()
			if res, ok := body.(*signal.Result); ok {
				if res.Re != 3 {
					t.Errorf("a replayed request was answered: %s %+v", m.Type, res)
				}
				break
			}
		}
		synctest.Wait()
		b.want(t, "invited by mallory audio 30s", "cancel")
	})
}

// Half a message keeps nobody waiting but its sender, who is out when the
// window is over.
func TestHalfAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		bob, b := dial(t, srv, "bob", nil)
		r := rawDial(t, srv)
		r.signIn("mallory")
		r.ask(signal.TypeCall, 1, signal.Call{UserIDs: []string{"bob"}, Media: 1})
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		b.wait(t, "begin")
		whole := message(t, signal.TypeHangup, 2, signal.CallRef{CallID: "x"})
		r.write(whole[:len(whole)/2])
		time.Sleep(20 * time.Second) // virtual
		wellAfter(t, srv)
		if n := count(b, "leave") + count(b, "end"); n != 0 {
			t.Errorf("bob was told %q", b.all())
		}
		start := time.Now()
		r.sess.Close()
		b.wait(t, "leave mallory 1")
		if took := time.Since(start); took > 16*time.Second {
			t.Errorf("mallory was out after %v", took)
		}
		b.wait(t, "end offline")
	})
}

// A message of the greatest length is read, and one of a megabyte ends the
// connection at once, however much of it comes.
func TestHugeMessages(t *testing.T) {
	beside(t, func(t *testing.T, mallory *raw) {
		var e signal.Call
		e.UserIDs, e.Media = []string{"alice"}, 1
		e.UserData = strings.Repeat("u", 60<<10)
		if res := mallory.ask(signal.TypeCall, 1, e); res.Code != hooks.CodeBadParam || !strings.Contains(res.Message, "userData") {
			t.Errorf("60 KiB of user data: %+v", res)
		}
		go func() {
			mallory.sess.Control().SetWriteDeadline(time.Now().Add(5 * time.Second))
			mallory.sess.Control().Write(frame(1<<20, `{"type":"call","id":2,"body":{"userIDs":["`+strings.Repeat("a", 1<<20)))
		}()
		_, bye := mallory.read(signal.TypeGoodbye)
		if g := bye.(*signal.Goodbye); g.Code != hooks.CodeBadParam {
			t.Errorf("goodbye: %+v", g)
		}
		<-mallory.sess.Done()
	})
}

// Who knows the ID of somebody else's call can do nothing with it, and does not
// even learn that it is there.
func TestSomebodyElsesCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		p := &party{t: t, srv: srv, c: map[string]*engine.Client{}, r: map[string]*recorder{}, k: map[string]*keeper{}}
		p.signIn("alice")
		p.signIn("bob")
		must(t, p.c["alice"].Call(t.Context(), "bob", hooks.MediaVideo))
		synctest.Wait()
		p.accept("bob")
		must(t, p.c["alice"].OpenCamera(t.Context(), newCamera(t)))
		p.forget()
		theirs := p.k["bob"].callID()
		r := rawDial(t, srv)
		r.signIn("mallory")
		id := uint64(0)
		for name, c := range map[string]struct {
			typ  signal.Type
			body func(call string) any
			want hooks.Code
		}{
			"accept":  {signal.TypeAccept, func(c string) any { return signal.CallRef{CallID: c} }, hooks.CodeRefused},
			"reject":  {signal.TypeReject, func(c string) any { return signal.CallRef{CallID: c} }, hooks.CodeRefused},
			"ignore":  {signal.TypeIgnore, func(c string) any { return signal.CallRef{CallID: c} }, hooks.CodeRefused},
			"hangup":  {signal.TypeHangup, func(c string) any { return signal.CallRef{CallID: c} }, hooks.CodeRefused},
			"join":    {signal.TypeJoin, func(c string) any { return signal.CallRef{CallID: c} }, hooks.CodeRefused},
			"invite":  {signal.TypeInvite, func(c string) any { return signal.Invite{CallID: c, UserIDs: []string{"mallory2"}} }, hooks.CodeRefused},
			"switch":  {signal.TypeSwitch, func(c string) any { return signal.Switch{CallID: c, Media: 1} }, hooks.CodeRefused},
			"publish": {signal.TypePublish, func(c string) any { return signal.Publish{CallID: c, Kind: signal.KindAudio} }, hooks.CodeRefused},
		} {
			var said [2]string
			for i, call := range []string{theirs, "000000000000000000000000"} {
				id++
				res := r.ask(c.typ, id, c.body(call))
				if res.Code != c.want {
					t.Errorf("%s: %+v", name, res)
				}
				said[i] = fmt.Sprint(res.Code, res.Message)
			}
			if said[0] != said[1] {
				t.Errorf("%s: %q of a call that is there, %q of one that is not", name, said[0], said[1])
			}
		}
		for track := range uint64(10) {
			id++
			if res := r.ask(signal.TypeSubscribe, id, signal.Subscribe{TrackID: track, On: true}); res.Code == 0 {
				t.Errorf("mallory is sent track %d", track)
			}
		}
		p.told("alice")
		p.told("bob")
	})
}

// A viewer who asks for a key frame with every packet gets one now and then;
// the camera is not bothered more.
func TestFloodOfKeyFrameRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		alice, a := dial(t, srv, "alice", nil)
		bob, b := dial(t, srv, "bob", nil)
		must(t, alice.GroupCall(t.Context(), []string{"bob", "mallory"}, hooks.MediaVideo, ""))
		b.wait(t, "invited")
		must(t, bob.Accept(t.Context()))
		cam := newCamera(t)
		must(t, alice.OpenCamera(t.Context(), cam))
		b.wait(t, "video alice true")
		var screen video.Sink
		must(t, bob.StartRemoteView(t.Context(), "alice", &screen))

		r := rawDial(t, srv)
		r.signIn("mallory")
		_, inv := r.read(signal.TypeInvited)
		r.send(signal.TypeAccept, 1, signal.CallRef{CallID: inv.(*signal.Invited).CallID})
		var track *signal.Track
		for track == nil {
			_, body := r.read(signal.TypeTrackAdded)
			if tr := body.(*signal.Track); tr.Kind == signal.KindVideo {
				track = tr
			}
		}
		a.wait(t, "enter mallory")
		time.Sleep(time.Second) // virtual
		before := cam.Asked()
		pli, err := (&rtcp.PictureLossIndication{MediaSSRC: track.SSRC}).Marshal()
		must(t, err)
		flood := func() {
			for range 5000 {
				r.sess.Send(transport.Packet{Flow: 63, Payload: pli})
				time.Sleep(time.Millisecond) // virtual
			}
		}
		flood() // of a track that mallory is not even sent
		if n := cam.Asked() - before; n != 0 {
			t.Errorf("%d key frames were asked for by one who does not look", n)
		}
		r.ask(signal.TypeSubscribe, 2, signal.Subscribe{TrackID: track.TrackID, On: true})
		flood()
		if n := cam.Asked() - before; n < 2 || n > 12 {
			t.Errorf("%d key frames were asked for in 5 s of flood, want about 10", n)
		}
		if n := len(screen.Frames()); n < 150 {
			t.Errorf("bob was shown %d frames in 11 s", n)
		}
	})
}
