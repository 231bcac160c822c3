package webview

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const sig = "eJx-a-secret-proof"

var hash = [32]byte{1, 2, 3}

func connect(*http.Request) (Connection, error) {
	return Connection{URL: "https://calls.example.com:4433/earshot", CertificateHashes: [][32]byte{hash}, SDKAppID: 7}, nil
}

// host is a host with a session cookie and two users.
func host() Config {
	return Config{
		Connect: connect,
		SignIn: func(r *http.Request) (Credentials, error) {
			if c, err := r.Cookie("session"); err == nil && c.Value == "alice's" {
				return Credentials{"alice", sig}, nil
			}
			return Credentials{}, fmt.Errorf("no cookie: %w", ErrNoSession)
		},
		Verify: func(_ context.Context, app uint32, user, s string) error {
			if app != 7 || user != "alice" || s != sig {
				return errors.New("forged")
			}
			return nil
		},
		Contacts: func(_ context.Context, user string) ([]Contact, error) {
			return []Contact{{"alice", "Alice", true}, {"bob", "<b>Bob</b>", true}}, nil
		},
	}
}

func ask(t *testing.T, cfg Config, r *http.Request) *http.Response {
	t.Helper()
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	http.StripPrefix("/call", h).ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r.Body); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func post(path, json string, head ...string) *http.Request {
	r := httptest.NewRequest("POST", path, strings.NewReader(json))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	return r
}

func TestNewWantsConnect(t *testing.T) {
	if _, err := New(Config{}); !errors.Is(err, ErrNoConnect) {
		t.Errorf("New: %v, want ErrNoConnect", err)
	}
}

func TestFiles(t *testing.T) {
	for path, want := range map[string]string{
		"/call/": "text/html; charset=utf-8", "/call/view/app.js": "text/javascript; charset=utf-8",
		"/call/view/view.css": "text/css; charset=utf-8", "/call/view/i18n/zh.js": "text/javascript; charset=utf-8",
		"/call/client/index.js": "text/javascript; charset=utf-8", "/call/client/media/media.js": "text/javascript; charset=utf-8",
	} {
		r := ask(t, host(), httptest.NewRequest("GET", path, nil))
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != want {
			t.Errorf("GET %s: %d, %s; want 200, %s", path, r.StatusCode, r.Header.Get("Content-Type"), want)
		}
		if r.Header.Get("Cache-Control") != "no-cache" || r.Header.Get("ETag") == "" {
			t.Errorf("GET %s: it cannot be asked whether it has changed", path)
		}
		again := httptest.NewRequest("GET", path, nil)
		again.Header.Set("If-None-Match", r.Header.Get("ETag"))
		r = ask(t, host(), again)
		if r.StatusCode != 304 || r.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("GET %s again: %d, want 304 with a policy", path, r.StatusCode)
		}
	}
}

func TestNoOtherFiles(t *testing.T) {
	for _, path := range []string{
		"/call/test-view/gallery.html", "/call/test-view/gallery.js", "/call/view/test/model.test.js", "/call/client/test/client.test.js", "/call/view", "/call/view/",
		"/call/webview.go", "/call/view/../webview.go", "/call/view/%2e%2e/webview.go", "/call//etc/passwd", "/call/view/app.js/",
	} {
		if r := ask(t, host(), httptest.NewRequest("GET", path, nil)); r.StatusCode != 404 {
			t.Errorf("GET %s: %d, want 404", path, r.StatusCode)
		}
	}
	h, err := New(host())
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range h.files {
		if strings.Contains(name, "test") || f.contentType == "" {
			t.Errorf("%s is served as %q", name, f.contentType)
		}
	}
}

