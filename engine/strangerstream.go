package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

const (
	// A stream's SSRC may change once in restartEvery, and not back within
	// restartRest: late packets of the old one are not a new start.
	restartEvery = 500 * time.Millisecond
	restartRest  = 2 * time.Second
	// heldTooLong is how old sound may be that came before the endpoint was
	// admitted. Of video all is taken: it begins with the key frame.
	heldTooLong = 100 * time.Millisecond
)

// An inStream is one stream that a foreign endpoint sends. Its packets become
// those of a track of the room: with its SSRC and payload type, and going on
// where a source with another SSRC stopped.
type inStream struct {
	hooks.RoQStream
	st *stranger
	pt uint8 // RoQStream's, or the default

	// source is the endpoint's SSRC and how far its sequence numbers are from
	// the track's, for RTCP: see knownSource.
	source  atomic.Uint64
	track   atomic.Uint64 // the track's SSRC, and 1<<32 if there is one; likewise
	inner   atomic.Uint64 // the track's flow, 0 without one: see unbind
	wantKey atomic.Bool   // a key frame is wanted, and the SSRC is not known yet

	mu      sync.Mutex // guards what follows; held while the room takes a packet
	to      *inTarget  // nil: the room does not take it now
	header  rtp.Header
	heard   bool
	fresh   bool // the packets that had waited are through
	ssrc    uint32
	before  uint32 // the SSRC that it took the place of
	changed time.Time
	seqOff  uint16 // what is added to its sequence numbers, and timestamps
	tsOff   uint32
	passed  bool   // a packet was sent on
	lastSeq uint16 // the newest that was, as the track's
	lastTS  uint32
	lastAt  time.Time
	warned  bool
	rx      reception
	order   *reorder // of video, once a packet has been overtaken
	buf     [transport.MaxPacketSize]byte
}

// An inTarget is the track that a stream becomes.
type inTarget struct {
	flow    uint64 // the device's, not 0
	handler transport.PacketHandler
	ssrc    uint32
	pt      uint8
}

func (in *inStream) bind(t *inTarget) {
	in.mu.Lock()
	in.to, in.order = t, nil
	in.track.Store(1<<32 | uint64(t.ssrc))
	in.inner.Store(t.flow)
	in.mu.Unlock()
}

