package engine_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// A guest is one participant over the simulated network, who speaks the protocol
// by hand.
type guest struct {
	*raw
	conn   *simnet.Conn
	id     uint64
	mu     sync.Mutex
	heard  []time.Duration // from send to handler, of voices
	video  int
	asked  int // for key frames
	tracks []*signal.Track
}

// party12 is a room of 12 in virtual time: three talk, and the first has a
// camera.
type party12 struct {
	*world
	t      *testing.T
	guests []*guest
	voices []*signal.Track
	camera *signal.Track
}

func newParty12(t *testing.T) *party12 {
	p := &party12{world: newWorld(t, nil), t: t}
	for i := range 12 {
		p.guests = append(p.guests, p.arrive(fmt.Sprintf("guest%d", i)))
	}
	host := p.guests[0]
	var others []string
	for i := range 11 {
		others = append(others, fmt.Sprintf("guest%d", i+1))
	}
	call := host.request(signal.TypeCall, signal.Call{UserIDs: others, IsGroup: true, Media: hooks.MediaVideo}).CallID
	for _, g := range p.guests[1:] {
		g.request(signal.TypeAccept, signal.Enter{CallID: call})
	}
	for _, g := range p.guests[:3] {
		p.voices = append(p.voices, g.request(signal.TypePublish, signal.Publish{CallID: call, Kind: signal.KindAudio}).Track)
	}
	p.camera = host.request(signal.TypePublish, signal.Publish{CallID: call, Kind: signal.KindVideo}).Track
	host.sess.HandleFlow(63, func(packet []byte, _ time.Time) {
		all, _ := rtcp.Unmarshal(packet)
		for _, r := range all {
			if _, ok := r.(*rtcp.PictureLossIndication); ok {
				host.mu.Lock()
				host.asked++
				host.mu.Unlock()
			}
		}
	})
	for _, g := range p.guests {
		go g.listen()
	}
	time.Sleep(time.Second) // virtual: everybody knows of every track
	return p
}

// arrive connects and signs in.
func (p *party12) arrive(user string) *guest {
	p.t.Helper()
	g := &guest{}
	pin := p.srv.Pins()[0]
	d := transport.QUICDialer{Pin: pin[:], Conn: func() (net.PacketConn, error) {
		var err error
		g.conn, err = p.endpoint(user)
		return g.conn, err
	}}
	sess, err := d.Dial(context.Background(), "10.0.0.1:4433")
	must(p.t, err)
	p.t.Cleanup(func() { sess.Close() })
	g.raw = &raw{p.t, sess, signal.NewReader(sess.Control())}
	g.send(signal.TypeSignIn, 0, signal.SignIn{Version: 1, SDKAppID: testApp, UserID: user, UserSig: sign(p.t, user), Bundles: true})
	g.read(signal.TypeWelcome)
	return g
}

// request asks for something before listen runs; it keeps the tracks that it is
// told of meanwhile.
func (g *guest) request(typ signal.Type, body any) *signal.Result {
	g.t.Helper()
	g.id++
	g.send(typ, g.id, body)
	for {
		_, b := g.next()
		g.note(b)
		if res, ok := b.(*signal.Result); ok && res.Re == g.id {
			if res.Code != 0 {
				g.t.Fatalf("%s: %+v", typ, res)
			}
			return res
		}
	}
}

// listen reads what the server says until the session ends.
func (g *guest) listen() {
	for {
		m, err := g.in.Read()
		if err != nil {
			return
		}
		if b, err := m.Body(); err == nil {
			g.note(b)
		}
	}
}

// note takes a track's packets, from when the server tells of it.
func (g *guest) note(body any) {
	t, ok := body.(*signal.Track)
	if !ok || slices.ContainsFunc(g.tracks, func(o *signal.Track) bool { return o.TrackID == t.TrackID }) {
		return
	}
	g.tracks = append(g.tracks, t)
	g.sess.HandleFlow(t.Flow, func(packet []byte, _ time.Time) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if t.Kind == signal.KindVideo {
			g.video++
		} else {
			g.heard = append(g.heard, time.Since(time.Unix(0, int64(binary.BigEndian.Uint64(packet[13:])))))
		}
	})
}

// talk lets the talkers talk and the camera film for a while. It returns how long
// their packets took to the nine guests who behave, sorted, and how many packets
// of voices each guest got. The others, 3 to 5, come before most of those in the
// room: who waited for them would wait before serving the rest.
func (p *party12) talk(frames int) (delays []time.Duration, got []int) {
	for _, g := range p.guests {
		g.mu.Lock()
		g.heard = nil
		g.mu.Unlock()
	}
	for n := range frames {
		for i, t := range p.voices {
			p.say(p.guests[i], t, uint16(n), uint32(n)*960, 80)
			time.Sleep(7 * time.Millisecond)
			if i == 2 {
				p.say(p.guests[0], p.camera, uint16(n), uint32(n)*1890, 1000)
			}
		}
	}
	time.Sleep(100 * time.Millisecond) // all are there
	for i, g := range p.guests {
		g.mu.Lock()
		if i < 3 || i > 5 {
			delays = append(delays, g.heard...)
		}
		got = append(got, len(g.heard))
		g.mu.Unlock()
	}
	slices.Sort(delays)
	return delays, got
}

