package main

import (
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), &out); err != nil {
		t.Fatalf("%v after\n%s", err, &out)
	}
	const want = `-- alice calls
default view: alice calls (audio).
-- bob answers
default view: You talk with alice.
-- alice hangs up
default view: The call is over after 0:00 (hangup).
-- the default view is turned off, and alice calls
game: the phone in the tavern rings: alice
game: the barkeeper talks with alice
-- it is turned on again, in the middle of the call
default view: You talk with alice.
-- bob hangs up
default view: The call is over after 0:00 (hangup).
-- alice makes a video call
mirror: alice appears in the mirror
-- and takes it back
mirror: only a mirror again
`
	if out.String() != want {
		t.Errorf("it prints\n%s\nwant\n%s", &out, want)
	}
}
