package engine_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

// A foreign endpoint is written on quic-go alone: its bytes are those of
// draft-ietf-avtcore-rtp-over-quic-14 and RFC 3550, spelled out here.
type foreign struct {
	*quic.Conn
	t  testing.TB
	mu sync.Mutex
	// got are the packets by flow, RTP and RTCP, as they came.
	rtp, rtcp map[int][][]byte
	changed   chan struct{}
	done      sync.WaitGroup
}

// dialForeign connects and collects what comes.
func dialForeign(t testing.TB, conn net.PacketConn, to net.Addr, name, alpn string) (*foreign, error) {
	t.Helper()
	tr := &quic.Transport{Conn: conn}
	t.Cleanup(func() { tr.Close(); conn.Close() })
	conf := &tls.Config{InsecureSkipVerify: true, ServerName: name, NextProtos: []string{alpn}}
	c, err := tr.Dial(t.Context(), to, conf, &quic.Config{EnableDatagrams: true, MaxIncomingUniStreams: 100, MaxIdleTimeout: 5 * time.Second})
	if err != nil {
		return nil, err
	}
	f := &foreign{Conn: c, t: t, rtp: map[int][][]byte{}, rtcp: map[int][][]byte{}, changed: make(chan struct{})}
	f.done.Go(f.collectDatagrams)
	f.done.Go(f.collectStreams)
	t.Cleanup(func() { f.CloseWithError(0, ""); f.done.Wait() })
	return f, nil
}

// stranger dials a server on loopback.
func dialStranger(t testing.TB, srv *engine.Server, name string) *foreign {
	t.Helper()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	must(t, err)
	f, err := dialForeign(t, socket, srv.Addr(), name, "roq-14")
	must(t, err)
	return f
}

func (f *foreign) keep(flow int, packet []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	into := f.rtp
	if len(packet) > 1 && packet[1] >= 192 && packet[1] < 224 { // RFC 5761
		into = f.rtcp
	}
	into[flow] = append(into[flow], bytes.Clone(packet))
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *foreign) collectDatagrams() {
	for {
		d, err := f.ReceiveDatagram(context.Background())
		if err != nil {
			return
		}
		if d[0] >= 64 {
			f.t.Errorf("a flow identifier of more than one byte: % x", d[:8])
			continue
		}
		f.keep(int(d[0]), d[1:])
	}
}

func (f *foreign) collectStreams() {
	for {
		st, err := f.AcceptUniStream(context.Background())
		if err != nil {
			return
		}
		f.done.Go(func() {
			b, err := io.ReadAll(st)
			if err != nil || len(b) == 0 {
				return
			}
			flow, b := int(b[0]), b[1:]
			for len(b) > 1 {
				n, skip := int(b[0]), 1
				if b[0]>>6 == 1 {
					n, skip = int(b[0]&0x3f)<<8|int(b[1]), 2
				}
				f.keep(flow, b[skip:skip+n])
				b = b[skip+n:]
			}
		})
	}
}

// wait waits until cond is true, which is called with mu held.
func (f *foreign) wait(what string, cond func() bool) {
	f.t.Helper()
	late := time.After(20 * time.Second)
	for {
		f.mu.Lock()
		ok, changed := cond(), f.changed
		f.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-f.Context().Done():
			f.t.Fatalf("closed before %s: %v", what, context.Cause(f.Context()))
		case <-late:
			f.t.Fatalf("it did not come to pass: %s; %d flows with RTP, %d with RTCP", what, len(f.rtp), len(f.rtcp))
		}
	}
}

func (f *foreign) datagram(flow byte, packet []byte) {
	if err := f.SendDatagram(append([]byte{flow}, packet...)); err != nil && f.Context().Err() == nil {
		f.t.Error(err)
	}
}

