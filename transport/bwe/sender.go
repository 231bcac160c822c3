package bwe

import (
	"errors"
	"math"
	"sync"
	"time"

	"github.com/pion/rtcp"
)

// ErrNotFeedback is what FeedbackPacket returns for bytes that are no RFC 8888
// packet.
var ErrNotFeedback = errors.New("bwe: not a congestion control feedback packet")

const (
	historySize = 2048            // packets, at most
	historyAge  = 3 * time.Second // after which a packet is not waited for
	maxBlocks   = 64              // of a report that are looked at
	// silence is how long packets may go without any report.
	silence    = time.Second
	silenceCut = 0.7
	// clockSlack is how far a report's clock may go its own way between two
	// reports before it counts as another clock.
	clockSlack = 2 * time.Second
	// pathShare is what of quic-go's window a sender may count on.
	pathShare = 0.8
)

// packetState is what is known of a packet that was sent.
type packetState uint8

const (
	waiting packetState = iota
	missing             // reported as not received; it may yet come
	settled
)

type sentPacket struct {
	at    time.Duration
	ssrc  uint32
	seq   uint16
	size  uint16
	state packetState
}

// A Sender estimates what may be sent. Any goroutine may call its methods.
type Sender struct {
	mu    sync.Mutex
	epoch time.Time // of all times here
	last  time.Duration

	history    []sentPacket // a ring, its length a power of two
	head, tail int          // the oldest and one past the newest, counted up

	sent, acked meter
	ackedAt     time.Duration // newest arrival, by the reports' clock
	trend       trend
	loss        lossRule
	control     control
	rtt         time.Duration

	// The reports' clock: 32 bits of NTP time, unwrapped.
	heard   bool
	stamp   uint32
	stampAt time.Duration // by our clock
	remote  time.Duration // the stamp, since an epoch of its own

	sentAt      time.Duration // the newest packet
	toldAt      time.Duration // when a report last told something new, or sending began anew
	silentSince time.Duration // the same, or when the target was last cut for silence

	path int // the window's cap, 0 if none
}

// NewSender returns a Sender. The error wraps ErrConfig.
func NewSender(c Config) (*Sender, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Sender{
		history: make([]sentPacket, 64),
		control: control{min: float64(c.Min), max: float64(c.Max), target: float64(c.Initial)},
	}, nil
}

// now returns t since the epoch. Time does not go back, whatever the callers
// bring.
func (s *Sender) now(t time.Time) time.Duration {
	if s.epoch.IsZero() {
		s.epoch = t
		return 0
	}
	s.last = max(s.last, t.Sub(s.epoch))
	return s.last
}

// Sent tells that a packet of size bytes leaves: call it as the packet is
// handed to the session, in the order of sending. A retransmission with its
// old sequence number is told with Resent.
func (s *Sender) Sent(ssrc uint32, seq uint16, size int, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now(t)
	size = min(max(size, 0), math.MaxUint16)
	s.sent.add(now, size)
	for s.head != s.tail {
		if p := s.at(s.head); p.state != settled && now-p.at <= historyAge {
			break
		}
		s.head++
	}
	if s.tail-s.head == len(s.history) {
		if len(s.history) < historySize {
			s.grow()
		} else {
			s.head++
		}
	}
	if now-s.sentAt > silence/2 { // after a pause silence begins anew
		s.toldAt, s.silentSince = now, now
	}
	s.sentAt = now
	*s.at(s.tail) = sentPacket{at: now, ssrc: ssrc, seq: seq, size: uint16(size)}
	s.tail++
	if now-s.silentSince > silence+s.rtt {
		s.silentSince = now - s.rtt
		s.control.set(silenceCut * s.control.target)
	}
}

// Resent tells that a packet of size bytes leaves again with the sequence
// number it had. It counts as sent; whether it arrives says nothing, since a
// report does not tell which of the two it was, and the first one stays lost.
func (s *Sender) Resent(ssrc uint32, seq uint16, size int, t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent.add(s.now(t), min(max(size, 0), math.MaxUint16))
	for i := s.head; i != s.tail; i++ {
		if p := s.at(i); p.ssrc == ssrc && p.seq == seq && p.state != settled {
			if p.state == waiting {
				s.loss.lost++
				s.loss.total++
			}
			p.state = settled
		}
	}
}

func (s *Sender) at(i int) *sentPacket { return &s.history[i&(len(s.history)-1)] }

func (s *Sender) grow() {
	larger := make([]sentPacket, 2*len(s.history))
	for i := s.head; i != s.tail; i++ {
		larger[i&(len(larger)-1)] = *s.at(i)
	}
	s.history = larger
}

// FeedbackPacket is Feedback for one RTCP packet as it came, without padding and
// not part of a compound one; b is only read, and not kept. The error wraps
// ErrNotFeedback; nothing has changed then.
func (s *Sender) FeedbackPacket(b []byte, t time.Time) error {
	var report rtcp.CCFeedbackReport
	var h rtcp.Header
	if err := h.Unmarshal(b); err != nil {
		return errors.Join(ErrNotFeedback, err)
	}
	if h.Type != rtcp.TypeTransportSpecificFeedback || h.Count != rtcp.FormatCCFB || h.Padding || (int(h.Length)+1)*4 != len(b) {
		return ErrNotFeedback
	}
	if err := report.Unmarshal(b); err != nil {
		return errors.Join(ErrNotFeedback, err)
	}
	s.Feedback(&report, t)
	return nil
}

