package engine

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/bwe"
)

const (
	// lossyLine is the share of packets lost from which the room that the session
	// leaves to speech counts: see transport.Stats.BulkWindow.
	lossyLine = 0.02
	// firstTarget is what a video begins with, in bit/s, until more is known.
	firstTarget = 600_000
	// reportEvery is how often the sender of video is told what came (RFC 8888).
	reportEvery = 40 * time.Millisecond
	// shareEvery is how often a receiver's bandwidth is shared anew at most.
	shareEvery = 100 * time.Millisecond
	// A sender is told a new target when it has changed by a twentieth, at most
	// each tellEvery, and again each tellAgain, as the telling may be lost.
	tellEvery = 200 * time.Millisecond
	tellAgain = time.Second
	// The next size must fit with raiseRoom, and raiseEvery after the last
	// change.
	raiseRoom  = 1.2
	raiseEvery = 3 * time.Second
	// rttEvery is how often the round trip is asked for.
	rttEvery = 100 * time.Millisecond
)

// roundTrip is a session's round trip, asked for now and then.
type roundTrip struct {
	rtt atomic.Int64
	at  atomic.Int64 // Unix nanoseconds
}

func (r *roundTrip) recentRTT(sess transport.Session, now time.Time) time.Duration {
	if at := now.UnixNano(); at-r.at.Load() > int64(rttEvery) {
		r.at.Store(at)
		r.rtt.Store(int64(sess.Stats().RTT))
	}
	return time.Duration(r.rtt.Load())
}

// An uplink is who receives video: it reports what came.
type uplink struct {
	roundTrip
	mu   sync.Mutex
	rx   *bwe.Receiver
	told time.Time
}

// received notes a packet, and sends a report when one is due.
func (u *uplink) received(d *device, ssrc uint32, seq uint16, now time.Time) {
	report := u.note(ssrc, seq, now)
	if report == nil {
		return
	}
	if sess := d.session.Load(); sess != nil {
		(*sess).Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: report})
	}
}

// note returns a report if one is due.
func (u *uplink) note(ssrc uint32, seq uint16, now time.Time) []byte {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.rx == nil {
		u.rx, u.told = bwe.NewReceiver(0), now
	}
	u.rx.Received(ssrc, seq, now)
	if now.Sub(u.told) < reportEvery {
		return nil
	}
	u.told = now
	return u.rx.AppendReport(make([]byte, 0, 256), now, 0)
}

// A downlink is who sends video: it estimates what gets through.
type downlink struct {
	roundTrip
	mu     sync.Mutex
	tx     *bwe.Sender
	shared time.Time
}

// sender returns the estimate, and makes it with the first packet.
func (d *downlink) sender() *bwe.Sender {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tx == nil {
		d.tx, _ = bwe.NewSender(bwe.Config{Initial: firstTarget}) // which is a good one
	}
	return d.tx
}

func (d *downlink) sent(ssrc uint32, packet []byte, now time.Time) {
	d.sender().Sent(ssrc, binary.BigEndian.Uint16(packet[2:]), len(packet), now)
}

func (d *downlink) resent(ssrc uint32, seq uint16, size int, now time.Time) {
	d.sender().Resent(ssrc, seq, size, now)
}

// report takes what the other side tells, and returns the estimate if it is time
// to do something about it.
func (d *downlink) report(r *rtcp.CCFeedbackReport, sess transport.Session, now time.Time) (target int, due bool) {
	tx := d.sender()
	tx.Feedback(r, now)
	d.mu.Lock()
	due = now.Sub(d.shared) >= shareEvery
	if due {
		d.shared = now
	}
	d.mu.Unlock()
	if due {
		s := sess.Stats()
		// The window shrinks with the next loss: not all of it is counted on.
		window := s.BulkWindow * 85 / 100
		if tx.Loss() < lossyLine {
			window = s.CongestionWindow
		}
		tx.Path(window, s.RTT)
		target = tx.Target()
	}
	return target, due
}

// share shares a receiver's bandwidth among the videos that it is sent: each gets
// the largest size that fits its part, and what one leaves over is the others'.
func (d *device) share(target int, now time.Time) {
	legs := d.videoLegs()
	slices.SortFunc(legs, func(a, b *videoLeg) int { return int(a.rate(0)) - int(b.rate(0)) })
	left := target
	for i, l := range legs {
		part := left / (len(legs) - i)
		l.budget.Store(int64(part))
		left -= min(part, l.choose(part, now))
	}
	for _, l := range legs {
		l.film.tell(now)
	}
}

func (l *videoLeg) rate(layer int) int64 { return l.film.layers[layer].rate.bps.Load() }

// choose picks what fits so many bit/s, and returns what it takes.
func (l *videoLeg) choose(part int, now time.Time) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, _ := l.way.Wants()
	rates := make([]int, len(l.film.layers))
	for i := range rates {
		rates[i] = int(l.rate(i))
	}
	layer, pad := l.sizing.choose(rates, was, part, l.to.downlink.sender().Loss(), now)
	if layer != was {
		l.asked = time.Time{} // for a key frame, at once
	}
	tid := uint8(forward.MaxTID)
	if rates[layer] > part+part/10 {
		tid = 0 // of a source with temporal layers, half the frames or fewer
	}
	l.way.Want(layer, tid)
	l.pad(pad, now)
	return rates[layer] + pad
}

