package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport"
)

// countSession counts what it is sent.
type countSession struct {
	transport.Session
	packets int
}

func (s *countSession) SendBatch(p []transport.Packet) error { s.packets += len(p); return nil }
func (s *countSession) HandleFlow(uint64, transport.PacketHandler) error {
	return nil
}
func (s *countSession) RemoveFlow(uint64) {}

// village is a world of people on one spot, of whom some talk.
func village(tb testing.TB, people, talkers int) (w *World, tracks []*track, sessions []*countSession) {
	s, err := NewServer(ServerConfig{InProcess: true, SignIn: func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil }})
	if err != nil {
		tb.Fatal(err)
	}
	if w, err = s.NewWorld(WorldConfig{}); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	w.tick.remove() // the test ticks
	for i := range people {
		d := s.newDevice(fmt.Sprintf("p%d", i))
		sess := &countSession{}
		var as transport.Session = sess
		d.session.Store(&as)
		s.users[d.userID] = []*device{d}
		sessions = append(sessions, sess)
		if _, err := w.Join(Player{UserID: d.userID, Position: mixer.Vector{float32(i % 10), float32(i / 10)}}); err != nil {
			tb.Fatal(err)
		}
		if i < talkers {
			if _, err := s.publish(d, &signal.Publish{CallID: w.ID(), Kind: signal.KindAudio}); err != nil {
				tb.Fatal(err)
			}
			tracks = append(tracks, d.published[0])
		}
	}
	return w, tracks, sessions
}

// speak sends one packet of each track, and ticks.
func speak(w *World, tracks []*track, packet []byte, n uint16) {
	now := time.Now()
	for _, t := range tracks {
		packet[2], packet[3] = byte(n>>8), byte(n)
		packet[8], packet[9], packet[10], packet[11] = byte(t.ssrc>>24), byte(t.ssrc>>16), byte(t.ssrc>>8), byte(t.ssrc)
		t.steer.asked = now // what is asked of talkers is a message
		t.forward(packet, now)
	}
	w.run(0, now)
}

func spoken80() []byte {
	packet := make([]byte, 100)
	copy(packet, []byte{0x90, audioPayloadType})
	copy(packet[12:], []byte{0xBE, 0xDE, 0, 1, levelExtension << 4, 30 | 1<<7, 0, 0, 1, 2, 3, 4})
	return packet
}

// A packet of a world, from its talker's session to all who hear it, and the
// tick, allocate nothing.
func TestWorldAllocatesNothing(t *testing.T) {
	w, tracks, sessions := village(t, 50, 5)
	packet, n := spoken80(), uint16(0)
	say := func() { n++; speak(w, tracks, packet, n) }
	for range 20 {
		say()
	}
	sessions[49].packets = 0
	allocs := testing.AllocsPerRun(100, say)
	if sessions[49].packets != 5*101 {
		t.Errorf("%d packets came, not %d", sessions[49].packets, 5*101)
	}
	if allocs != 0 {
		t.Errorf("a packet of five talkers to 50 allocates %v times", allocs)
	}
}

// BenchmarkWorldSend is the engine's own part of a frame of each talker to all
// who hear it, with sessions that only count: a world of 200 on one spot, 40 of
// whom talk, 12 heard by each.
func BenchmarkWorldSend(b *testing.B) {
	w, tracks, sessions := village(b, 200, 40)
	packet, n := spoken80(), uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		n++
		speak(w, tracks, packet, n)
	}
	sent := 0
	for _, s := range sessions {
		sent += s.packets
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(sent), "ns/packet")
}