// stream sends packets on a stream of their own.
func (f *foreign) stream(flow byte, packets ...[]byte) {
	st, err := f.OpenUniStreamSync(f.Context())
	if err != nil {
		f.t.Error(err)
		return
	}
	b := []byte{flow}
	for _, p := range packets {
		b = append(b, 0x40|byte(len(p)>>8), byte(len(p)))
		b = append(b, p...)
	}
	st.Write(b)
	st.Close()
}

// rtpOf is one RTP packet.
func rtpOf(pt byte, marker bool, seq uint16, ts, ssrc uint32, payload []byte) []byte {
	b := make([]byte, 12, 12+len(payload))
	b[0], b[1] = 0x80, pt
	if marker {
		b[1] |= 0x80
	}
	binary.BigEndian.PutUint16(b[2:], seq)
	binary.BigEndian.PutUint32(b[4:], ts)
	binary.BigEndian.PutUint32(b[8:], ssrc)
	return append(b, payload...)
}

func seqOf(p []byte) uint16  { return binary.BigEndian.Uint16(p[2:]) }
func tsOf(p []byte) uint32   { return binary.BigEndian.Uint32(p[4:]) }
func ssrcOf(p []byte) uint32 { return binary.BigEndian.Uint32(p[8:]) }

// vp8Packets are a frame in RTP payloads with the shortest descriptor of RFC
// 7741: its first byte says where a partition starts.
func vp8Packets(frame []byte) (out [][]byte) {
	for start := byte(0x10); len(frame) > 0; start = 0 {
		n := min(len(frame), 1000)
		out = append(out, append([]byte{start}, frame[:n]...))
		frame = frame[n:]
	}
	return out
}

// film sends a clip's frames for ever, from 90 kHz time 0, beginning anew with
// the first when it is asked for a key frame (PLI, RFC 4585).
func (f *foreign) film(ctx context.Context, flow, pt byte, ssrc uint32, how string) {
	clip, err := video.Frames(speech.VP8())
	must(f.t, err)
	seq, tick := uint16(65530), time.NewTicker(time.Second/15)
	defer tick.Stop()
	plis := 0
	for n, i := 0, 0; ; n, i = n+1, i+1 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if now := len(f.plis(int(flow), ssrc)); now > plis {
			plis, i = now, 0
		}
		var frame [][]byte
		parts := vp8Packets(clip[i%len(clip)].Data)
		for k, p := range parts {
			frame = append(frame, rtpOf(pt, k == len(parts)-1, seq, uint32(n*6000), ssrc, p))
			seq++
		}
		switch how {
		case "a stream for each frame":
			f.stream(flow, frame...)
		case "a stream for each packet":
			for _, p := range slices.Backward(frame) { // the worst order
				f.stream(flow, p)
			}
		default:
			for _, p := range frame {
				f.datagram(flow, p)
			}
		}
	}
}

// plis are the PLIs about an SSRC on a flow. A compound packet that does not
// begin with a report and a CNAME is an error (RFC 3550 section 6.1).
func (f *foreign) plis(flow int, ssrc uint32) (found [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.rtcp[flow] {
		for i := 0; len(b) >= 4; i++ {
			n := 4 + 4*int(binary.BigEndian.Uint16(b[2:]))
			if i == 0 && b[1] != 200 && b[1] != 201 || i == 1 && b[1] != 202 || n > len(b) {
				f.t.Errorf("RTCP: % x", b)
				break
			}
			if b[0] == 0x81 && b[1] == 206 && n == 12 && ssrcOf(b) == ssrc {
				found = append(found, b[:n])
			}
			b = b[n:]
		}
	}
	return found
}

// pliOf is a compound packet with a PLI: empty receiver report, PLI.
func pliOf(own, media uint32) []byte {
	b := binary.BigEndian.AppendUint32([]byte{0x80, 201, 0, 1}, own)
	b = binary.BigEndian.AppendUint32(append(b, 0x81, 206, 0, 2), own)
	return binary.BigEndian.AppendUint32(b, media)
}

// speak sends Opus packets at their pace, and returns when all are sent.
func (f *foreign) speak(flow, pt byte, ssrc uint32, packets [][]byte, send func(flow byte, packet []byte)) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for i, p := range packets {
		<-tick.C
		send(flow, rtpOf(pt, i == 0, uint16(40000+i), uint32(1<<31+960*i), ssrc, p))
	}
}

