package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/quic-go/quic-go"
)

// plain opens a connection of plain RTP over QUIC on quic-go alone, and the
// session that the listener made of it.
func plain(t *testing.T, conf *quic.Config, alpn string) (*hostilePeer, *transport.NetListener) {
	t.Helper()
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server(), RoQ: true})
	conn, err := dialRaw(t, ln, cert, []string{alpn}, conf)
	if err != nil {
		t.Fatalf("%s: %v", alpn, err)
	}
	sess, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &hostilePeer{Conn: conn, session: sess}, ln
}

var withDatagrams = &quic.Config{EnableDatagrams: true}

// Each draft is spoken, in datagrams and on streams, both ways; the bytes are
// the draft's.
func TestPlainRoQ(t *testing.T) {
	for _, alpn := range []string{"roq-14", "roq-13", "roq-12", "roq-11", "roq-10"} {
		p, _ := plain(t, withDatagrams, alpn)
		s, ok := p.session.(transport.RoQSession)
		if !ok || s.Protocol() != "roq" || s.ConnectionState().NegotiatedProtocol != alpn {
			t.Fatalf("%s: %T, protocol %q", alpn, p.session, p.session.Protocol())
		}
		got := make(chan []byte, 8)
		s.HandleFlow(5, func(b []byte, _ time.Time) { got <- bytes.Clone(b) })
		s.HandleFlow(300, func(b []byte, _ time.Time) { got <- bytes.Clone(b) })
		rtp := rtpPacket(50, 7)
		long := rtpPacket(3000, 8)
		for name, wire := range map[string][]byte{
			"shortest": {5}, "in two bytes": {0x40, 5}, "in eight": {0xc0, 0, 0, 0, 0, 0, 0, 5}, "above 63": {0x41, 0x2c},
		} {
			if err := p.SendDatagram(append(wire, rtp...)); err != nil {
				t.Fatal(err)
			}
			if b := next(t, got); !bytes.Equal(b, rtp) {
				t.Errorf("%s, flow %s: % x", alpn, name, b)
			}
		}
		st, err := p.OpenUniStream()
		if err != nil {
			t.Fatal(err)
		}
		st.Write(append([]byte{5, 0x40, 50}, rtp...))
		st.Write(append([]byte{0x4b, 0xb8}, long...)) // 3000
		st.Close()
		if a, b := next(t, got), next(t, got); !bytes.Equal(a, rtp) || !bytes.Equal(b, long) {
			t.Errorf("%s: on a stream %d and %d bytes", alpn, len(a), len(b))
		}

		// And to the peer: one packet in each datagram, what does not fit on a stream.
		s.Send(transport.Packet{Flow: 9, Payload: rtp})
		if d, err := p.ReceiveDatagram(t.Context()); err != nil || !bytes.Equal(d, append([]byte{9}, rtp...)) {
			t.Errorf("%s: % x, %v", alpn, d, err)
		}
		s.Send(transport.Packet{Flow: 300, Payload: long})
		in, err := p.AcceptUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(in); err != nil || !bytes.Equal(b, append([]byte{0x41, 0x2c, 0x4b, 0xb8}, long...)) {
			t.Errorf("%s: %d bytes on a stream, %v", alpn, len(b), err)
		}
		p.CloseWithError(0, "bye")
		<-s.Done()
		var end *transport.Error
		if !errors.As(s.Err(), &end) || end.Code != roq.NoError || !end.Remote {
			t.Errorf("%s: ended with %v", alpn, s.Err())
		}
	}
}

func next(t *testing.T, got <-chan []byte) []byte {
	t.Helper()
	select {
	case b := <-got:
		return b
	case <-time.After(10 * time.Second):
		t.Fatal("no packet came")
		return nil
	}
}

func TestPlainRoQHasNoControlStream(t *testing.T) {
	p, _ := plain(t, withDatagrams, "roq-14")
	c := p.session.Control()
	_, readErr := c.Read(make([]byte, 1))
	_, writeErr := c.Write([]byte{1})
	for _, err := range []error{readErr, writeErr, c.SetWriteDeadline(time.Now())} {
		if !errors.Is(err, transport.ErrNoControl) {
			t.Errorf("the control stream says %v", err)
		}
	}
	st, err := p.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	st.Write([]byte{1})
	p.wantClose(t, roq.StreamCreation)
}