// say sends one packet of a track, with the time in it. What a camera sends is
// one frame each, a key frame by its first byte (RFC 7741 section 4.3).
func (p *party12) say(g *guest, t *signal.Track, seq uint16, timestamp uint32, size int) {
	payload := make([]byte, size)
	payload[0] = 0x78 // Opus, 20 ms
	if t.Kind == signal.KindVideo {
		payload[0] = 0x10 // the start of a partition
	}
	binary.BigEndian.PutUint64(payload[1:], uint64(time.Now().UnixNano()))
	b, err := (&rtp.Packet{Header: rtp.Header{
		Version: 2, PayloadType: t.PayloadType, SSRC: t.SSRC, SequenceNumber: seq, Timestamp: timestamp, Marker: t.Kind == signal.KindVideo,
	}, Payload: payload}).Marshal()
	must(p.t, err)
	class := transport.Class(0)
	if t.Kind == signal.KindVideo {
		class = 2
	}
	must(p.t, g.sess.Send(transport.Packet{Flow: t.Flow, Class: class, Payload: b}))
}

// TestBadReceiversDisturbNobody: one that takes nothing any more and does not
// even acknowledge, one behind a line too narrow for the voices, one that floods
// requests for pictures and packets. The nine others get what they got before,
// when they got it before.
func TestBadReceiversDisturbNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParty12(t)
		const frames = 100
		p.talk(frames) // QUIC finds its pace
		before, got := p.talk(frames)
		for i, n := range got {
			want := 3 * frames
			if i < 3 {
				want -= frames // their own
			}
			if n != want {
				t.Errorf("before: guest %d got %d packets, want %d", i, n, want)
			}
		}

		stalled, narrow, mallory := p.guests[3], p.guests[4], p.guests[5]
		for _, g := range p.guests[3:6] { // the picture fills what lies before the line
			g.send(signal.TypeSubscribe, g.id+1, signal.Subscribe{TrackID: p.camera.TrackID, On: true})
		}
		time.Sleep(100 * time.Millisecond) // virtual
		p.net.Cut(p.at, stalled.conn)
		p.net.SetLink(p.at, narrow.conn, simnet.Link{Delay: 20 * time.Millisecond, Rate: 64_000})
		var flood []rtcp.Packet
		for _, tr := range []*signal.Track{p.voices[0], p.camera} {
			flood = append(flood, &rtcp.PictureLossIndication{MediaSSRC: tr.SSRC},
				&rtcp.TransportLayerNack{MediaSSRC: tr.SSRC, Nacks: []rtcp.NackPair{{PacketID: 1, LostPackets: 0xffff}, {PacketID: 40, LostPackets: 0xffff}}})
		}
		packet, err := rtcp.Marshal(flood)
		must(t, err)
		p.guests[0].mu.Lock()
		p.guests[0].asked = 0
		p.guests[0].mu.Unlock()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range frames * 21 {
				mallory.sess.Send(transport.Packet{Flow: 63, Class: 1, Payload: packet})
				time.Sleep(time.Millisecond)
			}
		}()
		after, got := p.talk(frames)
		<-done

		// They were as bad as that.
		if got[3] != 0 {
			t.Errorf("the stalled one got %d packets", got[3])
		}
		if n := got[4]; n < frames/4 || n > 270 {
			t.Errorf("behind 64 kbit/s %d of 300 packets came", n)
		}
		if got[5] != 3*frames {
			t.Errorf("the one who floods got %d packets", got[5])
		}
		p.guests[0].mu.Lock()
		asked := p.guests[0].asked
		p.guests[0].mu.Unlock()
		if asked < 2 || asked > 8 {
			t.Errorf("the camera was asked for %d key frames in 2.1 s of flood", asked)
		}
		// And nobody else noticed.
		if len(after) != len(before) || len(after) != (6*3+3*2)*frames {
			t.Errorf("the others got %d packets, and %d before", len(after), len(before))
		}
		for _, q := range []float64{0.5, 0.99, 1} {
			at := func(d []time.Duration) time.Duration { return d[int(q*float64(len(d)-1))] }
			if d := at(after) - at(before); d > 500*time.Microsecond || at(before) > 50*time.Millisecond {
				t.Errorf("quantile %v of the others' delays is %v, before %v", q, at(after), at(before))
			}
		}
		t.Logf("delays before: p50 %v, max %v; after: p50 %v, max %v; %d key frames asked for, %d of 300 packets over 64 kbit/s",
			before[len(before)/2], before[len(before)-1], after[len(after)/2], after[len(after)-1], asked, got[4])
	})
}
