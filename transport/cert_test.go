package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"slices"
	"sync"
	"testing"
	"time"
)

// certClock is a clock that a test sets.
type certClock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *certClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *certClock) add(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
	return c.t
}

func newDevCertificate(t *testing.T, hosts ...string) (*DevCertificate, *certClock) {
	t.Helper()
	clock := &certClock{t: time.Date(2026, 2, 27, 13, 37, 11, 999, time.UTC)}
	d, err := NewDevCertificate(DevCertificateConfig{Hosts: hosts, Now: clock.now})
	if err != nil {
		t.Fatal(err)
	}
	return d, clock
}

// served returns the certificate that a client would be shown now, after it
// has checked what a browser checks.
func served(t *testing.T, d *DevCertificate, now time.Time) *x509.Certificate {
	t.Helper()
	c, err := d.GetCertificate(&tls.ClientHelloInfo{})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if now.Before(leaf.NotBefore) || !now.Before(leaf.NotAfter) {
		t.Fatalf("at %v the certificate is valid from %v to %v", now, leaf.NotBefore, leaf.NotAfter)
	}
	if v := leaf.NotAfter.Sub(leaf.NotBefore); v > 14*24*time.Hour {
		t.Fatalf("a certificate is valid for %v", v)
	}
	if key, ok := leaf.PublicKey.(*ecdsa.PublicKey); !ok || key.Curve != elliptic.P256() || leaf.Version != 3 {
		t.Fatalf("the key is %T, the version %d", leaf.PublicKey, leaf.Version)
	}
	if hashes := d.Hashes(); len(hashes) != 2 || hashes[0] != sha256.Sum256(leaf.Raw) || hashes[0] == hashes[1] {
		t.Fatalf("the hashes %x are not that of the certificate and another", hashes)
	}
	return leaf
}

func TestDevCertificate(t *testing.T) {
	d, clock := newDevCertificate(t)
	leaf := served(t, d, clock.now())
	for _, host := range []string{"localhost", "127.0.0.1", "::1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if err := leaf.VerifyHostname("example.com"); err == nil {
		t.Error("it names example.com")
	}
	if back := clock.now().Sub(leaf.NotBefore); back < time.Hour || back > time.Hour+time.Second {
		t.Errorf("it is backdated by %v, want an hour", back)
	}
	if v := leaf.NotAfter.Sub(leaf.NotBefore); v != 13*24*time.Hour {
		t.Errorf("it is valid for %v, want 13 days", v)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: clock.now(), DNSName: "localhost"}); err != nil {
		t.Error(err)
	}
}

func TestDevCertificateHosts(t *testing.T) {
	d, clock := newDevCertificate(t, "game.example", "192.0.2.1", "2001:db8::1")
	leaf := served(t, d, clock.now())
	for _, host := range []string{"game.example", "192.0.2.1", "2001:db8::1"} {
		if err := leaf.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if err := leaf.VerifyHostname("localhost"); err == nil {
		t.Error("it names localhost")
	}
	if _, err := NewDevCertificate(DevCertificateConfig{Hosts: []string{"münchen.example"}}); err == nil {
		t.Error("a name that no certificate can hold is accepted")
	}
}

// Every hour of two months: the certificate is good, its successor is the one
// that was announced, it is renewed at half its life, and a page that took
// both hashes can connect for six days.
func TestDevCertificateRenewals(t *testing.T) {
	d, clock := newDevCertificate(t)
	type page struct {
		loaded time.Time
		hashes [][32]byte
	}
	var pages []page
	renewals, last := 0, d.Hashes()
	for range 60 * 24 {
		now := clock.add(time.Hour)
		leaf := served(t, d, now)
		hashes := d.Hashes()
		if hashes[0] != last[0] {
			renewals++
			if hashes[0] != last[1] {
				t.Fatalf("at %v a certificate is served that was not announced", now)
			}
			if age := now.Sub(leaf.NotBefore); age > 2*time.Hour+time.Second {
				t.Fatalf("a certificate is first served %v after the start of its validity", age)
			}
		}
		if left := leaf.NotAfter.Sub(now); left < devValidity/2 {
			t.Fatalf("a certificate is served with %v left of %v", left, devValidity)
		}
		last = hashes
		pages = append(pages, page{now, hashes})
		for len(pages) > 0 && now.Sub(pages[0].loaded) > 6*24*time.Hour {
			pages = pages[1:]
		}
		for _, p := range pages {
			if !slices.Contains(p.hashes, hashes[0]) {
				t.Fatalf("the page of %v cannot connect at %v", p.loaded, now)
			}
		}
	}
	if renewals != 9 { // 60 days, one every 6.46
		t.Errorf("%d renewals in 60 days, want 9", renewals)
	}
}

func TestDevCertificateClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{30 * 24 * time.Hour, 10 * 365 * 24 * time.Hour, -2 * time.Hour, -365 * 24 * time.Hour} {
		d, clock := newDevCertificate(t)
		before := d.Hashes()
		now := clock.add(jump)
		served(t, d, now)
		if d.Hashes()[0] == before[0] {
			t.Errorf("the certificate is the same after a jump of %v", jump)
		}
	}
	// A small step back, as of a clock that is set right, changes nothing.
	d, clock := newDevCertificate(t)
	before := d.Hashes()
	served(t, d, clock.add(-10*time.Minute))
	if d.Hashes()[0] != before[0] {
		t.Error("a step back of ten minutes changed the certificate")
	}
}

func TestDevCertificateConcurrentUse(t *testing.T) {
	d, clock := newDevCertificate(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				clock.add(11 * time.Hour)
				if c, err := d.GetCertificate(nil); err != nil || c == nil {
					t.Error(c, err)
				}
				if h := d.Hashes(); len(h) != 2 || h[0] == h[1] {
					t.Errorf("hashes %x", h)
				}
			}
		})
	}
	all.Wait()
	served(t, d, clock.now())
}
