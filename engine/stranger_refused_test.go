package engine_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A decider that does anything but answer keeps the stranger out: it is told
// why within 2 s, and nobody in the call is told anything. The next stranger is
// asked about again.
func TestStrangersFailClosed(t *testing.T) {
	for name, c := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &lobby{}
				var answer atomic.Pointer[func(context.Context) error]
				answer.Store(&c.decide)
				w := newWorld(t, plugged(hooks.Plugin{Name: "x", AdmitRoQ: func(ctx context.Context, _ hooks.RoQRequest) (hooks.RoQAnswer, error) {
					err := (*answer.Load())(ctx)
					return hooks.RoQAnswer{UserID: "phone", CallID: l.call, Sends: []hooks.RoQStream{{Flow: 1}}}, err
				}}))
				l.srv = w.srv
				l.meet(t, hooks.MediaAudio, nil)
				l.a.wait(t, "enter bob")
				synctest.Wait()
				before := len(l.a.all())
				dialIn := func() *foreign {
					conn, err := w.endpoint("phone")
					must(t, err)
					f, err := dialForeign(t, conn, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:4433")), "x", "roq-14")
					must(t, err)
					return f
				}
				start := time.Now()
				f := dialIn()
				if c.code != 0 {
					code, words := f.closedWith()
					if took := time.Since(start); code != 1 || !strings.HasPrefix(words, c.words) || took > 2200*time.Millisecond {
						t.Errorf("closed with %d %.40q after %v", code, words, took)
					}
					synctest.Wait()
					if more := l.a.all()[before:]; len(more) > 0 || len(w.srv.RoQEndpoints()) > 0 {
						t.Errorf("alice was told %q", more)
					}
					yes := answers["yes"].decide
					answer.Store(&yes)
					dialIn()
				}
				l.a.wait(t, "enter phone")
				time.Sleep(time.Minute) // virtual: one that is late comes home
			})
		})
	}
}

// Answers that cannot be carried out are refusals, and leave nothing behind.
func TestStrangersWithoutAPlace(t *testing.T) {
	sends := []hooks.RoQStream{{Flow: 1}}
	l := newLobby(t, hooks.MediaAudio, func(c *engine.ServerConfig) {
		c.Plugins = append(c.Plugins, hooks.Plugin{Name: "door", Admit: func(_ context.Context, r hooks.AdmitRequest) error {
			if r.UserID == "banned" {
				return &hooks.Refusal{Code: -5, Message: "banned here"}
			}
			return nil
		}})
	}, nil)
	carol, _ := dial(t, l.srv, "carol", nil)
	_, d := dial(t, l.srv, "dave", nil)
	must(t, carol.Call(t.Context(), "dave", hooks.MediaAudio))
	d.wait(t, "invited")
	oneToOne := d.callID()
	before := len(l.a.all())
	for name, c := range map[string]struct {
		answer hooks.RoQAnswer
		words  string
	}{
		"nobody":              {hooks.RoQAnswer{}, "not known here"},
		"no such call":        {hooks.RoQAnswer{UserID: "u", CallID: "x", Sends: sends}, "no such call"},
		"of two only":         {hooks.RoQAnswer{UserID: "u", CallID: oneToOne, Sends: sends}, "no such call"},
		"no user ID":          {hooks.RoQAnswer{UserID: "\x00", CallID: l.call, Sends: sends}, "refused by the host"},
		"no flows":            {hooks.RoQAnswer{UserID: "u", CallID: l.call}, "refused by the host"},
		"flow 0 to receive":   {hooks.RoQAnswer{UserID: "u", CallID: l.call, Audio: &hooks.RoQReceive{}}, "refused by the host"},
		"signed in already":   {hooks.RoQAnswer{UserID: "bob", CallID: l.call, Sends: sends}, "signed in already"},
		"another plugin's no": {hooks.RoQAnswer{UserID: "banned", CallID: l.call, Sends: sends}, "banned here"},
		"mix without a codec": {hooks.RoQAnswer{UserID: "u", CallID: l.call, Mode: hooks.ModeMix, Audio: &hooks.RoQReceive{Flow: 1}}, "no codec"},
	} {
		l.mu.Lock()
		l.answers["x"] = c.answer
		l.mu.Unlock()
		f := dialStranger(t, l.srv, "x")
		if code, words := f.closedWith(); code != 1 || !strings.Contains(words, c.words) {
			t.Errorf("%s: closed with %d %q", name, code, words)
		}
	}
	if more := l.a.all()[before:]; len(more) > 0 || len(l.srv.RoQEndpoints()) > 0 {
		t.Errorf("alice was told %q", more)
	}
	// They can all be somebody later.
	l.enter(t, "u", hooks.RoQAnswer{Sends: sends})
}

