package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/mixer"
)

// open opens a game without bots, and its page.
func open(t *testing.T) (g *game, ask func(method, path, ticket, body string) *http.Response) {
	cfg := config{addr: "127.0.0.1:0", web: "localhost:0", side: 20, hearing: 15}
	g = newGame(cfg)
	p, err := openPage(cfg, g)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.close)
	if g.voice, err = startVoice(cfg.addr, 15, g.signIn, p.origins()...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.voice.srv.Close() })
	if err := p.serve(); err != nil {
		t.Fatal(err)
	}
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	return g, func(method, path, ticket, body string) *http.Response {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, p.origins()[0]+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+ticket)
		res, err := web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { res.Body.Close() })
		return res
	}
}

// A page logs in, says where its player goes, is told where they are, and is
// gone when it was away for a while.
func TestPage(t *testing.T) {
	g, ask := open(t)
	var me struct{ Name, Ticket string }
	if err := json.NewDecoder(ask("POST", "/login", "", `{"name":"ann"}`).Body).Decode(&me); err != nil || me.Name != "ann" || me.Ticket == "" {
		t.Fatalf("login: %+v, %v", me, err)
	}
	for _, c := range []struct {
		method, path, ticket, body string
		status                     int
		has                        string
	}{
		{"GET", "/", "", "", 200, "game.js"},
		{"GET", "/call/client/index.js", "", "", 200, "export"},
		{"GET", "/call/connection", "", "", 200, "https://127.0.0.1:"},
		{"POST", "/call/session", "", "", 401, "not signed in"},
		{"POST", "/login", "", `{"name":"ann"}`, 409, "here already"},
		{"POST", "/login", "", `{"name":"<b>"}`, 400, "letters"},
		{"POST", "/login", "", `{"name":"` + strings.Repeat("a", 2000) + `"}`, 400, "letters"},
		{"GET", "/world", "", "", 401, "not in the game"},
		{"POST", "/input", "00", `{"way":[1,0]}`, 401, "not in the game"},
		{"POST", "/input", me.Ticket, `{"way":[1]}`, 204, ""},
		{"POST", "/input", me.Ticket, `{"way":"x"}`, 400, "no input"},
		{"POST", "/input", me.Ticket, `{"way":[1e40,0]}`, 400, "no input"},
		{"POST", "/input", me.Ticket, `{}`, 204, ""},
		{"GET", "/main.go", "", "", 404, ""},
	} {
		res := ask(c.method, c.path, c.ticket, c.body)
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(b), c.has) {
			t.Errorf("%s %s %.40s: %d, %v, %.200s; want %d and %q", c.method, c.path, c.body, res.StatusCode, err, b, c.status, c.has)
		}
		if p := res.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") {
			t.Errorf("%s: the policy is %q", c.path, p)
		}
	}

	res := ask("GET", "/world", me.Ticket, "")
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || lines.Text() != `{"hearing":15,"side":20}` {
		t.Fatalf("the world is %q", lines.Text())
	}
	ask("POST", "/input", me.Ticket, `{"to":[1000,-1000]}`)
	for i := 0; i < 200; i++ { // to the corner, 14.2 m at 4 m/s, and no further
		if err := g.tick(); err != nil {
			t.Fatal(err)
		}
	}
	for {
		if !lines.Scan() {
			t.Fatal("the stream ended")
		}
		if lines.Text() == `[{"name":"ann","x":20,"y":0}]` {
			break
		}
	}
	ask("POST", "/input", me.Ticket, `{"way":[-1000,0]}`)
	if err := g.tick(); err != nil {
		t.Fatal(err)
	}
	p := g.player(me.Ticket)
	if got := p.at[0]; got < 19.8 || got >= 20 {
		t.Errorf("%v m in one tick", 20-got)
	}

	res.Body.Close()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		g.mu.Lock()
		gone := p.pages == 0
		if gone {
			p.seen = time.Now().Add(-absence - time.Second)
		}
		g.mu.Unlock()
		if gone {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the page is still counted")
		}
	}
	if p.way != (mixer.Vector{}) {
		t.Error("who has no page walks on")
	}
	if err := g.tick(); err != nil || len(g.players) != 0 || g.voice.world.Stats().Players != 0 {
		t.Errorf("%v, %d players, %d in the world", err, len(g.players), g.voice.world.Stats().Players)
	}
	if g.player(me.Ticket) != nil {
		t.Error("the ticket still counts")
	}
}

func TestFull(t *testing.T) {
	g, ask := open(t)
	for i := range crowd {
		if _, err := g.login(fmt.Sprint("p", i), g.middle()); err != nil {
			t.Fatal(err)
		}
	}
	if res := ask("POST", "/login", "", `{"name":"ann"}`); res.StatusCode != 503 {
		t.Errorf("%d where it is full, want 503", res.StatusCode)
	}
	if _, err := g.login("ann", g.middle()); !errors.Is(err, errFull) {
		t.Error(err)
	}
}

// What is wrong with the command line is said before anything runs.
func TestAddresses(t *testing.T) {
	for _, c := range []struct{ addr, web, want string }{
		{"", "localhost:0", "needs -addr"},
		{"127.0.0.1:0", "example.com:80", "on this machine"},
		{"127.0.0.1:0", ":8080", "on this machine"},
		{"127.0.0.1:0", "localhost", "missing port"},
	} {
		if err := run(t.Context(), config{addr: c.addr, web: c.web}, io.Discard); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("-addr %q -web %q: %v, want %q", c.addr, c.web, err, c.want)
		}
	}
}
