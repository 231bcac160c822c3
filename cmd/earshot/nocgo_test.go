//go:build !cgo

package main

import (
	"strings"
	"testing"
)

func TestWithoutOpus(t *testing.T) {
	for _, args := range [][]string{{"demo"}, {"call", "-user", "alice", "-sig", "x"}} {
		code, out, stderr := execute(nil, args...)
		if code != 1 || out != "" || !strings.Contains(stderr, "libopus-dev") {
			t.Errorf("%v: exit code %d, %q, %q", args, code, out, stderr)
		}
	}
	s := start(t, "serve", "-addr", "127.0.0.1:0", "-log", "none")
	s.out.wait(t, "speech:alice bob\n")
	s.stop()
	s.end(t, 0)
}