// Feedback takes a report that came from the receiver. What it says of packets
// that were not sent, or not lately, is ignored, and what it says twice counts
// once. The report is only read, and not kept.
func (s *Sender) Feedback(report *rtcp.CCFeedbackReport, t time.Time) {
	if report == nil || len(report.ReportBlocks) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now(t)
	remote, steady := s.remoteTime(report.ReportTimestamp, now)
	if !steady {
		s.trend = trend{}
		s.acked = meter{}
		s.ackedAt = remote
	}
	blocks := report.ReportBlocks[:min(len(report.ReportBlocks), maxBlocks)]
	told, delayTold := false, false
	// What was lost while nothing came through says nothing of the path now,
	// and the target has gone down for it.
	outage := now-s.toldAt > silence/2+s.rtt
	rtt := time.Duration(math.MaxInt64)
	for i := s.head; i != s.tail; i++ {
		p := s.at(i)
		if p.state == settled {
			continue
		}
		m, ok := find(blocks, p.ssrc, p.seq)
		if !ok {
			continue
		}
		if !m.Received {
			if p.state == waiting {
				p.state = missing
				told = true
				if outage {
					p.state = settled
					continue
				}
				s.loss.lost++
				s.loss.total++
			}
			continue
		}
		told = true
		late := p.state == missing
		p.state = settled
		if late {
			s.loss.lost--
		} else {
			s.loss.total++
		}
		if m.ArrivalTimeOffset >= noArrivalTime {
			continue
		}
		ago := time.Duration(m.ArrivalTimeOffset) * time.Second / 1024
		arrived := remote - ago
		s.acked.add(arrived, int(p.size))
		s.ackedAt = max(s.ackedAt, arrived)
		if late {
			continue
		}
		rtt = min(rtt, now-p.at-ago)
		s.trend.add(p.at, arrived)
		delayTold = true
	}
	if !told {
		return
	}
	s.toldAt, s.silentSince = now, now
	if rtt != math.MaxInt64 {
		rtt = max(rtt, 0)
		if s.rtt == 0 {
			s.rtt = rtt
		}
		s.rtt += (rtt - s.rtt) / 8
	}
	r := rates{sent: s.sent.rate(now), acked: s.acked.rate(s.ackedAt), rtt: s.rtt}
	v := s.loss.window(now)
	if v == lossCuts {
		s.control.cut(now, lossDecrease, r)
	}
	if delayTold {
		s.control.onDelay(now, s.trend.usage, r, v == lossFine)
	}
}

// noArrivalTime is where arrival time offsets begin that are none: too long
// ago, or not known (RFC 8888, section 3.1).
const noArrivalTime = 0x1FFE

// find returns what a report says of a packet.
func find(blocks []rtcp.CCFeedbackReportBlock, ssrc uint32, seq uint16) (rtcp.CCFeedbackMetricBlock, bool) {
	for i := range blocks {
		if b := &blocks[i]; b.MediaSSRC == ssrc {
			if k := int(seq - b.BeginSequence); k < len(b.MetricBlocks) {
				return b.MetricBlocks[k], true
			}
		}
	}
	return rtcp.CCFeedbackMetricBlock{}, false
}

// remoteTime unwraps a report's timestamp, in 1/65536 s and 18 hours long. It
// says whether the clock goes on as it did.
func (s *Sender) remoteTime(stamp uint32, now time.Duration) (remote time.Duration, steady bool) {
	const start = time.Hour // so that what arrived before the first report is not before the epoch
	if !s.heard {
		s.heard, s.stamp, s.stampAt, s.remote = true, stamp, now, start
		return s.remote, true
	}
	step := time.Duration(int32(stamp-s.stamp)) * time.Second / 65536
	if off := step - (now - s.stampAt); off < -clockSlack || off > clockSlack {
		s.stamp, s.stampAt, s.remote = stamp, now, start
		return s.remote, false
	}
	if step < 0 { // overtaken by a later one
		return s.remote + step, true
	}
	s.stamp, s.stampAt, s.remote = stamp, now, s.remote+step
	return s.remote, true
}

// Path tells what a QUIC connection's congestion controller allows: its window
// in bytes and its smoothed round-trip time. Target stays below 0.8 of what
// they come to, so that packets do not wait for the window. If either is zero
// there is no such cap.
func (s *Sender) Path(window uint64, srtt time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.path = 0
	if window > 0 && srtt > 0 {
		s.path = int(max(1, min(pathShare*8*float64(window)/srtt.Seconds(), math.MaxInt32)))
	}
}

// Target is how much may be sent, in bits per second, between Config.Min and
// Config.Max.
func (s *Sender) Target() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	target := int(s.control.target)
	if s.path > 0 {
		target = max(min(target, s.path), int(s.control.min))
	}
	return target
}

// Loss is the share of packets lost in the last second or two, 0 to 1. Packets
// that no report mentions do not count.
func (s *Sender) Loss() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loss.loss
}

// RTT is the smoothed round-trip time as the reports have it, without the time
// that the receiver kept them; 0 until known.
func (s *Sender) RTT() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rtt
}
