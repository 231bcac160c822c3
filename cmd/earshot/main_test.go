package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/bench/load"
	"github.com/earshotrtc/earshot/codec/libopus"
)

func TestMain(m *testing.M) {
	load.Child() // as main does
	goleak.VerifyTestMain(m)
}

func needLibopus(t *testing.T) {
	t.Helper()
	if !libopus.Available {
		t.Skip("built without cgo")
	}
}

// output is what a command printed, for a test that waits for it.
type output struct {
	mu   sync.Mutex
	b    bytes.Buffer
	more chan struct{}
}

func newOutput() *output { return &output{more: make(chan struct{}, 1)} }

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.more <- struct{}{}:
	default:
	}
	return o.b.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// wait waits until text was printed. One goroutine waits at a time.
func (o *output) wait(t *testing.T, text string) {
	t.Helper()
	o.waitFor(t, text, 1)
}

// waitFor waits until a text has been printed so many times.
func (o *output) waitFor(t *testing.T, text string, times int) {
	t.Helper()
	late := time.After(30 * time.Second)
	for strings.Count(o.String(), text) < times {
		select {
		case <-o.more:
		case <-late:
			t.Fatalf("%q was not printed, but:\n%s", text, o)
		}
	}
}

// running is a command that was started.
type running struct {
	out, err *output
	keys     *io.PipeWriter
	stop     context.CancelFunc
	code     chan int
}

// start runs a command line until the test ends or something stops it.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	in, keys := io.Pipe()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{out: newOutput(), err: newOutput(), keys: keys, stop: stop, code: make(chan int, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.code <- run(ctx, args, console{in, r.out, r.err, func(string) string { return "" }})
	}()
	t.Cleanup(func() {
		stop()
		keys.Close()
		<-done
	})
	return r
}

// end waits for the exit code.
func (r *running) end(t *testing.T, want int) {
	t.Helper()
	select {
	case got := <-r.code:
		if got != want {
			t.Errorf("exit code %d, want %d\n%s%s", got, want, r.out, r.err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("it does not end:\n%s%s", r.out, r.err)
	}
}

// key types a line.
func (r *running) key(t *testing.T, line string) {
	t.Helper()
	if _, err := io.WriteString(r.keys, line+"\n"); err != nil {
		t.Fatal(err)
	}
}

// command runs a command line to its end.
func execute(env map[string]string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(context.Background(), args, console{strings.NewReader(""), &out, &err, func(k string) string { return env[k] }})
	return code, out.String(), err.String()
}
