package transport_test

import (
	"testing"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/transporttest"
)

func TestPipeConformance(t *testing.T) {
	transporttest.Run(t, func(testing.TB) transporttest.Pair {
		ln := transport.NewPipeListener()
		return transporttest.Pair{Listener: ln, Dialer: ln}
	})
}

func TestQUICConformance(t *testing.T) {
	cert := newCert(t)
	transporttest.Run(t, func(t testing.TB) transporttest.Pair {
		ln, err := transport.Listen(transport.ListenConfig{Addr: "127.0.0.1:0", TLSConfig: cert.server()})
		if err != nil {
			t.Fatal(err)
		}
		return transporttest.Pair{Listener: ln, Dialer: &transport.QUICDialer{Pin: cert.pin()}, Addr: ln.Addr().String()}
	})
}
