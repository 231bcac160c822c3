package transport

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
)

// fakeLink is a backend that takes everything and gives what it is told to.
type fakeLink struct {
	sent    atomic.Uint64
	bytes   atomic.Uint64
	receive chan []byte
	heard   atomic.Uint64
	queue   chan struct{} // if not nil, what is handed over waits in it as in quic-go's
	never   uint64        // the goroutine that must not wait for it to have room
	waited  bool          // and did
	hold    chan struct{} // if not nil, sendDatagram waits on it
	done    chan struct{}
	taken   chan struct{} // if not nil, receives with each datagram
	gated   bool
}

func newFakeLink() *fakeLink {
	return &fakeLink{receive: make(chan []byte), done: make(chan struct{})}
}

func (f *fakeLink) sendDatagram(b []byte) error {
	if f.hold != nil {
		select {
		case <-f.hold:
		case <-f.done:
			return &endError{net.ErrClosed}
		}
	}
	if f.queue != nil {
		select {
		case f.queue <- struct{}{}:
			return nil
		default:
		}
		if goroutineID() == f.never {
			f.waited = true
			return nil
		}
		select {
		case f.queue <- struct{}{}:
			return nil
		case <-f.done:
			return &endError{net.ErrClosed}
		}
	}
	f.bytes.Add(uint64(len(b) + 26))
	f.sent.Add(1)
	if f.taken != nil {
		f.taken <- struct{}{}
	}
	return nil
}

func (f *fakeLink) receiveDatagram(ctx context.Context) ([]byte, error) {
	select {
	case b := <-f.receive:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (f *fakeLink) openUni(ctx context.Context) (sendStream, error) { return nil, f.wait(ctx) }
func (f *fakeLink) acceptUni(ctx context.Context) (receiveStream, error) {
	return nil, f.wait(ctx)
}
func (f *fakeLink) openBidi(context.Context) (bidiStream, error)       { panic("not used") }
func (f *fakeLink) acceptBidi(ctx context.Context) (bidiStream, error) { return nil, f.wait(ctx) }
func (f *fakeLink) wait(ctx context.Context) error                     { <-ctx.Done(); return ctx.Err() }
func (f *fakeLink) queues() bool                                       { return f.gated }
func (f *fakeLink) prompt() bool                                       { return f.gated }
func (f *fakeLink) stats() linkStats {
	return linkStats{packetsSent: f.sent.Load(), bytesSent: f.bytes.Load(), packetsReceived: f.heard.Load(), cwnd: 40960, rtt: time.Millisecond, minRTT: time.Millisecond}
}
func (f *fakeLink) protocol() string        { return "fake" }
func (f *fakeLink) localAddr() net.Addr     { return pipeAddr("local") }
func (f *fakeLink) remoteAddr() net.Addr    { return pipeAddr("remote") }
func (f *fakeLink) close(ErrorCode, string) { close(f.done) }

// TestWriterAllocatesNothing holds Send, queue, gate and writer at 0.
func TestWriterAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	link := newFakeLink()
	link.gated = true
	link.taken = make(chan struct{}, 1)
	s := newSession(link, SessionConfig{}, false, nil)
	s.start(t.Context())
	defer s.Close()
	p := Packet{Flow: 1, Payload: make([]byte, 100), Deadline: time.Now().Add(time.Hour)}
	if n := testing.AllocsPerRun(2000, func() {
		if err := s.Send(p); err != nil {
			t.Fatal(err)
		}
		<-link.taken
	}); n != 0 {
		t.Errorf("a packet sent makes %v allocations", n)
	}
}

// TestReaderAllocatesNothing holds parsing and dispatch at 0.
func TestReaderAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	link := newFakeLink()
	s := newSession(link, SessionConfig{}, false, nil)
	s.start(t.Context())
	defer s.Close()
	got := make(chan struct{})
	s.HandleFlow(3, func([]byte, time.Time) { got <- struct{}{} })
	d := roq.AppendFlowID(nil, 3)
	d = append(d, 0x80, 111, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3)
	if n := testing.AllocsPerRun(2000, func() {
		link.receive <- d
		<-got
	}); n != 0 {
		t.Errorf("a packet received makes %v allocations", n)
	}
}