// A sizing decides which of a video's sizes one receiver is sent. What it has
// for it is known only up to a little above what it is sent: whether a larger
// one fits is found out with packets that carry nothing, before it is sent.
type sizing struct {
	changed time.Time
	pause   [signal.MaxLayers]time.Duration // before the next try of each
	short   time.Time                       // since when there is less than what is sent takes
	trying  bool
	before  int     // what there was when it began
	lost    float64 // and what share of the packets got lost
}

const (
	tryTime  = 15 * time.Second
	tryPause = 5 * time.Second
	tryMost  = 20 * time.Second
	// shortTime is how long there may be too little for the size that is sent.
	shortTime = 2 * time.Second
	// tryLoss is how much more may get lost.
	tryLoss = 0.02
)

// choose picks a size, given the bit rates of all, the one that is sent and what
// the receiver has and loses, and says how many bit/s of nothing to send besides.
func (s *sizing) choose(rates []int, was, part int, loss float64, now time.Time) (layer, pad int) {
	fits := 0
	for i, need := range rates {
		if i > was {
			need = int(float64(need) * raiseRoom)
		}
		if need > 0 && need <= part {
			fits = i
		}
	}
	if s.changed.IsZero() {
		s.changed = now
	}
	since := now.Sub(s.changed)
	next := was + 1
	if fits >= was {
		s.short = time.Time{}
	}
	switch {
	case fits < was && !s.tooLarge(rates[was], part, now):
		return was, 0
	case fits < was:
		s.trying, s.changed, s.short = false, now, time.Time{}
		return fits, 0
	case fits > was && (s.trying || since >= raiseEvery):
		s.trying, s.changed = false, now
		clear(s.pause[:])
		return fits, 0
	case next >= len(rates) || rates[next] == 0 || rates[was] > part:
		s.trying = false
		return was, 0
	case s.trying && (part < s.before*85/100 || loss > s.lost+tryLoss || since >= tryTime):
		s.trying, s.changed = false, now
		s.pause[next] = min(2*max(tryPause, s.pause[next]), tryMost)
		return was, 0
	case s.trying:
	case since >= max(tryPause, s.pause[next]):
		s.trying, s.before, s.lost, s.changed = true, part, loss, now
	default:
		return was, 0
	}
	return was, max(0, min(int(float64(rates[next])*raiseRoom)-rates[was], part/2))
}

// tooLarge reports whether what is sent is to give way to a smaller size: at once
// if there is much less for it, and otherwise when that lasts, as what there is
// falls short for a moment after each key frame.
func (s *sizing) tooLarge(need, part int, now time.Time) bool {
	if s.short.IsZero() {
		s.short = now
	}
	return part < need*7/10 || now.Sub(s.short) >= shortTime
}

// pad sends packets that carry nothing (RFC 3550 section 5.1, padding), for so
// many bit/s until the next report.
func (l *videoLeg) pad(bps int, now time.Time) {
	sess := l.to.session.Load()
	if sess == nil || bps <= 0 {
		return
	}
	const most = 255
	for left := bps / 8 * int(shareEvery/time.Millisecond) / 1000; left > 0; left -= 12 + most {
		seq, ts, ok := l.way.Pad()
		if !ok {
			return
		}
		p := l.buf[:12+most]
		clear(p)
		p[0], p[1], p[len(p)-1] = 0xA0, videoPayloadType, most
		binary.BigEndian.PutUint16(p[2:], seq)
		binary.BigEndian.PutUint32(p[4:], ts)
		binary.BigEndian.PutUint32(p[8:], l.film.track.ssrc)
		l.to.downlink.sent(l.film.track.ssrc, p, now)
		(*sess).Send(transport.Packet{Flow: l.flow, Class: classVideo, Deadline: now.Add(shareEvery), Payload: p})
	}
}

// tell tells the sender of a video how much its best receiver can take (REMB,
// draft-alvestrand-rmcat-remb-03).
func (f *film) tell(now time.Time) {
	best := int64(0)
	for _, leg := range f.track.call.room.route.Load().legs[f.track] {
		best = max(best, leg.video.budget.Load())
	}
	last, at := f.told.Load(), now.UnixNano()
	since := time.Duration(at - f.toldAt.Load())
	changed := best > last+last/20 || best < last-last/20
	if best == 0 || since < tellEvery || !changed && since < tellAgain {
		return
	}
	f.told.Store(best)
	f.toldAt.Store(at)
	sess := f.track.owner.session.Load()
	if sess == nil {
		return
	}
	remb := rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: float32(best), SSRCs: []uint32{f.track.ssrc}}
	if b, err := remb.Marshal(); err == nil {
		(*sess).Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: b})
	}
}
