package engine

import (
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer/jitter"
	"github.com/earshotrtc/earshot/transport"
)

// meters are what a server counts for its Snapshot. What is counted per packet is
// counted by each session and track for itself, and added up when asked; what
// sessions and tracks that have ended counted is kept. The zero value is ready.
type meters struct {
	signIns, resumes, calls atomic.Uint64
	refusals                [numRefusals]atomic.Uint64
	ended                   [numEndReasons]atomic.Uint64

	controlIn, controlOut traffic
	rtcpIn                traffic
	rtcpLimited, rtcpBad  atomic.Uint64

	rtt, jitter, lossUp, lossDown histogram
	worldTicks                    tickMeter
	signIn                        hookMeter
	score                         hookMeter // of all worlds that have one
	scored                        atomic.Bool

	// mu guards what follows. It is the last lock to take, but for a jitter
	// buffer's.
	mu       sync.Mutex
	sessions []*sessionMeter
	tracks   []*track
	worlds   map[*World]struct{}
	past     past
}

// past is what has ended.
type past struct {
	sessions transport.Stats
	tracks   [2]trackCounts // audio, video
	mixed    jitter.Stats
	notOpus  uint64
	roq      strangerCounts
	worlds   worldCounts
}

// traffic counts packets and their bytes.
type traffic struct{ packets, bytes atomic.Uint64 }

func (t *traffic) add(bytes int) {
	t.packets.Add(1)
	t.bytes.Add(uint64(bytes))
}

func (t *traffic) load() transport.Traffic {
	return transport.Traffic{Packets: t.packets.Load(), Bytes: t.bytes.Load()}
}

// countedReader counts the bytes of control messages.
type countedReader struct {
	io.Reader
	t *traffic
}

func (r countedReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.t.bytes.Add(uint64(n))
	return n, err
}

// A sessionMeter is a session that is served.
type sessionMeter struct {
	sess     transport.Session
	stranger *stranger
	at       int // in meters.sessions
	// What it had sent and lost when it was last sampled.
	sent, lost uint64
}

func (m *meters) open(sess transport.Session) *sessionMeter {
	s := &sessionMeter{sess: sess}
	m.mu.Lock()
	defer m.mu.Unlock()
	s.at = len(m.sessions)
	m.sessions = append(m.sessions, s)
	return s
}

// close keeps what a session has counted. It has ended, or is about to.
func (m *meters) close(s *sessionMeter) {
	m.mu.Lock()
	defer m.mu.Unlock()
	addSession(&m.past.sessions, s.sess.Stats())
	if s.stranger != nil {
		m.past.roq.add(s.stranger.counters.load())
	}
	end := len(m.sessions) - 1
	m.sessions[s.at] = m.sessions[end]
	m.sessions[s.at].at = s.at
	m.sessions[end] = nil
	m.sessions = m.sessions[:end]
}

// seat notes that a session is a foreign endpoint's.
func (m *meters) seat(s *sessionMeter, st *stranger) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.stranger = st
}

// addSession adds what a session has counted: not what is a state of it.
func addSession(sum *transport.Stats, s transport.Stats) {
	sum.PacketsSent += s.PacketsSent
	sum.PacketsReceived += s.PacketsReceived
	sum.PacketsLost += s.PacketsLost
	sum.BytesSent += s.BytesSent
	sum.BytesReceived += s.BytesReceived
	for c := range sum.SentRTP {
		sum.SentRTP[c].Packets += s.SentRTP[c].Packets
		sum.SentRTP[c].Bytes += s.SentRTP[c].Bytes
		sum.QueueDepth[c] += s.QueueDepth[c]
		for r := range sum.SendDrops[c] {
			sum.SendDrops[c][r] += s.SendDrops[c][r]
		}
	}
	sum.SentRTCP.Packets += s.SentRTCP.Packets
	sum.SentRTCP.Bytes += s.SentRTCP.Bytes
	for r := range sum.Dropped {
		sum.Dropped[r] += s.Dropped[r]
	}
}

// trackCounts is what a track, or many, have counted.
type trackCounts struct{ received, bytes, refused, hooked, unheard uint64 }

// add is called with meters.mu held.
func (c *trackCounts) add(t *track) {
	t.count()
	c.received += t.sampled.received
	c.bytes += t.sampled.bytes
	c.refused += t.refused.Load()
	c.hooked += t.hooked.Load()
	c.unheard += t.unheard.Load()
}

// kindOf is a track's place in arrays: audio, video.
func kindOf(t *track) int {
	if t.kind == signal.KindVideo {
		return 1
	}
	return 0
}

func (m *meters) addTrack(t *track) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t.sampled.at = len(m.tracks)
	m.tracks = append(m.tracks, t)
}

// endTrack keeps what a track has counted.
func (m *meters) endTrack(t *track) {
	m.endSource(t)
	m.mu.Lock()
	defer m.mu.Unlock()
	at, end := t.sampled.at, len(m.tracks)-1
	if at > end || m.tracks[at] != t {
		return // a test's own
	}
	m.past.tracks[kindOf(t)].add(t)
	m.tracks[at] = m.tracks[end]
	m.tracks[at].sampled.at = at
	m.tracks[end] = nil
	m.tracks = m.tracks[:end]
}

