package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// newProcessServer starts a server without a socket that lets everybody in.
func newProcessServer(b *testing.B, users int, change func(*engine.ServerConfig)) *engine.Server {
	cfg := engine.ServerConfig{
		InProcess: true, MaxUsers: users, SDKAppID: app, Key: key,
		SignIn: func(context.Context, hooks.SignInRequest) (hooks.SignIn, error) { return hooks.SignIn{}, nil },
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := engine.NewServer(cfg)
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan struct{})
	go func() { srv.Serve(); close(done) }()
	b.Cleanup(func() { srv.Close(); <-done })
	return srv
}

// memory is what the process uses, after a collection.
func memory() uint64 {
	var m runtime.MemStats
	for range 3 {
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return m.HeapAlloc + m.StackInuse
}

// idle signs in a user who does nothing, by the bare protocol.
func idle(b *testing.B, srv *engine.Server, user string) transport.Session {
	s, err := srv.Pipe().Dial(b.Context(), "")
	if err != nil {
		b.Fatal(err)
	}
	frame, err := signal.Encode(signal.Message{Type: signal.TypeSignIn}, signal.SignIn{Version: 1, UserID: user, UserSig: "x"})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.Control().Write(frame); err != nil {
		b.Fatal(err)
	}
	m, err := signal.NewReader(s.Control()).Read()
	if err != nil || m.Type != signal.TypeWelcome {
		b.Fatalf("%s: %v %v", user, m.Type, err)
	}
	return s
}

// BenchmarkIdleUser is the memory that a signed-in user costs a server that
// does nothing for them, beside the transport's own. Sessions are in-process
// pipes; what as many pipes cost without a server at their end is taken off.
func BenchmarkIdleUser(b *testing.B) {
	const users = 10000
	var each, bare float64
	var snapshot time.Duration
	for b.Loop() {
		// Pipes alone.
		before := memory()
		pipe := transport.NewPipeListener()
		var ends []transport.Session
		for range users {
			near, err := pipe.Dial(b.Context(), "")
			if err != nil {
				b.Fatal(err)
			}
			far, err := pipe.Accept(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			ends = append(ends, near, far)
		}
		bare = float64(memory()-before) / users
		for _, s := range ends {
			s.Close()
		}
		pipe.Close()
		ends = nil

		// The same with a server that has signed them in.
		srv := newProcessServer(b, users, nil)
		before = memory()
		var clients []transport.Session
		for i := range users {
			clients = append(clients, idle(b, srv, fmt.Sprintf("user%d", i)))
		}
		each = float64(memory()-before) / users
		began := time.Now()
		if n := srv.Snapshot().Users; n != users {
			b.Fatalf("%d of %d were admitted", n, users)
		}
		snapshot = time.Since(began)
		for _, s := range clients {
			s.Close()
		}
		srv.Close()
	}
	b.ReportMetric(bare/1024, "KiB/pipe")
	b.ReportMetric(each/1024, "KiB/pipe+user")
	b.ReportMetric((each-bare)/1024, "KiB/user")
	b.ReportMetric(float64(snapshot.Microseconds())/1000, "ms/snapshot")
	b.ReportMetric(0, "ns/op")
}

// caller is a user of the load: it calls another, who answers, and hangs up.
type caller struct {
	hooks.NopListener
	client  *engine.Client
	invited chan time.Time
	ended   chan struct{}
}

func (c *caller) OnInvited(hooks.Invitation)                               { c.invited <- time.Now() }
func (c *caller) OnCallEnd(hooks.CallInfo, hooks.EndReason, time.Duration) { c.ended <- struct{}{} }

func newCaller() *caller {
	return &caller{invited: make(chan time.Time, 1), ended: make(chan struct{}, 1)}
}

// newCallers signs so many in, in this process.
func newCallers(b *testing.B, srv *engine.Server, n int) []*caller {
	all := make([]*caller, n)
	for i := range all {
		all[i] = newCaller()
		c, err := engine.Dial(b.Context(), engine.ClientConfig{
			Dialer: srv.Pipe(), UserID: fmt.Sprintf("user%d", i), UserSig: "x", Listener: all[i],
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { c.Destroy() })
		all[i].client = c
	}
	return all
}

// once makes a whole call: ring, answer, hang up, and both have been told of
// the end. It returns the time from Call to the other's OnInvited.
func (c *caller) once(ctx context.Context, callee *caller) (time.Duration, error) {
	start := time.Now()
	if err := c.client.Call(ctx, callee.client.UserID(), hooks.MediaAudio); err != nil {
		return 0, err
	}
	setup := (<-callee.invited).Sub(start)
	if err := callee.client.Accept(ctx); err != nil {
		return 0, err
	}
	if err := c.client.Hangup(ctx); err != nil {
		return 0, err
	}
	<-c.ended
	<-callee.ended
	return setup, nil
}

// BenchmarkCallSetups is how many calls a second a server sets up and ends when it
// has nothing else to do: 64 at a time of 1,000 pairs of users in this process call
// one another without a pause, each call from Call to both having been told of its
// end. The clients' work is in it. There are so many, in turn, since one user may not
// ask a server for more than 50 things a second. Each iteration is one call.
func BenchmarkCallSetups(b *testing.B) {
	const pairs, atOnce = 1000, 64
	srv := newProcessServer(b, 2*pairs, nil)
	all := newCallers(b, srv, 2*pairs)
	if n := srv.Snapshot().Users; n != len(all) {
		b.Fatalf("%d of %d were admitted", n, len(all))
	}
	work := make(chan struct{})
	free := make(chan int, pairs)
	for i := range pairs {
		free <- i
	}
	var failed atomic.Int64
	var why atomic.Pointer[error] // one failed
	var wg sync.WaitGroup
	for range atOnce {
		wg.Go(func() {
			for range work {
				i := <-free
				if _, err := all[2*i].once(context.Background(), all[2*i+1]); err != nil {
					failed.Add(1)
					why.Store(&err)
				}
				free <- i
			}
		})
	}
	began := time.Now()
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	took := time.Since(began) // the last calls went on when the loop was over
	if n := failed.Load(); n > 0 {
		b.Fatalf("%d of %d calls failed, such as: %v", n, b.N, *why.Load())
	}
	if n := srv.Snapshot().CallsEnded[hooks.EndHangup]; n < uint64(b.N) {
		b.Fatalf("the server ended %d calls of %d", n, b.N)
	}
	b.ReportMetric(float64(b.N)/took.Seconds(), "calls/s")
	b.ReportMetric(float64(took.Nanoseconds())/float64(b.N), "ns/op")
}

// BenchmarkCalls sets up and tears down calls at 1,000 a second on a server with
// 10,000 users signed in, of whom 2,000 call one another all the time and the
// others do nothing, all in this process; and beside them it measures the
// setup, from Call to OnInvited, of calls over QUIC on loopback to another
// server of the same process. Each iteration is one second of load; run it
// with -benchtime 10x.
func BenchmarkCalls(b *testing.B) {
	const users, calling, perSecond = 10000, 2000, 1000
	srv := newProcessServer(b, users, nil)
	for i := range users - calling {
		s := idle(b, srv, fmt.Sprintf("idle%d", i))
		b.Cleanup(func() { s.Close() })
	}
	all := newCallers(b, srv, calling)
	if n := srv.Snapshot().Users; n != users {
		b.Fatalf("%d of %d were admitted", n, users)
	}
	quic := newServer(b, nil)
	near, far := newCaller(), newCaller()
	near.client = signIn(b, quic, "near", near, nil, 0)
	far.client = signIn(b, quic, "far", far, nil, 0)

	var failed, made atomic.Int64
	var inProcess, overQUIC []time.Duration
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := 0
	began := time.Now()
	ctx := context.Background()
	due := time.Now()
	for b.Loop() {
		for i := range perSecond {
			due = due.Add(time.Second / perSecond)
			time.Sleep(time.Until(due))
			from, to := all[next], all[next+1]
			next = (next + 2) % calling
			wg.Go(func() {
				d, err := from.once(ctx, to)
				if err != nil {
					if failed.Add(1) == 1 {
						b.Logf("the first call that failed: %v", err)
					}
					return
				}
				made.Add(1)
				mu.Lock()
				inProcess = append(inProcess, d)
				mu.Unlock()
			})
			if i%50 == 49 { // 20 a second
				d, err := near.once(ctx, far)
				if err != nil {
					b.Fatal(err)
				}
				overQUIC = append(overQUIC, d)
			}
		}
	}
	wg.Wait()
	took := time.Since(began).Seconds()
	if failed.Load() > 0 {
		b.Fatalf("%d of %d calls failed", failed.Load(), failed.Load()+made.Load())
	}
	if rate := float64(made.Load()) / took; rate < 0.9*perSecond && b.N > 1 { // once is to see that it works
		b.Fatalf("%.0f calls a second were made, not %d: the machine has too much else to do, or too little power", rate, perSecond)
	}
	quantile := func(d []time.Duration, q float64) float64 {
		slices.Sort(d)
		return float64(d[int(q*float64(len(d)-1))].Microseconds()) / 1000
	}
	b.ReportMetric(float64(made.Load())/took, "calls/s")
	b.ReportMetric(quantile(inProcess, 0.5), "ms/setup-p50")
	b.ReportMetric(quantile(inProcess, 0.99), "ms/setup-p99")
	b.ReportMetric(quantile(overQUIC, 0.5), "ms/QUIC-setup-p50")
	b.ReportMetric(quantile(overQUIC, 0.99), "ms/QUIC-setup-p99")
	b.ReportMetric(0, "ns/op")
}
