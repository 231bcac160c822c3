// Command jwt-signin shows a server that lets users in by the JSON Web Tokens
// (RFC 7519) of the host's own identity provider, in place of UserSigs: the
// provider signs with its private key, and the game server has the public one.
//
//	go run ./examples/jwt-signin
package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	issuer   = "https://id.example.com"
	audience = "voice" // a token for another service of the host opens nothing here
)

// signInWith decides by the token that a device shows as its UserSig.
//
// What is accepted is said here and not by the token: one algorithm, so that
// neither "none" nor an HMAC made with the public key passes, and a token with
// an end, for this service, of the very user that the device wants to be.
func signInWith(key *rsa.PublicKey) hooks.SignInDecider {
	return func(_ context.Context, req hooks.SignInRequest) (hooks.SignIn, error) {
		var claims jwt.RegisteredClaims
		_, err := jwt.ParseWithClaims(req.UserSig, &claims,
			func(*jwt.Token) (any, error) { return key, nil },
			jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}),
			jwt.WithIssuer(issuer),
			jwt.WithAudience(audience),
			jwt.WithSubject(req.UserID),
			jwt.WithExpirationRequired(),
			jwt.WithLeeway(5*time.Second), // clocks differ a little
		)
		if err != nil { // a Refusal is told to the device: say no more than it may know
			why := "the token does not hold"
			if errors.Is(err, jwt.ErrTokenExpired) {
				why = "the token has expired"
			}
			return hooks.SignIn{}, &hooks.Refusal{Code: hooks.CodeUserSigCheck, Message: why}
		}
		return hooks.SignIn{ExpiresAt: claims.ExpiresAt.Time}, nil
	}
}

// issue is the identity provider's part, on another machine as a rule.
func issue(key *rsa.PrivateKey, user string, lifetime time.Duration) (string, error) {
	return jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.RegisteredClaims{
		Issuer: issuer, Subject: user, Audience: jwt.ClaimStrings{audience},
		ExpiresAt: jwt.NewNumericDate(time.Now().Add(lifetime)),
	}).SignedString(key)
}

// signIn signs a user in with a token, as a device would.
func signIn(ctx context.Context, srv *engine.Server, user, token string) error {
	c, err := engine.Dial(ctx, engine.ClientConfig{Dialer: srv.Pipe(), UserID: user, UserSig: token})
	if err != nil {
		return err
	}
	c.Destroy()
	<-c.Done()
	return nil
}

func run(ctx context.Context, out io.Writer) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	srv, err := engine.NewServer(engine.ServerConfig{InProcess: true, SignIn: signInWith(&key.PublicKey)})
	if err != nil {
		return err
	}
	go srv.Serve()
	defer srv.Close()

	for _, try := range []struct {
		user, of string
		lifetime time.Duration
	}{
		{"alice", "alice", time.Hour},
		{"mallory", "alice", time.Hour},
		{"alice", "alice", -time.Minute},
	} {
		token, err := issue(key, try.of, try.lifetime)
		if err != nil {
			return err
		}
		if err := signIn(ctx, srv, try.user, token); err != nil {
			fmt.Fprintf(out, "%s with a token of %s: %v\n", try.user, try.of, err)
			continue
		}
		fmt.Fprintf(out, "%s with a token of %s: signed in\n", try.user, try.of)
	}
	return nil
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := run(ctx, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
