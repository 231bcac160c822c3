package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/internal/speech"
)

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}} {
		code, out, stderr := execute(nil, args...)
		if code != 0 || stderr != "" {
			t.Errorf("%v: exit code %d, %q", args, code, stderr)
		}
		for _, c := range commands() {
			if !strings.Contains(out, c.name) || !strings.Contains(out, c.short) {
				t.Errorf("%v says nothing of %s", args, c.name)
			}
		}
	}
	if code, out, stderr := execute(nil); code != 2 || out != "" || !strings.Contains(stderr, "Usage: earshot") {
		t.Errorf("without a command: exit code %d, %q, %q", code, out, stderr)
	}
}

func TestCommandHelp(t *testing.T) {
	flags := map[string]string{
		"demo":  "-duration -json -out",
		"serve": "-addr -app-id -key -cert -tls-key -origin -web -web-url -mode -metrics -log -grace",
		"call":  "-server -pin -user -sig -app-id -mic -speaker -video -record -auto-answer -log",
		"load":  "-server -pin -key -app-id -metrics -mode -rooms -users -talkers -every -duration -frame -frames -bare -unsteered -profile -curve -json",
		"impair": "-listen -to -preset -delay -jitter -loss -burst -reorder -reorder-delay -duplicate -rate -queue -mtu " +
			"-up-delay -down-mtu -for -stats -rebind -outage -clients -seed -json",
		"sign": "-app-id -key -user -expire -web -verify",
	}
	for _, c := range commands() {
		for _, args := range [][]string{{c.name, "-h"}, {"help", c.name}} {
			code, out, stderr := execute(nil, args...)
			if code != 0 || stderr != "" || !strings.HasPrefix(out, "Usage: earshot "+c.name) {
				t.Errorf("%v: exit code %d, %q, %q", args, code, out, stderr)
			}
			for _, f := range strings.Fields(flags[c.name]) {
				if !strings.Contains(out, "\n  "+f+" ") && !strings.Contains(out, "\n  "+f+"\n") && !strings.Contains(out, "\n  "+f+"\t") {
					t.Errorf("%v says nothing of %s", args, f)
				}
			}
			for line := range strings.Lines(c.help) {
				if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
					t.Errorf("%s: a line of %d characters: %s", c.name, n, line)
				}
			}
		}
	}
}

