package transport_test

import (
	"net"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

// BenchmarkPacket sends RTP packets of 100 bytes one after the other, each
// when the one before has arrived. Compare with raw UDP in the same run.
func BenchmarkPacket(b *testing.B) {
	const size = 100
	b.Run("udp", func(b *testing.B) {
		server := must(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))
		client := must(net.DialUDP("udp4", nil, server.LocalAddr().(*net.UDPAddr)))
		got := make(chan struct{})
		go func() {
			buf := make([]byte, 1500)
			for {
				if _, _, err := server.ReadFromUDPAddrPort(buf); err != nil {
					close(got)
					return
				}
				got <- struct{}{}
			}
		}()
		p := rtpPacket(size, 1)
		b.ReportAllocs()
		for b.Loop() {
			client.Write(p)
			<-got
		}
		b.StopTimer()
		client.Close()
		server.Close()
		<-got
	})
	b.Run("quic", func(b *testing.B) {
		cert := newCert(b)
		ln := listen(b, transport.ListenConfig{TLSConfig: cert.server()})
		benchmarkPacket(b, ln, &transport.QUICDialer{Pin: cert.pin()}, size)
	})
	b.Run("pipe", func(b *testing.B) {
		ln := transport.NewPipeListener()
		defer ln.Close()
		benchmarkPacket(b, ln, ln, size)
	})
}

func benchmarkPacket(b *testing.B, ln transport.Listener, d transport.Dialer, size int) {
	client, err := d.Dial(b.Context(), ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	server := must(ln.Accept(b.Context()))
	got := make(chan struct{}, 1)
	if err := server.HandleFlow(1, func([]byte, time.Time) { got <- struct{}{} }); err != nil {
		b.Fatal(err)
	}
	p := transport.Packet{Flow: 1, Payload: rtpPacket(size, 1)}
	b.ReportAllocs()
	for b.Loop() {
		client.Send(p)
		<-got
	}
	b.StopTimer()
	if n := server.Stats().MediaReceived; n != uint64(b.N) {
		b.Errorf("%d packets arrived of %d", n, b.N)
	}
}
