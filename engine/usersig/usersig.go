package usersig

import (
	"bytes"
	"compress/zlib"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The errors of this package; what it returns wraps one of them.
var (
	// ErrMalformed: the token is no UserSig at all.
	ErrMalformed = errors.New("usersig: malformed")
	// ErrAppID: it is for another application.
	ErrAppID = errors.New("usersig: for another SDKAppID")
	// ErrUserID: it is for another user.
	ErrUserID = errors.New("usersig: for another user")
	// ErrExpired: its lifetime is over.
	ErrExpired = errors.New("usersig: expired")
	// ErrSignature: it was not signed with this key.
	ErrSignature = errors.New("usersig: signature does not match")
	// ErrClaims: what is to be signed cannot be.
	ErrClaims = errors.New("usersig: bad claims")
	// ErrUserBuf: a user buffer is no [PrivateMap], or cannot be one.
	ErrUserBuf = errors.New("usersig: bad user buffer")
)

const (
	version     = "2.0"
	maxToken    = 8 << 10 // characters
	maxInflated = 8 << 10 // bytes of JSON
	maxTime     = 1 << 40 // seconds; keeps sums far from overflow
)

// Claims is what a UserSig says.
type Claims struct {
	// SDKAppID is the application.
	SDKAppID uint32
	// UserID is the user: 1 byte or more, without control characters.
	UserID string
	// Issued is when it was made, to the second. Default for Sign: now.
	Issued time.Time
	// Lifetime is how long after Issued it holds, in whole seconds and at
	// least one. Default for Sign: 180 days.
	Lifetime time.Duration
	// UserBuf is any bytes more, such as a private map. Default none.
	UserBuf []byte
}

// ExpiresAt is the last moment at which the claims hold.
func (c Claims) ExpiresAt() time.Time { return c.Issued.Add(c.Lifetime) }

// token is the JSON object.
type token struct {
	Version    string  `json:"TLS.ver"`
	Identifier *string `json:"TLS.identifier"`
	SDKAppID   *uint32 `json:"TLS.sdkappid"`
	Expire     *int64  `json:"TLS.expire"`
	Time       *int64  `json:"TLS.time"`
	UserBuf    string  `json:"TLS.userbuf,omitempty"`
	Sig        string  `json:"TLS.sig"`
}

// mac is the signature over the claims. userBuf is base64 already.
func mac(key, user string, app uint32, issued, expire int64, userBuf string) []byte {
	h := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(h, "TLS.identifier:%s\nTLS.sdkappid:%d\nTLS.time:%d\nTLS.expire:%d\n", user, app, issued, expire)
	if userBuf != "" {
		fmt.Fprintf(h, "TLS.userbuf:%s\n", userBuf)
	}
	return h.Sum(nil)
}

// Sign makes a UserSig with key, which is used as it is written, not decoded.
// Errors wrap ErrClaims. It may be called from any goroutine.
func Sign(key string, c Claims) (string, error) {
	if key == "" {
		return "", fmt.Errorf("%w: empty key", ErrClaims)
	}
	if c.Issued.IsZero() {
		c.Issued = time.Now()
	}
	if c.Lifetime == 0 {
		c.Lifetime = 180 * 24 * time.Hour
	}
	issued, expire := c.Issued.Unix(), int64(c.Lifetime/time.Second)
	if err := checkUser(c.UserID); err != nil {
		return "", fmt.Errorf("%w: %w", ErrClaims, err)
	}
	if expire < 1 {
		return "", fmt.Errorf("%w: lifetime %v is under a second", ErrClaims, c.Lifetime)
	}
	if issued < 0 || issued > maxTime {
		return "", fmt.Errorf("%w: issued at %v", ErrClaims, c.Issued)
	}
	buf := base64.StdEncoding.EncodeToString(c.UserBuf)
	data, err := json.Marshal(token{
		Version: version, Identifier: &c.UserID, SDKAppID: &c.SDKAppID, Expire: &expire, Time: &issued, UserBuf: buf,
		Sig: base64.StdEncoding.EncodeToString(mac(key, c.UserID, c.SDKAppID, issued, expire, buf)),
	})
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrClaims, err)
	}
	if len(data) > maxInflated {
		return "", fmt.Errorf("%w: %d bytes, more than %d", ErrClaims, len(data), maxInflated)
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	s := toToken.Replace(base64.StdEncoding.EncodeToString(packed.Bytes()))
	if len(s) > maxToken {
		return "", fmt.Errorf("%w: a token of %d characters, more than %d", ErrClaims, len(s), maxToken)
	}
	return s, nil
}

