package engine

import (
	"bytes"
	"log/slog"
	"net"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A deafSession takes what is sent and drops it.
type deafSession struct {
	transport.RoQSession
	sent int
	last []byte
}

func (d *deafSession) Send(p transport.Packet) error {
	d.sent++
	d.last = append(d.last[:0], p.Payload...)
	return nil
}
func (d *deafSession) RemoteAddr() net.Addr { return &net.UDPAddr{} }

// newDeaf is a stranger with a stream of each kind that the room takes, a track
// of each kind that the room sends, and nobody behind.
func newDeaf(handler transport.PacketHandler) (*stranger, *deafSession) {
	sess := &deafSession{}
	st := &stranger{
		srv: &Server{log: slog.New(slog.DiscardHandler)}, sess: sess, ssrc: 99, cname: "x", device: &device{userID: "u"},
		flows: make(map[uint64]*strangerFlow), feedback: rate.NewLimiter(rate.Inf, 0), wake: make(chan struct{}, 1),
		handlers: make(map[uint64]transport.PacketHandler), tracks: make(map[uint64]*outTrack),
		answer: hooks.RoQAnswer{Audio: &hooks.RoQReceive{Flow: 1}, Video: &hooks.RoQReceive{Flow: 2}},
	}
	f := st.flow(5)
	for i, s := range []hooks.RoQStream{{Flow: 5, LevelExtension: 1}, {Flow: 5, Video: true}} {
		in := &inStream{st: st, RoQStream: s, pt: s.RTPType()}
		in.bind(&inTarget{flow: uint64(i + 1), handler: handler, ssrc: uint32(1000 + i), pt: 111})
		st.ins, f.ins = append(st.ins, in), append(f.ins, in)
	}
	st.outs.Store(new(map[uint64]*outTrack))
	st.addTrack(&signal.Track{TrackID: 1, Flow: 1, SSRC: 2000, Kind: signal.KindAudio})
	st.addTrack(&signal.Track{TrackID: 2, Flow: 2, SSRC: 2001, Kind: signal.KindVideo})
	return st, sess
}

var seedPackets = [][]byte{
	{0x80, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 1, 2, 3},
	{0xb1, 0xef, 0, 2, 0, 0, 3, 0xc1, 0, 0, 0, 7, 9, 9, 9, 9, 0xbe, 0xde, 0, 1, 0x10, 0x8c, 0, 0, 1, 2, 0, 2},
	{0x80, 96, 0xff, 0xff, 0, 0, 0, 1, 0, 0, 0, 8, 0x10, 1},
	{0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 3, 0xe8},
	{0x80, 201, 0, 1, 0, 0, 0, 1, 0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 7, 0xd1, 1, 0, 0, 0},
	{0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 3, 0xe9, 0, 5, 0, 1},
	{0x80, 200, 0, 6, 0, 0, 0, 7, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1},
	{0x9f, 111}, {0x90, 111, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0xbe, 0xde, 0xff, 0xff},
}

// Whatever a foreign endpoint sends, what the room gets is RTP with the track's
// SSRC and payload type, and whatever the room sends, the endpoint gets RTP in
// its payload type.
func FuzzStranger(f *testing.F) {
	for _, p := range seedPackets {
		f.Add(p, seedPackets[0])
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		now := time.Now()
		st, sess := newDeaf(func(p []byte, _ time.Time) {
			if len(p) < 13 || len(p) > transport.MaxPacketSize || p[0]&0xcf != 0x80 || p[1]&0x7f != 111 || p[8] != 0 || p[10] != 3 {
				t.Fatalf("the room gets % x", p)
			}
		})
		st.onRTCP = func(p []byte, _ time.Time) {
			if _, err := rtcp.Unmarshal(p); err != nil {
				t.Fatalf("the room gets RTCP % x: %v", p, err)
			}
		}
		h := st.receiver(st.flows[5])
		own := strangerSession{sess, st}
		for _, p := range [][]byte{first, second, first} {
			if len(p) < 4 { // the transport lets none through: roq.CheckPacket
				continue
			}
			h(bytes.Clone(p), now)
			st.forwardRTCP(transport.Packet{Payload: p})
			before := sess.sent
			if own.Send(transport.Packet{Flow: 1, Payload: p}) == nil {
				if got := sess.last; sess.sent != before+1 || len(got) < 12 || got[1]&0x7f != 111 || got[0]&0x10 != 0 {
					t.Fatalf("the endpoint gets % x of % x", got, p)
				}
			}
			st.report()
		}
	})
}