// unbind ends what bind began; when it returns the handler is not running.
// Server.mu may be held, so it leaves the other streams alone: a host's hook may
// be at work on one of them, and wait for the server.
func (in *inStream) unbind(flow uint64) {
	if in.inner.Load() != flow {
		return
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.to, in.order = nil, nil
	in.track.Store(0)
	in.inner.Store(0)
}

func (in *inStream) published() bool { return in.inner.Load() != 0 }

// clockRate is the stream's, in Hz: RFC 7587 section 4.1, RFC 7741 section 4.1.
func (in *inStream) clockRate() uint32 {
	if in.Video {
		return 90_000
	}
	return 48_000
}

// receiver makes the handler of one of the endpoint's flows.
func (st *stranger) receiver(f *strangerFlow) transport.PacketHandler {
	return func(packet []byte, arrival time.Time) {
		if roq.IsRTCP(packet) {
			st.receiveRTCP(packet, arrival)
			return
		}
		for _, in := range f.ins {
			if in.pt == packet[1]&0x7f {
				in.receive(packet, arrival)
				return
			}
		}
		st.counters.wrongType.Add(1)
	}
}

// receive takes one RTP packet of the stream. It allocates nothing.
func (in *inStream) receive(packet []byte, arrival time.Time) {
	c := &in.st.counters
	in.mu.Lock()
	defer in.mu.Unlock()
	h := &in.header
	n, err := h.Unmarshal(packet)
	if err != nil || n >= len(packet) {
		c.malformed.Add(1)
		return
	}
	if !in.fresh && !in.Video && time.Since(arrival) > heldTooLong {
		c.late.Add(1)
		return
	}
	in.fresh = true
	if (!in.heard || h.SSRC != in.ssrc) && !in.start(h, arrival) {
		c.otherSSRC.Add(1)
		return
	}
	in.rx.note(h.SequenceNumber, h.Timestamp, arrival, in.clockRate())
	if in.to == nil {
		c.unwanted.Add(1)
		return
	}
	out := in.rewrite(packet[n:], arrival)
	if out == nil {
		c.tooLarge.Add(1)
		if !in.warned {
			in.warned = true
			in.st.srv.log.Warn("a RoQ endpoint's packets are too large; they are dropped", "user", in.st.device.userID,
				"flow", in.Flow, "bytes", len(packet), "most", transport.MaxPacketSize)
		}
		return
	}
	c.received.Add(1)
	seq := h.SequenceNumber + in.seqOff
	switch {
	case in.order != nil:
		in.order.push(seq, out, arrival, in.to.handler)
	case in.Video && in.lastSeq-seq-1 < reorderSlots-1: // overtaken
		in.order = &reorder{next: in.lastSeq + 1}
		fallthrough
	default:
		in.to.handler(out, arrival)
	}
}

// start takes a new SSRC for the stream's, or not. The first packet of it
// follows the last of the old one.
func (in *inStream) start(h *rtp.Header, now time.Time) bool {
	if in.heard {
		since := now.Sub(in.changed)
		if since < restartEvery || h.SSRC == in.before && since < restartRest {
			return false
		}
		in.before, in.changed = in.ssrc, now
	}
	if in.order != nil {
		in.order.flush(in.to.handler)
	}
	if in.passed {
		pause := min(max(now.Sub(in.lastAt), 20*time.Millisecond), time.Hour)
		in.seqOff = in.lastSeq + 1 - h.SequenceNumber
		in.tsOff = in.lastTS + uint32(int64(pause/time.Microsecond)*int64(in.clockRate())/1e6) - h.Timestamp
	}
	in.heard, in.ssrc = true, h.SSRC
	in.rx = reception{}
	in.source.Store(1<<63 | uint64(in.seqOff)<<32 | uint64(in.ssrc))
	if in.wantKey.Swap(false) {
		in.st.askKeyFrame(in)
	}
	return true
}

// knownSource is the endpoint's SSRC, and what was added to its sequence
// numbers; ok is false before its first packet.
func (in *inStream) knownSource() (ssrc uint32, seqOff uint16, ok bool) {
	v := in.source.Load()
	return uint32(v), uint16(v >> 32), v>>63 != 0
}

// rewrite makes the track's packet of the endpoint's, whose header is parsed:
// the fixed header, the level, the payload. nil: it does not fit.
func (in *inStream) rewrite(payload []byte, arrival time.Time) []byte {
	h := &in.header
	seq, ts := h.SequenceNumber+in.seqOff, h.Timestamp+in.tsOff
	if !in.passed || int16(seq-in.lastSeq) > 0 {
		in.passed, in.lastSeq, in.lastTS, in.lastAt = true, seq, ts, arrival
	}
	b := in.buf[:0]
	b = append(b, 2<<6, in.to.pt, byte(seq>>8), byte(seq),
		byte(ts>>24), byte(ts>>16), byte(ts>>8), byte(ts),
		byte(in.to.ssrc>>24), byte(in.to.ssrc>>16), byte(in.to.ssrc>>8), byte(in.to.ssrc))
	if h.Padding {
		b[0] |= 1 << 5
	}
	if h.Marker {
		b[1] |= 1 << 7
	}
	if in.LevelExtension != 0 {
		if level := h.GetExtension(in.LevelExtension); len(level) == 1 { // RFC 8285 section 4.2
			b[0] |= 1 << 4
			b = append(b, 0xBE, 0xDE, 0, 1, levelExtension<<4, level[0], 0, 0)
		}
	}
	if len(b)+len(payload) > cap(b) {
		return nil
	}
	return append(b, payload...)
}
