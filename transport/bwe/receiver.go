package bwe

import (
	"encoding/binary"
	"sync"
	"time"

	"github.com/pion/rtcp"
)

const (
	// maxStreams is how many streams a Receiver keeps; the one that was heard
	// longest ago makes place for a new one.
	maxStreams = 32
	// received is how many packets of a stream are kept, a power of two.
	received = 512
	// defaultReport fits any QUIC path with room to spare (MaxPacketSize of
	// package transport).
	defaultReport = 1100

	reportHeader = 8 // RTCP header and the sender's SSRC
	reportEnd    = 4 // the timestamp
	blockHeader  = 8
)

// A Receiver notes which packets arrived when and writes reports of it. Any
// goroutine may call its methods.
type Receiver struct {
	ssrc uint32

	mu      sync.Mutex
	epoch   time.Time
	streams []*arrivals
	next    int // where the next report begins
}

// arrivals is what came of one stream. Sequence numbers are unwrapped.
type arrivals struct {
	ssrc  uint32
	at    [received]time.Duration // since the epoch, plus one; 0: not received
	end   uint64                  // one past the highest
	due   uint64                  // the first that the next report must cover
	again uint64                  // the first that it covers if there is room
	fresh bool                    // something came since the last report
}

// NewReceiver returns a Receiver whose reports come from ssrc, which may be
// that of any stream that the host sends, or 0 if it sends none.
func NewReceiver(ssrc uint32) *Receiver { return &Receiver{ssrc: ssrc} }

// Received notes a packet. Call it as the packet comes, before it waits in a
// queue of the host's. Of a packet that comes twice the first arrival counts.
func (r *Receiver) Received(ssrc uint32, seq uint16, t time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch.IsZero() {
		r.epoch = t
	}
	at := max(t.Sub(r.epoch), 0) + 1 // 0 is for what did not come
	s := r.stream(ssrc)
	n := s.unwrap(seq)
	if n >= s.end {
		for i := s.end; i < n; i++ {
			s.at[i%received] = 0
		}
		s.at[n%received] = at
		s.end = n + 1
	} else if s.at[n%received] == 0 {
		s.at[n%received] = at
		s.due, s.again = min(s.due, n), min(s.again, n)
	} else {
		return
	}
	s.fresh = true
}

// stream finds a stream or makes one.
func (r *Receiver) stream(ssrc uint32) *arrivals {
	for _, s := range r.streams {
		if s.ssrc == ssrc {
			return s
		}
	}
	s := new(arrivals)
	if len(r.streams) < maxStreams {
		r.streams = append(r.streams, s)
	} else {
		oldest := 0
		for i, o := range r.streams {
			if o.newest() < r.streams[oldest].newest() {
				oldest = i
			}
		}
		s = r.streams[oldest]
		*s = arrivals{}
	}
	s.ssrc = ssrc
	return s
}

func (s *arrivals) newest() time.Duration { return s.at[(s.end-1)%received] }

// unwrap extends a sequence number. The first one, and one that is far from
// the highest, begins a new count.
func (s *arrivals) unwrap(seq uint16) uint64 {
	if s.end > 0 {
		if d := int64(int16(seq - uint16(s.end-1))); d < received && d > -received {
			return uint64(int64(s.end-1) + d)
		}
	}
	*s = arrivals{ssrc: s.ssrc}
	s.end = 1<<17 + uint64(seq)
	s.due, s.again = s.end, s.end
	return s.end
}

// AppendReport appends a report of what came since the last one to b: one
// RTCP packet of at most maxSize bytes, or of 1100 if maxSize is 0. It appends
// nothing if nothing came, or nothing fits. What does not fit comes in the next
// report. Call it every 20 to 50 ms.
//
// Each packet is in two reports where there is room, so that a report that is
// lost costs nothing. ECN marks are not reported: QUIC has them for itself.
func (r *Receiver) AppendReport(b []byte, t time.Time, maxSize int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if maxSize <= 0 {
		maxSize = defaultReport
	}
	maxSize = min(maxSize, 4*(1<<16))
	now := max(t.Sub(r.epoch), 0) + 1
	room := maxSize - reportHeader - reportEnd
	begin := len(b)
	for i := 0; i < len(r.streams); i++ {
		s := r.streams[(r.next+i)%len(r.streams)]
		if !s.fresh {
			continue
		}
		n := (room - blockHeader) / 4 * 2 // metrics are 2 bytes, in pairs
		if n <= 0 {
			r.next = (r.next + i) % len(r.streams)
			break
		}
		if len(b) == begin {
			b = append(b, 2<<6|rtcp.FormatCCFB, byte(rtcp.TypeTransportSpecificFeedback), 0, 0)
			b = binary.BigEndian.AppendUint32(b, r.ssrc)
		}
		was := len(b)
		b = s.appendBlock(b, now, n)
		room -= len(b) - was
	}
	if len(b) == begin {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, ntp(r.epoch, now-1))
	binary.BigEndian.PutUint16(b[begin+2:], uint16((len(b)-begin)/4-1))
	return b
}

// appendBlock appends what is to be said of a stream, of at most n packets
// (RFC 8888, section 3.1).
func (s *arrivals) appendBlock(b []byte, now time.Duration, n int) []byte {
	oldest := s.end - received
	s.due = max(s.due, oldest)
	from := max(s.again, oldest)
	if s.end-from > uint64(n) {
		from = s.due
	}
	to := min(s.end, from+uint64(n))
	s.again, s.due = s.due, to
	s.fresh = to != s.end

	b = binary.BigEndian.AppendUint32(b, s.ssrc)
	b = binary.BigEndian.AppendUint16(b, uint16(from))
	b = binary.BigEndian.AppendUint16(b, uint16(to-from))
	for i := from; i < to; i++ {
		var metric uint16
		if at := s.at[i%received]; at != 0 {
			metric = 1<<15 | offset(now-at)
		}
		b = binary.BigEndian.AppendUint16(b, metric)
	}
	if (to-from)%2 != 0 {
		b = append(b, 0, 0)
	}
	return b
}

// offset is an arrival time offset in 1/1024 s.
func offset(ago time.Duration) uint16 {
	if ago < 0 {
		return noArrivalTime + 1
	}
	return uint16(min(ago*1024/time.Second, noArrivalTime))
}

// ntp is the middle of an NTP timestamp (RFC 3550, section 4), of a clock that
// goes on evenly since epoch.
func ntp(epoch time.Time, since time.Duration) uint32 {
	const to1970 = 2208988800
	t := epoch.Round(0).Add(since) // its wall clock, which the host may set, read once
	seconds, nanos := uint64(t.Unix()+to1970), uint64(t.Nanosecond())
	return uint32(seconds<<16 | nanos<<16/1e9)
}
