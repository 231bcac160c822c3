package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks/webview"
	"github.com/earshotrtc/earshot/transport"
)

// pageConfig configures a page. Addr, AppID and Key must be set.
type pageConfig struct {
	// Addr is the TCP address to serve it on.
	Addr string
	// URL is what the outside calls it. Default: by Addr, or the certificate.
	URL string
	// TLS has the certificate, of which the first counts. Default none: HTTP.
	TLS *tls.Config
	// AppID and Key are the calling server's.
	AppID uint32
	Key   string
	// Contacts are whom a user may call. Default: all who are signed in.
	Contacts []webview.Contact
	Logger   *slog.Logger // default none
}

// A page is the call view in browsers, beside a calling server.
type page struct {
	cfg pageConfig
	// url ends in a slash, and origins are those that its browsers may show.
	url     string
	origins []string
	public  string // the host that the outside calls, with pageConfig.URL

	listener net.Listener
	http     *http.Server
	failed   chan error // has what Serve returned
}

// linkLife is how long a link signs in that was not asked to hold longer.
const linkLife = 15 * time.Minute

// openPage opens a page's socket, so that its address is known before the
// calling server is made.
func openPage(cfg pageConfig) (*page, error) {
	p := &page{cfg: cfg, failed: make(chan error, 1)}
	host, _, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, err
	}
	if p.listener, err = net.Listen("tcp", cfg.Addr); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(p.listener.Addr().String())
	if err != nil {
		return nil, err
	}
	switch {
	case cfg.URL != "":
		u, err := url.Parse(cfg.URL)
		if err != nil {
			return nil, err
		}
		p.public = u.Hostname()
		p.url = strings.TrimSuffix(cfg.URL, "/") + "/"
		p.origins = []string{u.Scheme + "://" + u.Host}
	case cfg.TLS != nil:
		for _, name := range certNames(cfg.TLS) {
			p.origins = append(p.origins, origin("https", name, port))
		}
		p.url = p.origins[0] + "/"
	default:
		for _, name := range []string{host, "localhost", "127.0.0.1", "::1"} {
			p.origins = append(p.origins, origin("http", name, port))
		}
		p.url = p.origins[0] + "/"
	}
	return p, nil
}

// origin is that of a page, without a port that goes without saying.
func origin(scheme, host, port string) string {
	if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
		return scheme + "://" + bracketed(host)
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// checkPage looks at a page's addresses: what is wrong with them is a wrong
// command line.
func checkPage(addr, public string, own *tls.Config) error {
	if addr == "" {
		if public != "" {
			return usagef("-web-url without -web: where is the page to be served?")
		}
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	if err != nil || port == "" {
		return usagef("-web %q: want host:port, such as localhost:8080", addr)
	}
	secure := own != nil
	if public != "" {
		if err := checkPageURL(public); err != nil {
			return usagef("-web-url: %w", err)
		}
		secure = secure || strings.HasPrefix(public, "https:")
	} else if own != nil && len(certNames(own)) == 0 {
		return usagef("-web-url is missing: the certificate names no host")
	}
	if !secure && !isLoopback(host) {
		return usagef("-web %s: browsers give camera and microphone to pages at https addresses and on this machine only: "+
			"give -cert and -tls-key, or -web-url https://… if a proxy does that, or -web localhost:%s", addr, port)
	}
	return nil
}

// checkPageURL tells the address of a page from others.
func checkPageURL(page string) error {
	u, err := url.Parse(page)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "",
		u.User != nil, u.RawQuery != "", u.Fragment != "":
		return fmt.Errorf("%q is not the address of a page; want one such as https://example.com/", page)
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("%q: browsers give camera and microphone to pages at https addresses and on this machine only", page)
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// certNames are the hosts that a certificate is for.
func certNames(c *tls.Config) (names []string) {
	leaf := c.Certificates[0].Leaf
	for _, name := range leaf.DNSNames {
		if !strings.Contains(name, "*") {
			names = append(names, name)
		}
	}
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}

// serve serves the page beside a calling server that listens.
func (p *page) serve(calls *engine.Server) error {
	logger := p.cfg.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	view, err := webview.New(webview.Config{
		Connect:  func(r *http.Request) (webview.Connection, error) { return p.connection(calls, r.Host) },
		Verify:   p.verify,
		Contacts: func(_ context.Context, user string) ([]webview.Contact, error) { return p.contacts(calls), nil },
		Logger:   logger,
	})
	if err != nil {
		return err
	}
	p.http = &http.Server{
		Handler: view, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: time.Minute, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(io.Discard, "", 0), // of whoever tries TLS on it, and does not get far
	}
	go func() {
		if p.cfg.TLS == nil {
			p.failed <- p.http.Serve(p.listener)
			return
		}
		p.http.TLSConfig = p.cfg.TLS.Clone()
		p.failed <- p.http.ServeTLS(p.listener, "", "")
	}()
	return nil
}

// connection is how a page that was asked for at a host reaches the server.
func (p *page) connection(calls *engine.Server, asked string) (webview.Connection, error) {
	addr, ok := calls.Addr().(*net.UDPAddr)
	if !ok {
		return webview.Connection{}, errors.New("the calling server does not listen")
	}
	host := p.public
	if host == "" {
		host = (&url.URL{Host: asked}).Hostname()
	}
	if p.cfg.TLS == nil {
		host = boundHost(host, addr.IP)
	}
	u := url.URL{Scheme: "https", Host: fmt.Sprintf("%s:%d", bracketed(host), addr.Port), Path: transport.WebTransportPath}
	return webview.Connection{URL: u.String(), CertificateHashes: calls.Pins(), SDKAppID: p.cfg.AppID}, nil
}

// boundHost is a name by which a socket is reached, for a certificate that is
// trusted whatever the name. Browsers take localhost for ::1, and try nothing
// else, and a socket on 127.0.0.1 is not there.
func boundHost(host string, bound net.IP) string {
	if !isLoopback(host) {
		return host
	}
	if bound.IsLoopback() {
		return bound.String()
	}
	return "127.0.0.1"
}

func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func (p *page) verify(_ context.Context, appID uint32, user, sig string) error {
	if appID != p.cfg.AppID {
		return fmt.Errorf("application %d is not served", appID)
	}
	_, err := usersig.Verifier{SDKAppID: p.cfg.AppID, Key: p.cfg.Key}.Verify(sig, user)
	return err
}

// contacts are whom a user may call; the view leaves out the user.
func (p *page) contacts(calls *engine.Server) []webview.Contact {
	var list []webview.Contact
	if p.cfg.Contacts == nil {
		for _, u := range calls.Online() {
			list = append(list, webview.Contact{UserID: u, Online: true})
		}
		return list
	}
	for _, c := range p.cfg.Contacts {
		c.Online = len(calls.Online(c.UserID)) > 0
		list = append(list, c)
	}
	return list
}

// link signs a user in at the page for a time.
func (p *page) link(user string, life time.Duration) (string, error) {
	return pageLink(p.url, p.cfg.Key, p.cfg.AppID, user, life)
}

func pageLink(page, key string, appID uint32, user string, life time.Duration) (string, error) {
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: appID, UserID: user, Lifetime: life})
	if err != nil {
		return "", err
	}
	return webview.Link(page, appID, user, sig)
}

// close ends the page; nil is none.
func (p *page) close() {
	if p == nil {
		return
	}
	p.listener.Close()
	if p.http != nil {
		p.http.Close()
		<-p.failed
	}
}
