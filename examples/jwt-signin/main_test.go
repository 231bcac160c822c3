package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"alice with a token of alice: signed in",
		"mallory with a token of alice: earshot: the token does not hold (code -100018)",
		"alice with a token of alice: earshot: the token has expired (code -100018)",
	}
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%q, want %q", got[i], want[i])
		}
	}
}

// Each way to get in without a token of one's own, through a whole server.
func TestSignIn(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})

	good := func() jwt.MapClaims {
		return jwt.MapClaims{"iss": issuer, "sub": "alice", "aud": audience, "exp": time.Now().Add(time.Hour).Unix()}
	}
	with := func(name string, value any) jwt.MapClaims {
		c := good()
		if c[name] = value; value == nil {
			delete(c, name)
		}
		return c
	}
	sign := func(m jwt.SigningMethod, claims jwt.Claims, key any) string {
		t.Helper()
		s, err := jwt.NewWithClaims(m, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	rs := func(claims jwt.Claims) string { return sign(jwt.SigningMethodRS256, claims, key) }
	whole := rs(good())
	parts := strings.Split(whole, ".")
	none := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"nOnE","typ":"JWT"}`))
	past, future := time.Now().Add(-time.Minute).Unix(), time.Now().Add(time.Minute).Unix()

	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SignIn: signInWith(&key.PublicKey)})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve() }()
	defer func() {
		srv.Close()
		<-served
	}()

	for _, tt := range []struct {
		name, token string
		refused     bool
	}{
		{"good", whole, false},
		{"good for several services", rs(with("aud", []string{"shop", audience})), false},
		{"a clock that is 2 s behind", rs(with("exp", time.Now().Add(-2*time.Second).Unix())), false},

		{"none", sign(jwt.SigningMethodNone, good(), jwt.UnsafeAllowNoneSignatureType), true},
		{"none in another case", none + "." + parts[1] + ".", true},
		{"RS256 without a signature", parts[0] + "." + parts[1] + ".", true},
		{"HS256 with the public key in PEM", sign(jwt.SigningMethodHS256, good(), public), true},
		{"HS256 with the public key in DER", sign(jwt.SigningMethodHS256, good(), der), true},
		{"another algorithm of the same key", sign(jwt.SigningMethodRS512, good(), key), true},
		{"another key", sign(jwt.SigningMethodRS256, good(), other), true},
		{"claims of another token", parts[0] + "." + strings.Split(rs(with("exp", future)), ".")[1] + "." + parts[2], true},

		{"expired", rs(with("exp", past)), true},
		{"without an end", rs(with("exp", nil)), true},
		{"not yet", rs(with("nbf", future)), true},
		{"another user's", rs(with("sub", "bob")), true},
		{"nobody's", rs(with("sub", nil)), true},
		{"for another service", rs(with("aud", "shop")), true},
		{"for no service", rs(with("aud", nil)), true},
		{"of another issuer", rs(with("iss", "https://evil.example.com")), true},
		{"no token", "alice", true},
		{"dots", "..", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := signIn(ctx, srv, "alice", tt.token)
			var code *engine.Error
			switch {
			case !tt.refused && err != nil:
				t.Errorf("refused: %v", err)
			case tt.refused && err == nil:
				t.Error("signed in")
			case tt.refused && (!errors.As(err, &code) || code.Code != hooks.CodeUserSigCheck):
				t.Errorf("refused with %v, want the code %v", err, hooks.CodeUserSigCheck)
			}
		})
	}
}