// A lobby is a server on loopback that admits strangers by the name that they
// dial, and a group call of alice and bob.
type lobby struct {
	srv        *engine.Server
	alice, bob *engine.Client
	a, b       *recorder
	call       string

	mu      sync.Mutex
	answers map[string]hooks.RoQAnswer
	asked   []hooks.RoQRequest
}

func newLobby(t *testing.T, media hooks.MediaType, change func(*engine.ServerConfig), client func(*engine.ClientConfig)) *lobby {
	l := &lobby{answers: map[string]hooks.RoQAnswer{}}
	l.srv = serve(t, func(c *engine.ServerConfig) {
		c.InProcess, c.Addr = false, "127.0.0.1:0"
		c.Plugins = []hooks.Plugin{{Name: "strangers", AdmitRoQ: l.admit}}
		if change != nil {
			change(c)
		}
	})
	l.meet(t, media, client)
	return l
}

// meet lets alice and bob begin a group call.
func (l *lobby) meet(t *testing.T, media hooks.MediaType, client func(*engine.ClientConfig)) {
	l.alice, l.a = dial(t, l.srv, "alice", client)
	l.bob, l.b = dial(t, l.srv, "bob", nil)
	must(t, l.alice.GroupCall(t.Context(), []string{"bob"}, media, ""))
	l.b.wait(t, "invited")
	l.call = l.b.callID()
	must(t, l.bob.Accept(t.Context()))
	l.a.wait(t, "begin")
}

func (l *lobby) admit(_ context.Context, req hooks.RoQRequest) (hooks.RoQAnswer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked = append(l.asked, req)
	a, ok := l.answers[req.ServerName]
	if !ok {
		return hooks.RoQAnswer{}, &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: "nobody knows " + req.ServerName}
	}
	return a, nil
}

// expect admits who dials a name.
func (l *lobby) expect(name string, a hooks.RoQAnswer) {
	if a.CallID == "" {
		a.CallID = l.call
	}
	if a.UserID == "" {
		a.UserID = name
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers[name] = a
}

// enter dials as a stranger who is expected, and waits until alice is told.
func (l *lobby) enter(t *testing.T, name string, a hooks.RoQAnswer) *foreign {
	t.Helper()
	l.expect(name, a)
	f := dialStranger(t, l.srv, name)
	l.a.wait(t, "enter "+name)
	return f
}

// stats are a stranger's.
func (l *lobby) stats(user string) (s engine.RoQStats) {
	for _, s := range l.srv.RoQEndpoints() {
		if s.UserID == user {
			return s
		}
	}
	return s
}

func soon(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick, late := time.NewTicker(2*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it did not come to pass: " + what)
		}
	}
}