// A wrong command line is 2, what goes wrong later is 1; both say what to do,
// and nothing on standard output.
func TestErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	voice := speech.Ogg("alice")
	me := []string{"call", "-server", "127.0.0.1:9", "-user", "alice", "-sig", "x", "-speaker", "none"}
	call := func(more ...string) []string { return append(me[:len(me):len(me)], more...) }
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
		opus bool // only with libopus does it get so far
	}{
		{"unknown command", []string{"sing"}, 2, `no command "sing"`, false},
		{"unknown command's help", []string{"help", "sing"}, 2, `no command "sing"`, false},
		{"unknown flag", []string{"demo", "-loud"}, 2, "-loud", false},
		{"argument", []string{"demo", "10s"}, 2, `"10s"`, false},

		{"short demo", []string{"demo", "-duration", "1s"}, 2, "2s to 10m", false},
		{"long demo", []string{"demo", "-duration", "11m"}, 2, "2s to 10m", false},
		{"no duration", []string{"demo", "-duration", "ten"}, 2, "-duration", false},
		{"no directory", []string{"demo", "-out", file("file", nil)}, 1, "-out", true},

		{"app id 0", []string{"serve", "-app-id", "0"}, 2, "-app-id", false},
		{"app id too big", []string{"serve", "-app-id", "4294967296"}, 2, "-app-id", false},
		{"no port", []string{"serve", "-addr", "localhost"}, 2, "host:port", false},
		{"empty port", []string{"serve", "-addr", "localhost:"}, 2, "port", false},
		{"big port", []string{"serve", "-addr", ":65536"}, 2, "65535", false},
		{"log level", []string{"serve", "-log", "loud"}, 2, "debug, info", false},
		{"origin", []string{"serve", "-origin", "example.com"}, 2, "https://example.com", false},
		{"half a certificate", []string{"serve", "-cert", "x"}, 2, "go together", false},
		{"no certificate", []string{"serve", "-cert", file("c", nil), "-tls-key", file("k", nil)}, 1, "certificate", false},
		{"negative grace", []string{"serve", "-grace", "-1s"}, 2, "-grace", false},

		{"metrics without a port", []string{"serve", "-metrics", "9464"}, 2, "localhost:9464", false},
		{"no address for metrics", []string{"serve", "-addr", "127.0.0.1:0", "-metrics", "256.0.0.1:0"}, 1, "-metrics: listen", false},

		{"load of no mode", []string{"load", "-mode", ""}, 2, "mix or forward", false},
		{"too large a load", []string{"load", "-users", "5001"}, 2, "5000 users", false},
		{"more talk than there are", []string{"load", "-users", "4"}, 2, "5 of 4", false},
		{"pin of no server", []string{"load", "-pin", "x"}, 2, "-server", false},
		{"key of no server", []string{"load", "-key", "x"}, 2, "-server", false},
		{"load without a key", []string{"load", "-server", "localhost:9"}, 2, "EARSHOT_KEY", false},
		{"load without a port", []string{"load", "-server", "localhost", "-key", "k"}, 2, "host:port", false},
		{"load of nowhere", []string{"load", "-server", ":9", "-key", "k"}, 2, "localhost:4433", false},
		{"load with a bad pin", []string{"load", "-server", "localhost:9", "-key", "k", "-pin", "beef"}, 2, "-pin", false},
		{"load with bad metrics", []string{"load", "-server", "localhost:9", "-key", "k", "-metrics", "localhost:9464"}, 2, "want a URL", false},
		{"bare load of a server", []string{"load", "-server", "localhost:9", "-key", "k", "-bare"}, 2, "starts itself", false},
		{"curve of one size", []string{"load", "-users", "4", "-curve", "x.svg"}, 2, "not with -users", false},
		{"curve into no folder", []string{"load", "-curve", filepath.Join(t.TempDir(), "no", "x.svg")}, 1, "no such file", false},
		{"curve of a server", []string{"load", "-server", "localhost:9", "-key", "k", "-curve", "x.svg"}, 2, "starts itself", false},

		{"loss of 2", []string{"impair", "-loss", "2"}, 2, "-loss: want a share such as 2% or 0.02", false},
		{"negative loss", []string{"impair", "-up-loss", "-1%"}, 2, "-up-loss: want a share", false},
		{"no time", []string{"impair", "-delay", "40"}, 2, "-delay: want a time such as 40ms", false},
		{"negative time", []string{"impair", "-jitter", "-4ms"}, 2, "-jitter: want a time", false},
		{"no burst", []string{"impair", "-burst", "5%"}, 2, "such as 5%/8", false},
		{"no rate", []string{"impair", "-rate", "2MB"}, 2, "500k or 2M", false},
		{"rate 0", []string{"impair", "-rate", "0"}, 2, "bits per second", false},
		{"no queue", []string{"impair", "-rate", "1M", "-queue", "long"}, 2, "150ms or a number of bytes", false},
		{"MTU 0", []string{"impair", "-mtu", "0"}, 2, "1 to 65535", false},
		{"queue without rate", []string{"impair", "-up-rate", "1M", "-queue", "1s"}, 2, "without -rate", false},
		{"delay without reordering", []string{"impair", "-reorder-delay", "1s"}, 2, "without -reorder", false},
		{"preset", []string{"impair", "-preset", "5g"}, 2, "wifi-bad, train", false},
		{"server without host", []string{"impair", "-to", ":4433"}, 2, "a host and a port", false},
		{"server's port 0", []string{"impair", "-to", "localhost:0"}, 2, "a host and a port", false},
		{"to itself", []string{"impair", "-to", "localhost:9", "-listen", "localhost:9"}, 2, "another address", false},
		{"no address to listen on", []string{"impair", "-listen", "4434"}, 2, "-listen", false},
		{"no outage", []string{"impair", "-outage", "3s"}, 2, "such as 3s/30s", false},
		{"endless outage", []string{"impair", "-outage", "3s/3s"}, 2, "such as 3s/30s", false},
		{"negative duration", []string{"impair", "-for", "-1s"}, 2, "-for", false},
		{"no clients", []string{"impair", "-clients", "0"}, 2, "-clients", false},

		{"no user", []string{"sign", "-key", "k"}, 2, "-user", false},
		{"no user's ID", []string{"sign", "-user", "a b", "-key", "k"}, 2, "character other than", false},
		{"no key", []string{"sign", "-user", "alice"}, 2, "EARSHOT_KEY", false},
		{"expired at once", []string{"sign", "-user", "alice", "-key", "k", "-expire", "0s"}, 2, "-expire", false},
		{"no token", []string{"sign", "-user", "alice", "-key", "k", "-verify", "x"}, 1, "malformed", false},

		{"who calls", []string{"call", "-sig", "x"}, 2, "-user", false},
		{"no sig", []string{"call", "-user", "alice"}, 2, "earshot sign", false},
		{"oneself", []string{"call", "-user", "alice", "-sig", "x", "alice"}, 2, "themselves", false},
		{"two callees", []string{"call", "-user", "alice", "-sig", "x", "bob", "carol"}, 2, "carol", false},
		{"no such voice", call("-mic", "speech:zoe"), 1, "alice, bob", true},
		{"no such file", call("-mic", filepath.Join(dir, "none.ogg")), 1, "none.ogg", true},
		{"corrupt ogg", call("-mic", file("a.ogg", append(voice[:5000:5000], voice[6000:]...))), 1, "ogg: page", true},
		{"corrupt wav", call("-mic", file("a.wav", speech.WAV()[:999])), 1, "a.wav: wav:", true},
		{"text for sound", call("-mic", file("a.txt", []byte("la la la"))), 1, "neither a WAV nor", true},
		{"no wav to write", call("-mic", "none", "-speaker", "x.mp3"), 1, ".wav", true},
		{"cannot write wav", call("-mic", "none", "-speaker", filepath.Join(dir, "no", "x.wav")), 1, "x.wav", true},
		{"no film", call("-mic", "none", "-video", filepath.Join(dir, "none.ivf")), 1, "none.ivf", true},
		{"sound for film", call("-mic", "none", "-video", file("b.ogg", voice)), 1, "neither an IVF nor", true},
		{"record to what", call("-mic", "none", "-record", "x.avi"), 1, ".webm", true},
		{"cannot record", call("-mic", "none", "-record", filepath.Join(dir, "no", "x.webm")), 1, "x.webm", true},
		{"bad pin", call("-mic", "none", "-pin", "beef"), 1, "beef", true},
		{"bad address", call("-mic", "none", "-server", "nowhere"), 1, "host:port", true},
		{"bad user", call("-mic", "none", "-user", "al ice"), 1, "user", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.opus {
				needLibopus(t)
			}
			code, out, stderr := execute(nil, c.args...)
			if code != c.code || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, want %d; said %q, want %q in it", code, c.code, stderr, c.want)
			}
			if out != "" || !strings.HasPrefix(stderr, "earshot") {
				t.Errorf("printed %q, and said %q", out, stderr)
			}
		})
	}
}

func TestSign(t *testing.T) {
	env := map[string]string{"EARSHOT_KEY": "a key"}
	code, sig, _ := execute(env, "sign", "-user", "alice", "-app-id", "7", "-expire", "1h")
	sig = strings.TrimSpace(sig)
	if code != 0 || strings.ContainsAny(sig, " \n") {
		t.Fatalf("exit code %d, printed %q", code, sig)
	}
	for _, c := range []struct {
		name, key, user, appID string
		code                   int
		want                   string
	}{
		{"right", "a key", "alice", "7", 0, "valid: user alice, application 7"},
		{"another key", "b key", "alice", "7", 1, "signature"},
		{"another user", "a key", "bob", "7", 1, "another user"},
		{"another application", "a key", "alice", "8", 1, "another SDKAppID"},
	} {
		code, out, stderr := execute(nil, "sign", "-verify", sig, "-key", c.key, "-user", c.user, "-app-id", c.appID)
		if code != c.code || !strings.Contains(out+stderr, c.want) {
			t.Errorf("%s: exit code %d, %q", c.name, code, out+stderr)
		}
	}
}
