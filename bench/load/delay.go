package load

import (
	"encoding/binary"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/internal/probe"
	"github.com/earshotrtc/earshot/transport/roq"
)

// Delays are quantiles of N delays. The zero value: nothing was measured.
type Delays struct {
	N        int64
	P50, P99 time.Duration
}

// A delayMeter counts delays by the microsecond; what takes longer than it
// reaches counts as that. What it is given is stamped by the same meter, as it
// has the only clock. Any goroutine may use it.
type delayMeter struct {
	start  time.Time
	counts [1_000_000]atomic.Uint32
}

func newDelayMeter() *delayMeter { return &delayMeter{start: time.Now()} }

// Where the times are that packets carry: behind a header of bareHeader bytes
// and the first of the sound, which says how many frames there are. A relaying
// server does not look at them.
const (
	sentAt     = bareHeader + 1 // when the talker sent it
	receivedAt = sentAt + 8     // when the server received it
	stampedLen = receivedAt + 8
)

// stamp writes the time into a packet at a place.
func (m *delayMeter) stamp(packet []byte, place int) {
	if len(packet) >= stampedLen {
		binary.BigEndian.PutUint64(packet[place:], uint64(time.Since(m.start)))
	}
}

// note counts how long ago a packet was stamped.
func (m *delayMeter) note(packet []byte, place int) {
	if len(packet) >= stampedLen {
		d := time.Since(m.start) - time.Duration(binary.BigEndian.Uint64(packet[place:]))
		m.counts[min(max(int(d/time.Microsecond), 0), len(m.counts)-1)].Add(1)
	}
}

// reset forgets what was counted.
func (m *delayMeter) reset() {
	for i := range m.counts {
		m.counts[i].Store(0)
	}
}

func (m *delayMeter) delays() (d Delays) {
	for i := range m.counts {
		d.N += int64(m.counts[i].Load())
	}
	at := func(q float64) time.Duration {
		left := int64(q * float64(d.N))
		for i := range m.counts {
			if left -= int64(m.counts[i].Load()); left < 0 {
				return time.Duration(i) * time.Microsecond
			}
		}
		return 0
	}
	d.P50, d.P99 = at(0.5), at(0.99)
	return d
}

// probe makes a server's socket one that the meter watches: from the return of
// ReceiveDatagram with a talker's packet to that of SendDatagram with the same
// packet, for each receiver.
func (m *delayMeter) probe(c *probe.Conn) {
	c.Received = func(b []byte) {
		if flow, n, err := roq.ParseFlowID(b); err == nil && flow != roq.BundleFlow && isVoice(b[n:]) {
			m.stamp(b[n:], receivedAt)
		}
	}
	c.Sent = func(b []byte) {
		flow, n, err := roq.ParseFlowID(b)
		if err != nil || flow != roq.BundleFlow {
			m.noteVoice(b[n:])
			return
		}
		for items := b[n:]; len(items) > 0; {
			var packet []byte
			if _, packet, items, err = roq.NextBundled(items); err != nil {
				return
			}
			m.noteVoice(packet)
		}
	}
}

func (m *delayMeter) noteVoice(packet []byte) {
	if isVoice(packet) {
		m.note(packet, receivedAt)
	}
}

// isVoice tells a talker's packets from RTCP and video.
func isVoice(packet []byte) bool { return len(packet) > 1 && packet[1]&0x7f == audioPayload }

// audioPayload is the payload type of voices (PROTOCOL.md, 6).
const audioPayload = 111
