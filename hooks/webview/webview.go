// Package webview serves Earshot's default call view, a page in the browser: a
// full client over WebTransport and WebCodecs, without WebRTC. Its user sees who
// is online, calls and is called, by voice or video, alone or in a group.
//
// A [Handler] is an http.Handler that a host mounts where it likes. All of its
// addresses are relative:
//
//	view, err := webview.New(webview.Config{
//		Connect: func(*http.Request) (webview.Connection, error) {
//			return webview.Connection{URL: "https://calls.example.com:4433/earshot", SDKAppID: 1}, nil
//		},
//		SignIn: func(r *http.Request) (webview.Credentials, error) { … the host's own session … },
//	})
//	mux.Handle("/call/", http.StripPrefix("/call", view))
//
// Who opens the page is its user by the host's session ([Config.SignIn]), or by a
// link ([Link]) with a short-lived UserSig in its fragment, which no server sees.
//
// What it serves is plain ES modules, with no build step: client/ is the client
// library, for a page with a view of its own, and view/ the default view, which a
// page of the host's own mounts into an element. See README.md.
//
// The package knows nothing of the engine: what it needs are functions in its
// Config. A UserSig is never logged, and never part of a URL that a server sees.
package webview

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
)

// ErrNoSession is what Config.SignIn returns for a request with which nobody is
// signed in: the page then says that it needs a link.
var ErrNoSession = errors.New("webview: nobody is signed in")

// ErrNoConnect is returned by New for a Config without Connect.
var ErrNoConnect = errors.New("webview: Config.Connect is missing")

// Config configures a Handler. Its functions are called on the goroutines of
// requests, several at a time, and may block as long as a request may take.
type Config struct {
	// Connect says how the page that is made for a request reaches the calling
	// server. It is asked for each, and again before each reconnection, as a
	// server that was restarted may have another certificate. An error is logged,
	// and the page told that the server cannot be reached. Must be set.
	Connect func(r *http.Request) (Connection, error)
	// SignIn says who the user of a request is, by the host's own session, such
	// as a cookie. With ErrNoSession, wrapped or not, the page asks for a link;
	// any other error is logged. Default: links only.
	SignIn func(r *http.Request) (Credentials, error)
	// Verify checks a UserSig that a page shows to be told its contacts, as pages
	// do that came by a link; the UserSig, at most 8 KiB, is hostile input. An
	// error is a no. Default: contacts only with SignIn.
	Verify func(ctx context.Context, sdkAppID uint32, userID, userSig string) error
	// Contacts lists whom a user may call; the user themselves is left out.
	// Default none: the page calls by user ID.
	Contacts func(ctx context.Context, userID string) ([]Contact, error)
	// Logger logs what goes wrong. Default slog.Default().
	Logger *slog.Logger
}

// A Connection is how a page reaches the calling server.
type Connection struct {
	// URL is the server's WebTransport address, such as
	// https://localhost:4433/earshot. The page may connect to this origin and no
	// other, so a restarted server should keep it.
	URL string
	// CertificateHashes are the SHA-256 hashes of the server's certificates, for
	// one that the browser would not trust by itself: of ECDSA P-256 and valid for
	// 14 days at most. Default none: a certificate for a real host name.
	CertificateHashes [][32]byte
	// SDKAppID is the application that users sign in to.
	SDKAppID uint32
}

// Credentials are what a user signs in to the calling server with.
type Credentials struct{ UserID, UserSig string }

// A Contact is somebody whom a user may call.
type Contact struct {
	UserID string `json:"userID"`
	// Nick is how they are shown. Default their user ID.
	Nick string `json:"nick"`
	// Online: they can be called now.
	Online bool `json:"online"`
}

// A Handler serves the page, its files and what it asks for. It may be used by
// several goroutines.
type Handler struct {
	cfg    Config
	log    *slog.Logger
	files  map[string]file
	origin *http.CrossOriginProtection
}

// New returns a Handler, or ErrNoConnect.
func New(cfg Config) (*Handler, error) {
	if cfg.Connect == nil {
		return nil, ErrNoConnect
	}
	log := cfg.Logger
	if log == nil {
		log = slog.Default()
	}
	files, err := load()
	if err != nil {
		return nil, fmt.Errorf("webview: %w", err)
	}
	return &Handler{cfg: cfg, log: log, files: files, origin: http.NewCrossOriginProtection()}, nil
}
