package main

import (
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// echo is a server that sends back what it gets.
func echo(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			conn.WriteToUDPAddrPort(buf[:n], from)
		}
	}()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn
}

func TestImpair(t *testing.T) {
	server := echo(t).LocalAddr().String()
	r := start(t, "impair", "-listen", "127.0.0.1:0", "-to", server, "-json",
		"-delay", "10ms", "-down-delay", "20ms", "-up-mtu", "1000", "-stats", "20ms", "-rebind", "30ms")
	r.out.wait(t, "\n")
	first, _, _ := strings.Cut(r.out.String(), "\n")
	var report impairReport
	if err := json.Unmarshal([]byte(first), &report); err != nil || report.To != server {
		t.Fatalf("printed %s: %v", first, err)
	}
	client, err := net.Dial("udp", report.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	buf := make([]byte, 2000)
	client.Write(buf[:1001]) // lost
	// An answer is lost if -rebind comes while it is awaited.
	client.SetReadDeadline(time.Now().Add(10 * time.Second))
	answered := make(chan error, 1)
	sent := time.Now()
	go func() {
		_, err := client.Read(buf)
		if took := time.Since(sent); err == nil && took < 30*time.Millisecond {
			err = errors.New("it took " + took.String())
		}
		answered <- err
	}()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for waiting := true; waiting; {
		client.Write([]byte("hello"))
		select {
		case err := <-answered:
			if err != nil {
				t.Fatal(err)
			}
			waiting = false
		case <-tick.C:
		}
	}
	n := strings.Count(r.out.String(), "\n")
	r.out.waitFor(t, "\n", n+3)
	r.stop()
	r.end(t, 0)
	lines := strings.Split(strings.TrimSpace(r.out.String()), "\n")
	var last map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
		t.Fatal(err)
	}
	up := last["up"].(map[string]any)
	if !reflect.DeepEqual(up["dropped"], map[string]any{"MTU": 1.0}) || up["delivered"] == 0.0 || last["at_s"] == 0.0 || last["clients"] != 1.0 {
		t.Errorf("the last line is %v", last)
	}
}

// An outage comes, and goes.
func TestImpairOutage(t *testing.T) {
	server := echo(t).LocalAddr().String()
	r := start(t, "impair", "-listen", "127.0.0.1:0", "-to", server, "-outage", "30ms/60ms", "-stats", "5ms", "-json")
	r.out.wait(t, "\n")
	var report impairReport
	if err := json.NewDecoder(strings.NewReader(r.out.String())).Decode(&report); err != nil {
		t.Fatal(err)
	}
	client, err := net.Dial("udp", report.Listen)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	last := func() (r2 impairReport) {
		lines := strings.Split(r.out.String(), "\n")
		if err := json.Unmarshal([]byte(lines[len(lines)-2]), &r2); err != nil {
			t.Fatal(err)
		}
		return r2
	}
	changes, down := 0, false // down: the packets that came since the line before were lost
	late := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for before := report; changes < 3; {
		select {
		case <-tick.C:
			client.Write([]byte("hello"))
		case <-late:
			t.Fatalf("%d changes", changes)
		}
		now := last()
		lost, came := now.Up.Dropped["down"] > before.Up.Dropped["down"], now.Up.Delivered > before.Up.Delivered
		before = now
		if lost != came && lost != down {
			down = lost
			changes++
		}
	}
	r.stop()
	r.end(t, 0)
}

// A call goes over the network of a preset, and the end says what it did.
func TestImpairCall(t *testing.T) {
	needLibopus(t)
	s := serve(t)
	_, server, _ := strings.Cut(s.out.String(), " on ")
	server, _, _ = strings.Cut(server, ",")
	r := start(t, "impair", "-listen", "127.0.0.1:0", "-to", server, "-preset", "wifi-bad", "-mtu", "1300", "-duplicate", "50%")
	r.out.wait(t, "  down  2ms delay and up to 30ms more, 2 % lost, 4 in a row, 50 % doubled, 20000 kbit/s with a queue of 250ms, packets of at most 1300 bytes\n")
	_, addr, _ := strings.Cut(r.out.String(), "What comes to ")
	addr, _, _ = strings.Cut(addr, " ")
	bob := start(t, with(s.bob, "-server", addr, "-auto-answer", "-mic", "none", "-speaker", "none")...)
	bob.out.wait(t, "Waiting for a call")
	alice := start(t, with(s.alice, "-server", addr, "-mic", "none", "-speaker", "none")...)
	alice.out.wait(t, "You talk with bob")
	bob.out.wait(t, "You talk with alice")
	alice.key(t, "h")
	alice.end(t, 0)
	bob.out.wait(t, "The call is over")
	r.stop()
	r.end(t, 0)
	for _, want := range []string{"s  up   ", " packets came, ", " went on", " doubled", "\n           down "} {
		if !strings.Contains(r.out.String(), want) {
			t.Errorf("printed %q, want %q in it", r.out, want)
		}
	}
}

