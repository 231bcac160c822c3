package webview_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/earshotrtc/earshot/hooks/webview"
)

// A host that mounts the page for the users of its own sessions.
func Example() {
	userOf := func(r *http.Request) string { return r.Header.Get("X-User") } // the host's session
	sign := func(userID string) string { return "a UserSig for " + userID }  // usersig.Sign

	view, err := webview.New(webview.Config{
		Connect: func(*http.Request) (webview.Connection, error) {
			return webview.Connection{URL: "https://calls.example.com:4433/earshot", SDKAppID: 1}, nil
		},
		SignIn: func(r *http.Request) (webview.Credentials, error) {
			user := userOf(r)
			if user == "" {
				return webview.Credentials{}, webview.ErrNoSession
			}
			return webview.Credentials{UserID: user, UserSig: sign(user)}, nil
		},
		Contacts: func(ctx context.Context, userID string) ([]webview.Contact, error) {
			return []webview.Contact{{UserID: "bob", Nick: "Bob", Online: true}}, nil
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/call/", http.StripPrefix("/call", view))

	r := httptest.NewRequest("POST", "/call/contacts", nil)
	r.Header.Set("X-User", "alice")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output: [{"userID":"bob","nick":"Bob","online":true}]
}

// A link for somebody without a session.
func ExampleLink() {
	link, err := webview.Link("https://example.com/call/", 1, "alice", "a-UserSig")
	fmt.Println(link, err)
	// Output: https://example.com/call/#sdkAppID=1&userID=alice&userSig=a-UserSig <nil>
}
