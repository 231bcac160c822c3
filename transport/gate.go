package transport

import "time"

// A gate estimates how many datagrams still wait in quic-go's own queue, so
// that the writer hands over no more than that queue needs to stay busy.
//
// Why: quic-go (v0.64.1) has a FIFO of 32 datagrams per connection that knows
// neither classes nor deadlines (datagram_queue.go), blocks without a context
// when full, and packs one datagram into each packet before any stream data
// (packet_packer.go, composeNextPacket). What is handed over too early
// therefore delays everything that comes later: a voice packet behind 32 of
// video waits 5 s at 64 kbit/s, and control bytes wait until the queue is
// empty, which under a flood is never.
//
// quic-go does not tell how long its queue is. But it counts packets and bytes
// sent in atomics (Conn.ConnectionStats), a packet takes at most one datagram,
// and while datagrams wait every packet takes one, save pure acknowledgements
// (and, seldom, probes of the path), which are small. So the gate keeps the
// sizes of what it handed over, and strikes off the oldest for each new packet
// for which enough bytes went out.
//
// Where the estimate errs: an acknowledgement as large as a small datagram
// strikes it off too early, which lets one more datagram through for a moment;
// a datagram that quic-go drops (the path's MTU shrank) stays on the list,
// until nothing is struck off for staleAfter although the peer is heard, when
// the list is forgotten.
//
// A gate is used by who writes alone.
type gate struct {
	entries [gateLimit]gateEntry // a ring
	first   int
	n       int
	video   int // how many entries are of the highest class
	bytes   int // and their bytes

	seen         linkStats // at the last look
	paid         bool      // the first entry's bytes went out: see look
	lastStruck   time.Time
	heardAtStart uint64 // packetsReceived when the list last moved
	// forgotten is how many datagrams may be in quic-go's queue that are not on
	// the list: while there are any, handing one over may block.
	forgotten int

	// While the path's queue is long video is paced: see pace.
	lastLook  time.Time
	credit    float64 // bytes
	pacing    bool
	congested bool
	share     float64 // of the path's rate, minShare to 1

	lastRound time.Time // when share was last changed
	lostRound uint64
	lostPace  uint64
	lossyTill time.Time // packets were lost lately

	// After a control write, lost packets may have to be sent again as stream
	// data, which video would starve in the same way.
	controlUntil time.Time
	lostSeen     uint64
	repair       bool
	repairUntil  time.Time
}

type gateEntry struct {
	size  int
	video bool
}

const (
	// gateLimit is how many datagrams of any class may be unsent: enough for a
	// burst between two looks, half of quic-go's queue.
	gateLimit = 16
	// gateOverhead is the least that a packet adds to a datagram: type byte,
	// an empty connection ID, packet number, frame type and length, AEAD tag
	// (RFC 9000 section 17.3.1, RFC 9221 section 4).
	gateOverhead = 20
	// gateVideoTime is how much of the path's rate video may fill quic-go's
	// queue with. quic-go's pacer sleeps in steps of 1 ms.
	gateVideoTime = 5 * time.Millisecond
	gateVideoMin  = 2 // packets
	staleAfter    = 500 * time.Millisecond
	// pathQueue is how much longer than the least a round trip may take before
	// video is paced; maxCredit (bytes) and maxDebt bound what pacing remembers.
	pathQueue = 40 * time.Millisecond
	maxCredit = 200
	maxDebt   = time.Second
	// lossMemory is for how long after a loss video is paced, speechRoom what of
	// the window it leaves free, in bytes, and creditTime how much of the rate may
	// leave at once.
	lossMemory = 10 * time.Second
	speechRoom = 3 * 1200
	creditTime = 3 * time.Millisecond
	minShare   = 0.05
	shareStep  = 0.02
	// afterControl is how long after a control write a loss may concern it.
	afterControl = 3 * time.Second
	maxRepair    = 200 * time.Millisecond
)

// look brings the estimate up to date. The counters are read one after the
// other, as quic-go writes them: bytes may be ahead by one packet, and never
// behind (quicStats). Those of a packet that is not counted yet pay for the first
// entry, which goes with the next packet. Forgotten they would leave an entry on
// the list for good, and some such entries close the gate.
func (g *gate) look(now time.Time, s linkStats) {
	g.pace(now, s)
	dp, db := s.packetsSent-g.seen.packetsSent, s.bytesSent-g.seen.bytesSent
	g.seen = s
	g.forgotten -= int(min(dp, uint64(g.forgotten)))
	if g.repair && (dp > 0 && g.video == 0 || now.After(g.repairUntil)) {
		g.repair = false
	}
	if s.packetsLost > g.lostSeen && now.Before(g.controlUntil) {
		g.repair, g.repairUntil = true, now.Add(maxRepair)
	}
	g.lostSeen = s.packetsLost
	for g.n > 0 {
		if need := uint64(g.entries[g.first].size + gateOverhead); !g.paid && db >= need {
			g.paid = true
			db -= need
		}
		if !g.paid || dp == 0 {
			break
		}
		dp--
		g.strike()
		g.lastStruck, g.heardAtStart = now, s.packetsReceived
	}
	if now.Sub(g.lastStruck) > staleAfter+4*s.rtt && s.packetsReceived != g.heardAtStart {
		for ; g.n > 0; g.forgotten++ {
			g.strike()
		}
	}
}

