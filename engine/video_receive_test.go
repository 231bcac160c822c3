package engine

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/transport"
)

// onScreen is a sink that checks what a sink is promised.
type onScreen struct {
	tb     testing.TB
	frames int
	bytes  int
	last   time.Duration
}

func (s *onScreen) WriteFrame(f VideoFrame) {
	if s.frames == 0 && !f.KeyFrame {
		s.tb.Error("the first frame is no key frame")
	}
	if len(f.Data) == 0 {
		s.tb.Error("an empty frame")
	}
	s.frames++
	s.bytes += len(f.Data)
	s.last = f.Time
}

// watched is a remote camera that a sink shows.
func watched(tb testing.TB) (*videoTrack, *onScreen) {
	c := &Client{log: slog.New(slog.DiscardHandler), ctx: tb.Context()}
	c.cb = newCallbacks(c.log, routing{}, func() {})
	tb.Cleanup(c.cb.close)
	c.link.Store(&link{sess: &sink{keep: true}})
	t := &videoTrack{id: 1, userID: "alice", flow: 1, ssrc: 7, pt: videoPayloadType, client: c}
	s := &onScreen{tb: tb}
	t.view.Store(&videoView{s})
	return t, s
}

// vp8Frame is the beginning of a frame, and the rest anything.
func vp8Frame(key bool, size int) []byte {
	f := bytes.Repeat([]byte{0x55}, size)
	if key { // RFC 6386 section 9.1: start code, 320x240
		copy(f, []byte{0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x40, 0x01, 0xF0, 0x00})
	} else {
		f[0] = 0x11
	}
	return f
}

// packets are those of one frame, as a sender makes them.
func packets(tb testing.TB, s *videoSender, f VideoFrame) (out [][]byte) {
	s.send = func(p transport.Packet) { out = append(out, bytes.Clone(p.Payload)) }
	if err := s.frame(f, time.Now()); err != nil {
		tb.Fatal(err)
	}
	return out
}

func testSender() *videoSender {
	return newVideoSender(&signal.Track{TrackID: 1, Flow: 1, SSRC: 7, PayloadType: videoPayloadType}, nil)
}

func TestVideoTimestampsWrap(t *testing.T) {
	tr, screen := watched(t)
	s := testSender()
	// The clock of RTP wraps after 13 h 15 min; the frames' times do not.
	for i := range 50 {
		at := time.Duration(i) * time.Hour / 2
		for _, p := range packets(t, s, VideoFrame{Data: vp8Frame(i == 0, 100), Time: at}) {
			tr.receive(p, time.Now())
		}
		if d := screen.last - at; d < -12*time.Microsecond || d > 12*time.Microsecond {
			t.Fatalf("the frame of %v is shown at %v", at, screen.last)
		}
	}
	if screen.frames != 50 {
		t.Errorf("%d frames shown, want 50", screen.frames)
	}
}

// A frame of one packet that is lost leaves no trace but the gap. It is asked
// for again, and when it does not come only a key frame helps.
func TestLostFrameIsNoticed(t *testing.T) {
	tr, screen := watched(t)
	s := testSender()
	now := time.Now()
	show := func(key bool, lose bool) {
		for _, p := range packets(t, s, VideoFrame{Data: vp8Frame(key, 100)}) {
			if !lose {
				tr.receive(p, now)
			}
		}
		now = now.Add(time.Second)
	}
	asked := func() (plis int) {
		for _, p := range tr.client.link.Load().sess.(*sink).all() {
			if p[0]&31 == 1 && p[1] == 206 { // RFC 4585 section 6.3.1
				plis++
			}
		}
		return plis
	}
	show(true, false)
	show(false, false)
	show(false, true)
	if screen.frames != 2 || asked() != 0 {
		t.Fatalf("%d frames shown, %d key frames asked for", screen.frames, asked())
	}
	show(false, false) // refers to the lost one
	show(false, false)
	if screen.frames != 2 || asked() != 1 {
		t.Fatalf("after a loss: %d frames shown, %d key frames asked for", screen.frames, asked())
	}
	show(true, false)
	show(false, false)
	if screen.frames != 4 || asked() != 1 {
		t.Fatalf("after the key frame: %d frames shown, %d key frames asked for", screen.frames, asked())
	}
}

// A packet that comes late, or twice, costs nothing.
func TestLateAndDoubleVideoPackets(t *testing.T) {
	tr, screen := watched(t)
	s := testSender()
	now := time.Now()
	var sent [][]byte
	for i := range 6 {
		sent = append(sent, packets(t, s, VideoFrame{Data: vp8Frame(i%3 == 0, 100), Time: time.Duration(i) * time.Millisecond})...)
	}
	for _, i := range []int{0, 0, 2, 1, 1, 3, 4, 5, 4} {
		tr.receive(sent[i], now)
	}
	if screen.frames != 6 {
		t.Errorf("%d frames shown, want 6", screen.frames)
	}
}

func TestVideoAllocatesNothing(t *testing.T) {
	tr, screen := watched(t)
	s := testSender()
	now := time.Now()
	s.send = func(p transport.Packet) { tr.receive(p.Payload, now) }
	key, delta := VideoFrame{Data: vp8Frame(true, 5000)}, VideoFrame{Data: vp8Frame(false, 3000)}
	play := func(f VideoFrame) {
		if err := s.frame(f, now); err != nil {
			t.Fatal(err)
		}
	}
	for range 100 { // buffers grow
		play(key)
		play(delta)
	}
	before := screen.frames
	if n := testing.AllocsPerRun(100, func() { play(key); play(delta) }); n != 0 {
		t.Errorf("%v allocations for two frames sent and received", n)
	}
	if screen.frames-before < 200 {
		t.Errorf("only %d frames were shown", screen.frames-before)
	}
}

// FuzzVideo gives the receiver what a server may send it: a sink is promised
// whole frames, the first a key frame.
func FuzzVideo(f *testing.F) {
	s := testSender()
	add := func(frames ...VideoFrame) {
		var all []byte
		for _, fr := range frames {
			for _, p := range packets(f, s, fr) {
				all = append(append(all, byte(len(p)>>8), byte(len(p))), p...)
			}
		}
		f.Add(all)
	}
	add(VideoFrame{Data: vp8Frame(true, 20)}, VideoFrame{Data: vp8Frame(false, 10), Time: time.Second})
	add(VideoFrame{Data: vp8Frame(false, 10)}, VideoFrame{Data: vp8Frame(true, 1500)})
	raw := func(seq uint16, marker bool, payload ...byte) []byte {
		p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: videoPayloadType, SequenceNumber: seq, SSRC: 7, Marker: marker}, Payload: payload}
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		return append([]byte{0, byte(len(b))}, b...)
	}
	f.Add(append(raw(1, false, 0x10, 0x11), raw(2, true, 0x00, 1, 2)...))
	f.Add(append(raw(1, true, 0x90, 0xE0, 0xFF), raw(3, true, 0x10)...))
	f.Add(raw(65535, true))
	f.Fuzz(func(t *testing.T, data []byte) {
		tr, screen := watched(t)
		total, now := 0, time.Now()
		for len(data) >= 2 {
			n := min(int(data[0])<<8|int(data[1]), len(data)-2)
			tr.receive(data[2:2+n], now)
			total += n
			data = data[2+n:]
			now = now.Add(100 * time.Millisecond)
		}
		if screen.bytes > total {
			t.Fatalf("%d bytes of frames from %d of packets", screen.bytes, total)
		}
	})
}
