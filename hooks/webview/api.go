package webview

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
)

const (
	maxUserSig = 8 << 10  // as in the signalling protocol
	maxBody    = 16 << 10 // a UserSig in JSON, and what is around it
)

// signIn is what a page needs to sign in; without a user it is a connection.
type signIn struct {
	URL               string   `json:"url"`
	CertificateHashes [][]byte `json:"certificateHashes"`
	SDKAppID          uint32   `json:"sdkAppID"`
	UserID            string   `json:"userID,omitempty"`
	UserSig           string   `json:"userSig,omitempty"`
}

func newSignIn(c Connection) signIn {
	hashes := make([][]byte, len(c.CertificateHashes)) // [] and not null
	for i, hash := range c.CertificateHashes {
		hashes[i] = hash[:]
	}
	return signIn{URL: c.URL, CertificateHashes: hashes, SDKAppID: c.SDKAppID}
}

func (h *Handler) connection(w http.ResponseWriter, r *http.Request) {
	if c, ok := h.connect(w, r); ok {
		answer(w, http.StatusOK, newSignIn(c))
	}
}

func (h *Handler) session(w http.ResponseWriter, r *http.Request) {
	user, ok := h.user(w, r)
	if !ok {
		return
	}
	if c, ok := h.connect(w, r); ok {
		s := newSignIn(c)
		s.UserID, s.UserSig = user.UserID, user.UserSig
		answer(w, http.StatusOK, s)
	}
}

// user asks the host who makes a request, and answers it if nobody does.
func (h *Handler) user(w http.ResponseWriter, r *http.Request) (Credentials, bool) {
	err := ErrNoSession
	if h.cfg.SignIn != nil {
		var user Credentials
		user, err = h.cfg.SignIn(r)
		if err == nil && validUserID(user.UserID) && user.UserSig != "" {
			return user, true
		}
		if err == nil {
			err = errors.New("webview: Config.SignIn gave no user")
		}
	}
	if errors.Is(err, ErrNoSession) {
		fail(w, http.StatusUnauthorized, "You are not signed in. Open this page with a link.")
	} else {
		h.log.ErrorContext(r.Context(), "webview: a page cannot sign in", "err", err)
		fail(w, http.StatusInternalServerError, "Signing in does not work now.")
	}
	return Credentials{}, false
}

func (h *Handler) contacts(w http.ResponseWriter, r *http.Request) {
	list := []Contact{} // [] and not null
	if h.cfg.Contacts == nil {
		answer(w, http.StatusOK, list)
		return
	}
	userID, ok := h.shown(w, r)
	if !ok {
		return
	}
	got, err := h.cfg.Contacts(r.Context(), userID)
	if err != nil {
		h.log.ErrorContext(r.Context(), "webview: no contacts", "user", userID, "err", err)
		fail(w, http.StatusServiceUnavailable, "The contacts cannot be loaded now.")
		return
	}
	for _, c := range got {
		if c.UserID != userID {
			list = append(list, c)
		}
	}
	answer(w, http.StatusOK, list)
}

// shown is the user who asks for contacts: the one whose UserSig is in the body,
// or that of the session.
func (h *Handler) shown(w http.ResponseWriter, r *http.Request) (string, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		fail(w, http.StatusRequestEntityTooLarge, "The request is too large.")
		return "", false
	} else if err != nil {
		fail(w, http.StatusBadRequest, "The request broke off.")
		return "", false
	}
	if len(body) == 0 {
		user, ok := h.user(w, r)
		return user.UserID, ok
	}
	if t, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); t != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, "The request is not JSON.")
		return "", false
	}
	var s signIn
	if json.Unmarshal(body, &s) != nil || !validUserID(s.UserID) || s.UserSig == "" || len(s.UserSig) > maxUserSig {
		fail(w, http.StatusBadRequest, "The request is malformed.")
		return "", false
	}
	if h.cfg.Verify == nil || h.cfg.Verify(r.Context(), s.SDKAppID, s.UserID, s.UserSig) != nil {
		fail(w, http.StatusUnauthorized, "The sign-in is not valid, or has expired.")
		return "", false
	}
	return s.UserID, true
}

// validUserID reports whether id has the form of a user ID.
func validUserID(id string) bool {
	for _, b := range []byte(id) {
		switch {
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '_', b == '-':
		default:
			return false
		}
	}
	return len(id) >= 1 && len(id) <= 32
}

// answer writes v as JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// fail says in words what is wrong.
func fail(w http.ResponseWriter, status int, message string) {
	answer(w, status, struct {
		Message string `json:"message"`
	}{message})
}
