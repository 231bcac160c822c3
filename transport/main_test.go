package transport_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testCert is a self-signed certificate for localhost.
type testCert struct {
	tls  tls.Certificate
	leaf *x509.Certificate
}

func newCert(t testing.TB) *testCert {
	// Under synctest the clock starts in 2000.
	return newCertFor(t, time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC))
}

func newCertFor(t testing.TB, from, to time.Time) *testCert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "earshot test"},
		NotBefore:             from,
		NotAfter:              to,
		DNSNames:              []string{"localhost", "server.test"},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 0, 0, 1)},
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &testCert{tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, leaf}
}

func (c *testCert) server() *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c.tls}} }
func (c *testCert) pin() []byte         { return transport.CertificatePin(c.leaf) }

func (c *testCert) roots() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(c.leaf)
	return &tls.Config{RootCAs: pool}
}
