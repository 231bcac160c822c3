package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks/webview"
)

//go:embed page/*.html page/*.css page/*.js page/*.svg
var files embed.FS

// policy is the page's: nothing comes from elsewhere. The worker that has the
// connection for voice gets its own.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; worker-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// A page is the game in a browser. It is told where everybody is, and tells what
// its player wants to do; voice comes to it by itself.
type page struct {
	game     *game
	listener net.Listener
	http     *http.Server
	done     chan struct{} // closed when the streams are to end
}

// openPage opens the page's socket; a nil page is none.
func openPage(cfg config, g *game) (*page, error) {
	if cfg.web == "" {
		return nil, nil
	}
	host, _, err := net.SplitHostPort(cfg.web)
	if err == nil {
		err = cfg.checkWeb(host)
	}
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", cfg.web)
	if err != nil {
		return nil, err
	}
	return &page{game: g, listener: l, done: make(chan struct{})}, nil
}

// origins are those that browsers may show for the page.
func (p *page) origins() (list []string) {
	if p == nil {
		return nil
	}
	port := p.listener.Addr().(*net.TCPAddr).Port
	for _, host := range []string{"localhost", "127.0.0.1", "[::1]"} {
		list = append(list, fmt.Sprintf("http://%s:%d", host, port))
	}
	return list
}

// serve serves the page, once there is voice.
func (p *page) serve() error {
	addr := p.game.voice.srv.Addr().(*net.UDPAddr)
	if !addr.IP.IsLoopback() {
		addr = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: addr.Port}
	}
	// Of this the page takes the client library, and how to reach the server.
	view, err := webview.New(webview.Config{Connect: func(*http.Request) (webview.Connection, error) {
		return webview.Connection{URL: fmt.Sprintf("https://%v/earshot", addr), CertificateHashes: p.game.voice.srv.Pins()}, nil
	}})
	if err != nil {
		return err
	}
	own, err := fs.Sub(files, "page")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", http.FileServerFS(own))
	mux.Handle("/call/", http.StripPrefix("/call", view))
	mux.HandleFunc("POST /login", p.login)
	mux.HandleFunc("GET /world", p.world)
	mux.HandleFunc("POST /input", p.input)
	p.http = &http.Server{
		Handler: headers(http.NewCrossOriginProtection().Handler(mux)), ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	go p.http.Serve(p.listener)
	return nil
}

func (p *page) close() {
	if p == nil {
		return
	}
	close(p.done)
	p.listener.Close()
	if p.http != nil {
		p.http.Close()
	}
}

func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// answer writes v as JSON; a string is words of what is wrong.
func answer(w http.ResponseWriter, status int, v any) {
	if words, ok := v.(string); ok {
		v = map[string]string{"message": words}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// login is the game's own: here who comes says their name.
func (p *page) login(w http.ResponseWriter, r *http.Request) {
	var req struct{ Name string }
	if err := read(w, r, &req); err != nil || signal.CheckUserID(req.Name) != nil {
		answer(w, http.StatusBadRequest, "A name is 1 to 32 letters, digits, _ and -.")
		return
	}
	switch pl, err := p.game.login(req.Name, p.game.middle()); {
	case errors.Is(err, errFull):
		answer(w, http.StatusServiceUnavailable, "The place is full.")
	case errors.Is(err, engine.ErrBusy):
		answer(w, http.StatusConflict, "Somebody of that name is here already.")
	case err != nil:
		answer(w, http.StatusInternalServerError, "That does not work now.")
	default:
		answer(w, http.StatusOK, map[string]string{"name": pl.name, "ticket": pl.ticket})
	}
}

// player is who asks, by their ticket; nil is nobody, who is told.
func (p *page) player(w http.ResponseWriter, r *http.Request) *player {
	ticket, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	pl := p.game.player(ticket)
	if pl == nil {
		answer(w, http.StatusUnauthorized, "You are not in the game any more.")
	}
	return pl
}

// input takes what a player wants to do.
func (p *page) input(w http.ResponseWriter, r *http.Request) {
	pl := p.player(w, r)
	if pl == nil {
		return
	}
	var in input
	if err := read(w, r, &in); err != nil {
		answer(w, http.StatusBadRequest, "That is no input.")
		return
	}
	p.game.steer(pl, in)
	w.WriteHeader(http.StatusNoContent)
}

// read reads a body of at most 1 KiB.
func read(w http.ResponseWriter, r *http.Request, v any) error {
	return json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(v)
}

// A spot is where a player is.
type spot struct {
	Name string  `json:"name"`
	X    float64 `json:"x"` // metres
	Y    float64 `json:"y"`
}

// world sends a line of JSON about the world, and then, every other tick, one of
// where everybody is.
func (p *page) world(w http.ResponseWriter, r *http.Request) {
	pl := p.player(w, r)
	if pl == nil {
		return
	}
	g := p.game
	count := func(n int) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if pl.pages += n; pl.pages == 0 {
			pl.way, pl.goal, pl.seen = [3]float32{}, nil, time.Now()
		}
	}
	count(1)
	defer count(-1)
	w.Header().Set("Content-Type", "application/x-ndjson")
	control := http.NewResponseController(w)
	control.SetReadDeadline(time.Time{}) // that of the request does not end the stream
	var line bytes.Buffer
	var spots []spot
	tick := time.NewTicker(2 * time.Second / ticks)
	defer tick.Stop()
	send := func(v any) error {
		line.Reset()
		if err := json.NewEncoder(&line).Encode(v); err != nil {
			return err
		}
		control.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := w.Write(line.Bytes()); err != nil {
			return err
		}
		return control.Flush()
	}
	err := send(map[string]float64{"side": g.cfg.side, "hearing": g.cfg.hearing})
	for err == nil {
		select {
		case <-p.done:
			return
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
		spots = g.spots(spots[:0])
		err = send(spots)
	}
}

// spots appends where everybody is, to the centimetre.
func (g *game) spots(list []spot) []spot {
	g.mu.Lock()
	defer g.mu.Unlock()
	cm := func(m float32) float64 { return math.Round(float64(m)*100) / 100 }
	for _, p := range g.players {
		list = append(list, spot{p.name, cm(p.at[0]), cm(p.at[1])})
	}
	return list
}
