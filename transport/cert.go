package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"sync"
	"time"
)

// What browsers ask of a certificate that a page names by its hash (W3C
// WebTransport, "serverCertificateHashes"): X.509v3, an ECDSA P-256 key, and a
// validity of at most 14 days.
const (
	devValidity = 13 * 24 * time.Hour
	devBackdate = time.Hour // for clients whose clock is slow
	devServed   = devValidity/2 - devBackdate
)

// DevCertificateConfig configures a DevCertificate. The zero value works.
type DevCertificateConfig struct {
	// Hosts are the DNS names and IP addresses that the certificate is for.
	// Default: localhost, 127.0.0.1 and ::1.
	Hosts []string
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Logger is told of renewals. Default: silent.
	Logger *slog.Logger
}

// A DevCertificate is a certificate for machines that have no real one: it is
// signed by itself, and clients trust it by its SHA-256 hash. A page connects
// with
//
//	new WebTransport(url, {serverCertificateHashes: hashes.map(
//		h => ({algorithm: "sha-256", value: h}))})
//
// and a native client with QUICDialer's Pin.
//
// A certificate is valid for 13 days, of which one hour has passed when it is
// first served, since browsers refuse more than 14; half-way through it is
// replaced. Its successor is made ahead, and Hashes gives both, so that a page
// that was loaded before a renewal still connects after it. It keeps nothing
// on disk: a program that starts again has other hashes.
//
// It renews itself when it is used, without a goroutine. All its methods may
// be called from any goroutine.
type DevCertificate struct {
	names []string
	ips   []net.IP
	now   func() time.Time
	log   *slog.Logger

	mu            sync.Mutex
	current, next *devCert
}

// devCert is a certificate with its place in the succession.
type devCert struct {
	tls   *tls.Certificate
	hash  [32]byte
	from  time.Time // served from here,
	until time.Time // to here
}

// NewDevCertificate makes the first certificate and its successor. The error
// is about a host that no certificate can name.
func NewDevCertificate(c DevCertificateConfig) (*DevCertificate, error) {
	d := &DevCertificate{now: c.Now, log: c.Logger}
	if d.now == nil {
		d.now = time.Now
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	hosts := c.Hosts
	if len(hosts) == 0 {
		hosts = []string{"localhost", "127.0.0.1", "::1"}
	}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			d.ips = append(d.ips, ip)
		} else {
			d.names = append(d.names, h)
		}
	}
	if err := d.begin(d.now()); err != nil {
		return nil, fmt.Errorf("transport: certificate for %q: %w", hosts, err)
	}
	return d, nil
}

// GetCertificate is for tls.Config.GetCertificate.
func (d *DevCertificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.renew()
	return d.current.tls, nil
}

// Hashes returns the SHA-256 hashes of the certificate that is served now and
// of the one that will be next, in that order. Ask again for each page that is
// loaded: what a page was given serves it for six days at least.
func (d *DevCertificate) Hashes() [][32]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.renew()
	return [][32]byte{d.current.hash, d.next.hash}
}

// renew replaces the certificate if its time has come. It is called with the
// lock held. A failure, which takes a broken random source, leaves things as
// they are, to be tried again with the next use.
func (d *DevCertificate) renew() {
	now := d.now()
	var err error
	switch {
	case now.Before(d.current.until) && !now.Before(d.current.from.Add(-devBackdate)):
		return
	case !now.Before(d.next.from) && now.Before(d.next.until):
		var after *devCert
		if after, err = d.make(d.next.until); err == nil {
			d.current, d.next = d.next, after
		}
	default: // the clock was set, or nobody came for a week
		err = d.begin(now)
	}
	if err != nil {
		d.log.Error("transport: certificate not renewed", "error", err)
		return
	}
	d.log.Info("transport: certificate renewed", "sha256", fmt.Sprintf("%x", d.current.hash), "until", d.current.until)
}

// begin starts the succession anew.
func (d *DevCertificate) begin(now time.Time) error {
	current, err := d.make(now)
	if err != nil {
		return err
	}
	next, err := d.make(current.until)
	if err != nil {
		return err
	}
	d.current, d.next = current, next
	return nil
}

// make makes the certificate that is served from a time on.
func (d *DevCertificate) make(from time.Time) (*devCert, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127)) // RFC 5280 section 4.1.2.2
	if err != nil {
		return nil, err
	}
	from = from.UTC().Truncate(time.Second) // what a certificate can say
	notBefore := from.Add(-devBackdate)
	template := &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: "Earshot development certificate"},
		NotBefore:             notBefore,
		NotAfter:              notBefore.Add(devValidity),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              d.names,
		IPAddresses:           d.ips,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &devCert{
		tls:  &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf},
		hash: sha256.Sum256(der),
		from: from, until: from.Add(devServed),
	}, nil
}