// Without a decider the protocol is not spoken at all.
func TestStrangersAreOffByDefault(t *testing.T) {
	srv := serve(t, func(c *engine.ServerConfig) { c.InProcess, c.Addr = false, "127.0.0.1:0" })
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	_, err = dialForeign(t, socket, srv.Addr(), "x", "roq-14")
	var alert *quic.TransportError
	if !errors.As(err, &alert) || alert.ErrorCode != 0x100+120 { // no_application_protocol
		t.Errorf("dialled with %v", err)
	}
}

// The host sees the certificate that an endpoint shows, if its TLS asks for one.
func TestStrangerShowsACertificate(t *testing.T) {
	cert, err := transport.NewDevCertificate(transport.DevCertificateConfig{Hosts: []string{"127.0.0.1"}})
	must(t, err)
	own, err := cert.GetCertificate(nil)
	must(t, err)
	shown := make(chan [][]byte, 1)
	srv := serve(t, func(c *engine.ServerConfig) {
		c.InProcess, c.Addr = false, "127.0.0.1:0"
		c.TLS = &tls.Config{GetCertificate: cert.GetCertificate, ClientAuth: tls.RequestClientCert}
		c.Plugins = []hooks.Plugin{{Name: "x", AdmitRoQ: func(_ context.Context, r hooks.RoQRequest) (hooks.RoQAnswer, error) {
			shown <- r.Certificates
			return hooks.RoQAnswer{}, nil
		}}}
	})
	pin := cert.Hashes()[0]
	d := transport.RoQDialer{Pin: pin[:], TLSConfig: &tls.Config{Certificates: []tls.Certificate{*own}}}
	s, err := d.Dial(t.Context(), srv.Addr().String())
	must(t, err)
	defer s.Close()
	if got := <-shown; len(got) != 1 || !bytes.Equal(got[0], own.Certificate[0]) {
		t.Errorf("the host sees %d certificates", len(got))
	}
	<-s.Done()
	if err := s.Err(); err == nil || !strings.Contains(err.Error(), "not known here") {
		t.Errorf("the session ended with %v", err)
	}
}

// A user who rings is answered for by the stranger that they are.
func TestStrangerAnswers(t *testing.T) {
	called := make(chan string, 1)
	l := newLobby(t, hooks.MediaAudio, func(c *engine.ServerConfig) {
		c.Plugins = append(c.Plugins, hooks.Plugin{Name: "gateway", Push: func(_ context.Context, r hooks.PushRequest) error {
			called <- r.CallID
			return nil
		}})
	}, nil)
	carol, c := dial(t, l.srv, "carol", nil)
	must(t, carol.Call(t.Context(), "erin", hooks.MediaAudio))
	l.expect("erin", hooks.RoQAnswer{CallID: <-called, Sends: []hooks.RoQStream{{Flow: 1}}})
	f := dialStranger(t, l.srv, "erin")
	c.wait(t, "accept erin")
	c.wait(t, "begin")
	must(t, carol.Hangup(t.Context()))
	if code, words := f.closedWith(); code != 0 || words != "the call has ended" {
		t.Errorf("closed with %d %q", code, words)
	}
}

