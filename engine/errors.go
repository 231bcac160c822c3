package engine

import (
	"errors"
	"fmt"
	"net"

	"github.com/earshotrtc/earshot/hooks"
)

// An Error is a failure with one of the original's codes. Two are the same to
// errors.Is when their codes are.
type Error struct {
	Code    hooks.Code
	Message string
}

func (e *Error) Error() string { return fmt.Sprintf("earshot: %s (code %d)", e.Message, int(e.Code)) }

// Is reports whether target is an *Error with the same code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Errors of this package. They work with errors.Is.
var (
	// ErrClosed: the client or server was closed on this side. It wraps
	// net.ErrClosed.
	ErrClosed = fmt.Errorf("earshot: closed: %w", net.ErrClosed)
	// ErrNoSignIn: a server has neither a sign-in decider nor a key, so nobody
	// could be told from anybody else.
	ErrNoSignIn = errors.New("earshot: no sign-in: set ServerConfig.SignIn, or SDKAppID and Key")
	// ErrNoCall: there is no call to accept, reject or hang up.
	ErrNoCall = errors.New("earshot: no such call now")
	// ErrNoCodec: ClientConfig.Codec is missing, and a microphone is to be
	// encoded.
	ErrNoCodec = errors.New("earshot: no codec: set ClientConfig.Codec, for example to libopus.Driver{}")
	// ErrBusy: the user is dialling, ringing or in a call already.
	ErrBusy = &Error{Code: hooks.CodeBusy, Message: "busy: in a call already"}
	// ErrDisconnected: the connection was lost and did not come back in time.
	ErrDisconnected = &Error{Code: hooks.CodeDisconnected, Message: "connection lost"}
	// ErrSlowListener: a listener left 1,024 call events waiting. They are never
	// dropped, so its client was closed.
	ErrSlowListener = errors.New("earshot: the listener did not keep up")
	// ErrKicked: the same user signed in elsewhere, or the server removed it.
	ErrKicked = errors.New("earshot: signed out by the server")
)