// The command lines of README.md and of the help work.
func TestImpairExamples(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	server := echo(t).LocalAddr().String()
	for where, text := range map[string]string{"README.md": string(readme), "the help": impairHelp} {
		found := 0
		for line := range strings.Lines(text) {
			_, args, ok := strings.Cut(strings.TrimSpace(line), "earshot impair -")
			if !ok || strings.HasPrefix(line, "Usage:") || strings.Contains(line, "`") {
				continue
			}
			found++
			line := append([]string{"impair"}, strings.Fields("-"+args)...)
			code, out, stderr := execute(nil, append(line, "-listen", "127.0.0.1:0", "-to", server, "-for", "1ms")...)
			if code != 0 || stderr != "" || !strings.Contains(out, "0 packets came") {
				t.Errorf("%s: %v: exit code %d, %q, %q", where, line, code, out, stderr)
			}
		}
		if found < 2 {
			t.Errorf("%s has %d examples", where, found)
		}
	}
}

func TestImpairPortInUse(t *testing.T) {
	server := echo(t).LocalAddr().String()
	code, out, stderr := execute(nil, "impair", "-listen", server, "-to", "127.0.0.1:9")
	if code != 1 || out != "" || !strings.Contains(stderr, "another program has this UDP port") {
		t.Errorf("exit code %d, printed %q, said %q", code, out, stderr)
	}
}

func TestImpairFlags(t *testing.T) {
	const ms = time.Millisecond
	_, train, _ := preset("train")
	train.Rate = 500e3
	for _, c := range []struct {
		args     string
		up, down simnet.Link
	}{
		{"", simnet.Link{}, simnet.Link{}},
		{"-delay 40ms -jitter 10ms -loss 2%", simnet.Link{Delay: 40 * ms, Jitter: 10 * ms, Loss: 0.02}, simnet.Link{Delay: 40 * ms, Jitter: 10 * ms, Loss: 0.02}},
		// A direction's own flag wins, wherever it stands.
		{"-up-loss 0.5 -loss 0.02 -mtu 1200", simnet.Link{Loss: 0.5, MTU: 1200}, simnet.Link{Loss: 0.02, MTU: 1200}},
		{"-up-rate 1.5M -up-queue 30000 -down-rate 64000 -down-queue 150ms",
			simnet.Link{Rate: 1_500_000, QueueBytes: 30000}, simnet.Link{Rate: 64_000, QueueTime: 150 * ms}},
		{"-rate 500k", simnet.Link{Rate: 500_000}, simnet.Link{Rate: 500_000}},
		{"-up-burst 5%/8", simnet.Link{Burst: simnet.Bursts(0.05, 8)}, simnet.Link{}},
		{"-down-reorder 100% -down-reorder-delay 5ms -down-duplicate 1%", simnet.Link{}, simnet.Link{Reorder: 1, ReorderDelay: 5 * ms, Duplicate: 0.01}},
		{"-rate 500k -preset train", train, train},
		{"-preset train -rate 500k", train, train},
	} {
		fs := flag.NewFlagSet("impair", flag.ContinueOnError)
		fs.SetOutput(io.Discard)
		var f linkFlags
		f.define(fs)
		if err := fs.Parse(strings.Fields(c.args)); err != nil {
			t.Errorf("%s: %v", c.args, err)
			continue
		}
		up, down, err := f.links()
		if err != nil || up != c.up || down != c.down {
			t.Errorf("%s: %+v and %+v, %v; want %+v and %+v", c.args, up, down, err, c.up, c.down)
		}
	}
	for _, name := range []string{"wifi-bad", "train", "3g", "satellite"} {
		up, down, ok := preset(name)
		if !ok || up.Validate() != nil || down.Validate() != nil || up == (simnet.Link{}) || !strings.Contains(presetHelp, "  "+name+" ") {
			t.Errorf("preset %s: %+v, %+v, %v", name, up, down, ok)
		}
	}
}