// However a stranger goes, its user leaves at once, and has left once.
func TestStrangerLeaves(t *testing.T) {
	for name, c := range map[string]struct {
		go_  func(t *testing.T, l *lobby, f *foreign)
		told string
		code uint64 // of the server
	}{
		"by will":        {func(_ *testing.T, _ *lobby, f *foreign) { f.CloseWithError(0, "") }, "leave phone 0", 0},
		"with an error":  {func(_ *testing.T, _ *lobby, f *foreign) { f.CloseWithError(5, "") }, "leave phone 1", 0},
		"kicked":         {func(t *testing.T, l *lobby, _ *foreign) { must(t, l.srv.Kick("phone", "go")) }, "leave phone 2", 1},
		"signed in anew": {func(t *testing.T, l *lobby, _ *foreign) { dial(t, l.srv, "phone", nil) }, "leave phone 2", 1},
		"a bidi stream":  {func(_ *testing.T, _ *lobby, f *foreign) { s, _ := f.OpenStream(); s.Write([]byte{1}) }, "leave phone 1", 4},
		"half a flow":    {func(_ *testing.T, _ *lobby, f *foreign) { f.SendDatagram([]byte{0x80, 1}) }, "leave phone 1", 3},
		"half a packet": {func(_ *testing.T, _ *lobby, f *foreign) {
			s, _ := f.OpenUniStream()
			s.Write([]byte{1, 9, 1})
			s.Close()
		}, "leave phone 1", 3},
		"a packet of none": {func(_ *testing.T, _ *lobby, f *foreign) { s, _ := f.OpenUniStream(); s.Write([]byte{1, 0}) }, "leave phone 1", 3},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLobby(t, hooks.MediaAudio, nil, nil)
			f := l.enter(t, "phone", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 1}}})
			c.go_(t, l, f)
			l.a.wait(t, c.told)
			<-f.Context().Done()
			var app *quic.ApplicationError
			if err := context.Cause(f.Context()); c.code != 0 && (!errors.As(err, &app) || uint64(app.ErrorCode) != c.code) {
				t.Errorf("closed with %v, want %d", err, c.code)
			}
			soon(t, "it is gone", func() bool { return len(l.srv.RoQEndpoints()) == 0 })
			if n := count(l.a, "leave phone"); n != 1 {
				t.Errorf("alice was told %d times", n)
			}
		})
	}
}

// One that vanishes has left as soon as the connection is known to be dead, and
// one that only listens stays for as long as it is there.
func TestStrangerVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lobby{}
		w := newWorld(t, plugged(hooks.Plugin{Name: "x", AdmitRoQ: func(context.Context, hooks.RoQRequest) (hooks.RoQAnswer, error) {
			return hooks.RoQAnswer{UserID: "phone", CallID: l.call, Audio: &hooks.RoQReceive{Flow: 1}}, nil
		}}))
		l.srv = w.srv
		l.meet(t, hooks.MediaAudio, nil)
		conn, err := w.endpoint("phone")
		must(t, err)
		f, err := dialForeign(t, conn, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:4433")), "x", "roq-10")
		must(t, err)
		l.a.wait(t, "enter phone")
		time.Sleep(time.Minute) // virtual
		if f.Context().Err() != nil || count(l.a, "leave") > 0 {
			t.Fatalf("a silent listener is gone: %v", context.Cause(f.Context()))
		}
		f.mu.Lock()
		if n := len(f.rtcp[1]); n < 25 || n > 35 {
			t.Errorf("%d RTCP reports in a minute", n)
		}
		f.mu.Unlock()
		w.sever("phone")
		start := time.Now()
		l.a.wait(t, "leave phone 1")
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// What a stranger sends wrongly is counted by its reason, and the rest goes on.
func TestStrangerSendsRubbish(t *testing.T) {
	l := newLobby(t, hooks.MediaVideo, nil, nil)
	f := l.enter(t, "phone", hooks.RoQAnswer{
		Sends: []hooks.RoQStream{{Flow: 1}, {Flow: 2, Video: true}},
		Audio: &hooks.RoQReceive{Flow: 3},
	})
	good := func(n uint16) []byte { return rtpOf(111, false, n, 960*uint32(n), 1, []byte("sound")) }
	set := func(p []byte, i int, v byte) []byte { p[i] = v; return p }
	type stat = func(engine.RoQStats) uint64
	malformed := func(s engine.RoQStats) uint64 { return s.Malformed }
	dropped := func(s engine.RoQStats) (n uint64) {
		for _, d := range s.Transport.Dropped {
			n += d
		}
		return n
	}
	wrongType := func(s engine.RoQStats) uint64 { return s.WrongPayloadType }
	for name, c := range map[string]struct {
		flow   byte
		packet []byte
		stat   stat
	}{
		"eleven bytes":           {1, good(1)[:11], dropped},
		"version 1":              {1, set(good(1), 0, 0x40), dropped},
		"no payload":             {1, good(1)[:12], malformed},
		"sources beyond the end": {1, set(good(1), 0, 0x8f), malformed},
		"extension beyond":       {1, set(good(1), 0, 0x90), malformed},
		"another type":           {1, set(good(1), 1, 112), wrongType},
		"video's type":           {1, set(good(1), 1, 96), wrongType},
		"RTP to receive on":      {3, good(1), wrongType},
		"half an RTCP packet":    {2, []byte{0x81, 206, 0, 2, 1, 2, 3, 4}, malformed},
	} {
		before := c.stat(l.stats("phone"))
		f.datagram(c.flow, c.packet)
		soon(t, name+" is counted", func() bool { return c.stat(l.stats("phone")) == before+1 })
	}
	f.stream(2, rtpOf(96, true, 1, 1, 5, make([]byte, 1200)))
	soon(t, "a large packet is counted", func() bool { return l.stats("phone").TooLarge == 1 })
	f.datagram(1, good(1))
	soon(t, "sound goes on", func() bool { return l.stats("phone").Received == 1 })
}

// A flood of everything is the flooder's own: another stranger hears bob's sound
// as before, and nobody is asked for more key frames than two a second.
func TestStrangerFloods(t *testing.T) {
	l := newLobby(t, hooks.MediaVideo, nil, nil)
	cam := newCamera(t)
	must(t, l.alice.OpenCamera(t.Context(), cam))
	flood := l.enter(t, "flood", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 1}}, Video: &hooks.RoQReceive{Flow: 2}})
	hears := l.enter(t, "hears", hooks.RoQAnswer{Audio: &hooks.RoQReceive{Flow: 1}})
	says := l.enter(t, "says", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 1}}})
	flood.wait("alice's video", func() bool { return len(flood.rtp[2]) > 0 })
	flood.mu.Lock()
	media := ssrcOf(flood.rtp[2][0])
	flood.mu.Unlock()
	start, r := time.Now(), rand.New(rand.NewPCG(1, 2))
	for i := range 4000 {
		junk := make([]byte, 1+r.IntN(60))
		for k := range junk {
			junk[k] = byte(r.Uint32())
		}
		junk[0] &= 0x3f // a whole flow identifier
		flood.SendDatagram(junk)
		flood.datagram(2, pliOf(9, media))
		flood.datagram(1, rtpOf(111, false, uint16(i), 0, r.Uint32(), []byte("noise")))
		if i%40 == 0 {
			says.datagram(1, rtpOf(111, false, uint16(i/40), uint32(i)*24, 77, []byte("word")))
		}
	}
	words := func() (n int) {
		for _, p := range hears.rtp[1] {
			if string(p[12:]) == "word" {
				n++
			}
		}
		return n
	}
	// Nearly all: a socket's buffer may overflow.
	hears.wait("what is said", func() bool { return words() >= 80 })
	if most := 3 + int(2*time.Since(start).Seconds()); cam.Asked() > most {
		t.Errorf("%d key frames were asked for, want at most %d", cam.Asked(), most)
	}
	if s := l.stats("flood"); s.FeedbackDropped == 0 || s.OtherSSRC == 0 {
		t.Errorf("%+v", s)
	}
}