// A connection that sends nothing although its peer is heard, as when all is lost one
// way, fills quic-go's queue in the end. That is the writer's to wait for.
func TestSendNeverBlocksOnAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := newFakeLink()
		link.gated = true
		link.queue = make(chan struct{}, 32)
		link.never = goroutineID()
		s := newSession(link, SessionConfig{}, false, nil)
		s.start(t.Context())
		for i := range 5000 { // more often than the writer looks
			if err := s.Send(Packet{Flow: 1, Payload: make([]byte, 50), Deadline: time.Now().Add(200 * time.Millisecond)}); err != nil {
				t.Fatal(err)
			}
			if link.waited {
				t.Fatalf("Send waits for packet %d to be taken", i)
			}
			link.heard.Add(1)
			time.Sleep(time.Millisecond)
		}
		if len(link.queue) != cap(link.queue) {
			t.Errorf("%d are in its queue, which was to be full", len(link.queue))
		}
		// And when they go again, so do others, by themselves.
		for range 60 {
			for len(link.queue) > 0 {
				<-link.queue
				link.bytes.Add(100)
				link.sent.Add(1)
			}
			s.Send(Packet{Flow: 1, Payload: make([]byte, 50), Deadline: time.Now().Add(200 * time.Millisecond)})
			time.Sleep(20 * time.Millisecond)
		}
		if n, _ := s.Waiting(0); n > 0 || s.gate.forgotten > 0 {
			t.Errorf("%d wait, %d are forgotten", n, s.gate.forgotten)
		}
		s.Close()
	})
}

func TestSendNeverBlocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := newFakeLink()
		link.hold = make(chan struct{})
		s := newSession(link, SessionConfig{QueueLen: 10}, false, nil)
		s.start(t.Context())
		start := time.Now()
		s.Send(Packet{Flow: 1, Payload: make([]byte, 50)})
		synctest.Wait() // the writer has it, and is stuck
		for i := range 100 {
			deadline := start.Add(time.Second)
			if err := s.Send(Packet{Flow: 1, Class: Class(i % 2), Payload: make([]byte, 50), Deadline: deadline}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if time.Since(start) != 0 {
			t.Errorf("Send took %v", time.Since(start))
		}
		st := s.Stats()
		if st.Dropped[DropQueueFull] == 0 || st.QueueDepth[0] != 10 || st.QueueDepth[1] != 0 {
			t.Errorf("dropped %v, queue %v: want 10 of class 0 left", st.Dropped, st.QueueDepth)
		}
		// What waits past its deadline is not sent once the link moves again.
		time.Sleep(2 * time.Second)
		sent := link.sent.Load()
		close(link.hold)
		synctest.Wait()
		if n := link.sent.Load() - sent; n > 1 {
			t.Errorf("%d packets sent past their deadline", n-1)
		}
		if n := s.Stats().Dropped[DropExpired]; n != 10 {
			t.Errorf("%d dropped as expired, want 10", n)
		}
		s.Close()
	})
}

func TestMalformedDatagrams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := newFakeLink()
		s := newSession(link, SessionConfig{}, false, nil)
		s.start(t.Context())
		defer s.Close()
		s.HandleFlow(1, func([]byte, time.Time) { t.Error("handler called with garbage") })
		bad := [][]byte{
			nil, {}, {0x40}, {0xc0, 1, 2}, {1}, {1, 0x80}, // no flow, no packet
			append([]byte{1, 0x80, 111}, make([]byte, 8)...),  // short RTP
			append([]byte{1, 0x40, 111}, make([]byte, 20)...), // version 1
			{1, 0x80, 200, 0}, // short RTCP
		}
		for _, b := range bad {
			link.receive <- b
		}
		synctest.Wait()
		if n := s.Stats().Dropped[DropMalformed]; n != uint64(len(bad)) {
			t.Errorf("%d counted as malformed, want %d", n, len(bad))
		}
		if s.Err() != nil {
			t.Errorf("garbage in datagrams ended the session: %v", s.Err())
		}
	})
}

