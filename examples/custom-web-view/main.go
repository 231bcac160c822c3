// Command custom-web-view serves a page that shows calls itself: it imports the
// client library, turns the default view off, and has buttons of its own. Open it
// in two windows and let one call the other.
//
//	go run ./examples/custom-web-view
package main

import (
	"cmp"
	"context"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks/webview"
)

const (
	appID = 1
	key   = "a secret"
)

//go:embed page
var page embed.FS

// handler serves the page at /, and what the library needs at /call/.
func handler(srv *engine.Server) (http.Handler, error) {
	at := fmt.Sprintf("https://%v/earshot", srv.Addr())
	view, err := webview.New(webview.Config{
		Connect: func(*http.Request) (webview.Connection, error) {
			return webview.Connection{URL: at, CertificateHashes: srv.Pins(), SDKAppID: appID}, nil
		},
		SignIn: func(r *http.Request) (webview.Credentials, error) {
			user := r.URL.Query().Get("user") // a real host asks its session
			if user != "alice" && user != "bob" {
				return webview.Credentials{}, webview.ErrNoSession
			}
			sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: appID, UserID: user, Issued: time.Now(), Lifetime: time.Hour})
			return webview.Credentials{UserID: user, UserSig: sig}, err
		},
	})
	if err != nil {
		return nil, err
	}
	own, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/call/", http.StripPrefix("/call", view))
	mux.Handle("/", http.FileServerFS(own))
	return mux, nil
}

// run serves on a TCP address until ctx ends, and prints where.
func run(ctx context.Context, addr string, out io.Writer) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	defer l.Close()
	origin := "http://" + l.Addr().String()
	srv, err := engine.NewServer(engine.ServerConfig{Addr: "127.0.0.1:0", SDKAppID: appID, Key: key, AllowedOrigins: []string{origin}})
	if err != nil {
		return err
	}
	defer srv.Close()
	if err := srv.Listen(); err != nil {
		return err
	}
	go srv.Serve()
	h, err := handler(srv)
	if err != nil {
		return err
	}
	web := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { web.Close() })
	defer stop()
	fmt.Fprintf(out, "Open %s/?user=alice and, in another window, %s/?user=bob\n", origin, origin)
	if err := web.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt)
	defer cancel()
	if err := run(ctx, cmp.Or(os.Getenv("ADDR"), "127.0.0.1:8088"), os.Stdout); err != nil {
		log.Fatal(err)
	}
}
