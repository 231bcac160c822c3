package main

import (
	"os"
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/codec/libopus"
)

// README.md's quick start is this program.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "\n```go\n"+string(program)+"```\n") {
		t.Error("README.md's quick start is not main.go: copy it there")
	}
}

func TestMakeCall(t *testing.T) {
	if !libopus.Available {
		t.Skip("built without cgo")
	}
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	stdout := os.Stdout
	os.Stdout = out
	defer func() { os.Stdout = stdout }()
	main()
	got, err := os.ReadFile(out.Name())
	const want = "alice calls bob\nbob hears a sound: true\nthe call ended by hangup\n"
	if err != nil || string(got) != want {
		t.Errorf("printed %q, want %q (%v)", got, want, err)
	}
}