// A stranger and a client talk over loopback: each packet of the one's speech
// reaches the other as it is, on the flows, and with the payload types, that the
// host said.
func TestStrangerTalks(t *testing.T) {
	for _, how := range []string{"datagrams", "streams"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l := newLobby(t, hooks.MediaAudio, nil, func(c *engine.ClientConfig) {
				c.Codec = libopus.Driver{}
				c.OpusMicrophone = audio.NewPacketSource(speech.Packets("alice"), true)
			})
			f := l.enter(t, "phone", hooks.RoQAnswer{
				Sends: []hooks.RoQStream{{Flow: 3, PayloadType: 100}},
				Audio: &hooks.RoQReceive{Flow: 21, Flows: 2, PayloadType: 101},
			})
			l.a.wait(t, "audio phone true")
			heard, stop := record(l.alice)
			send := f.datagram
			if how == "streams" {
				send = func(flow byte, p []byte) { f.stream(flow, p) }
			}
			f.speak(3, 100, 0xfeedbeef, speech.Packets("bob")[:60], send)
			stop()
			loudest := slices.Max(heard.PCM)
			if s := l.alice.Stats().Tracks[0]; s.Jitter.Received < 30 || s.Refused+s.Jitter.DecodeErrors > 0 || loudest < 1000 {
				t.Errorf("alice hears the stranger at most %d loud: %+v", loudest, s)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.rtp) != 1 || len(f.rtp[21]) < 30 {
				t.Fatalf("RTP on %d flows, %d packets on 21", len(f.rtp), len(f.rtp[21]))
			}
			said := speech.Packets("alice")
			for i, p := range f.rtp[21] {
				first := f.rtp[21][0]
				if p[0] != 0x80 || p[1]&0x7f != 101 || ssrcOf(p) != ssrcOf(first) {
					t.Fatalf("packet %d: % x", i, p[:12])
				}
				if !slices.ContainsFunc(said, func(s []byte) bool { return bytes.Equal(s, p[12:]) }) {
					t.Fatalf("packet %d is none of alice's", i)
				}
			}
			if s := l.stats("phone"); s.Received < 55 || s.Sent < 30 || s.Malformed+s.OtherSSRC+s.WrongPayloadType+s.TooLarge > 0 {
				t.Errorf("%+v", s)
			}
			l.mu.Lock()
			defer l.mu.Unlock()
			if r := l.asked[0]; r.ALPN != "roq-14" || r.ServerName != "phone" || r.RemoteAddr == "" || len(r.Certificates) != 0 {
				t.Errorf("the host was asked of %+v", r)
			}
		})
	}
}

// In virtual time what each hears is what the other said, where the room
// forwards and where it mixes. Of a mix a stranger gets one stream, whose talkers
// are its contributing sources.
func TestStrangerIsHeard(t *testing.T) {
	for _, mode := range []hooks.RoomMode{hooks.ModeForward, hooks.ModeMix} {
		synctest.Test(t, func(t *testing.T) {
			l := &lobby{}
			w := newWorld(t, func(c *engine.ServerConfig) {
				c.Codec, c.Mode = libopus.Driver{}, mode
				c.Plugins = []hooks.Plugin{{Name: "x", AdmitRoQ: func(context.Context, hooks.RoQRequest) (hooks.RoQAnswer, error) {
					return hooks.RoQAnswer{
						UserID: "phone", CallID: l.call,
						Sends: []hooks.RoQStream{{Flow: 1}}, Audio: &hooks.RoQReceive{Flow: 2, Flows: 3},
					}, nil
				}}}
			})
			l.srv = w.srv
			l.meet(t, hooks.MediaAudio, func(c *engine.ClientConfig) {
				c.Codec = libopus.Driver{}
				c.Microphone = audio.NewSource(audio.SourceConfig{PCM: speech.PCM("alice"), Loop: true})
			})
			conn, err := w.endpoint("phone")
			must(t, err)
			f, err := dialForeign(t, conn, net.UDPAddrFromAddrPort(netip.MustParseAddrPort("10.0.0.1:4433")), "x", "roq-14")
			must(t, err)
			l.a.wait(t, "audio phone true")
			heard, stop := record(l.alice)
			f.speak(1, 111, 4, speech.Packets("bob")[:120], f.datagram)
			stop()
			if like, _ := audio.Similarity(heard.PCM, speech.PCM("bob")); like < 0.9 {
				t.Errorf("%s: alice hears the stranger to %.3f", mode, like)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.rtp) != 1 || len(f.rtp[2]) < 110 {
				t.Fatalf("%s: RTP on %d flows, %d packets", mode, len(f.rtp), len(f.rtp[2]))
			}
			dec, err := libopus.Driver{}.NewDecoder(codec.DecoderConfig{})
			must(t, err)
			var pcm []int16
			sources, block := 0, make([]int16, codec.MaxFrameSamples)
			for i, p := range f.rtp[2] {
				if p[0]&0xf0 != 0x80 || p[1]&0x7f != 111 || ssrcOf(p) != ssrcOf(f.rtp[2][0]) {
					t.Fatalf("%s: packet %d: % x", mode, i, p[:12])
				}
				cc := int(p[0] & 0x0f)
				sources += cc
				n, err := dec.Decode(p[12+4*cc:], block)
				must(t, err)
				pcm = append(pcm, block[:n]...)
			}
			if like, _ := audio.Similarity(pcm, speech.PCM("alice")); like < 0.8 { // encoded twice
				t.Errorf("%s: the stranger hears alice to %.3f", mode, like)
			}
			if (sources > 0) != (mode == hooks.ModeMix) {
				t.Errorf("%s: %d contributing sources", mode, sources)
			}
		})
	}
}

