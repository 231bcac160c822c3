// Command nakama-module is voice inside Nakama: a Go runtime module that runs the
// calling server in Nakama's own process. Who is in a match hears the others who
// are, and with positions only those who are near; see README.md.
package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/engine/usersig"
)

// A plugin needs none; go build and go vet do.
func main() {}

// How long a sign-in lasts: a client asks for another when it comes back later.
const signInTime = time.Hour

// Codes of RPC errors: those of gRPC, as everywhere in Nakama.
const (
	codeInternal        = 13
	codeUnauthenticated = 16
)

// InitModule is called by Nakama when it starts.
func InitModule(ctx context.Context, logger runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, init runtime.Initializer) error {
	env, _ := ctx.Value(runtime.RUNTIME_CTX_ENV).(map[string]string)
	cfg, err := configOf(env)
	if err != nil {
		return err
	}
	v, err := newVoice(cfg, logger)
	if err != nil {
		return err
	}
	for _, register := range []func() error{
		func() error { return init.RegisterRpc("voice_sign_in", v.signIn) },
		func() error {
			return init.RegisterMatch("voice", func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule) (runtime.Match, error) {
				return &match{voice: v}, nil
			})
		},
		func() error {
			return init.RegisterShutdown(func(ctx context.Context, _ runtime.Logger, _ *sql.DB, _ runtime.NakamaModule) { v.close(ctx) })
		},
	} {
		if err := register(); err != nil {
			v.close(ctx)
			return err
		}
	}
	logger.Info("voice at %v", v.srv.Addr())
	return nil
}

// config is what the runtime's environment says (runtime.env of Nakama's
// configuration).
type config struct {
	addr   string // VOICE_ADDR: the UDP address to serve on. Default ":4433"
	public string // VOICE_PUBLIC: what clients dial. Default: addr
	app    uint32 // VOICE_APP_ID: names the game in sign-ins. Default 1
	key    string // VOICE_KEY: signs them; required
}

func configOf(env map[string]string) (config, error) {
	c := config{addr: ":4433", app: 1, key: env["VOICE_KEY"], public: env["VOICE_PUBLIC"]}
	if a := env["VOICE_ADDR"]; a != "" {
		c.addr = a
	}
	if c.key == "" {
		return c, fmt.Errorf("voice: set VOICE_KEY in runtime.env")
	}
	if s := env["VOICE_APP_ID"]; s != "" {
		n, err := strconv.ParseUint(s, 10, 32)
		if err != nil || n == 0 {
			return c, fmt.Errorf("voice: VOICE_APP_ID %q is no number above 0", s)
		}
		c.app = uint32(n)
	}
	return c, nil
}

// signIn is what a client's RPC is answered: all that engine.Dial, or the page's
// module, needs.
type signIn struct {
	Addr     string   `json:"addr"`
	Pins     []string `json:"pins,omitempty"` // of the server's certificate, unless it has a real one
	SDKAppID uint32   `json:"sdkAppID"`
	UserID   string   `json:"userID"`
	UserSig  string   `json:"userSig"`
}

// signIn is the RPC voice_sign_in: it gives the session's user what it takes to
// sign in to the voice server, and nobody else's.
func (v *voice) signIn(ctx context.Context, logger runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ string) (string, error) {
	user, _ := ctx.Value(runtime.RUNTIME_CTX_USER_ID).(string)
	if user == "" { // a call with the server's HTTP key has no user
		return "", runtime.NewError("no user session", codeUnauthenticated)
	}
	out := signIn{Addr: v.cfg.public, SDKAppID: v.cfg.app, UserID: voiceID(user)}
	if out.Addr == "" {
		out.Addr = v.srv.Addr().String()
	}
	for _, pin := range v.srv.Pins() {
		out.Pins = append(out.Pins, hex.EncodeToString(pin[:]))
	}
	sig, err := v.sign(out.UserID)
	if err == nil {
		out.UserSig = sig
		var b []byte
		if b, err = json.Marshal(out); err == nil {
			return string(b), nil
		}
	}
	logger.Error("voice: %v", err)
	return "", runtime.NewError("voice is not available", codeInternal)
}

func (v *voice) sign(userID string) (string, error) {
	return usersig.Sign(v.cfg.key, usersig.Claims{SDKAppID: v.cfg.app, UserID: userID, Issued: time.Now(), Lifetime: signInTime})
}

// voiceID is a Nakama ID, a UUID and perhaps the node of a match, as a user ID of
// the voice server, which has at most 32 characters.
func voiceID(id string) string {
	id, _, _ = strings.Cut(id, ".")
	return strings.ReplaceAll(id, "-", "")
}
