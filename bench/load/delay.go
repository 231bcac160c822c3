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
	counts [1_000 * perPage]atomic.Uint32
	// used are the milliseconds of which something was counted: most are not, and
	// under the race detector each atomic that is touched costs it 2 kB.
	used [1_000]atomic.Bool
}

// perPage is how many counts are in a millisecond.
const perPage = 1_000

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
		i := min(max(int(d/time.Microsecond), 0), len(m.counts)-1)
		m.counts[i].Add(1)
		if used := &m.used[i/perPage]; !used.Load() {
			used.Store(true)
		}
	}
}

// reset forgets what was counted. What is noted meanwhile is forgotten or marked
// as used again.
func (m *delayMeter) reset() {
	for page := range m.used {
		if m.used[page].Swap(false) {
			for i := range perPage {
				m.counts[page*perPage+i].Store(0)
			}
		}
	}
}

// each calls f with each microsecond that was counted and how often, in order,
// until it returns false.
func (m *delayMeter) each(f func(d time.Duration, n int64) bool) {
	for page := range m.used {
		if !m.used[page].Load() {
			continue
		}
		for i := page * perPage; i < (page+1)*perPage; i++ {
			if n := m.counts[i].Load(); n > 0 && !f(time.Duration(i)*time.Microsecond, int64(n)) {
				return
			}
		}
	}
}

func (m *delayMeter) delays() (d Delays) {
	m.each(func(_ time.Duration, n int64) bool { d.N += n; return true })
	at := func(q float64) (delay time.Duration) {
		left := int64(q * float64(d.N))
		m.each(func(at time.Duration, n int64) bool {
			delay = at
			left -= n
			return left >= 0
		})
		return delay
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
