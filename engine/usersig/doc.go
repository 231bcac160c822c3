// Package usersig signs and verifies UserSig, the proof a user shows at
// sign-in, in the form of TLSSigAPIv2: a token that one side makes, the other
// takes.
//
//	sig, err := usersig.Sign(key, usersig.Claims{
//		SDKAppID: 1400000000, UserID: "alice", Lifetime: 180 * 24 * time.Hour,
//	})
//	...
//	v := usersig.Verifier{SDKAppID: 1400000000, Key: key}
//	claims, err := v.Verify(sig, "alice")
//
// Sign belongs on a server: who has the key can sign in as anyone.
//
// # The form
//
// The signature is the HMAC-SHA256, under the key's own characters, of
//
//	TLS.identifier:<user>\nTLS.sdkappid:<app>\nTLS.time:<issued>\nTLS.expire:<lifetime>\n
//
// in whole seconds, followed by TLS.userbuf:<base64>\n where there is a user
// buffer. The token is a JSON object of those fields and the signature, zlib
// (RFC 1950), then base64 with padding, in which * - _ stand for + / =. How
// well zlib compressed it is left open, so two tokens of the same claims may
// differ: compare claims, not tokens.
//
// A private-map key is the same token with a user buffer that says what the
// user may do in which room: see [PrivateMap].
//
// Beyond what the original checks, Verify compares in constant time, bounds
// the size of the token and of what it unpacks to, and reads nothing that is
// not exactly this form.
package usersig
