package webview

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
)

// ErrLink is wrapped by the errors of Link.
var ErrLink = errors.New("webview: no link can be made")

// Link is the address of a page, such as https://example.com/call/, with a
// sign-in in its fragment, which browsers keep to themselves. The page erases it
// from the address at once. Whoever has a link is that user: give its UserSig a
// short life, and do not log it.
func Link(page string, sdkAppID uint32, userID, userSig string) (string, error) {
	u, err := url.Parse(page)
	switch {
	case err != nil:
		return "", fmt.Errorf("%w: %w", ErrLink, err)
	case u.Scheme != "https" && u.Scheme != "http", u.Host == "", u.Fragment != "":
		return "", fmt.Errorf("%w: %q is not the address of a page", ErrLink, page)
	case !validUserID(userID):
		return "", fmt.Errorf("%w: %q is not a user ID", ErrLink, userID)
	case userSig == "" || len(userSig) > maxUserSig:
		return "", fmt.Errorf("%w: a UserSig is 1 to %d bytes", ErrLink, maxUserSig)
	}
	return u.String() + "#" + url.Values{
		"sdkAppID": {strconv.FormatUint(uint64(sdkAppID), 10)}, "userID": {userID}, "userSig": {userSig},
	}.Encode(), nil
}
