package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/speech"
)

// serving is a server with the command lines that it printed.
type serving struct {
	*running
	alice, bob []string // alice's calls bob
}

func serve(t *testing.T) serving {
	t.Helper()
	s := serving{running: start(t, "serve", "-addr", "127.0.0.1:0", "-log", "none", "-grace", "0s")}
	s.out.wait(t, "speech:alice bob\n")
	for line := range strings.Lines(s.out.String()) {
		args := strings.Fields(strings.ReplaceAll(line, "'", ""))
		switch {
		case strings.Contains(line, "-user alice"):
			s.alice = args[1:]
		case strings.Contains(line, "-user bob"):
			s.bob = args[1:]
		}
	}
	return s
}

// with puts flags behind the others, where they win, and before a callee.
func with(args []string, flags ...string) []string {
	n := len(args)
	if args[n-1] == "bob" && args[n-2] != "-user" {
		n--
	}
	return append(append(args[:n:n], flags...), args[n:]...)
}

// The commands that serve prints make a call: bob's phone answers, both talk,
// alice hangs up.
func TestCall(t *testing.T) {
	needLibopus(t)
	s := serve(t)
	heard := filepath.Join(t.TempDir(), "heard.wav")
	bob := start(t, with(s.bob, "-auto-answer", "-speaker", "none")...)
	bob.out.wait(t, "Waiting for a call")
	alice := start(t, with(s.alice, "-speaker", heard)...)
	alice.out.wait(t, "You talk with bob")
	bob.out.wait(t, "You talk with alice")
	<-time.After(1500 * time.Millisecond) // real sound takes real time
	alice.key(t, "m")
	alice.out.wait(t, "Your microphone is off.")
	bob.out.wait(t, "alice's microphone is off.")
	alice.key(t, "h")
	alice.end(t, 0)
	alice.out.wait(t, "The call is over after")
	bob.out.wait(t, "(hangup).\nWaiting for a call")
	bob.key(t, "quit")
	bob.end(t, 0)

	pcm, err := audio.Load(heard)
	if err != nil {
		t.Fatal(err)
	}
	right, _ := audio.Similarity(pcm, speech.PCM("bob"))
	wrong, _ := audio.Similarity(pcm, speech.PCM("alice"))
	if right < 0.6 || wrong > right-0.2 {
		t.Errorf("%.1f s heard are like bob by %.2f, like alice by %.2f", float64(len(pcm))/audio.Rate, right, wrong)
	}

	s.stop()
	s.end(t, 0)
	if !strings.Contains(s.out.String(), "Shutting down") {
		t.Errorf("printed %s", s.out)
	}
}

func TestCallKeys(t *testing.T) {
	needLibopus(t)
	s := serve(t)
	quiet := []string{"-mic", "none", "-speaker", "none"}
	bob := start(t, with(s.bob, quiet...)...)
	bob.out.wait(t, "Waiting for a call")

	// Rejected.
	alice := start(t, with(s.alice, quiet...)...)
	bob.out.wait(t, "alice calls (audio). a answers")
	bob.key(t, "?")
	bob.out.wait(t, "Keys: a answer, r reject")
	bob.key(t, "r")
	alice.end(t, 1)
	alice.err.wait(t, "earshot call: bob rejected the call")
	bob.out.wait(t, "You rejected the call.\nWaiting")

	// Taken back.
	alice = start(t, with(s.alice, quiet...)...)
	alice.out.wait(t, "Calling bob")
	alice.key(t, "h")
	alice.end(t, 0)
	bob.out.wait(t, "alice took the call back.")

	// Answered, then the server goes.
	alice = start(t, with(s.alice, quiet...)...)
	alice.out.wait(t, "Calling bob")
	bob.out.waitFor(t, "alice calls (audio). a answers", 3)
	bob.key(t, "") // says nothing
	bob.key(t, "answer")
	alice.out.wait(t, "You talk with bob")
	s.stop()
	s.end(t, 0)
	alice.end(t, 1)
	alice.err.wait(t, "cut off")
	bob.end(t, 1)
	bob.err.wait(t, "shutting down")
}

// What a server refuses, and what a client refuses of a server, in words that
// say what to do.
func TestCallRefused(t *testing.T) {
	needLibopus(t)
	s := serve(t)
	var key string
	for line := range strings.Lines(s.out.String()) {
		if _, after, ok := strings.Cut(line, "Key made for this run: "); ok {
			key = strings.TrimSpace(after)
		}
	}
	sign := func(key string, c usersig.Claims) string {
		sig, err := usersig.Sign(key, c)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	for _, c := range []struct {
		name  string
		flags []string
		want  string
	}{
		{"forged", []string{"-sig", sign("another key", usersig.Claims{SDKAppID: 1, UserID: "bob"})}, "earshot sign"},
		{"expired", []string{"-sig", sign(key, usersig.Claims{
			SDKAppID: 1, UserID: "bob", Issued: time.Now().Add(-time.Hour), Lifetime: time.Minute,
		})}, "earshot sign"},
		{"another user's", []string{"-user", "carol"}, "earshot sign"},
		{"another application's", []string{"-sig", sign(key, usersig.Claims{SDKAppID: 2, UserID: "bob"})}, "earshot sign"},
		{"no signature", []string{"-sig", "hello"}, "not a UserSig"},
		{"another pin", []string{"-pin", strings.Repeat("ab", 32)}, "copy it from"},
		{"no pin", []string{"-pin", ""}, "give its hash with -pin"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t, with(s.bob, append(c.flags, "-mic", "none", "-speaker", "none")...)...)
			r.end(t, 1)
			if !strings.Contains(r.err.String(), c.want) {
				t.Errorf("said %q, want %q in it", r.err, c.want)
			}
		})
	}
	// The server is unharmed.
	bob := start(t, with(s.bob, "-mic", "none", "-speaker", "none")...)
	bob.out.wait(t, "Signed in")
}

func TestNoServer(t *testing.T) {
	needLibopus(t)
	// A socket that nobody reads: no answer, and nobody else's port.
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	t.Parallel()
	code, _, stderr := execute(nil, "call", "-server", silent.LocalAddr().String(), "-user", "bob", "-sig", "x", "-mic", "none", "-speaker", "none")
	if code != 1 || !strings.Contains(stderr, "is the server running") {
		t.Errorf("exit code %d, said %q", code, stderr)
	}
}

func TestPortInUse(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	code, out, stderr := execute(nil, "serve", "-addr", taken.LocalAddr().String())
	if code != 1 || out != "" || !strings.Contains(stderr, "another program has this UDP port") {
		t.Errorf("exit code %d, printed %q, said %q", code, out, stderr)
	}
}

// Without a program for sound devices, a phone says so and works all the same;
// to ask for the device is an error then.
func TestCallWithoutDevices(t *testing.T) {
	needLibopus(t)
	s := serve(t)
	t.Setenv("PATH", t.TempDir())
	bob := start(t, with(s.bob, "-mic", "")...)
	bob.out.wait(t, "Waiting for a call")
	for _, want := range []string{"You will be silent", "You will hear nothing", "alsa-utils"} {
		if !strings.Contains(bob.err.String(), want) {
			t.Errorf("said %q, want %q in it", bob.err, want)
		}
	}
	for _, flag := range []string{"-mic", "-speaker"} {
		r := start(t, with(s.bob, "-mic", "none", "-speaker", "none", flag, "device")...)
		r.end(t, 1)
		if !strings.Contains(r.err.String(), flag+": no program for sound devices") {
			t.Errorf("%s: said %q", flag, r.err)
		}
	}
	bob.key(t, "q")
	bob.end(t, 0)
}