// VP8 goes both ways, whole, and key frames are asked for in either direction:
// by PLI with the SSRC that the one who is asked uses.
func TestStrangerFilms(t *testing.T) {
	for _, how := range []string{"datagrams", "a stream for each frame", "a stream for each packet"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			l := newLobby(t, hooks.MediaVideo, nil, nil)
			f := l.enter(t, "cam", hooks.RoQAnswer{
				Sends: []hooks.RoQStream{{Flow: 3, Video: true, PayloadType: 99}},
				Video: &hooks.RoQReceive{Flow: 30, PayloadType: 120},
			})
			ctx, stop := context.WithCancel(t.Context())
			var filming sync.WaitGroup
			filming.Go(func() { f.film(ctx, 3, 99, 7, how) })
			defer filming.Wait()
			defer stop()
			soon(t, "the stranger's frames arrive", func() bool { return l.stats("cam").Received > 20 })
			var screen video.Sink
			l.a.wait(t, "video cam true")
			must(t, l.alice.StartRemoteView(t.Context(), "cam", &screen))
			f.wait("a PLI on its video flow", func() bool { return len(f.rtcp[3]) > 0 })
			soon(t, "alice sees the stranger", func() bool { return len(screen.Frames()) > 10 })
			shown := screen.Frames()
			if wantClip(t, shown); !shown[0].KeyFrame {
				t.Error("the first frame is no key frame")
			}
			if n := len(f.plis(3, 7)); n == 0 {
				t.Error("no PLI names its SSRC")
			}

			cam := newCamera(t)
			must(t, l.alice.OpenCamera(t.Context(), cam))
			f.wait("alice's video comes", func() bool { return len(f.rtp[30]) > 20 })
			asked := cam.Asked()
			f.mu.Lock()
			packets := slices.Clone(f.rtp[30])
			f.mu.Unlock()
			wantFrames(t, packets, 120)
			f.datagram(30, pliOf(12345, ssrcOf(packets[0])))
			soon(t, "the stranger's PLI is honoured", func() bool { return cam.Asked() > asked })
			asked = cam.Asked()
			for _, wrong := range [][]byte{pliOf(1, 1), {0x81, 206, 0, 9, 1}, {0x81, 206, 0, 2, 0, 0, 0, 1}} {
				f.datagram(30, wrong)
			}
			f.stream(30, pliOf(12345, ssrcOf(packets[0])))
			soon(t, "so is one on a stream", func() bool { return cam.Asked() > asked })
		})
	}
}