// A hook on a stranger's packets may call the server, also while the stranger
// is asked for key frames and goes.
func TestStrangerUnderAHook(t *testing.T) {
	l := &lobby{answers: map[string]hooks.RoQAnswer{}}
	var seen atomic.Int32
	l.srv = serve(t, func(c *engine.ServerConfig) {
		c.InProcess, c.Addr = false, "127.0.0.1:0"
		c.Plugins = []hooks.Plugin{{Name: "x", AdmitRoQ: l.admit, Packet: func(i hooks.TrackInfo) hooks.PacketHook {
			if i.UserID != "cam" {
				return nil
			}
			return func([]byte) bool {
				seen.Add(1)
				l.srv.RoQEndpoints()
				l.srv.Kick("nobody", "")
				return true
			}
		}}}
	})
	l.meet(t, hooks.MediaVideo, nil)
	for i := range 3 {
		f := l.enter(t, "cam", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 1}, {Flow: 2, Video: true}}})
		soon(t, "it is in", func() bool { return count(l.a, "enter cam") == i+1 && count(l.a, "video cam true") > i })
		before := seen.Load()
		ctx, stop := context.WithCancel(t.Context())
		go func() {
			for n := uint16(0); ctx.Err() == nil; n++ {
				f.SendDatagram(append([]byte{1}, rtpOf(111, false, n, 0, 1, []byte("x"))...))
				f.SendDatagram(append([]byte{2}, rtpOf(96, true, n, 0, 2, []byte{0x10, 1})...))
			}
		}()
		soon(t, "the hook sees packets", func() bool { return seen.Load() > before+200 })
		for range 3 {
			must(t, l.alice.SwitchMedia(t.Context(), hooks.MediaAudio))
			must(t, l.alice.SwitchMedia(t.Context(), hooks.MediaVideo))
		}
		f.CloseWithError(0, "")
		stop()
		// In such a flood the packet that says goodbye may be lost: then it leaves
		// as one that is not heard any more.
		soon(t, fmt.Sprint("it leaves, ", i), func() bool { return count(l.a, "leave cam") == i+1 })
	}
}
