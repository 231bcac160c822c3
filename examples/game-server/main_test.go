package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// The game runs for some seconds: everybody is in, some talk, and some hear
// them.
func TestGame(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), config{addr: "127.0.0.1:0", bots: 12, side: 20, hearing: 15, speed: 2, length: 4 * time.Second}, &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	// Who talks and who is near is chance: at some moment enough are.
	good := false
	for _, line := range lines {
		var players, talk, times, hear int
		if _, err := fmt.Sscanf(line, "%d players, %d talk and are heard %d times; %d bots hear somebody", &players, &talk, &times, &hear); err != nil {
			continue // not a count of them
		}
		good = good || players == 12 && talk >= 2 && times >= 4 && hear >= 2
	}
	if !good {
		t.Errorf("of 12 players never enough were heard:\n%s", out.String())
	}
}

// The lines in README.md are those of voice.go, and few.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile("voice.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(code), "// README:begin\n")
	lines, _, ok := strings.Cut(rest, "\n// README:end")
	if !ok || !strings.Contains(string(readme), "```go\n"+lines+"```") {
		t.Error("README.md's game server is not what is in voice.go: copy it there")
	}
	n := 0
	for _, line := range strings.Split(lines, "\n") {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			n++
		}
	}
	if n > 30 {
		t.Errorf("%d lines", n)
	}
}
