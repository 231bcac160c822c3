package transport_test

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/quic-go"
)

// hostilePeer is a QUIC client that says it speaks our protocol, and the
// session that the server made of it. A second, honest client watches that
// nobody else comes to harm.
type hostilePeer struct {
	*quic.Conn
	session transport.Session
	logged  *loud
}

func hostile(t *testing.T) *hostilePeer {
	cert := newCert(t)
	p := &hostilePeer{logged: &loud{}}
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server(), Logger: slog.New(p.logged)})
	honest, err := (&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	watched, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan struct{}, 1)
	watched.HandleFlow(1, func([]byte, time.Time) { got <- struct{}{} })
	conf := &quic.Config{EnableDatagrams: true, EnableStreamResetPartialDelivery: true}
	if p.Conn, err = dialRaw(t, ln, cert, []string{roq.ALPNEarshot}, conf); err != nil {
		t.Fatal(err)
	}
	if p.session, err = ln.Accept(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		honest.Send(transport.Packet{Flow: 1, Payload: rtpPacket(50, 1)})
		select {
		case <-got:
		case <-time.After(10 * time.Second):
			t.Error("the honest client is no longer served")
		}
		honest.Close()
		p.CloseWithError(0, "")
		if n := p.logged.n.Load(); n > 0 {
			t.Errorf("%d log records above Debug for a hostile peer", n)
		}
	})
	return p
}

// loud counts log records above Debug.
type loud struct{ n atomic.Int32 }

func (l *loud) Enabled(_ context.Context, level slog.Level) bool { return level > slog.LevelDebug }
func (l *loud) Handle(context.Context, slog.Record) error        { l.n.Add(1); return nil }
func (l *loud) WithAttrs([]slog.Attr) slog.Handler               { return l }
func (l *loud) WithGroup(string) slog.Handler                    { return l }

// wantClose waits until the server closes the connection with a code.
func (p *hostilePeer) wantClose(t *testing.T, code transport.ErrorCode) {
	t.Helper()
	select {
	case <-p.Context().Done():
	case <-time.After(10 * time.Second):
		t.Fatalf("the connection is not closed; want %v", code)
	}
	var app *quic.ApplicationError
	if err := context.Cause(p.Context()); !errors.As(err, &app) || ErrorCode(app) != code || !app.Remote {
		t.Errorf("closed with %v, want %v", err, code)
	}
	<-p.session.Done()
	var end *transport.Error
	if err := p.session.Err(); !errors.As(err, &end) || end.Code != code || end.Remote {
		t.Errorf("the session ended with %v, want %v", err, code)
	}
}

func TestHostileDatagrams(t *testing.T) {
	p := hostile(t)
	heard := make(chan struct{}, 1000)
	p.session.HandleFlow(2, func([]byte, time.Time) { heard <- struct{}{} })
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 3000 {
		b := make([]byte, r.IntN(200))
		for j := range b {
			b[j] = byte(r.Uint32())
		}
		if err := p.SendDatagram(b); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 { // also some that look right, on thousands of flows
			p.SendDatagram(append(roq.AppendFlowID(nil, r.Uint64N(roq.MaxFlowID)), rtpPacket(1000, 1)...))
		}
	}
	eventually(t, "the session still works", func() bool {
		p.SendDatagram(append([]byte{2}, rtpPacket(30, 1)...))
		select {
		case <-heard:
			return true
		default:
			return false
		}
	})
	if n := p.session.Stats().Dropped[transport.DropMalformed]; n == 0 {
		t.Error("nothing is counted as malformed")
	}
	if p.session.Err() != nil {
		t.Errorf("the session ended: %v", p.session.Err())
	}
}

func TestHostileStreams(t *testing.T) {
	for _, c := range []struct {
		name  string
		bytes []byte
	}{
		{"cut flow identifier", []byte{0xc0, 1}},
		{"length of zero", []byte{1, 0}},
		{"length above the limit", []byte{1, 0x80, 1, 0, 0}},
		{"cut length", []byte{1, 0x40}},
		{"cut packet", []byte{1, 20, 0x80}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := hostile(t)
			p.session.HandleFlow(1, func([]byte, time.Time) { t.Error("handler called") })
			st, err := p.OpenUniStream()
			if err != nil {
				t.Fatal(err)
			}
			st.Write(c.bytes)
			st.Close()
			p.wantClose(t, roq.PacketError)
		})
	}
}

