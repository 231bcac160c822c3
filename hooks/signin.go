package hooks

import (
	"context"
	"fmt"
	"time"
)

// SignInRequest is what a device shows when it signs in.
type SignInRequest struct {
	// UserID is the user it wants to be; it has the form of a user ID.
	UserID string
	// UserSig is the proof: a UserSig, or whatever the host's decider reads.
	// At most 8 KiB; hostile input.
	UserSig string
	// SDKAppID is the application the client says it belongs to.
	SDKAppID uint32
	// Agent is the client's name and version; hostile input.
	Agent string
	// RemoteAddr is the client's address as the transport sees it, and
	// Protocol what it came over: "quic", "webtransport" or "pipe".
	RemoteAddr string
	Protocol   string
}

// SignIn is what a decider says of a device that may sign in.
type SignIn struct {
	// ExpiresAt is when the proof loses its validity: the device is told with
	// OnUserSigExpired. Zero means never.
	ExpiresAt time.Time
}

// A SignInDecider decides who may sign in. Without an error the device signs
// in as the user it asked for; a *Refusal is told to the device as it is; any
// other error is logged, and the device hears only that it was refused.
//
// It is called on a goroutine of its own for each device, several at a time,
// and may block: after 2 s the answer is no, and a panic is a no, too. It is
// never taken off.
type SignInDecider func(ctx context.Context, req SignInRequest) (SignIn, error)

// A Refusal is an error that may be shown to the one who was refused.
type Refusal struct {
	Code    Code
	Message string
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Message, r.Code) }
