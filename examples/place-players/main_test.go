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
		const want = `-20 m east of the gate: the bard, far away, at the right
 -6 m east of the gate: the bard, at the right
  0 m east of the gate: the bard, ahead
  6 m east of the gate: the bard, at the left
 20 m east of the gate: the bard, far away, at the left
`
		if out.String() != want {
			t.Errorf("printed\n%s, want\n%s", &out, want)
		}
	})
}