// What is not RTP over QUIC ends the session with the draft's code; a packet
// that is no RTP is counted.
func TestPlainRoQErrors(t *testing.T) {
	uni := func(b ...byte) func(*hostilePeer) {
		return func(p *hostilePeer) {
			st, err := p.OpenUniStream()
			if err != nil {
				return
			}
			st.Write(b)
			st.Close()
		}
	}
	datagram := func(b ...byte) func(*hostilePeer) { return func(p *hostilePeer) { p.SendDatagram(b) } }
	for name, c := range map[string]struct {
		do   func(*hostilePeer)
		code transport.ErrorCode
	}{
		"an empty datagram":                {datagram(), roq.PacketError},
		"a flow identifier cut short":      {datagram(0x40), roq.PacketError},
		"one of eight bytes cut short":     {datagram(0xc0, 1, 2, 3, 4, 5, 6), roq.PacketError},
		"a stream cut in its flow":         {uni(0x80, 0), roq.PacketError},
		"a length of zero":                 {uni(5, 0), roq.PacketError},
		"a length above 65535":             {uni(5, 0x80, 1, 0, 0), roq.PacketError},
		"a stream that ends in a packet":   {uni(5, 20, 0x80, 111), roq.PacketError},
		"a stream that ends in its length": {uni(5, 0x40), roq.PacketError},
	} {
		p, _ := plain(t, withDatagrams, "roq-14")
		p.session.HandleFlow(5, func([]byte, time.Time) {})
		c.do(p)
		t.Run(name, func(t *testing.T) { p.wantClose(t, c.code) })
	}
	p, _ := plain(t, withDatagrams, "roq-12")
	p.session.HandleFlow(5, func([]byte, time.Time) {})
	for _, junk := range [][]byte{{5}, {5, 0x80}, append([]byte{5}, rtpPacket(11, 1)...), append([]byte{5, 0x40}, rtpPacket(40, 1)[2:]...)} {
		p.SendDatagram(junk)
	}
	eventually(t, "junk is counted", func() bool { return p.session.Stats().Dropped[transport.DropMalformed] == 4 })
	p.SendDatagram(append([]byte{6}, rtpPacket(40, 1)...))
	p.session.RemoveFlow(7)
	p.SendDatagram(append([]byte{7}, rtpPacket(40, 1)...))
	eventually(t, "a flow that is not known is counted", func() bool { return p.session.Stats().Dropped[transport.DropUnknownFlow] > 0 })
	st, _ := p.OpenUniStream()
	st.Write(append([]byte{7, 40}, rtpPacket(40, 1)...))
	<-st.Context().Done()
	var stop *quic.StreamError
	if err := context.Cause(st.Context()); !errors.As(err, &stop) || stop.ErrorCode != 6 {
		t.Errorf("a stream of an unknown flow: %v", err)
	}
	if p.session.Err() != nil {
		t.Errorf("the session ended: %v", p.session.Err())
	}
}

// A peer without datagrams gets streams.
func TestPlainRoQWithoutDatagrams(t *testing.T) {
	p, _ := plain(t, &quic.Config{}, "roq-14")
	for i := range 3 {
		want := rtpPacket(60, uint16(i))
		p.session.Send(transport.Packet{Flow: 1, Payload: want})
		in, err := p.AcceptUniStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(in); err != nil || !bytes.Equal(b, append([]byte{1, 60}, want...)) {
			t.Errorf("% x, %v", b, err)
		}
	}
}

