package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/webview"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

const (
	appID = 1400000000
	key   = "known to the stage alone"
)

// stage is all that the tests act on.
type stage struct {
	cfg   engine.ServerConfig
	calls *engine.Server
	relay *simnet.Relay
	http  *http.Server
	page  string // the address of the page, with a slash

	mu     sync.Mutex
	custom map[string]bool // whose calls the server routes to a view of their own
	users  map[string]*user
}

func (st *stage) start(req request) (map[string]any, error) {
	if st.calls != nil {
		return nil, errors.New("started already")
	}
	st.custom, st.users = make(map[string]bool), make(map[string]*user)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	origin := "http://" + tcp.Addr().String()
	st.page = origin + "/"
	st.cfg = engine.ServerConfig{
		Addr: "127.0.0.1:0", SDKAppID: appID, Key: key, AllowedOrigins: []string{origin},
		CallTimeout: time.Duration(req.CallTimeoutMS) * time.Millisecond, SignInsPerSecond: 1000,
		Codec:   libopus.Driver{},
		Plugins: []hooks.Plugin{{Name: "stage", Route: st.routed}},
		Logger:  slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if req.Mode == "mix" {
		st.cfg.Mode = hooks.ModeMix
	}
	if err := st.serve(); err != nil {
		tcp.Close()
		return nil, err
	}
	st.cfg.Addr = st.calls.Addr().String() // the same after a restart
	if req.Relay {
		if st.relay, err = simnet.NewRelay(simnet.RelayConfig{Target: st.cfg.Addr}); err != nil {
			return nil, err
		}
	}
	view, err := webview.New(webview.Config{
		Connect:  func(*http.Request) (webview.Connection, error) { return st.connection(), nil },
		Verify:   verify,
		Contacts: func(context.Context, string) ([]webview.Contact, error) { return st.contacts(), nil },
		Logger:   st.cfg.Logger,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", view)
	if req.Pages != "" {
		mux.Handle("/pages/", st.files("/pages/", req.Pages))
	}
	if req.Repository != "" {
		dir := filepath.Join(req.Repository, "hooks", "webview", "test-view")
		mux.Handle("/test-view/", st.files("/test-view/", dir))
		dir = filepath.Join(req.Repository, "examples", "custom-web-view")
		mux.Handle("/custom/", st.files("/custom/", dir))
		mux.Handle("/custom/client/", http.StripPrefix("/custom", view))
		mux.Handle("/custom/connection", http.StripPrefix("/custom", view))
	}
	st.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(os.Stderr, "", 0)}
	go st.http.Serve(tcp)
	c := st.connection()
	return map[string]any{"page": st.page, "url": c.URL, "sdkAppID": appID}, nil
}

// files serves a folder under the same policy as the page.
func (st *stage) files(prefix, dir string) http.Handler {
	serve := http.StripPrefix(prefix, http.FileServer(http.Dir(dir)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _ := url.Parse(st.connection().URL)
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "+
			"worker-src 'self'; connect-src 'self' https://"+u.Host+"; base-uri 'none'; form-action 'none'")
		w.Header().Set("Cache-Control", "no-store")
		serve.ServeHTTP(w, r)
	})
}

// serve makes a server and serves it.
func (st *stage) serve() error {
	calls, err := engine.NewServer(st.cfg)
	if err != nil {
		return err
	}
	if err := calls.Listen(); err != nil {
		return err
	}
	go calls.Serve()
	st.calls = calls
	return nil
}

// restart puts another server in the place of this one, on the same port and with
// another certificate, as after a crash: nobody is told.
func (st *stage) restart() error {
	if err := st.calls.Close(); err != nil {
		return err
	}
	return st.serve()
}

// stop ends all. It may be called twice.
func (st *stage) stop() error {
	if st.calls == nil {
		return nil
	}
	for name := range st.users {
		st.leave(name)
	}
	err := errors.Join(st.http.Close(), st.calls.Close())
	if st.relay != nil {
		err = errors.Join(err, st.relay.Close())
	}
	*st = stage{}
	return err
}

// connection is how pages reach the server.
func (st *stage) connection() webview.Connection {
	addr := st.cfg.Addr
	if st.relay != nil {
		addr = st.relay.Addr().String()
	}
	u := url.URL{Scheme: "https", Host: addr, Path: transport.WebTransportPath}
	return webview.Connection{URL: u.String(), CertificateHashes: st.calls.Pins(), SDKAppID: appID}
}

func (st *stage) contacts() (list []webview.Contact) {
	for _, u := range st.calls.Online() {
		c := webview.Contact{UserID: u, Online: true}
		st.mu.Lock()
		if u := st.users[u]; u != nil {
			c.Nick = u.nick
		}
		st.mu.Unlock()
		list = append(list, c)
	}
	return list
}

func verify(_ context.Context, app uint32, user, sig string) error {
	if app != appID {
		return fmt.Errorf("application %d", app)
	}
	_, err := usersig.Verifier{SDKAppID: appID, Key: key}.Verify(sig, user)
	return err
}

func sign(user string) (string, error) {
	return usersig.Sign(key, usersig.Claims{SDKAppID: appID, UserID: user, Lifetime: time.Hour})
}

// link is the page of a user; path is below the page, by default the page itself.
func (st *stage) link(user, path string) (string, error) {
	sig, err := sign(user)
	if err != nil {
		return "", err
	}
	return webview.Link(st.page+path, appID, user, sig)
}

// credentials are what a page of the tests' own signs in with.
func (st *stage) credentials(user string) (map[string]any, error) {
	sig, err := sign(user)
	var hashes [][]byte
	for _, h := range st.calls.Pins() {
		hashes = append(hashes, h[:])
	}
	return map[string]any{
		"url": st.connection().URL, "certificateHashes": hashes, "sdkAppID": appID, "userID": user, "userSig": sig,
	}, err
}

// network makes the pages' network bad, or good again.
func (st *stage) network(req request) error {
	if st.relay == nil {
		return errors.New("started without a relay")
	}
	l := simnet.Link{Down: req.Down, Loss: req.Loss, Delay: time.Duration(req.DelayMS) * time.Millisecond}
	return st.relay.SetLinks(l, l)
}

// route makes the server hand a user's calls to a view of their own.
func (st *stage) route(user string, custom bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.custom[user] = custom
}

func (st *stage) routed(_ context.Context, req hooks.RouteRequest) (bool, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.custom[req.UserID], nil
}
