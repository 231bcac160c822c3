package transport_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

// A server on a machine without a real certificate: its page asks for the
// hashes and connects with
//
//	const hashes = await (await fetch('/hashes')).json()
//	const session = new WebTransport('https://127.0.0.1:4433/earshot', {
//		protocols: ['earshot-1'],
//		serverCertificateHashes: hashes.map(h => ({algorithm: 'sha-256', value: new Uint8Array(h)})),
//	})
func ExampleDevCertificate() {
	cert, err := transport.NewDevCertificate(transport.DevCertificateConfig{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := transport.Listen(transport.ListenConfig{
		Addr:           "127.0.0.1:0", // a port of your choice
		TLSConfig:      &tls.Config{GetCertificate: cert.GetCertificate},
		AllowedOrigins: []string{"http://localhost:8080"}, // where the page is from
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer ln.Close()

	http.NewServeMux().HandleFunc("/hashes", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(cert.Hashes()) // arrays of numbers
	})

	now, _ := cert.GetCertificate(nil)
	fmt.Println(len(cert.Hashes()), "hashes, valid for", now.Leaf.NotAfter.Sub(now.Leaf.NotBefore).Round(time.Hour))
	// Output: 2 hashes, valid for 312h0m0s
}