func TestHeaders(t *testing.T) {
	worker := ask(t, host(), httptest.NewRequest("GET", "/call/client/worker.js", nil))
	r := ask(t, host(), httptest.NewRequest("GET", "/call/", nil))
	if w, p := worker.Header.Get("Content-Security-Policy"), r.Header.Get("Content-Security-Policy"); w != p {
		t.Errorf("the worker's policy is %q, the page's %q", w, p)
	}
	policy := r.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self' https://calls.example.com:4433;", "frame-ancestors 'self'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q has no %q", policy, want)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("the policy %q is not strict", policy)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, want := range []string{"camera=(self)", "microphone=(self)", "display-capture=(self)"} {
		if !strings.Contains(r.Header.Get("Permissions-Policy"), want) {
			t.Errorf("Permissions-Policy %q has no %s", r.Header.Get("Permissions-Policy"), want)
		}
	}
	if page := body(t, r); strings.Contains(page, "<style") || strings.Contains(page, "style=") || strings.Contains(page, "<script>") || strings.Contains(page, "//") {
		t.Errorf("the page has something inline, or from elsewhere:\n%s", page)
	}
}

func TestConnection(t *testing.T) {
	r := ask(t, host(), httptest.NewRequest("GET", "/call/connection", nil))
	want := `{"url":"https://calls.example.com:4433/earshot","certificateHashes":["` + base64.StdEncoding.EncodeToString(hash[:]) + `"],"sdkAppID":7}`
	if got := strings.TrimSpace(body(t, r)); got != want || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("connection: %s (%s), want %s", got, r.Header.Get("Cache-Control"), want)
	}
}

func TestNoConnection(t *testing.T) {
	for _, u := range []string{"", "http://calls.example.com/earshot", "https:///earshot", "https://a;script-src:1/", "https://a *.evil.com/", "https://u@a/", "://"} {
		cfg := host()
		var log bytes.Buffer
		cfg.Logger = slog.New(slog.NewTextHandler(&log, nil))
		cfg.Connect = func(*http.Request) (Connection, error) { return Connection{URL: u}, nil }
		for _, path := range []string{"/call/", "/call/connection"} {
			r := ask(t, cfg, httptest.NewRequest("GET", path, nil))
			if r.StatusCode != 503 || log.Len() == 0 || strings.Contains(r.Header.Get("Content-Security-Policy"), "evil") {
				t.Errorf("%s with the server at %q: %d, log %q; want 503", path, u, r.StatusCode, &log)
			}
		}
	}
}

func TestSession(t *testing.T) {
	r := ask(t, host(), post("/call/session", "", "Cookie", "session=alice's", "Sec-Fetch-Site", "same-origin"))
	var got signIn
	if err := json.NewDecoder(r.Body).Decode(&got); err != nil || got.UserID != "alice" || got.UserSig != sig || got.SDKAppID != 7 || len(got.CertificateHashes) != 1 {
		t.Errorf("session: %+v, %v", got, err)
	}
	if r.Header.Get("Cache-Control") != "no-store" {
		t.Error("a sign-in may be stored")
	}
	cfg := host()
	if r := ask(t, cfg, post("/call/session", "")); r.StatusCode != 401 {
		t.Errorf("without a session: %d, want 401", r.StatusCode)
	}
	cfg.SignIn = nil
	if r := ask(t, cfg, post("/call/session", "")); r.StatusCode != 401 {
		t.Errorf("without SignIn: %d, want 401", r.StatusCode)
	}
	for _, c := range []Credentials{{}, {"al ice", sig}, {"alice", ""}} {
		cfg.SignIn = func(*http.Request) (Credentials, error) { return c, nil }
		if r := ask(t, cfg, post("/call/session", "")); r.StatusCode != 500 {
			t.Errorf("SignIn gives %v: %d, want 500", c, r.StatusCode)
		}
	}
}

func TestContacts(t *testing.T) {
	want := `[{"userID":"bob","nick":"\u003cb\u003eBob\u003c/b\u003e","online":true}]`
	for name, r := range map[string]*http.Request{
		"session": post("/call/contacts", "", "Cookie", "session=alice's"),
		"UserSig": post("/call/contacts", `{"sdkAppID":7,"userID":"alice","userSig":"`+sig+`"}`),
	} {
		if got := strings.TrimSpace(body(t, ask(t, host(), r))); got != want {
			t.Errorf("contacts by %s: %s, want %s", name, got, want)
		}
	}
	cfg := host()
	cfg.Contacts = nil
	if got := strings.TrimSpace(body(t, ask(t, cfg, post("/call/contacts", "")))); got != "[]" {
		t.Errorf("without Contacts: %s, want []", got)
	}
}

