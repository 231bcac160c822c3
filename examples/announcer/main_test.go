package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/internal/speech"
)

func TestRun(t *testing.T) {
	if !libopus.Available {
		t.Skip("built without cgo")
	}
	file := filepath.Join(t.TempDir(), "order.ogg")
	if err := os.WriteFile(file, speech.Ogg("bob"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		if err := run(t.Context(), &out, file); err != nil {
			t.Fatalf("%v after\n%s", err, &out)
		}
		const want = `red hears the chime: true
blue hears the chime: true
red hears the order: false
blue hears the order: true
`
		if out.String() != want {
			t.Errorf("printed\n%s, want\n%s", &out, want)
		}
	})
}
