package bench

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

// payload is an RTP packet of the size that speech has: 12 bytes of header and
// 88 of Opus.
func payload() []byte {
	p := make([]byte, 100)
	p[0], p[1] = 0x80, 111
	return p
}

// BenchmarkPacket is the cost of one RTP packet of 100 bytes through a session,
// sent and received one at a time, beside a bare UDP socket pair in the same
// run. What quic-go allocates is counted; our own code allocates nothing, which
// the tests of package transport hold.
func BenchmarkPacket(b *testing.B) {
	var bare float64 // ns of a packet over UDP, measured beside each
	b.Run("UDP", func(b *testing.B) {
		a, z := udpPair(b)
		b.ReportAllocs()
		for b.Loop() {
			udpOnce(b, a, z)
		}
		bare = float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	})
	for _, over := range []struct {
		name string
		dial func(testing.TB) (near, far transport.Session)
	}{{"QUIC", overQUIC}, {"WebTransport", overWebTransport}, {"pipe", overPipe}} {
		b.Run(over.name, func(b *testing.B) {
			near, far := over.dial(b)
			got := make(chan struct{}, 1)
			if err := far.HandleFlow(1, func([]byte, time.Time) { got <- struct{}{} }); err != nil {
				b.Fatal(err)
			}
			p := transport.Packet{Flow: 1, Payload: payload()}
			b.ReportAllocs()
			for b.Loop() {
				if err := near.Send(p); err != nil {
					b.Fatal(err)
				}
				<-got
			}
			if bare > 0 {
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/bare, "xUDP")
			}
		})
	}
}

func udpPair(tb testing.TB) (a, z *net.UDPConn) {
	z, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		tb.Fatal(err)
	}
	a, err = net.DialUDP("udp", nil, z.LocalAddr().(*net.UDPAddr))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { a.Close(); z.Close() })
	return a, z
}

func udpOnce(tb testing.TB, a, z *net.UDPConn) {
	var buf [200]byte
	if _, err := a.Write(buf[:100]); err != nil {
		tb.Fatal(err)
	}
	if _, err := z.Read(buf[:]); err != nil {
		tb.Fatal(err)
	}
}

// listen starts a listener on loopback, and returns the pin of its certificate.
func listen(tb testing.TB) (*transport.NetListener, []byte) {
	cert, err := transport.NewDevCertificate(transport.DevCertificateConfig{})
	if err != nil {
		tb.Fatal(err)
	}
	l, err := transport.Listen(transport.ListenConfig{Addr: "127.0.0.1:0", TLSConfig: &tls.Config{GetCertificate: cert.GetCertificate}, AllowedOrigins: []string{"*"}})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	hash := cert.Hashes()[0]
	return l, hash[:]
}

// join dials and accepts; the dialer speaks first on the control stream.
func join(tb testing.TB, d transport.Dialer, l transport.Listener, addr string) (near, far transport.Session) {
	near, err := d.Dial(tb.Context(), addr)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { near.Close() })
	far, err = l.Accept(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return near, far
}

func overQUIC(tb testing.TB) (near, far transport.Session) {
	l, pin := listen(tb)
	return join(tb, &transport.QUICDialer{Pin: pin}, l, l.Addr().String())
}

func overWebTransport(tb testing.TB) (near, far transport.Session) {
	l, pin := listen(tb)
	return join(tb, &transport.WebTransportDialer{Pin: pin}, l, "https://"+l.Addr().String()+transport.WebTransportPath)
}

func overPipe(tb testing.TB) (near, far transport.Session) {
	l := transport.NewPipeListener()
	tb.Cleanup(func() { l.Close() })
	return join(tb, l, l, "")
}
