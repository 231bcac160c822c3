package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/bench/load"
)

// loaded starts a server with metrics, and returns the flags of a load of it.
func loaded(t *testing.T) []string {
	needLibopus(t)
	r := start(t, "serve", "-addr", "127.0.0.1:0", "-key", "secret", "-metrics", "127.0.0.1:0", "-log", "none", "-grace", "0s")
	r.out.wait(t, "/metrics\n")
	find := func(pattern string) string {
		m := regexp.MustCompile(pattern).FindStringSubmatch(r.out.String())
		if m == nil {
			t.Fatalf("no %s in %s", pattern, r.out)
		}
		return m[1]
	}
	return []string{
		"load", "-server", find(`on (127\.0\.0\.1:\d+),`), "-pin", find(`; its pin: (\S+)`), "-key", "secret",
		"-metrics", find(`Metrics: (\S+)`), "-users", "4", "-talkers", "2", "-duration", "1s", "-mode", "forward",
	}
}

// A server that runs already is loaded, and says what that costs.
func TestLoadElsewhere(t *testing.T) {
	t.Parallel()
	args := loaded(t)
	code, out, stderr := execute(nil, append(args, "-delays", "-json")...)
	var r load.Result
	if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, stderr)
	}
	if r.Admitted != 4 || r.Due != 4 || r.Hearing != 4 || r.CPU <= 0 || r.Packets == 0 || r.Delay.P50 <= 0 || r.Calibration.Encode <= 0 || r.Peak < 1<<20 {
		t.Errorf("%+v", r)
	}
	if strings.Contains(out, "secret") {
		t.Errorf("the key is in %s", out)
	}
}

// Who loads a server is told what is wrong, and everything ends.
func TestLoadElsewhereFails(t *testing.T) {
	t.Parallel()
	args := loaded(t)
	strange := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(strange.Close)
	for name, c := range map[string]struct {
		more []string
		want string
	}{
		"another key":  {[]string{"-key", "x"}, "-key or -app-id is not the server's"},
		"another app":  {[]string{"-app-id", "7"}, "-key or -app-id is not the server's"},
		"another pin":  {[]string{"-pin", strings.Repeat("12", 32)}, "-pin is not the hash"},
		"no pin":       {[]string{"-pin", ""}, "give its hash with -pin"},
		"no metrics":   {[]string{"-metrics", strange.URL}, "404 Not Found"},
		"no server":    {[]string{"-server", "127.0.0.1:9"}, "is the server running"},
		"no such host": {[]string{"-server", "host.invalid:9"}, "host.invalid"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := execute(nil, append(args[:len(args):len(args)], c.more...)...)
			if code != 1 || out != "" || !strings.Contains(stderr, c.want) || !strings.HasPrefix(stderr, "earshot load: ") || strings.Contains(stderr, "load: load:") {
				t.Errorf("exit code %d, %q, %q; want %q in it", code, out, stderr, c.want)
			}
		})
	}
}

// An interrupt ends a load, and the server has nobody left.
func TestLoadInterrupted(t *testing.T) {
	t.Parallel()
	args := loaded(t)
	r := start(t, append(args, "-duration", "1m")...)
	metrics := args[8]
	late := time.After(time.Minute)
	for participants(t, metrics) != "4" {
		select {
		case <-late:
			t.Fatal("they do not come in")
		case <-time.After(50 * time.Millisecond):
		}
	}
	r.stop()
	r.end(t, 1)
	if s := r.err.String(); s != "earshot load: interrupted\n" {
		t.Errorf("it said %q", s)
	}
	if n := participants(t, metrics); n != "0" {
		t.Errorf("%s are left", n)
	}
}

// participants is that metric.
func participants(t *testing.T, url string) string {
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var b strings.Builder
	if err := res.Write(&b); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?m)^earshot_participants (\d+)`).FindStringSubmatch(b.String())
	if m == nil {
		t.Fatalf("no participants in %s", b.String())
	}
	return m[1]
}
