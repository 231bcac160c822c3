package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/internal/video"
)

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
			soon(t, "alice sees the stranger", func() bool { return len(screen.Frames()) > 10 })
			shown := screen.Frames()
			if wantClip(t, shown); !shown[0].KeyFrame {
				t.Error("the first frame is no key frame")
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
	l.a.wait(t, "video cam true") // a moment before its packets are taken
	soon(t, "it is taken in a video call", func() bool {
		f.datagram(2, frame)
		return l.stats("cam").Received > 0
	})
	must(t, l.alice.SwitchMedia(t.Context(), hooks.MediaAudio))
	l.a.wait(t, "video cam false")
	before := l.stats("cam").Unwanted
	soon(t, "and no longer", func() bool {
		f.datagram(2, frame)
		return l.stats("cam").Unwanted > before
	})
	received := l.stats("cam").Received
	f.datagram(1, rtpOf(111, true, 1, 1, 8, []byte{1, 2, 3}))
	soon(t, "sound goes on", func() bool { return l.stats("cam").Received == received+1 })
}