// pace holds video to a share of the path's rate while the path's own queue is
// long, that is while the round trip takes pathQueue longer than the least
// seen. NewReno would fill that queue until it overflows, and what overflows
// or waits in it is speech as well.
//
// The rate is taken from cwnd/srtt. That is too high where speech makes NewReno
// grow a window that is never full, so the share falls with each round trip
// that loses packets, by the factor NewReno uses, and rises slowly with the
// others. All bytes sent count: speech and control come out of the rate first.
// Where packets get lost NewReno's window is small, and a key frame would fill it
// at once: speech would then wait for the first acknowledgement, a whole round
// trip. So there video is spread over the round trip, and some packets' room is
// left to speech; not more than three, as NewReno takes a sender that leaves more
// for one that has nothing to send, and does not grow.
//
// On a path without a queue and without loss nothing is paced: the burst of a key
// frame is quic-go's pacer's.
func (g *gate) pace(now time.Time, s linkStats) {
	elapsed := now.Sub(g.lastLook)
	g.lastLook = now
	congested := s.rtt > s.minRTT+pathQueue
	if now.Sub(g.lastRound) > s.rtt {
		switch {
		case congested && s.packetsLost > g.lostRound:
			g.share = max(0.7*g.share, minShare)
		default:
			g.share = min(g.share+shareStep, 1)
		}
		g.lastRound, g.lostRound = now, s.packetsLost
	}
	if s.packetsLost > g.lostPace {
		g.lostPace, g.lossyTill = s.packetsLost, now.Add(lossMemory)
	}
	g.congested = congested
	lossy := now.Before(g.lossyTill)
	g.pacing = s.rtt > 0 && (congested || lossy)
	if !g.pacing {
		g.credit = 0
		return
	}
	window := s.cwnd
	if lossy {
		window = bulkWindow(window)
	}
	rate := float64(window) / s.rtt.Seconds()
	most := max(maxCredit, rate*creditTime.Seconds())
	if congested {
		rate *= float64(s.minRTT+pathQueue) / float64(s.rtt) * g.share
		most = maxCredit
	}
	g.credit += rate*elapsed.Seconds() - float64(s.bytesSent-g.seen.bytesSent)
	g.credit = max(min(g.credit, most), -rate*maxDebt.Seconds())
}

// bulkWindow is what of a window video may fill.
func bulkWindow(cwnd uint64) uint64 { return cwnd - min(speechRoom, cwnd/3) }

func (g *gate) strike() {
	e := g.entries[g.first]
	g.first = (g.first + 1) % gateLimit
	g.n--
	g.paid = false
	if e.video {
		g.video--
		g.bytes -= e.size
	}
}

// open reports whether a datagram of a class may be handed over now.
func (g *gate) open(c Class) bool {
	if g.n >= gateLimit {
		return false
	}
	if c < NumClasses-1 {
		return true
	}
	if g.repair || g.pacing && (g.credit < 0 || g.congested && g.video > 0) {
		return false
	}
	if g.video < gateVideoMin || g.seen.rtt <= 0 {
		return true
	}
	return float64(g.bytes) < float64(g.seen.cwnd)*float64(gateVideoTime)/float64(g.seen.rtt)
}

// handed notes a datagram that is about to be handed over.
func (g *gate) handed(now time.Time, size int, c Class) {
	if g.n == gateLimit {
		return
	}
	if g.n == 0 {
		g.lastStruck, g.heardAtStart = now, g.seen.packetsReceived
	}
	video := c == NumClasses-1
	g.entries[(g.first+g.n)%gateLimit] = gateEntry{size, video}
	g.n++
	if video {
		g.video++
		g.bytes += size
	}
}

// refused takes back the latest entry.
func (g *gate) refused() {
	if g.n == 0 {
		return
	}
	g.n--
	g.paid = g.paid && g.n > 0
	if e := g.entries[(g.first+g.n)%gateLimit]; e.video {
		g.video--
		g.bytes -= e.size
	}
}
