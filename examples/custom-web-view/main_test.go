package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The page of one's own stays short.
func TestPageIsShort(t *testing.T) {
	lines := 0
	err := fs.WalkDir(page, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := page.ReadFile(name)
		lines += bytes.Count(b, []byte("\n"))
		return err
	})
	if err != nil || lines < 50 || lines >= 150 {
		t.Errorf("the page has %d lines, %v; want fewer than 150", lines, err)
	}
}

func TestRun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- run(ctx, "127.0.0.1:0", w) }()
	line := make([]byte, 200)
	n, err := r.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	origin := regexp.MustCompile(`http://[^/]+`).FindString(string(line[:n]))
	web := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for _, c := range []struct {
		method, path string
		status       int
		has          string
	}{
		{"GET", "/?user=alice", 200, `src="tavern.js"`},
		{"GET", "/tavern.js", 200, "enableCustomViewRoute(true)"},
		{"GET", "/call/client/index.js", 200, "export"},
		{"POST", "/call/session?user=alice", 200, `"userSig"`},
		{"POST", "/call/session?user=mallory", 401, "not signed in"},
	} {
		req, err := http.NewRequestWithContext(ctx, c.method, origin+c.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := web.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != c.status || !strings.Contains(string(b), c.has) {
			t.Errorf("%s %s: %d, %v, %.300s; want %d and %q", c.method, c.path, res.StatusCode, err, b, c.status, c.has)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("run: %v", err)
	}
}
