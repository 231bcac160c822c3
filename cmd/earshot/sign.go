package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"flag"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
)

const signHelp = `Usage: earshot sign -user alice [-key KEY] [-app-id 1] [-expire 4320h]
       earshot sign -web PAGE -user alice [-key KEY] [-app-id 1] [-expire 15m]
       earshot sign -verify TOKEN -user alice [-key KEY] [-app-id 1]

Makes a UserSig, the proof that a user shows to sign in, and prints it. It must
be made with the server's key, which also may stand in the environment variable
EARSHOT_KEY. With -verify it checks one instead and says what it holds.

With -web it prints a link to the page of "earshot serve -web", such as
https://example.com/, with the UserSig in it. Whoever has the link is that user,
so it holds for 15 minutes unless -expire says otherwise: give it to the user
alone.
`

// keyFlags are what all commands that know the key have in common.
type keyFlags struct {
	key   string
	appID uint
}

func (k *keyFlags) define(fs *flag.FlagSet) {
	fs.StringVar(&k.key, "key", "", "the application's `key`, which signs and checks UserSigs (default $EARSHOT_KEY)")
	fs.UintVar(&k.appID, "app-id", 1, "the application's `number`, the SDKAppID")
}

// check fills in the key from the environment. There may be none.
func (k *keyFlags) check(con console) error {
	if k.appID == 0 || k.appID > 1<<32-1 {
		return usagef("-app-id %d: it must be 1 to 4294967295", k.appID)
	}
	if k.key == "" {
		k.key = con.env("EARSHOT_KEY")
	}
	return nil
}

// randomKey is a key for a server that was given none.
func randomKey() string {
	var b [32]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func runSign(_ context.Context, fs *flag.FlagSet, args []string, con console) error {
	var k keyFlags
	k.define(fs)
	user := fs.String("user", "", "the user's `name`")
	expire := fs.Duration("expire", 0, "how `long` the UserSig holds (default 4320h, with -web 15m)")
	web := fs.String("web", "", "print a link to this `page` instead of the UserSig")
	verify := fs.String("verify", "", "check this `token` instead of making one")
	if err := parse(fs, args, 0); err != nil {
		return err
	}
	if err := k.check(con); err != nil {
		return err
	}
	expires := false
	fs.Visit(func(f *flag.Flag) { expires = expires || f.Name == "expire" })
	if !expires {
		*expire = 180 * 24 * time.Hour
		if *web != "" {
			*expire = linkLife
		}
	}
	switch {
	case *user == "":
		return usagef("-user is missing: whose UserSig is it?")
	case signal.CheckUserID(*user) != nil:
		return usagef("-user: %v", signal.CheckUserID(*user))
	case k.key == "":
		return usagef("no key: give the server's with -key, or in EARSHOT_KEY")
	case *expire < time.Second:
		return usagef("-expire %v: it must be 1s or more", *expire)
	}
	if *verify != "" {
		claims, err := usersig.Verifier{SDKAppID: uint32(k.appID), Key: k.key}.Verify(*verify, *user)
		if err != nil {
			return err
		}
		fmt.Fprintf(con.out, "valid: user %s, application %d, made %s, holds until %s\n", claims.UserID, claims.SDKAppID,
			claims.Issued.Format(time.RFC3339), claims.ExpiresAt().Format(time.RFC3339))
		return nil
	}
	if *web != "" {
		if err := checkPageURL(*web); err != nil {
			return usagef("-web: %w", err)
		}
		link, err := pageLink(*web, k.key, uint32(k.appID), *user, *expire)
		if err != nil {
			return err
		}
		fmt.Fprintln(con.out, link)
		return nil
	}
	sig, err := usersig.Sign(k.key, usersig.Claims{SDKAppID: uint32(k.appID), UserID: *user, Lifetime: *expire})
	if err != nil {
		return err
	}
	fmt.Fprintln(con.out, sig)
	return nil
}
