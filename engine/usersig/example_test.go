package usersig_test

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/usersig"
)

func Example() {
	const key = "the application's key, known to servers alone"
	sig, err := usersig.Sign(key, usersig.Claims{SDKAppID: 1400000000, UserID: "alice", Lifetime: 24 * time.Hour})
	if err != nil {
		panic(err)
	}

	v := usersig.Verifier{SDKAppID: 1400000000, Key: key}
	claims, err := v.Verify(sig, "alice")
	fmt.Println(claims.UserID, claims.Lifetime, err)

	_, err = v.Verify(sig, "bob")
	fmt.Println(errors.Is(err, usersig.ErrUserID))
	// Output:
	// alice 24h0m0s <nil>
	// true
}

// A private-map key says what a user may do in one room.
func ExampleBuildUserBuf() {
	expires := time.Now().Add(time.Hour)
	buf, err := usersig.BuildUserBuf(usersig.PrivateMap{
		SDKAppID: 1400000000, UserID: "alice", Room: "lobby",
		ExpiresAt: expires, Privileges: usersig.ListenOnly,
	})
	if err != nil {
		panic(err)
	}
	key, err := usersig.Sign("key", usersig.Claims{SDKAppID: 1400000000, UserID: "alice", Lifetime: time.Hour, UserBuf: buf})
	if err != nil {
		panic(err)
	}

	claims, err := usersig.Verifier{SDKAppID: 1400000000, Key: "key"}.Verify(key, "alice")
	if err != nil {
		panic(err)
	}
	m, err := usersig.ParseUserBuf(claims.UserBuf)
	fmt.Println(m.Room, m.Privileges.Has(usersig.ReceiveAudio), m.Privileges.Has(usersig.SendAudio), err)
	// Output: lobby true false <nil>
}
