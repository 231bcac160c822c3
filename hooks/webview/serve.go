package webview

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The files that stand for the page, and for its worker, which holds the
// connection and has a content security policy of its own.
const (
	pageFile   = "view/index.html"
	workerFile = "client/worker.js"
)

// ServeHTTP answers
//
//	GET  ./           the page
//	GET  client/…     the client library
//	GET  view/…       the view
//	GET  connection   {"url", "certificateHashes" (base64), "sdkAppID"}
//	POST session      the same with "userID" and "userSig", by the host's session; 401 without
//	POST contacts     [{"userID", "nick", "online"}], by the host's session, or by
//	                  {"sdkAppID", "userID", "userSig"} in the body
//
// under whatever prefix was stripped from the path. What goes wrong is told with
// a status and {"message"}. Requests from pages of other origins are refused.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy(""))
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Permissions-Policy", "camera=(self), microphone=(self), display-capture=(self), fullscreen=(self), geolocation=()")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Cache-Control", "no-store")
	switch name := strings.TrimPrefix(r.URL.Path, "/"); name {
	case "":
		h.file(w, r, pageFile)
	case "connection":
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.connection(w, r)
		}
	case "session":
		if allow(w, r, http.MethodPost) && h.sameOrigin(w, r) {
			h.session(w, r)
		}
	case "contacts":
		if allow(w, r, http.MethodPost) && h.sameOrigin(w, r) {
			h.contacts(w, r)
		}
	default:
		h.file(w, r, name)
	}
}

// file serves an embedded file.
func (h *Handler) file(w http.ResponseWriter, r *http.Request, name string) {
	f, ok := h.files[name]
	if !ok {
		fail(w, http.StatusNotFound, "There is nothing at this address.")
		return
	}
	if !allow(w, r, http.MethodGet, http.MethodHead) {
		return
	}
	head := w.Header()
	if name == pageFile || name == workerFile {
		c, ok := h.connect(w, r)
		if !ok {
			return
		}
		u, _ := url.Parse(c.URL) // connect has looked at it
		head.Set("Content-Security-Policy", policy("https://"+u.Host))
	}
	head.Set("Content-Type", f.contentType)
	head.Set("Cache-Control", "no-cache") // that is, ask whether it has changed
	head.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// policy is the content security policy: all is the page's own, but for the
// connection to server, an origin. Styles are set by script one by one, which it
// allows, and never inline.
func policy(server string) string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; " +
		"worker-src 'self'; connect-src " + strings.TrimSpace("'self' "+server) +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
}

// connect asks the host how to reach the calling server, and tells what fails.
func (h *Handler) connect(w http.ResponseWriter, r *http.Request) (Connection, bool) {
	c, err := h.cfg.Connect(r)
	if err == nil {
		err = c.check()
	}
	if err != nil {
		h.log.ErrorContext(r.Context(), "webview: no connection for a page", "err", err)
		fail(w, http.StatusServiceUnavailable, "The calling server cannot be reached now.")
		return Connection{}, false
	}
	return c, true
}

// check looks whether a browser can use the connection, and whether its address
// can stand in a header.
func (c Connection) check() error {
	u, err := url.Parse(c.URL)
	if err != nil {
		return err
	}
	if u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" || strings.ContainsAny(u.Host, " ;,'\"*") {
		return fmt.Errorf("webview: %q is not an address of a calling server", c.URL)
	}
	return nil
}

// allow answers a request with another method.
func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	fail(w, http.StatusMethodNotAllowed, "This address takes "+strings.Join(methods, " and ")+" only.")
	return false
}

// sameOrigin answers a request that a page of another origin makes.
func (h *Handler) sameOrigin(w http.ResponseWriter, r *http.Request) bool {
	if h.origin.Check(r) != nil {
		fail(w, http.StatusForbidden, "A page of another origin may not ask this.")
		return false
	}
	return true
}