// It is off unless it is asked for, never answers to the bare "roq", and our
// own protocol goes first.
func TestPlainRoQIsOffered(t *testing.T) {
	cert := newCert(t)
	off := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	on := listen(t, transport.ListenConfig{TLSConfig: cert.server(), RoQ: true})
	var alert *quic.TransportError
	for _, c := range []struct {
		ln    *transport.NetListener
		alpns []string
	}{{off, roq.PlainALPNs()}, {on, []string{"roq"}}, {on, []string{"roq-09", "roq-15", "roq-14-other"}}} {
		if _, err := dialRaw(t, c.ln, cert, c.alpns, withDatagrams); !errors.As(err, &alert) || alert.ErrorCode != 0x100+120 {
			t.Errorf("%v: %v", c.alpns, err)
		}
	}
	for _, c := range []struct {
		alpns []string
		want  string
	}{{[]string{"roq-10", "roq-14", "roq-12"}, "roq-14"}, {[]string{"roq-14", roq.ALPNEarshot}, roq.ALPNEarshot}} {
		conn, err := dialRaw(t, on, cert, c.alpns, withDatagrams)
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().TLS.NegotiatedProtocol; got != c.want {
			t.Errorf("%v: %s", c.alpns, got)
		}
		s, err := on.Accept(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, foreign := s.(transport.RoQSession); foreign != (c.want == "roq-14") {
			t.Errorf("%v: a %T", c.alpns, s)
		}
	}
}

func TestRoQDialer(t *testing.T) {
	cert, own := newCert(t), newCert(t)
	conf := cert.server()
	conf.ClientAuth = tls.RequestClientCert
	ln := listen(t, transport.ListenConfig{TLSConfig: conf, RoQ: true})
	d := &transport.RoQDialer{Pin: cert.pin(), TLSConfig: &tls.Config{ServerName: "room7.test", Certificates: []tls.Certificate{own.tls}}}
	c, err := d.Dial(t.Context(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []transport.Session{c, s} {
		if r, ok := end.(transport.RoQSession); !ok || end.Protocol() != "roq" || r.ConnectionState().NegotiatedProtocol != "roq-14" {
			t.Fatalf("a %T, %s", end, end.Protocol())
		}
		if _, err := end.Control().Write([]byte{1}); !errors.Is(err, transport.ErrNoControl) {
			t.Errorf("control: %v", err)
		}
	}
	state := s.(transport.RoQSession).ConnectionState()
	if state.ServerName != "room7.test" || len(state.PeerCertificates) != 1 || !bytes.Equal(state.PeerCertificates[0].Raw, own.leaf.Raw) {
		t.Errorf("the server sees the name %q and %d certificates", state.ServerName, len(state.PeerCertificates))
	}
	for _, dir := range [][2]transport.Session{{c, s}, {s, c}} {
		got := make(chan []byte, 4)
		dir[1].HandleFlow(4, func(b []byte, _ time.Time) { got <- bytes.Clone(b) })
		for _, n := range []int{12, 1150, 40_000} {
			want := rtpPacket(n, 1)
			if err := dir[0].Send(transport.Packet{Flow: 4, Payload: want}); err != nil {
				t.Fatal(err)
			}
			if b := next(t, got); !bytes.Equal(b, want) {
				t.Errorf("%d bytes arrive as %d", n, len(b))
			}
		}
		fs, err := dir[0].OpenFlowStream(t.Context(), 4)
		if err != nil {
			t.Fatal(err)
		}
		fs.WritePacket(rtpPacket(30, 2))
		fs.Close()
		if b := next(t, got); len(b) != 30 {
			t.Errorf("on a stream %d bytes", len(b))
		}
	}
	// It moves like others.
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.(transport.Migrator).Migrate(t.Context(), socket); err != nil {
		t.Errorf("Migrate: %v", err)
	}
	c.Close()
	<-s.Done()
	var end *transport.Error
	if !errors.As(s.Err(), &end) || end.Code != roq.NoError {
		t.Errorf("ended with %v", s.Err())
	}

	off := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	if s, err := (&transport.RoQDialer{Pin: cert.pin()}).Dial(t.Context(), off.Addr().String()); err == nil {
		s.Close()
		t.Error("a server that does not speak it is dialled")
	} else if !strings.Contains(err.Error(), "roq-14") {
		t.Error(err)
	}
}

// The dialer speaks to a listener that is quic-go alone.
func TestRoQDialerToAForeignServer(t *testing.T) {
	cert := newCert(t)
	conf := cert.server()
	conf.NextProtos = []string{"roq-11"}
	ln, err := quic.ListenAddr("127.0.0.1:0", conf, withDatagrams)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	dialled := make(chan transport.Session, 1)
	go func() {
		s, err := (&transport.RoQDialer{Pin: cert.pin()}).Dial(t.Context(), ln.Addr().String())
		if err != nil {
			t.Error(err)
		}
		dialled <- s
	}()
	conn, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := <-dialled
	if s == nil {
		return
	}
	defer s.Close()
	s.Send(transport.Packet{Flow: 1, Payload: rtpPacket(20, 3)})
	d, err := conn.ReceiveDatagram(t.Context())
	if err != nil || !slices.Equal(d, append([]byte{1}, rtpPacket(20, 3)...)) {
		t.Errorf("% x, %v", d, err)
	}
	st, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	st.Write([]byte{1})
	<-conn.Context().Done()
	var app *quic.ApplicationError
	if err := context.Cause(conn.Context()); !errors.As(err, &app) || ErrorCode(app) != roq.StreamCreation {
		t.Errorf("a bidirectional stream: %v", err)
	}
}