var (
	toToken   = strings.NewReplacer("+", "*", "/", "-", "=", "_")
	fromToken = strings.NewReplacer("*", "+", "-", "/", "_", "=")
)

// checkUser refuses what would make the signed lines ambiguous.
func checkUser(id string) error {
	if id == "" {
		return errors.New("empty user ID")
	}
	for _, r := range id {
		if r < ' ' || r == 0x7f || r == '\uFFFD' {
			return fmt.Errorf("user ID %s has a control or invalid character", strconv.QuoteToASCII(id))
		}
	}
	return nil
}

// A Verifier checks UserSigs for one application. Its fields are not changed
// once it is in use; Verify may then be called from any goroutine.
type Verifier struct {
	// SDKAppID is the application that tokens must be for.
	SDKAppID uint32
	// Key is the application's key. Nothing verifies with an empty one.
	Key string
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

// Verify checks that sig is a UserSig of userID that holds now, and returns
// what it says. The checks come in this order: form (ErrMalformed),
// application (ErrAppID), user (ErrUserID), lifetime (ErrExpired; its last
// second counts), signature (ErrSignature). With an error the claims are
// empty.
func (v Verifier) Verify(sig, userID string) (Claims, error) {
	t, buf, err := parse(sig)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if *t.SDKAppID != v.SDKAppID {
		return Claims{}, fmt.Errorf("%w: it is for %d, not %d", ErrAppID, *t.SDKAppID, v.SDKAppID)
	}
	if *t.Identifier != userID {
		return Claims{}, ErrUserID
	}
	now := time.Now
	if v.Now != nil {
		now = v.Now
	}
	if now().Unix() > *t.Time+*t.Expire {
		return Claims{}, fmt.Errorf("%w at %s", ErrExpired, time.Unix(*t.Time+*t.Expire, 0).UTC().Format(time.RFC3339))
	}
	got, err := base64.StdEncoding.Strict().DecodeString(t.Sig)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: signature: %w", ErrMalformed, err)
	}
	want := mac(v.Key, userID, v.SDKAppID, *t.Time, *t.Expire, t.UserBuf)
	if !hmac.Equal(got, want) || v.Key == "" {
		return Claims{}, ErrSignature
	}
	return Claims{
		SDKAppID: v.SDKAppID, UserID: userID, Issued: time.Unix(*t.Time, 0),
		Lifetime: time.Duration(*t.Expire) * time.Second, UserBuf: buf,
	}, nil
}

// parse takes a token apart without believing it.
func parse(sig string) (t token, userBuf []byte, err error) {
	if len(sig) > maxToken {
		return t, nil, fmt.Errorf("%d characters, more than %d", len(sig), maxToken)
	}
	if strings.ContainsAny(sig, "+/=\r\n") {
		return t, nil, errors.New("a character that no UserSig has")
	}
	packed, err := base64.StdEncoding.DecodeString(fromToken.Replace(sig))
	if err != nil {
		return t, nil, err
	}
	src := bytes.NewReader(packed)
	r, err := zlib.NewReader(src)
	if err != nil {
		return t, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxInflated+1))
	if err != nil {
		return t, nil, err
	}
	if len(data) > maxInflated {
		return t, nil, fmt.Errorf("it unpacks to more than %d bytes", maxInflated)
	}
	if src.Len() > 0 {
		return t, nil, errors.New("more bytes after the end")
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return t, nil, err
	}
	if t.Version != version {
		return t, nil, fmt.Errorf("version %s, not %s", strconv.QuoteToASCII(t.Version), version)
	}
	if t.Identifier == nil || t.SDKAppID == nil || t.Expire == nil || t.Time == nil || t.Sig == "" {
		return t, nil, errors.New("a field is missing")
	}
	if err := checkUser(*t.Identifier); err != nil {
		return t, nil, err
	}
	const maxExpire = int64(1<<63-1) / int64(time.Second) // what a Duration holds
	if *t.Time < 0 || *t.Time > maxTime || *t.Expire < 0 || *t.Expire > maxExpire {
		return t, nil, fmt.Errorf("time %d or expire %d is out of range", *t.Time, *t.Expire)
	}
	if userBuf, err = base64.StdEncoding.Strict().DecodeString(t.UserBuf); err != nil {
		return t, nil, err
	}
	// What is signed is the canonical text; a decoder that skips line ends
	// would let another through.
	if base64.StdEncoding.EncodeToString(userBuf) != t.UserBuf {
		return t, nil, errors.New("user buffer is not canonical base64")
	}
	if len(userBuf) == 0 {
		userBuf = nil
	}
	return t, userBuf, nil
}