// wantFrames checks that RTP packets are VP8 frames of the clip, from a key
// frame on.
func wantFrames(t *testing.T, packets [][]byte, pt byte) {
	t.Helper()
	clip, err := video.Frames(speech.VP8())
	must(t, err)
	var frame []byte
	whole := 0
	for i, p := range packets {
		if p[0]&0xf0 != 0x80 || p[1]&0x7f != pt || i > 0 && seqOf(p) != seqOf(packets[i-1])+1 {
			t.Fatalf("packet %d: % x", i, p[:12])
		}
		d := p[12:]
		n := 1
		if d[0]&0x80 != 0 { // RFC 7741 section 4.2
			x := d[1]
			n = 2
			if x&0x80 != 0 {
				n += 1 + int(d[2]>>7)
			}
			n += int(x>>6&1) + int(x>>4&1|x>>5&1)
		}
		frame = append(frame, d[n:]...)
		if p[1]&0x80 == 0 {
			continue
		}
		at := slices.IndexFunc(clip, func(c engine.VideoFrame) bool { return bytes.Equal(c.Data, frame) })
		if at < 0 || whole == 0 && !clip[at].KeyFrame {
			t.Fatalf("frame %d is number %d of the clip", whole, at)
		}
		whole++
		frame = frame[:0]
	}
	if whole < 3 {
		t.Fatalf("%d whole frames", whole)
	}
}

// Two strangers: one whose SSRC changes, and one that sees what becomes of it.
func TestStrangerStartsAgain(t *testing.T) {
	l := newLobby(t, hooks.MediaAudio, nil, nil)
	from := l.enter(t, "from", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 1, LevelExtension: 5}}})
	to := l.enter(t, "to", hooks.RoQAnswer{Audio: &hooks.RoQReceive{Flow: 2}})
	got := func(n int) [][]byte {
		to.wait(fmt.Sprintf("%d packets", n), func() bool { return len(to.rtp[2]) >= n })
		to.mu.Lock()
		defer to.mu.Unlock()
		return slices.Clone(to.rtp[2])
	}
	from.datagram(1, rtpOf(111, true, 65535, 1000, 1, []byte("one")))
	got(1)
	// Padding, contributing sources, and extensions, the level among them, are
	// all gone or the room's own.
	odd := rtpOf(111, false, 0, 1960, 1, []byte("two\x00\x02"))
	odd[0] |= 0x20 | 0x10 | 1
	odd = slices.Insert(odd, 12, 9, 9, 9, 9, 0xBE, 0xDE, 0, 1, 0x50, 0x8c, 0, 0)
	from.datagram(1, odd)
	got(2)
	from.stream(1, rtpOf(111, false, 1, 2920, 1, []byte("three")))
	got(3)
	from.datagram(1, rtpOf(111, true, 500, 77, 2, []byte("four"))) // another source
	got(4)
	from.datagram(1, rtpOf(111, false, 2, 3880, 1, []byte("late"))) // of the old one
	from.datagram(1, rtpOf(111, false, 7, 7, 3, []byte("soon")))    // a third at once
	from.datagram(1, rtpOf(111, false, 501, 77+960, 2, []byte("five")))
	all := got(5)
	for i, want := range []string{"one", "two", "three", "four", "five"} {
		p := all[i]
		if string(p[12:]) != want || seqOf(p) != 65535+uint16(i) || ssrcOf(p) != ssrcOf(all[0]) || ssrcOf(p) < 10 || p[0] != 0x80 || p[1]&0x7f != 111 {
			t.Errorf("packet %d: % x", i, p)
		}
		if i > 0 && i != 3 && tsOf(p)-tsOf(all[i-1]) != 960 {
			t.Errorf("packet %d is %d ticks after the one before", i, tsOf(p)-tsOf(all[i-1]))
		}
	}
	if d := tsOf(all[3]) - tsOf(all[2]); d < 960 || d > 20*48000 {
		t.Errorf("the new source is %d ticks after the old one", d)
	}
	if s := l.stats("from"); s.OtherSSRC != 2 || s.Received != 5 {
		t.Errorf("%+v", s)
	}
}