// TestUnannouncedPacketsExpire: what was kept for longer than two seconds is
// not handed over.
func TestUnannouncedPacketsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		link := newFakeLink()
		s := newSession(link, SessionConfig{}, false, nil)
		s.start(t.Context())
		defer s.Close()
		packet := append([]byte{7, 0x80, 111}, make([]byte, 20)...)
		link.receive <- packet
		time.Sleep(1500 * time.Millisecond)
		link.receive <- packet
		synctest.Wait()
		time.Sleep(time.Second)
		n := 0
		s.HandleFlow(7, func([]byte, time.Time) { n++ })
		if n != 1 {
			t.Errorf("%d packets handed over, want the one that is 1 s old", n)
		}
		if d := s.Stats().Dropped[DropUnknownFlow]; d != 1 {
			t.Errorf("%d dropped, want 1", d)
		}
	})
}

func TestClip(t *testing.T) {
	for _, c := range []struct {
		s    string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"aé", 2, "a"}, {"é", 1, ""}, {"\xff\xff\xff", 2, "\xff\xff"}} {
		if got := clip(c.s, c.n); got != c.want {
			t.Errorf("clip(%q, %d) = %q, want %q", c.s, c.n, got, c.want)
		}
	}
}

func TestDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadline
		passed := d.wait()
		d.set(time.Now().Add(time.Second))
		time.Sleep(999 * time.Millisecond)
		d.set(time.Now().Add(time.Second)) // moved
		if time.Sleep(500 * time.Millisecond); isClosed(d.passed) {
			t.Error("passed too early")
		}
		time.Sleep(501 * time.Millisecond)
		select {
		case <-passed:
		default:
			t.Error("who waited before it was moved is not told")
		}
		d.set(time.Time{})
		if isClosed(d.passed) {
			t.Error("still passed after it was taken away")
		}
		d.set(time.Now())
		if !isClosed(d.passed) {
			t.Error("a deadline of now has not passed")
		}
	})
}

func TestGroupWaitFromInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g group
		var returned atomic.Int32
		release := make(chan struct{})
		g.start(func() { <-release })
		for range 2 { // two that wait for all others, and for each other
			g.start(func() { g.wait(); returned.Add(1) })
		}
		synctest.Wait()
		if returned.Load() != 0 {
			t.Error("wait returned while another goroutine runs")
		}
		close(release)
		g.wait()
		if returned.Load() != 2 {
			t.Error("wait from outside returned before those inside had ended")
		}
	})
}

// fuzzStream is a receiveStream of given bytes.
type fuzzStream struct {
	*bytes.Reader
	stopped ErrorCode
}

func (f *fuzzStream) cancelRead(code ErrorCode) { f.stopped = code }

// FuzzReceive gives the same bytes to a session as a datagram and as a stream.
func FuzzReceive(f *testing.F) {
	rtp := append([]byte{0x80, 111}, make([]byte, 10)...)
	f.Add([]byte{})
	f.Add(append([]byte{1}, rtp...))
	f.Add(append([]byte{0x40, 9}, rtp...))
	f.Add(append([]byte{1, 12}, rtp...))
	f.Add([]byte{1, 0})
	f.Add([]byte{1, 0xc0, 0, 0, 0, 0, 0, 0, 1})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 12})
	f.Fuzz(func(t *testing.T, b []byte) {
		link := newFakeLink()
		s := newSession(link, SessionConfig{}, false, nil)
		s.start(t.Context())
		defer s.Close()
		check := func(p []byte, _ time.Time) {
			if roq.CheckPacket(p) != nil || len(p) > len(b) {
				t.Errorf("handler called with %x", p)
			}
		}
		s.HandleFlow(1, check)
		link.receive <- b
		link.receive <- nil // once it is taken the first has been dealt with
		st := s.Stats()
		if n := st.MediaReceived + st.Dropped[DropMalformed]; n > 2 {
			t.Errorf("%d packets out of one datagram", n)
		}
		if flow, _, err := roq.ParseFlowID(b); err == nil {
			s.HandleFlow(flow, check) // a stream must not wait for it
		}
		stream := &fuzzStream{Reader: bytes.NewReader(b)}
		s.readStream(stream)
		var end *Error
		if errors.As(s.Err(), &end) && end.Code != roq.PacketError {
			t.Errorf("the session ended with %v", end)
		}
		if (s.Err() != nil) != (stream.stopped == roq.PacketError) {
			t.Errorf("stopped with %v, session %v", stream.stopped, s.Err())
		}
	})
}