// TestHostileStreamsThatAreNoOffence: what the draft allows, or what harms
// only the one who does it.
func TestHostileStreamsThatAreNoOffence(t *testing.T) {
	p := hostile(t)
	heard := make(chan int, 100)
	p.session.HandleFlow(1, func(b []byte, _ time.Time) { heard <- len(b) })
	for range 200 { // empty, and reset in the middle
		st, err := p.OpenUniStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		st.Close()
		if st, err = p.OpenUniStreamSync(t.Context()); err != nil {
			t.Fatal(err)
		}
		st.Write([]byte{1, 20, 0x80})
		st.CancelWrite(quic.StreamErrorCode(roq.FrameCancelled))
	}
	st, err := p.OpenUniStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := roq.AppendStreamPacket([]byte{1}, []byte("not RTP at all, but framed"))
	b = roq.AppendStreamPacket(b, rtpPacket(40, 1))
	st.Write(b)
	st.Close()
	if n := <-heard; n != 40 {
		t.Errorf("a packet of %d bytes, want the one that is RTP", n)
	}
	if n := p.session.Stats().Dropped[transport.DropMalformed]; n != 1 {
		t.Errorf("%d malformed, want 1", n)
	}
	if p.session.Err() != nil {
		t.Errorf("the session ended: %v", p.session.Err())
	}
}

// TestHostileUnknownFlows opens more streams of unknown flows than are kept.
func TestHostileUnknownFlows(t *testing.T) {
	p := hostile(t)
	var wg sync.WaitGroup
	var stopped atomic.Int32
	for i := range 30 {
		st, err := p.OpenUniStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			st.Write(roq.AppendStreamPacket(roq.AppendFlowID(nil, uint64(1000+i)), rtpPacket(100, 1)))
			<-st.Context().Done()
			var e *quic.StreamError
			if errors.As(context.Cause(st.Context()), &e) && transport.ErrorCode(e.ErrorCode) == roq.UnknownFlowID {
				stopped.Add(1)
			}
		})
	}
	wg.Wait()
	if stopped.Load() != 30 {
		t.Errorf("%d of 30 streams of unknown flows were stopped", stopped.Load())
	}
	if n := p.session.Stats().Dropped[transport.DropUnknownFlow]; n != 30 {
		t.Errorf("%d counted, want 30", n)
	}
}

// TestHostileStreamsHeldOpen opens all streams it may and leaves them there. Those
// that too many wait for are stopped, and others may take their place.
func TestHostileStreamsHeldOpen(t *testing.T) {
	p := hostile(t)
	var all []*quic.SendStream
	for len(all) < 2000 {
		st, err := p.OpenUniStream()
		if err != nil {
			break
		}
		st.Write([]byte{1, 100})
		all = append(all, st)
	}
	open := 0
	for _, st := range all {
		if st.Context().Err() == nil {
			open++
		}
	}
	if len(all) < 64 || open > 64 {
		t.Errorf("%d streams are granted, of which %d are open, want 64 at most", len(all), open)
	}
	p.session.HandleFlow(1, func([]byte, time.Time) {})
	p.session.Close() // ends them all: Close waits for their goroutines
}

func TestHostileBidirectionalStreams(t *testing.T) {
	p := hostile(t)
	control, err := p.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	control.Write([]byte("hello"))
	buf := make([]byte, 5)
	if _, err := p.session.Control().Read(buf); err != nil || string(buf) != "hello" {
		t.Fatalf("control: %q, %v", buf, err)
	}
	second, err := p.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	second.Write([]byte{1})
	p.wantClose(t, roq.StreamCreation)
}

// TestHostilePeerStopsReading: it grants no credit for streams, and never
// reads. Only the caller of a control write waits, until its deadline.
func TestHostilePeerStopsReading(t *testing.T) {
	p := hostile(t)
	control, err := p.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	control.Write([]byte{1})
	p.session.Control().Read(make([]byte, 1))
	p.session.Control().SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
	wrote := make(chan error, 1)
	go func() {
		_, err := p.session.Control().Write(make([]byte, 32<<20))
		wrote <- err
	}()
	start := time.Now()
	for i := range 20_000 {
		p.session.Send(transport.Packet{Flow: 1, Class: transport.Class(i % 3), Payload: rtpPacket(1000, 1)})
	}
	if d := time.Since(start); d > 30*time.Second { // one that waits for the peer never ends
		t.Errorf("Send blocked: 20,000 took %v", d)
	}
	var timeout interface{ Timeout() bool }
	if err := <-wrote; !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("control write: %v, want a timeout", err)
	}
	if st := p.session.Stats(); st.Dropped[transport.DropQueueFull] == 0 {
		t.Errorf("dropped %v, want some for a full queue", st.Dropped)
	}
	eventually(t, "large packets are dropped, as no stream takes them", func() bool {
		p.session.Send(transport.Packet{Flow: 1, Payload: rtpPacket(60_000, 1)})
		return p.session.Stats().Dropped[transport.DropTooLarge] > 0
	})
}
