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
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := run(t.Context(), &out); err != nil {
			t.Fatalf("%v after\n%s", err, &out)
		}
		const want = `red hears 1000 Hz: true, 6000 Hz: true
blue hears 1000 Hz: true, 6000 Hz: false
`
		if out.String() != want {
			t.Errorf("printed\n%s, want\n%s", &out, want)
		}
	})
}