// A foreign endpoint's packets cost no allocation, in either direction.
func TestStrangerAllocations(t *testing.T) {
	st, sess := newDeaf(func([]byte, time.Time) {})
	h, own := st.receiver(st.flows[5]), &strangerSession{sess, st}
	now := time.Now()
	in, out := bytes.Clone(seedPackets[1]), bytes.Clone(seedPackets[0])
	n := uint16(0)
	if a := testing.AllocsPerRun(1000, func() {
		n++
		in[2], in[3] = byte(n>>8), byte(n)
		h(in, now)
		own.Send(transport.Packet{Flow: 1, Payload: out})
	}); a >= 1 {
		t.Errorf("%.2f allocations for a packet in and one out", a)
	}
	if c := &st.counters; c.received.Load() < 1000 || c.sent.Load() < 1000 {
		t.Errorf("%d received, %d sent", c.received.Load(), c.sent.Load())
	}
}

// What a foreign endpoint is asked and told in RTCP is about its own SSRC and
// sequence numbers.
func TestStrangerRTCP(t *testing.T) {
	st, sess := newDeaf(func([]byte, time.Time) {})
	h, own := st.receiver(st.flows[5]), &strangerSession{sess, st}
	now := time.Unix(1000, 0)
	read := func() []rtcp.Packet {
		t.Helper()
		ps, err := rtcp.Unmarshal(sess.last)
		if err != nil {
			t.Fatal(err)
		}
		if rr, ok := ps[0].(*rtcp.ReceiverReport); !ok || rr.SSRC != 99 {
			t.Fatalf("begins with %v", ps[0])
		}
		if sdes, ok := ps[1].(*rtcp.SourceDescription); !ok || sdes.Chunks[0].Source != 99 || sdes.Chunks[0].Items[0].Text != "x" {
			t.Fatalf("then comes %v", ps[1])
		}
		return ps
	}
	pli, _ := (&rtcp.PictureLossIndication{MediaSSRC: 1001}).Marshal()
	own.Send(transport.Packet{Flow: rtcpFlow, Payload: pli})
	if sess.sent != 0 {
		t.Error("a PLI before anything is known of the SSRC")
	}
	video := func(seq uint16, ssrc byte) []byte {
		return []byte{0x80, 96, byte(seq >> 8), byte(seq), 0, 0, 0, 1, 0, 0, 0, ssrc, 0x10, 1}
	}
	h(video(65530, 8), now)
	want := &rtcp.PictureLossIndication{SenderSSRC: 99, MediaSSRC: 8}
	if ps := read(); *ps[2].(*rtcp.PictureLossIndication) != *want {
		t.Errorf("%v", ps[2])
	}
	h(video(65531, 8), now)
	h(video(10, 9), now.Add(time.Second)) // it starts again: 10 is the room's 65532
	nack, _ := (&rtcp.TransportLayerNack{MediaSSRC: 1001, Nacks: []rtcp.NackPair{{PacketID: 65532, LostPackets: 1}}}).Marshal()
	own.Send(transport.Packet{Flow: rtcpFlow, Payload: nack})
	if n := read()[2].(*rtcp.TransportLayerNack); n.MediaSSRC != 9 || n.Nacks[0] != (rtcp.NackPair{PacketID: 10, LostPackets: 1}) {
		t.Errorf("%v", n)
	}
	h(video(11, 9), now.Add(1100*time.Millisecond))
	h(video(14, 9), now.Add(1200*time.Millisecond)) // two are lost
	sr, _ := (&rtcp.SenderReport{SSRC: 9, NTPTime: 0x1234_5678_9abc_def0}).Marshal()
	h(sr, time.Now())
	st.report()
	r := read()[0].(*rtcp.ReceiverReport).Reports[0]
	if r.SSRC != 9 || r.LastSequenceNumber != 14 || r.TotalLost != 2 || r.FractionLost != 2*256/5 || r.LastSenderReport != 0x5678_9abc {
		t.Errorf("%+v", r)
	}
	// Nothing more of it: the report is empty, but there is one.
	sent := sess.sent
	st.report()
	if rr := read()[0].(*rtcp.ReceiverReport); sess.sent != sent+1 || len(rr.Reports) != 0 {
		t.Errorf("%d reports, %+v", sess.sent-sent, rr)
	}
}
