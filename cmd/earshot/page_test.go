package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A visitor does with a link what the page does, without being one.
type visitor struct {
	page   string
	http   *http.Client
	fields map[string]any // of what is sent to be told contacts
	user   string
	sig    string
}

func visit(t *testing.T, link string, trust *x509.CertPool) *visitor {
	t.Helper()
	page, fragment, _ := strings.Cut(strings.TrimSpace(link), "#")
	signIn, err := url.ParseQuery(fragment)
	if err != nil || signIn.Get("userSig") == "" {
		t.Fatalf("%q is no link: %v", link, err)
	}
	tr := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: trust}}
	return &visitor{
		page: page, http: &http.Client{Transport: tr, Timeout: 5 * time.Second}, user: signIn.Get("userID"), sig: signIn.Get("userSig"),
		fields: map[string]any{"sdkAppID": 1, "userID": signIn.Get("userID"), "userSig": signIn.Get("userSig")},
	}
}

// get asks the page's server; body nil is a GET.
func (v *visitor) get(t *testing.T, path string, body, into any) (status int, head http.Header) {
	t.Helper()
	method, r := http.MethodGet, io.Reader(nil)
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		method, r = http.MethodPost, bytes.NewReader(b)
	}
	req, err := http.NewRequest(method, v.page+path, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := v.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if into != nil {
		if err := json.NewDecoder(res.Body).Decode(into); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
	}
	return res.StatusCode, res.Header
}

type contact struct {
	UserID string
	Nick   string
	Online bool
}

func (v *visitor) contacts(t *testing.T) (list []contact) {
	t.Helper()
	if status, _ := v.get(t, "contacts", v.fields, &list); status != http.StatusOK {
		t.Fatalf("contacts: status %d", status)
	}
	return list
}

