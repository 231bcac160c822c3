package main

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

const serveHelp = `Usage: earshot serve [-addr :4433] [-app-id 1] [-key KEY] [flags]

Runs a server for native clients (QUIC) and browsers (WebTransport) on one UDP
port. Users sign in with UserSigs made with the server's key ("earshot sign").

Without a key it makes one for this run and prints it, with two commands to
call with. Without a certificate it makes one, which clients trust by its pin.

With -web it also serves a page to call with, such as -web localhost:8080: who
has a link ("earshot sign -web") is signed in, sees who is online, calls and is
called. With -cert the page has that certificate, too; it must be one that
browsers trust, for a host name. Without it the page is for this machine alone,
or behind a proxy that makes https of it (-web-url).

With -metrics it says what it does and uses, for Prometheus or "earshot load",
at http://ADDRESS/metrics. Anybody may read that who reaches the address.

Ctrl-C lets calls go on for a little (-grace), then ends; a second one ends it
at once.
`

func runServe(ctx context.Context, fs *flag.FlagSet, args []string, con console) error {
	var k keyFlags
	k.define(fs)
	addr := fs.String("addr", ":4433", "the UDP `address` to serve on, host:port; without a host on all")
	cert := fs.String("cert", "", "a certificate `file` (PEM) with its chain; needs -tls-key")
	tlsKey := fs.String("tls-key", "", "the certificate's private key `file` (PEM)")
	origin := fs.String("origin", "", "the origins of pages that may connect, such as https://example.com, with commas between; * for all (default none)")
	web := fs.String("web", "", "serve a page to call with on this TCP `address`, host:port (default none)")
	webURL := fs.String("web-url", "", "what the page is called from outside, such as `https://example.com/` (default by -web and -cert)")
	mode := fs.String("mode", "forward", "how voices reach those in a room, unless they ask otherwise: forward, or mix (one stream each)")
	metrics := fs.String("metrics", "", "serve Prometheus's metrics on this TCP `address`, host:port (default none)")
	level := fs.String("log", "info", "what to log: debug, info, warn, error or none")
	grace := fs.Duration("grace", 10*time.Second, "how `long` calls may go on after Ctrl-C")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if err := k.check(con); err != nil {
		return err
	}
	if err := checkAddr(*addr); err != nil {
		return usagef("-addr: %w", err)
	}
	if *grace < 0 {
		return usagef("-grace %v: it must not be negative", *grace)
	}
	origins, err := parseOrigins(*origin)
	if err != nil {
		return usagef("-origin: %w", err)
	}
	logger, err := newLogger(*level, con)
	if err != nil {
		return err
	}
	tlsConfig, err := loadTLS(*cert, *tlsKey)
	if err != nil {
		return err
	}
	if err := checkPage(*web, *webURL, tlsConfig); err != nil {
		return err
	}
	if err := checkMetrics(*metrics); err != nil {
		return err
	}
	madeKey := k.key == ""
	if madeKey {
		k.key = randomKey()
	}
	if m := hooks.RoomMode(*mode); m == hooks.ModeDefault || !m.Valid() {
		return usagef("-mode %s: it must be forward or mix", *mode)
	}
	var view *page
	if *web != "" {
		view, err = openPage(pageConfig{
			Addr: *web, URL: *webURL, TLS: tlsConfig, AppID: uint32(k.appID), Key: k.key, Logger: logger,
		})
		if err != nil {
			return fmt.Errorf("-web: %w", err)
		}
		defer view.close()
		origins = append(origins, view.origins...)
	}
	srv, err := engine.NewServer(engine.ServerConfig{
		Addr: *addr, TLS: tlsConfig, AllowedOrigins: origins,
		SDKAppID: uint32(k.appID), Key: k.key, Logger: logger,
		Mode: hooks.RoomMode(*mode), Codec: serverCodec(),
	})
	if err != nil {
		return err
	}
	defer srv.Close()
	if err := srv.Listen(); err != nil {
		return fmt.Errorf("cannot serve on %s: %w", *addr, err)
	}
	metricsURL := ""
	if *metrics != "" {
		url, stop, err := serveMetrics(*metrics, srv)
		if err != nil {
			return err
		}
		defer stop()
		metricsURL = url
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve() }()
	var viewFailed chan error
	if view != nil {
		if err := view.serve(srv); err != nil {
			return err
		}
		viewFailed = view.failed
	}
	if err := announce(con, srv, k, madeKey, tlsConfig); err != nil {
		return err
	}
	if metricsURL != "" {
		fmt.Fprintf(con.out, "Metrics: %s\n", metricsURL)
	}
	if view != nil {
		if err := announcePage(con, view, madeKey); err != nil {
			return err
		}
	}

	select {
	case err := <-failed:
		return err
	case err := <-viewFailed:
		viewFailed <- err // for close
		return fmt.Errorf("the page is served no longer: %w", err)
	case <-ctx.Done():
	}
	fmt.Fprintf(con.out, "Shutting down; calls may go on for %v. Ctrl-C ends it now.\n", *grace)
	drain, cancel := context.WithTimeout(context.Background(), *grace)
	defer cancel()
	if err := srv.Shutdown(drain); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// serverCodec is what the server mixes with, if it is built in.
func serverCodec() codec.Driver {
	if libopus.Available {
		return libopus.Driver{}
	}
	return nil
}

// announce says how to reach the server.
func announce(con console, srv *engine.Server, k keyFlags, madeKey bool, own *tls.Config) error {
	fmt.Fprintf(con.out, "Serving QUIC and WebTransport on %v, application %d.\n", srv.Addr(), k.appID)
	pins := srv.Pins()
	var pin string
	if own != nil {
		pin = hex.EncodeToString(transport.CertificatePin(own.Certificates[0].Leaf))
		fmt.Fprintf(con.out, "Certificate pin (needed if clients do not trust it otherwise): %s\n", pin)
	} else {
		pin = hex.EncodeToString(pins[0][:])
		fmt.Fprintf(con.out, "Certificate made for this run; its pin: %s\n", pin)
		fmt.Fprintf(con.out, "                   the next one's pin: %x\n", pins[1])
	}
	if !madeKey {
		return nil
	}
	fmt.Fprintf(con.out, "Key made for this run: %s\n\nTo try it, in two other terminals on this machine:\n\n", k.key)
	_, port, err := net.SplitHostPort(srv.Addr().String())
	if err != nil {
		return err
	}
	for _, c := range []struct{ user, callee string }{{"bob", ""}, {"alice", " bob"}} {
		sig, err := usersig.Sign(k.key, usersig.Claims{SDKAppID: uint32(k.appID), UserID: c.user})
		if err != nil {
			return err
		}
		fmt.Fprintf(con.out, "earshot call -server localhost:%s -pin %s -app-id %d -user %s -sig '%s' -mic speech:%s%s\n\n",
			port, pin, k.appID, c.user, sig, c.user, c.callee)
	}
	return nil
}

// announcePage says where the page is, and how to be let in.
func announcePage(con console, view *page, madeKey bool) error {
	if !madeKey {
		fmt.Fprintf(con.out, "The page is at %s; links to it: earshot sign -web %s -user NAME\n", view.url, view.url)
		return nil
	}
	fmt.Fprintf(con.out, "Or in a browser, Chrome, Edge or another Chromium, each link in a tab of its own, within %.0f minutes:\n\n", linkLife.Minutes())
	for _, user := range []string{"alice", "bob"} {
		link, err := view.link(user, linkLife)
		if err != nil {
			return err
		}
		fmt.Fprintf(con.out, "%s\n\n", link)
	}
	return nil
}

// checkAddr tells a wrong address from one that cannot be listened on.
func checkAddr(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%w; want host:port, such as :4433", err)
	}
	if _, err := net.LookupPort("udp", port); err != nil || port == "" {
		return fmt.Errorf("%q is not a port, 0 to 65535", port)
	}
	return nil
}

func parseOrigins(list string) ([]string, error) {
	var origins []string
	for o := range strings.SplitSeq(list, ",") {
		if o = strings.TrimSpace(o); o == "" {
			continue
		}
		u, err := url.Parse(o)
		if o != "*" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
			return nil, fmt.Errorf("%q is not an origin; want scheme://host, such as https://example.com", o)
		}
		origins = append(origins, o)
	}
	return origins, nil
}

// loadTLS reads a certificate, or returns nil if there is none.
func loadTLS(cert, key string) (*tls.Config, error) {
	switch {
	case cert == "" && key == "":
		return nil, nil
	case cert == "" || key == "":
		return nil, usagef("-cert and -tls-key go together")
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}}, nil
}

// newLogger logs to standard error from a level on; "none" is no logger.
func newLogger(level string, con console) (*slog.Logger, error) {
	if level == "none" {
		return nil, nil
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, usagef("-log %s: it must be debug, info, warn, error or none", level)
	}
	return slog.New(slog.NewTextHandler(con.err, &slog.HandlerOptions{Level: l})), nil
}
