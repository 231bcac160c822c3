package engine

import (
	"context"
	"encoding/binary"
	"log/slog"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// packetCounter is a session that takes packets and forgets them.
type packetCounter struct {
	transport.Session
	sent int
}

func (s *packetCounter) Send(transport.Packet) error { s.sent++; return nil }

// forwarder is a track with five receivers and some hooks, without a network.
func forwarder(n int) (t *track, s *packetCounter, packet []byte) {
	s = &packetCounter{}
	var sess transport.Session = s
	srv := &Server{log: slog.New(slog.DiscardHandler)}
	t = &track{call: &call{room: newRoom(srv)}, kind: signal.KindAudio, ssrc: 7, pt: audioPayloadType, lifetime: audioLifetime}
	var legs []leg
	for range 5 {
		d := &device{srv: srv}
		d.session.Store(&sess)
		legs = append(legs, leg{to: d, flow: 1, on: true})
	}
	t.call.room.route.Store(&routes{legs: map[*track][]leg{t: legs}})
	for range n {
		srv.plugins = append(srv.plugins, newPlugin(srv, hooks.Plugin{
			Packet: func(hooks.TrackInfo) hooks.PacketHook {
				return func(p []byte) bool { p[len(p)-1]++; return true }
			},
		}))
	}
	t.hooks = srv.bindPacketHooks(hooks.TrackInfo{})
	packet = append([]byte{0x80, audioPayloadType, 0, 1, 0, 0, 0, 0}, binary.BigEndian.AppendUint32(nil, t.ssrc)...)
	return t, s, append(packet, make([]byte, 120)...)
}

// Forwarding allocates nothing, with and without hooks.
func TestForwardingAllocatesNothing(t *testing.T) {
	for _, n := range []int{0, 1, 10} {
		tr, s, packet := forwarder(n)
		now := time.Now()
		if a := testing.AllocsPerRun(100, func() { tr.forward(packet, now) }); a != 0 {
			t.Errorf("%d hooks: %v allocations a packet", n, a)
		}
		if want := 5 * 101; s.sent != want {
			t.Errorf("%d hooks: %d packets were sent, want %d", n, s.sent, want)
		}
	}
}

func TestPCMHooksAllocateNothing(t *testing.T) {
	pcm := make([]int16, 480)
	log := slog.New(slog.DiscardHandler)
	for name, h := range map[string]*pcmHook{
		"none": newPCMHook("none", nil, log),
		"one":  newPCMHook("one", func(pcm []int16) { pcm[0]++ }, log),
	} {
		if a := testing.AllocsPerRun(100, func() { h.process(pcm) }); a != 0 {
			t.Errorf("%s: %v allocations a block", name, a)
		}
	}
	if pcm[0] != 101 {
		t.Errorf("the hook was called %d times", pcm[0])
	}
}

// Captured changes the microphone before it is encoded and measured; a hook
// that panics again and again is taken off, and the microphone goes on.
func TestCapturedSeesTheMicrophoneFirst(t *testing.T) {
	calls := 0
	for name, c := range map[string]struct {
		hook        hooks.PCMHook
		want        int16
		wantedCalls int
	}{
		"none":    {nil, 5, 0},
		"changes": {func(pcm []int16) { calls++; pcm[0] = 7 }, 7, 10},
		"panics":  {func([]int16) { calls++; panic("oh") }, 5, maxHookPanics},
	} {
		calls = 0
		enc := &firstSample{}
		f := &pcmFrames{fives{}, newPCMHook("Captured", c.hook, slog.New(slog.DiscardHandler)), enc, make([]int16, 960), 0}
		for range 10 {
			if _, _, _, err := f.next(t.Context(), make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			if enc.got != c.want {
				t.Errorf("%s: %d was encoded, want %d", name, enc.got, c.want)
			}
		}
		if calls != c.wantedCalls {
			t.Errorf("%s: called %d times, want %d", name, calls, c.wantedCalls)
		}
	}
}

type fives struct{}

func (fives) ReadPCM(_ context.Context, pcm []int16) error {
	for i := range pcm {
		pcm[i] = 5
	}
	return nil
}

type firstSample struct {
	codec.Encoder
	got int16
}

func (e *firstSample) Encode(pcm []int16, _ []byte) (int, error) {
	e.got = pcm[0]
	return 1, nil
}

// What packet hooks cost a packet that goes to five receivers.
func BenchmarkPacketHooks(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"absent", 0}, {"one", 1}, {"ten", 10}} {
		b.Run(c.name, func(b *testing.B) {
			tr, s, packet := forwarder(c.n)
			now := time.Now()
			b.ReportAllocs()
			for seq := uint16(0); b.Loop(); seq++ {
				binary.BigEndian.PutUint16(packet[2:], seq)
				tr.forward(packet, now)
			}
			if s.sent < 5*b.N {
				b.Errorf("%d packets were sent", s.sent)
			}
		})
	}
}
