package transport

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/earshotrtc/earshot/transport/roq"
)

// session is the Session of every backend. Four goroutines serve it: the
// writer (send.go), the reader of datagrams and the acceptors of
// unidirectional and of bidirectional streams (receive.go); a stream takes one
// more while it lasts.
type session struct {
	link   backend
	cfg    SessionConfig
	dialer bool
	plain  bool // plain RTP over QUIC: no control stream
	log    *slog.Logger
	// onEnd, if set, is called once when the session has ended and its
	// connection is closed.
	onEnd func()

	ctx      context.Context // ends with the session
	cancel   context.CancelFunc
	endOnce  sync.Once
	err      error         // valid once done is closed
	done     chan struct{} // the session has ended
	finished chan struct{} // and its connection is closed
	workers  group

	control control

	// Sending. Who writes holds writing, from taking a datagram out of the queue
	// until the backend has it.
	writing  sync.Mutex
	qmu      sync.Mutex
	queue    sendQueue
	sleeping bool // nobody writes, and the writer waits on wake
	wake     chan struct{}
	gate     *gate // nil: not needed; guarded by writing
	bundles  atomic.Bool
	large    atomic.Int32

	// Receiving.
	fmu     sync.RWMutex
	flows   map[uint64]*flow
	held    heldPackets
	unknown map[uint64][]chan struct{} // streams that wait for their flow
	waiting int

	counters counters
}

type counters struct {
	sentRTP       [NumClasses]traffic
	sentRTCP      traffic
	mediaReceived atomic.Uint64
	sendDrops     [NumClasses][NumDropReasons]atomic.Uint64
	receiveDrops  [NumDropReasons]atomic.Uint64

	mu        sync.Mutex
	received  uint64 // packetsReceived when last looked
	lastHeard time.Time
}

// traffic is a Traffic that is counted.
type traffic struct{ packets, bytes atomic.Uint64 }

func (t *traffic) add(packets, bytes int) {
	t.packets.Add(uint64(packets))
	t.bytes.Add(uint64(bytes))
}

func (t *traffic) load() Traffic { return Traffic{t.packets.Load(), t.bytes.Load()} }

// sent counts what was handed to the network.
func (c *counters) sent(b *buffer) {
	if n := b.packets - b.rtcp; n > 0 {
		c.sentRTP[b.class].add(n, b.rtp)
	}
	if b.rtcp > 0 {
		c.sentRTCP.add(b.rtcp, b.rtcpSize)
	}
}

// newSession makes a session of a connection. A dialer's session opens the
// control stream, a listener's accepts it; plain RTP over QUIC has none. Nothing
// runs before start.
func newSession(link backend, cfg SessionConfig, dialer bool, log *slog.Logger) *session {
	s := &session{
		link:     link,
		cfg:      cfg.withDefaults(dialer),
		dialer:   dialer,
		log:      orSilent(log),
		done:     make(chan struct{}),
		finished: make(chan struct{}),
		wake:     make(chan struct{}, 1),
	}
	_, s.plain = link.(*plainLink)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.queue.limit = s.cfg.QueueLen
	s.control.init(s)
	s.counters.lastHeard = time.Now()
	if link.queues() && !cfg.ungated {
		s.gate = &gate{share: 1}
	}
	return s
}

// start runs the session. If it fails the session has ended.
func (s *session) start(ctx context.Context) error {
	if s.dialer && !s.plain {
		st, err := s.link.openBidi(ctx)
		if err != nil {
			err = s.check(err)
			s.end(&Error{Code: roq.GeneralError, Reason: "no control stream"})
			s.wait()
			return err
		}
		s.control.attach(st)
	}
	s.workers.start(s.writeLoop)
	s.workers.start(s.readDatagrams)
	s.workers.start(s.acceptUni)
	s.workers.start(s.acceptBidi)
	return nil
}

// check turns the error of a backend into one for the caller. It ends the
// session if its connection has ended.
func (s *session) check(err error) error {
	var end *endError
	if errors.As(err, &end) {
		s.end(end.cause)
		return s.err
	}
	return err
}

// end ends the session for a reason; the first call decides. It does not wait.
func (s *session) end(cause error) {
	s.endOnce.Do(func() {
		s.err = cause
		close(s.done)
		s.cancel()
		s.dropQueue()
		code, reason := roq.NoError, ""
		if e, ok := cause.(*Error); ok && !e.Remote {
			code, reason = e.Code, e.Reason
		}
		s.log.Debug("transport: session ended", "remote", s.link.remoteAddr(), "cause", cause)
		go func() {
			s.link.close(code, reason)
			if s.onEnd != nil {
				s.onEnd()
			}
			close(s.finished)
		}()
	})
	<-s.done // a second caller may be here before the first is through
}

func (s *session) wait() {
	<-s.finished
	s.workers.wait()
}

func (s *session) CloseWithError(code ErrorCode, reason string) error {
	s.end(&Error{Code: code, Reason: clip(reason, 200)})
	s.wait()
	return nil
}

func (s *session) Close() error { return s.CloseWithError(roq.NoError, "") }

func (s *session) Done() <-chan struct{} { return s.done }

func (s *session) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

func (s *session) ended() bool {
	select {
	case <-s.done:
		return true
	default:
		return false
	}
}

func (s *session) Control() ControlStream { return &s.control }
func (s *session) Protocol() string       { return s.link.protocol() }
func (s *session) LocalAddr() net.Addr    { return s.link.localAddr() }
func (s *session) RemoteAddr() net.Addr   { return s.link.remoteAddr() }

func (s *session) Stats() Stats {
	l := s.link.stats()
	st := Stats{
		RTT: l.rtt, MinRTT: l.minRTT, CongestionWindow: l.cwnd, BulkWindow: bulkWindow(l.cwnd),
		PacketsSent: l.packetsSent, PacketsReceived: l.packetsReceived, PacketsLost: l.packetsLost,
		BytesSent: l.bytesSent, BytesReceived: l.bytesReceived,
		MediaReceived: s.counters.mediaReceived.Load(), SentRTCP: s.counters.sentRTCP.load(),
	}
	st.MediaSent = st.SentRTCP.Packets
	for i := range st.SentRTP {
		st.SentRTP[i] = s.counters.sentRTP[i].load()
		st.MediaSent += st.SentRTP[i].Packets
	}
	s.qmu.Lock()
	for c := range st.QueueDepth {
		st.QueueDepth[c] = s.queue.class[c].n
	}
	s.qmu.Unlock()
	for r := range st.Dropped {
		st.Dropped[r] = s.counters.receiveDrops[r].Load()
		for i := range st.SendDrops {
			n := s.counters.sendDrops[i][r].Load()
			st.SendDrops[i][r] = n
			st.Dropped[r] += n
			st.DroppedByClass[i] += n
		}
	}
	c := &s.counters
	c.mu.Lock()
	if l.packetsReceived != c.received || l.alive && !s.ended() {
		c.received, c.lastHeard = l.packetsReceived, time.Now()
	}
	st.LastHeard = c.lastHeard
	c.mu.Unlock()
	return st
}

// dropSend counts a packet that will not be sent.
func (s *session) dropSend(r DropReason, c Class) {
	s.counters.sendDrops[c][r].Add(1)
}

// dropReceived counts a packet that will not be delivered.
func (s *session) dropReceived(r DropReason) { s.counters.receiveDrops[r].Add(1) }

// clip shortens a string to n bytes without cutting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
