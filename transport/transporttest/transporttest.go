// Package transporttest checks that an implementation of transport's
// interfaces keeps the promises in their comments. Those of package transport
// do; run it on your own, from a test:
//
//	func TestConformance(t *testing.T) {
//		transporttest.Run(t, func(t testing.TB) transporttest.Pair {
//			ln := mynet.Listen()
//			return transporttest.Pair{Listener: ln, Dialer: mynet.Dialer{}, Addr: ln.Addr().String()}
//		})
//	}
//
// Run with the race detector. The tests use real time, but wait for nothing
// longer than it takes.
package transporttest

import (
	"context"
	"encoding/binary"
	"sync"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"go.uber.org/goleak"
)

// A Pair is a listener and a dialer that reaches it, with default settings.
type Pair struct {
	Listener transport.Listener
	Dialer   transport.Dialer
	// Addr is what to dial.
	Addr string
	// Close, if not nil, is called after the sessions and the listener are
	// closed.
	Close func()
}

// Run runs all tests, each on a pair of its own.
func Run(t *testing.T, newPair func(t testing.TB) Pair) {
	for _, c := range []struct {
		name string
		f    func(e *env)
	}{
		{"ControlCarriesBytesInOrder", controlOrder},
		{"ControlListenerWaitsForDialer", controlListenerWaits},
		{"ControlWritesAreWhole", controlWritesWhole},
		{"ControlHalfClose", controlHalfClose},
		{"ControlWriteDeadline", controlWriteDeadline},
		{"ControlWriteBlocksOnlyItsCaller", controlBlockedWrite},
		{"ControlEndsWithSession", controlEnds},
		{"FlowsBothWays", flowsBothWays},
		{"FlowIdentifiers", flowIdentifiers},
		{"SendErrors", sendErrors},
		{"Bundles", bundles},
		{"SendCopies", sendCopies},
		{"UnknownFlowIsKept", unknownFlowKept},
		{"UnknownFlowIsBounded", unknownFlowBounded},
		{"UnknownFlowStreamWaits", unknownFlowStream},
		{"RemoveFlow", removeFlow},
		{"ReplaceHandler", replaceHandler},
		{"OneHandlerAtATime", oneHandlerAtATime},
		{"DeadlinePassed", deadlinePassed},
		{"QueueFull", queueFull},
		{"LowerClassFirst", lowerClassFirst},
		{"QueueDropsWhenClosed", queueClosed},
		{"LargePackets", largePackets},
		{"FlowStream", flowStream},
		{"FlowStreamCancel", flowStreamCancel},
		{"FlowStreamOfRemovedFlow", flowStreamRemoved},
		{"CloseWithError", closeWithError},
		{"CloseIsIdempotent", closeIdempotent},
		{"CloseByListener", closeByListener},
		{"CloseInsideHandler", closeInsideHandler},
		{"AfterClose", afterClose},
		{"ListenerClose", listenerClose},
		{"AcceptContext", acceptContext},
		{"ManySessions", manySessions},
		{"Stats", stats},
		{"Identity", identity},
		{"ConcurrentUse", concurrentUse},
		{"SendAllocatesNothing", sendAllocations},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			pair := newPair(t)
			e := &env{TB: t, pair: pair}
			func() {
				defer func() {
					e.closeAll()
					pair.Listener.Close()
					if pair.Close != nil {
						pair.Close()
					}
				}()
				c.f(e)
			}()
			if err := goleak.Find(before); err != nil && !t.Failed() {
				t.Errorf("goroutines left after everything is closed: %v", err)
			}
		})
	}
}

// patience is how long a test waits for what should come at once.
const patience = 10 * time.Second

// env is what a test runs in.
type env struct {
	testing.TB
	pair     Pair
	sessions []transport.Session
}

func (e *env) closeAll() {
	for _, s := range e.sessions {
		s.Close()
	}
}

func (e *env) context() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	e.Cleanup(cancel)
	return ctx
}

// connect returns both ends of a new session.
func (e *env) connect() (client, server transport.Session) {
	e.Helper()
	type result struct {
		s   transport.Session
		err error
	}
	accepted := make(chan result, 1)
	go func() {
		s, err := e.pair.Listener.Accept(e.context())
		accepted <- result{s, err}
	}()
	client, err := e.pair.Dialer.Dial(e.context(), e.pair.Addr)
	if err != nil {
		e.Fatalf("Dial: %v", err)
	}
	e.sessions = append(e.sessions, client)
	a := <-accepted
	if a.err != nil {
		e.Fatalf("Accept: %v", a.err)
	}
	e.sessions = append(e.sessions, a.s)
	return client, a.s
}

// openControl makes both ends know the control stream.
func (e *env) openControl(client, server transport.Session) {
	e.Helper()
	go client.Control().Write([]byte{1})
	var b [1]byte
	if _, err := server.Control().Read(b[:]); err != nil {
		e.Fatalf("control: %v", err)
	}
}

// eventually waits until a condition holds.
func (e *env) eventually(what string, cond func() bool) {
	e.Helper()
	timeout := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			e.Fatalf("it did not come to pass: %s", what)
		}
	}
}

func await[T any](e *env, what string, c <-chan T) T {
	e.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		e.Fatalf("waited in vain: %s", what)
		panic("unreachable")
	}
}

// rtp makes an RTP packet of n bytes, at least 20, with a number in it.
func rtp(n int, number uint64) []byte {
	p := make([]byte, n)
	p[0], p[1] = 0x80, 111
	binary.BigEndian.PutUint16(p[2:], uint16(number))
	binary.BigEndian.PutUint64(p[12:], number)
	for i := 20; i < n; i++ {
		p[i] = byte(number) + byte(i)
	}
	return p
}

func numberOf(p []byte) uint64 { return binary.BigEndian.Uint64(p[12:]) }

// A sink collects the packets of a flow.
type sink struct {
	mu      sync.Mutex
	numbers []uint64
	packets [][]byte
	c       chan uint64
}

func (e *env) sink(s transport.Session, flow uint64) *sink {
	e.Helper()
	k := &sink{c: make(chan uint64, 100_000)}
	if err := s.HandleFlow(flow, k.take); err != nil {
		e.Fatalf("HandleFlow(%d): %v", flow, err)
	}
	return k
}

func (k *sink) take(p []byte, _ time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.packets = append(k.packets, append([]byte(nil), p...))
	k.numbers = append(k.numbers, numberOf(p))
	k.c <- numberOf(p)
}

func (k *sink) got() []uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]uint64(nil), k.numbers...)
}

// packet returns the i-th packet, from the end if i is negative.
func (k *sink) packet(i int) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i < 0 {
		i += len(k.packets)
	}
	return k.packets[i]
}

// send queues a packet that must be taken.
func (e *env) send(s transport.Session, p transport.Packet) {
	e.Helper()
	if err := s.Send(p); err != nil {
		e.Fatalf("Send: %v", err)
	}
}

// A barrier tells when everything sent before has arrived.
type barrier struct {
	e    *env
	from transport.Session
	in   *sink
	n    uint64
}

const barrierFlow = 60

func (e *env) barrier(from, to transport.Session) *barrier {
	return &barrier{e: e, from: from, in: e.sink(to, barrierFlow)}
}

func (b *barrier) pass() {
	b.e.Helper()
	b.n++
	b.e.send(b.from, transport.Packet{Flow: barrierFlow, Payload: rtp(20, b.n)})
	for await(b.e, "a packet on its way", b.in.c) != b.n {
	}
}