func TestHostileRequests(t *testing.T) {
	for _, c := range []struct {
		name string
		r    *http.Request
		want int
	}{
		{"no session", post("/call/contacts", ""), 401},
		{"forged", post("/call/contacts", `{"sdkAppID":7,"userID":"alice","userSig":"x"}`), 401},
		{"somebody else", post("/call/contacts", `{"sdkAppID":7,"userID":"bob","userSig":"`+sig+`"}`), 401},
		{"no user ID", post("/call/contacts", `{"sdkAppID":7,"userID":"a b","userSig":"x"}`), 400},
		{"no JSON", post("/call/contacts", `{`), 400},
		{"another type", post("/call/contacts", `{"sdkAppID":"7"}`), 400},
		{"a form", post("/call/contacts", `{}`, "Content-Type", "text/plain"), 415},
		{"a long UserSig", post("/call/contacts", `{"userID":"alice","userSig":"`+strings.Repeat("x", maxUserSig+1)+`"}`), 400},
		{"too large", post("/call/contacts", strings.Repeat(" ", maxBody+1)), 413},
		{"cross-site", post("/call/session", "", "Cookie", "session=alice's", "Sec-Fetch-Site", "cross-site"), 403},
		{"same site, another origin", post("/call/contacts", "", "Cookie", "session=alice's", "Sec-Fetch-Site", "same-site"), 403},
		{"Origin", post("/call/session", "", "Cookie", "session=alice's", "Origin", "https://evil.example"), 403},
		{"GET session", httptest.NewRequest("GET", "/call/session", nil), 405},
		{"POST the page", post("/call/", ""), 405},
		{"DELETE a file", httptest.NewRequest("DELETE", "/call/view/app.js", nil), 405},
		{"POST connection", post("/call/connection", ""), 405},
	} {
		r := ask(t, host(), c.r)
		b := body(t, r)
		var words struct{ Message string }
		if r.StatusCode != c.want || json.Unmarshal([]byte(b), &words) != nil || words.Message == "" {
			t.Errorf("%s: %d %s, want %d and words", c.name, r.StatusCode, b, c.want)
		}
		if strings.Contains(b, sig) || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: the answer gives something away", c.name)
		}
	}
}

func TestVerifyMissing(t *testing.T) {
	cfg := host()
	cfg.Verify = nil
	if r := ask(t, cfg, post("/call/contacts", `{"sdkAppID":7,"userID":"alice","userSig":"`+sig+`"}`)); r.StatusCode != 401 {
		t.Errorf("without Verify: %d, want 401", r.StatusCode)
	}
}

func TestUserSigNeverLogged(t *testing.T) {
	var log bytes.Buffer
	cfg := host()
	cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Contacts = func(context.Context, string) ([]Contact, error) { return nil, errors.New("the database is down") }
	r := ask(t, cfg, post("/call/contacts", `{"sdkAppID":7,"userID":"alice","userSig":"`+sig+`"}`))
	if r.StatusCode != 503 || !strings.Contains(log.String(), "database") || strings.Contains(log.String(), sig) {
		t.Errorf("%d, log: %s", r.StatusCode, &log)
	}
	if strings.Contains(body(t, r), "database") {
		t.Error("the page is told what is wrong inside of the host")
	}
}

func TestLink(t *testing.T) {
	got, err := Link("https://example.com/call/", 7, "alice", "a+b/c=&")
	if want := "https://example.com/call/#sdkAppID=7&userID=alice&userSig=a%2Bb%2Fc%3D%26"; got != want || err != nil {
		t.Errorf("Link: %s, %v; want %s", got, err, want)
	}
	for _, c := range [][3]string{
		{"example.com/call", "alice", sig}, {"javascript:alert(1)", "alice", sig}, {"https://example.com/#x", "alice", sig}, {"https://%zz", "alice", sig},
		{"https://example.com", "", sig}, {"https://example.com", "a b", sig}, {"https://example.com", "alice", ""}, {"https://example.com", "alice", strings.Repeat("x", maxUserSig+1)},
	} {
		if got, err := Link(c[0], 7, c[1], c[2]); !errors.Is(err, ErrLink) {
			t.Errorf("Link(%q, %q): %s, %v; want ErrLink", c[0], c[1], got, err)
		}
	}
}
