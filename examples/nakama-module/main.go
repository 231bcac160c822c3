// Command nakama-module is voice inside Nakama: a Go runtime module that runs the
// voice server in Nakama's own process. Who is in a match hears those near them,
// and who is in a party or a group's chat hears all who are; see README.md.
package main

import (
	"context"
	"database/sql"
	"strings"

	"github.com/heroiclabs/nakama-common/runtime"
)

// A plugin needs none; go build and go vet do.
func main() {}

// InitModule is called by Nakama when it starts.
func InitModule(ctx context.Context, logger runtime.Logger, _ *sql.DB, nk runtime.NakamaModule, init runtime.Initializer) error {
	env, _ := ctx.Value(runtime.RUNTIME_CTX_ENV).(map[string]string)
	v, err := newVoice(configOf(env), logger, nk)
	if err != nil {
		return err
	}
	for _, register := range []func() error{
		func() error { return init.RegisterRpc("voice_sign_in", v.signIn) },
		func() error { return init.RegisterRpc("voice_party", v.joinParty) },
		func() error {
			return init.RegisterMatch("voice", func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule) (runtime.Match, error) {
				return &match{voice: v}, nil
			})
		},
		func() error {
			return init.RegisterShutdown(func(context.Context, runtime.Logger, *sql.DB, runtime.NakamaModule) { v.close() })
		},
	} {
		if err := register(); err != nil {
			v.close()
			return err
		}
	}
	logger.Info("voice at UDP %v", v.srv.Addr())
	return nil
}

// config is what the runtime's environment says (runtime.env of Nakama's
// configuration).
type config struct {
	addr    string   // VOICE_ADDR: the UDP address to serve on. Default ":4433"
	public  string   // VOICE_PUBLIC: what clients dial. Default: this machine
	origins []string // VOICE_ORIGINS: of pages that may connect, with commas. Default none
}

func configOf(env map[string]string) config {
	return config{
		addr: env["VOICE_ADDR"], public: env["VOICE_PUBLIC"],
		origins: strings.FieldsFunc(env["VOICE_ORIGINS"], func(r rune) bool { return r == ',' || r == ' ' }),
	}
}