// endSource takes a track out of its mix, keeps what its jitter buffer has
// counted, and returns what it was there.
func (m *meters) endSource(t *track) *mixedTrack {
	m.mu.Lock()
	defer m.mu.Unlock()
	src := t.source.Swap(nil)
	if src != nil {
		addJitter(&m.past.mixed, src.Stats())
		m.past.notOpus += src.Refused()
		m.past.mixed.Buffered = 0
	}
	return src
}

// addJitter adds what a jitter buffer has counted: not its delays.
func addJitter(sum *jitter.Stats, s jitter.Stats) {
	sum.Received += s.Received
	sum.Played += s.Played
	sum.Late += s.Late
	sum.Duplicate += s.Duplicate
	sum.Discarded += s.Discarded
	sum.DecodeErrors += s.DecodeErrors
	sum.Buffered += s.Buffered
	sum.Lost += s.Lost
	sum.Reordered += s.Reordered
	sum.FECRecovered += s.FECRecovered
	sum.Resyncs += s.Resyncs
	sum.Stalls += s.Stalls
	sum.ConcealmentEvents += s.ConcealmentEvents
	sum.DecodedSamples += s.DecodedSamples
	sum.ConcealedSamples += s.ConcealedSamples
	sum.SilentSamples += s.SilentSamples
	sum.CutSamples += s.CutSamples
	sum.StretchedSamples += s.StretchedSamples
}

// trackMeter is what the meters keep of a track.
type trackMeter struct {
	at              int    // in meters.tracks
	received, bytes uint64 // so far
	// What had come, and was lost, when it was last sampled.
	came uint64
	lost uint32
}

// count takes what the packet handler has counted. meters.mu is held.
func (t *track) count() {
	packets, bytes := t.turn.take()
	t.sampled.received += packets
	t.sampled.bytes += bytes
}

// sample looks at a part of all sessions and tracks, as the rounds do: each one's
// turn comes every qualityEvery.
func (m *meters) sample(slice int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := slice; i < len(m.sessions); i += qualitySlices {
		m.sampleSession(m.sessions[i])
	}
	for i := slice; i < len(m.tracks); i += qualitySlices {
		m.sampleTrack(m.tracks[i])
	}
}

func (m *meters) sampleSession(s *sessionMeter) {
	st := s.sess.Stats()
	if st.PacketsSent > s.sent {
		if st.RTT > 0 {
			m.rtt.observe(rttScale, int64(st.RTT))
		}
		m.lossDown.observe(lossScale, int64(1e6*lossOf(st, transport.Stats{PacketsSent: s.sent, PacketsLost: s.lost})))
	}
	s.sent, s.lost = st.PacketsSent, st.PacketsLost
}

func (m *meters) sampleTrack(t *track) {
	t.count()
	if t.kind != signal.KindAudio {
		return
	}
	all, jitter := t.arrivals.read()
	came, lost := int64(t.sampled.received-t.sampled.came), int64(int32(all-t.sampled.lost))
	t.sampled.came, t.sampled.lost = t.sampled.received, all
	if came == 0 {
		return
	}
	m.jitter.observe(jitterScale, int64(jitter))
	lost = max(0, lost)
	m.lossUp.observe(lossScale, 1e6*lost/(came+lost))
}

// refusalReason is why somebody was not let in.
type refusalReason int

const (
	refusedPending refusalReason = iota
	refusedPendingAddr
	refusedRate
	refusedLate
	refusedUserSig
	refusedUserSigCheck
	refusedProtocol
	refusedVersion
	refusedResume
	refusedServer
	refusedBusy
	refusedHost
	numRefusals
)

var refusalNames = [numRefusals]string{
	"too many pending", "too many pending from address", "too many tries from address", "no sign-in in time",
	"malformed UserSig", "UserSig check failed", "malformed message", "unknown version", "cannot resume",
	"server full or shutting down", "signed in already", "refused by the host",
}

// refused counts a connection that was not let in.
func (m *meters) refused(r refusalReason) { m.refusals[r].Add(1) }

// refusalOf is the reason behind a code that the client was told.
func refusalOf(code hooks.Code) refusalReason {
	switch code {
	case hooks.CodeUserSig:
		return refusedUserSig
	case hooks.CodeUserSigCheck:
		return refusedUserSigCheck
	case hooks.CodeBadParam:
		return refusedProtocol
	case hooks.CodeUnsupported:
		return refusedVersion
	case hooks.CodeDisconnected:
		return refusedResume
	case hooks.CodeServerFailed:
		return refusedServer
	case hooks.CodeBusy:
		return refusedBusy
	}
	return refusedHost
}

// numEndReasons is how many hooks.EndReasons there are.
const numEndReasons = int(hooks.EndByServer) + 1

// tickMeter is how long the clock's ticks take, and how late they are done.
type tickMeter struct{ time, lateness histogram }

func (m *tickMeter) note(start, due, end time.Time) {
	m.time.observe(tickScale, int64(end.Sub(start)))
	m.lateness.observe(latenessScale, int64(max(0, end.Sub(due))))
}
