package main

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"syscall"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// errNoOpus is for commands that encode sound, in a build that cannot.
var errNoOpus = errors.New("this program was built without libopus, and so can only serve, sign and impair. " +
	"Install gcc, pkg-config, libopus-dev and libopusfile-dev (\"make deps\" does on Debian and Ubuntu) " +
	"and build it again with CGO_ENABLED=1")

func needOpus() error {
	if !libopus.Available {
		return errNoOpus
	}
	return nil
}

// explain is an error's text, and what to do about it where that is known.
func explain(err error) string {
	var (
		coded     *engine.Error
		untrusted x509.UnknownAuthorityError
		wrongName x509.HostnameError
		invalid   x509.CertificateInvalidError
		advice    string
	)
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.Is(err, transport.ErrPin):
		advice = "-pin is not the hash of this server's certificate: copy it from what \"earshot serve\" printed when it started; a certificate that it made itself is another one after each start"
	case errors.As(err, &untrusted), errors.As(err, &wrongName), errors.As(err, &invalid):
		advice = "the server's certificate is not one that this machine trusts: give its hash with -pin, as \"earshot serve\" prints it"
	case errors.Is(err, syscall.EADDRINUSE):
		advice = "another program has this UDP port: stop it, or choose another with -addr (-listen of impair), such as -addr :4434"
	case errors.Is(err, syscall.EACCES):
		advice = "this user may not open that port: choose one above 1023 with -addr"
	case errors.As(err, &coded) && coded.Code == hooks.CodeUserSigCheck:
		advice = "the UserSig does not hold: make one with \"earshot sign\" for the same -app-id, -user and key as the server's"
	case errors.As(err, &coded) && coded.Code == hooks.CodeUserSig:
		advice = "-sig is not a UserSig: copy all of what \"earshot sign\" printed"
	case errors.Is(err, context.DeadlineExceeded):
		advice = "is the server running there, and does the network let UDP through?"
	}
	text := strings.TrimPrefix(err.Error(), "earshot: ")
	if advice == "" {
		return text
	}
	return text + "\n" + advice
}