// What the host said of flows holds: each track its own, or one for all, or by
// the user; what has none waits for one.
func TestStrangerFlows(t *testing.T) {
	l := newLobby(t, hooks.MediaAudio, nil, nil)
	three := l.enter(t, "three", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 1, PayloadType: 97}, {Flow: 1, PayloadType: 98}, {Flow: 0}}})
	own := l.enter(t, "own", hooks.RoQAnswer{Audio: &hooks.RoQReceive{Flow: 10, Flows: 2}})
	one := l.enter(t, "one", hooks.RoQAnswer{Audio: &hooks.RoQReceive{Flow: 10}})
	by := l.enter(t, "by", hooks.RoQAnswer{Audio: &hooks.RoQReceive{Flow: 10, Flows: 1, Users: map[string]uint64{"three": 40}}})
	say := func(words string) {
		three.datagram(1, rtpOf(97, false, 1, 1, 1, []byte(words)))
		three.datagram(1, rtpOf(98, false, 1, 1, 2, []byte(words)))
		three.datagram(0, rtpOf(111, false, 1, 1, 3, []byte(words)))
	}
	say("hello")
	one.wait("three tracks", func() bool { return len(one.rtp[10]) == 3 })
	by.wait("three tracks", func() bool { return len(by.rtp[40]) == 3 })
	own.wait("two tracks", func() bool { return len(own.rtp[10]) == 1 && len(own.rtp[11]) == 1 })
	soon(t, "the third track is counted", func() bool { return l.stats("own").Unsent == 1 })
	one.mu.Lock()
	if p := one.rtp[10]; ssrcOf(p[0]) == ssrcOf(p[1]) || ssrcOf(p[1]) == ssrcOf(p[2]) {
		t.Error("two tracks have one SSRC")
	}
	one.mu.Unlock()

	// The three are gone, and so their flows are free.
	three.CloseWithError(0, "")
	l.a.wait(t, "leave three 0")
	again := l.enter(t, "again", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 9}}})
	again.datagram(9, rtpOf(111, false, 1, 1, 3, []byte("again")))
	own.wait("the lowest flow is used again", func() bool { return len(own.rtp[10]) == 2 })
}

// A call that becomes a video call takes the stranger's video then; back in an
// audio call it does not.
func TestStrangerWhenTheCallChanges(t *testing.T) {
	l := newLobby(t, hooks.MediaAudio, nil, nil)
	f := l.enter(t, "cam", hooks.RoQAnswer{Sends: []hooks.RoQStream{{Flow: 1}, {Flow: 2, Video: true}}})
	frame := rtpOf(96, true, 1, 1, 9, []byte{0x10, 1, 2, 3})
	f.datagram(2, frame)
	soon(t, "video in an audio call is counted", func() bool { return l.stats("cam").Unwanted == 1 })
	must(t, l.alice.SwitchMedia(t.Context(), hooks.MediaVideo))
	l.a.wait(t, "video cam true")
	f.datagram(2, frame)
	soon(t, "it is taken in a video call", func() bool { return l.stats("cam").Received == 1 })
	must(t, l.alice.SwitchMedia(t.Context(), hooks.MediaAudio))
	l.a.wait(t, "video cam false")
	f.datagram(2, frame)
	soon(t, "and no longer", func() bool { return l.stats("cam").Unwanted == 2 })
	f.datagram(1, rtpOf(111, true, 1, 1, 8, []byte{1, 2, 3}))
	soon(t, "sound goes on", func() bool { return l.stats("cam").Received == 2 })
}

// closedWith waits for the connection's end and returns the code and the words.
func (f *foreign) closedWith() (code uint64, words string) {
	f.t.Helper()
	select {
	case <-f.Context().Done():
	case <-time.After(30 * time.Second):
		f.t.Fatal("the connection is not closed")
	}
	var app *quic.ApplicationError
	if err := context.Cause(f.Context()); !errors.As(err, &app) || !app.Remote {
		f.t.Fatalf("closed with %v", err)
	}
	return uint64(app.ErrorCode), app.ErrorMessage
}
