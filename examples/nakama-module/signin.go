package main

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/engine/usersig"
)

const (
	appID      = 1         // of a UserSig; there is one application
	ticketTime = time.Hour // a client asks for another when it signs in again

	// Codes of RPC errors: those of gRPC, as everywhere in Nakama.
	codeInvalid, codeDenied, codeInternal, codeUnauthenticated = 3, 7, 13, 16
)

// A ticket is what a client needs to sign in: the fields of engine.ClientConfig.
type ticket struct {
	Addr     string   `json:"addr"`
	Pins     []string `json:"pins"` // of the server's certificate; any will do
	SDKAppID uint32   `json:"sdkAppID"`
	UserID   string   `json:"userID"`
	UserSig  string   `json:"userSig"`
}

// signIn is the RPC voice_sign_in: it answers with a ticket for the session's own
// user. The server lets in who shows one, and nobody else.
func (v *voice) signIn(ctx context.Context, logger runtime.Logger, _ *sql.DB, _ runtime.NakamaModule, _ string) (string, error) {
	user, err := sessionUser(ctx)
	if err != nil {
		return "", err
	}
	t := ticket{Addr: v.public, SDKAppID: appID, UserID: user}
	for _, pin := range v.srv.Pins() {
		t.Pins = append(t.Pins, hex.EncodeToString(pin[:]))
	}
	t.UserSig, err = usersig.Sign(v.key, usersig.Claims{SDKAppID: appID, UserID: user, Issued: time.Now(), Lifetime: ticketTime})
	if err != nil {
		logger.Error("voice: %v", err)
		return "", runtime.NewError("voice is not available", codeInternal)
	}
	answer, err := json.Marshal(t)
	return string(answer), err
}

// sessionUser is the user of the session that calls an RPC.
func sessionUser(ctx context.Context) (string, error) {
	user, _ := ctx.Value(runtime.RUNTIME_CTX_USER_ID).(string)
	if user == "" { // a call with the server's HTTP key has none
		return "", runtime.NewError("no user session", codeUnauthenticated)
	}
	return voiceID(user), nil
}

// voiceID is a user's ID at Nakama as that of the voice server, which has at most
// 32 characters: the UUID without its dashes.
func voiceID(user string) string { return strings.ReplaceAll(user, "-", "") }