// signIn dials over WebTransport as the page would, with its origin.
func (v *visitor) signIn(t *testing.T, l hooks.Listener, roots *x509.CertPool) (*engine.Client, string) {
	t.Helper()
	var c struct {
		URL               string
		CertificateHashes [][]byte
		SDKAppID          uint32
	}
	if status, _ := v.get(t, "connection", nil, &c); status != http.StatusOK {
		t.Fatalf("connection: status %d", status)
	}
	u, err := url.Parse(v.page)
	if err != nil {
		t.Fatal(err)
	}
	d := &transport.WebTransportDialer{Origin: u.Scheme + "://" + u.Host, TLSConfig: &tls.Config{RootCAs: roots}}
	if len(c.CertificateHashes) > 0 {
		d.Pin = c.CertificateHashes[0]
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	client, err := engine.Dial(ctx, engine.ClientConfig{
		Addr: c.URL, Dialer: d, SDKAppID: c.SDKAppID, UserID: v.user, UserSig: v.sig, Codec: libopus.Driver{}, Listener: l,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Destroy()
		<-client.Done()
	})
	return client, c.URL
}

var linkPattern = regexp.MustCompile(`https?://\S+#\S+`)

// The links that serve prints are pages of this run, which sign in and see each
// other, over the server that is beside them.
func TestServeWeb(t *testing.T) {
	r := start(t, "serve", "-addr", "127.0.0.1:0", "-web", "localhost:0", "-log", "none", "-grace", "0s")
	r.out.waitFor(t, "userID=", 2)
	links := linkPattern.FindAllString(r.out.String(), -1)
	if len(links) != 2 || !strings.HasPrefix(links[0], "http://localhost:") {
		t.Fatalf("links %q", links)
	}
	alice, bob := visit(t, links[0], nil), visit(t, links[1], nil)
	if alice.user != "alice" || bob.user != "bob" {
		t.Errorf("links for %s and %s", alice.user, bob.user)
	}
	claims, err := usersig.Verifier{SDKAppID: 1, Key: between(r.out.String(), "Key made for this run: ", "\n")}.Verify(alice.sig, "alice")
	if err != nil || claims.Lifetime != linkLife {
		t.Errorf("a link holds for %v: %v", claims.Lifetime, err)
	}
	status, head := alice.get(t, "", nil, nil)
	if policy := head.Get("Content-Security-Policy"); status != 200 || !strings.Contains(policy, "https://127.0.0.1:") {
		t.Errorf("status %d, policy %q", status, policy)
	}
	_, at := alice.signIn(t, nil, nil)
	// The server is on 127.0.0.1, and that is what it is called for browsers.
	if !strings.HasPrefix(at, "https://127.0.0.1:") || !strings.HasSuffix(at, "/earshot") {
		t.Errorf("the server is at %s", at)
	}
	if got := bob.contacts(t); len(got) != 1 || got[0] != (contact{"alice", "", true}) {
		t.Errorf("bob's contacts are %v", got)
	}
	bob.fields["userSig"] = alice.sig
	if status, _ := bob.get(t, "contacts", bob.fields, nil); status != http.StatusUnauthorized {
		t.Errorf("contacts for another's UserSig: status %d", status)
	}
	r.stop()
	r.end(t, 0)
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}

// makeCert makes a certificate for names, as files.
func makeCert(t *testing.T, names ...string) (cert, key string, roots *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for name, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(leaf)
	return cert, key, roots
}

// With a certificate of its own the page is https, by the names in it, on any
// address.
func TestServeWebTLS(t *testing.T) {
	cert, key, roots := makeCert(t, "localhost", "*.example.com")
	r := start(t, "serve", "-addr", "127.0.0.1:0", "-web", ":0", "-cert", cert, "-tls-key", key, "-log", "none", "-grace", "0s")
	r.out.waitFor(t, "userID=", 2)
	links := linkPattern.FindAllString(r.out.String(), -1)
	if len(links) != 2 || !strings.HasPrefix(links[0], "https://localhost:") {
		t.Fatalf("links %q", links)
	}
	if _, at := visit(t, links[0], roots).signIn(t, nil, roots); !strings.HasPrefix(at, "https://localhost:") {
		t.Errorf("the server is at %s", at)
	}
	r.stop()
	r.end(t, 0)
}

// Behind a proxy the page is called as the outside calls it; with a key of one's
// own no links are given away.
func TestServeWebURL(t *testing.T) {
	r := start(t, "serve", "-addr", "127.0.0.1:0", "-web", "127.0.0.1:0", "-web-url", "https://calls.example.com/talk", "-key", "k", "-log", "none", "-grace", "0s")
	r.out.wait(t, "-user NAME\n")
	if out := r.out.String(); !strings.Contains(out, "earshot sign -web https://calls.example.com/talk/ -user NAME") || strings.Contains(out, "#") {
		t.Errorf("printed %q", out)
	}
	r.stop()
	r.end(t, 0)
}

func TestPageOrigins(t *testing.T) {
	p, err := openPage(pageConfig{Addr: "127.0.0.1:0", URL: "https://calls.example.com/talk"})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if len(p.origins) != 1 || p.origins[0] != "https://calls.example.com" || p.url != "https://calls.example.com/talk/" || p.public != "calls.example.com" {
		t.Errorf("origins %q of %s, at %s", p.origins, p.url, p.public)
	}
}

// Browsers go to ::1 for localhost, so a bound address is what they are given.
func TestBoundHost(t *testing.T) {
	for _, c := range []struct{ host, bound, want string }{
		{"localhost", "127.0.0.1", "127.0.0.1"}, {"localhost", "::1", "::1"}, {"127.0.0.1", "::1", "::1"},
		{"localhost", "::", "127.0.0.1"}, {"localhost", "0.0.0.0", "127.0.0.1"},
		{"calls.example.com", "::", "calls.example.com"}, {"calls.example.com", "10.0.0.1", "calls.example.com"},
	} {
		if got := boundHost(c.host, net.ParseIP(c.bound)); got != c.want {
			t.Errorf("%s on %s is %s, want %s", c.host, c.bound, got, c.want)
		}
	}
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct{ scheme, host, port, want string }{
		{"https", "example.com", "443", "https://example.com"}, {"https", "example.com", "80", "https://example.com:80"},
		{"http", "localhost", "80", "http://localhost"}, {"http", "::1", "8080", "http://[::1]:8080"}, {"https", "::1", "443", "https://[::1]"},
	} {
		if got := origin(c.scheme, c.host, c.port); got != c.want {
			t.Errorf("%s %s %s: %s, want %s", c.scheme, c.host, c.port, got, c.want)
		}
	}
}

// The command lines of README.md about the page work.
func TestPageExamples(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	cert, key, _ := makeCert(t, "calls.example.com")
	served, signed := 0, 0
	for line := range strings.Lines(string(readme)) {
		line, isCode := strings.CutPrefix(line, "    ./earshot ")
		args := strings.Fields(line)
		switch {
		case !isCode || !strings.Contains(line, "-web ") || !strings.HasPrefix(args[1], "-"):
		case args[0] == "serve":
			served++
			for i, a := range args {
				switch {
				case strings.HasSuffix(a, "fullchain.pem"):
					args[i] = cert
				case strings.HasSuffix(a, "privkey.pem"):
					args[i] = key
				}
			}
			r := start(t, append(args, "-addr", "127.0.0.1:0", "-web", "127.0.0.1:0", "-log", "none", "-grace", "0s")...)
			r.out.wait(t, "userID=bob")
			r.stop()
			r.end(t, 0)
		case args[0] == "sign":
			signed++
			code, out, stderr := execute(map[string]string{"EARSHOT_KEY": "k"}, args...)
			if code != 0 || stderr != "" || !linkPattern.MatchString(out) {
				t.Errorf("%q: exit code %d, %q, %q", line, code, out, stderr)
			}
		}
	}
	if served < 2 || signed < 1 {
		t.Errorf("%d serve and %d sign", served, signed)
	}
}

func TestBadPages(t *testing.T) {
	cert, key, _ := makeCert(t, "*.example.com")
	serve := func(args ...string) []string {
		return append([]string{"serve", "-addr", "127.0.0.1:0", "-log", "none"}, args...)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"for all without a certificate", serve("-web", ":8080"), 2, "-web localhost:8080"},
		{"for a network without a certificate", serve("-web", "192.0.2.1:8080"), 2, "-cert and -tls-key"},
		{"no port", serve("-web", "localhost"), 2, "host:port"},
		{"a wrong port", serve("-web", "localhost:http8"), 2, "host:port"},
		{"no page", serve("-web-url", "https://example.com/"), 2, "without -web"},
		{"a URL that is none", serve("-web", "localhost:0", "-web-url", "example.com"), 2, "not the address of a page"},
		{"a URL with a fragment", serve("-web", "localhost:0", "-web-url", "https://example.com/#x"), 2, "not the address of a page"},
		{"http for the world", serve("-web", "localhost:0", "-web-url", "http://example.com/"), 2, "https addresses"},
		{"a certificate for no name", serve("-web", "localhost:0", "-cert", cert, "-tls-key", key), 2, "-web-url is missing"},
		{"a port that is taken", serve("-web", taken.Addr().String()), 1, "in use"},
		{"a link to nowhere", []string{"sign", "-user", "alice", "-key", "k", "-web", "nowhere"}, 2, "not the address of a page"},
		{"a link that is sent in the clear", []string{"sign", "-user", "alice", "-key", "k", "-web", "http://example.com"}, 2, "https addresses"},
	} {
		code, out, stderr := execute(nil, c.args...)
		if code != c.code || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, want %d; printed %q, said %q, want %q in it", c.name, code, c.code, out, stderr, c.want)
		}
	}
}

// sign -web prints a link that holds for 15 minutes, or as long as it is told.
func TestSignWeb(t *testing.T) {
	for _, c := range []struct {
		args []string
		want time.Duration
	}{
		{nil, 15 * time.Minute},
		{[]string{"-expire", "1h"}, time.Hour},
	} {
		code, out, stderr := execute(nil, append([]string{"sign", "-web", "https://example.com/", "-user", "alice", "-key", "k"}, c.args...)...)
		if code != 0 || stderr != "" || !strings.HasPrefix(out, "https://example.com/#") {
			t.Fatalf("exit code %d, %q, %q", code, out, stderr)
		}
		v := visit(t, out, nil)
		claims, err := usersig.Verifier{SDKAppID: 1, Key: "k"}.Verify(v.sig, "alice")
		if err != nil || claims.Lifetime != c.want {
			t.Errorf("%v: it holds for %v: %v", c.args, claims.Lifetime, err)
		}
	}
}
