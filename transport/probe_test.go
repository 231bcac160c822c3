package transport_test

import (
	"bytes"
	"net"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/internal/probe"
	"github.com/earshotrtc/earshot/transport"
)

// A listener on a probe's socket tells of each datagram, as it was, in both
// directions; what the probe wrote into it is delivered.
func TestProbe(t *testing.T) {
	conn := must(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
	received, sent := make(chan []byte, 1), make(chan []byte, 1)
	cert := newCert(t)
	l := must(transport.Listen(transport.ListenConfig{TLSConfig: cert.server(), Conn: &probe.Conn{
		UDPConn:  conn,
		Received: func(b []byte) { received <- bytes.Clone(b); b[len(b)-1] = 7 },
		Sent:     func(b []byte) { sent <- bytes.Clone(b) },
	}}))
	defer l.Close()
	near := must((&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), l.Addr().String()))
	defer near.Close()
	far := must(l.Accept(t.Context()))
	got := make(chan []byte, 1)
	far.HandleFlow(3, func(p []byte, _ time.Time) { got <- bytes.Clone(p) })
	p := rtpPacket(40, 1)
	if err := near.Send(transport.Packet{Flow: 3, Payload: p}); err != nil {
		t.Fatal(err)
	}
	if b := <-received; !bytes.Equal(b, append([]byte{3}, p...)) {
		t.Errorf("received %x", b)
	}
	back := <-got
	if back[39] != 7 {
		t.Errorf("delivered %x", back)
	}
	if err := far.Send(transport.Packet{Flow: 5, Payload: back}); err != nil {
		t.Fatal(err)
	}
	if b := <-sent; !bytes.Equal(b, append([]byte{5}, back...)) {
		t.Errorf("sent %x", b)
	}
}
