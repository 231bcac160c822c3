package transport_test

import (
	"fmt"
	"testing"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/transporttest"
)

func TestWebTransportConformance(t *testing.T) {
	cert := newCert(t)
	transporttest.Run(t, func(t testing.TB) transporttest.Pair {
		ln, err := transport.Listen(transport.ListenConfig{Addr: "127.0.0.1:0", TLSConfig: cert.server()})
		if err != nil {
			t.Fatal(err)
		}
		return transporttest.Pair{
			Listener: ln,
			Dialer:   &transport.WebTransportDialer{Pin: cert.pin()},
			Addr:     fmt.Sprintf("https://%v%s", ln.Addr(), transport.WebTransportPath),
		}
	})
}
