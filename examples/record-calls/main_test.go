package main

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/earshotrtc/earshot/codec/libopus"
)

func TestRun(t *testing.T) {
	if !libopus.Available {
		t.Skip("built without cgo")
	}
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := run(t.Context(), &out, dir, "alice"); err != nil {
			t.Fatalf("%v after\n%s", err, &out)
		}
		const want = `recording alice: began
recording alice: ended
recording bob: began
recording bob: ended
recording carol: refused
alice.heard.ogg: 4.99 s
alice.ogg: 4.99 s
all.mix.ogg: 4.99 s
bob.ogg: 4.99 s
`
		if out.String() != want {
			t.Errorf("printed\n%s, want\n%s", &out, want)
		}
	})
}
