package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/transport"
)

const (
	// filmCache is how many packets of a size are kept: at 2 Mbit/s two seconds.
	filmCache = 512
	// A late joiner is shown the last key frame and what came since, if that is
	// no more than maxGroup packets and maxGroupAge.
	maxGroup    = 200
	maxGroupAge = 3 * time.Second
	// gapCheck is how often what is missing is looked at again.
	gapCheck = 10 * time.Millisecond
)

// A film is what the server has of a video track: its sizes, the smallest first.
type film struct {
	track  *track
	layers []*filmLayer
	told   atomic.Int64 // the target that its sender was told, bit/s
	toldAt atomic.Int64 // Unix nanoseconds
}

// A filmLayer is one size: an RTP stream of its own.
type filmLayer struct {
	film *film
	n    int
	ssrc uint32
	keys keyRequests
	rate byteRate

	mu     sync.Mutex // guards what follows; held for moments
	cache  *forward.Cache
	gaps   forward.Gaps
	asking bool // a timer looks at the gaps
}

func newFilm(t *track, ssrcs []uint32) *film {
	f := &film{track: t}
	for i, ssrc := range ssrcs {
		l := &filmLayer{film: f, n: i, ssrc: ssrc, cache: forward.NewCache(filmCache)}
		l.keys.send = l.sendKeyRequest
		f.layers = append(f.layers, l)
	}
	return f
}

// layer is the size with an SSRC.
func (f *film) layer(ssrc uint32) *filmLayer {
	for _, l := range f.layers {
		if l.ssrc == ssrc {
			return l
		}
	}
	return nil
}

func (f *film) close() {
	for _, l := range f.layers {
		l.keys.stop()
	}
}

// forward passes the packet at hand on: t.buf[:n] of the track, whose turn it
// is. It is the hot path of video.
func (l *filmLayer) forward(n int, arrival time.Time) {
	t := l.film.track
	packet, h := t.buf[:n], &t.header
	m, err := forward.ReadMeta(packet, t.payload, h.SequenceNumber, h.Timestamp, h.Marker)
	if err != nil {
		t.refused.Add(1)
		return
	}
	m.Layer = l.n
	l.rate.add(arrival, n)
	l.mu.Lock()
	if l.gaps.Received(m.Seq, arrival) {
		l.cache.Forget()
	}
	l.cache.Put(m, packet, arrival)
	missing := l.gaps.Missing()
	l.mu.Unlock()
	if missing {
		l.ask(arrival)
	}
	t.owner.uplink.received(t.owner, l.ssrc, m.Seq, arrival)
	for _, leg := range t.call.room.route.Load().legs[t] {
		leg.video.send(l, &m, packet, arrival)
	}
}

// ask asks the sender for what is missing (Generic NACK, RFC 4585 section
// 6.2.1), now and until it is there or too old.
func (l *filmLayer) ask(now time.Time) {
	sess := l.film.track.owner.session.Load()
	if sess == nil {
		return
	}
	var due [32]uint16
	l.mu.Lock()
	missing := l.gaps.Due(due[:0], l.film.track.owner.uplink.recentRTT(*sess, now), now)
	again := l.gaps.Missing() && !l.asking
	if again {
		l.asking = true
	}
	l.mu.Unlock()
	sendNACK(*sess, l.ssrc, missing)
	if again {
		time.AfterFunc(gapCheck, func() {
			l.mu.Lock()
			l.asking = false
			l.mu.Unlock()
			if !l.film.track.closed.Load() {
				l.ask(time.Now())
			}
		})
	}
}

// sendNACK asks for packets.
func sendNACK(sess transport.Session, ssrc uint32, missing []uint16) {
	if len(missing) == 0 {
		return
	}
	nack := rtcp.TransportLayerNack{MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(missing)}
	if b, err := nack.Marshal(); err == nil {
		sess.Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: b})
	}
}

func (l *filmLayer) sendKeyRequest() {
	if l.film.track.closed.Load() {
		return
	}
	sess := l.film.track.owner.session.Load()
	if sess == nil {
		return
	}
	if pli, err := (&rtcp.PictureLossIndication{MediaSSRC: l.ssrc}).Marshal(); err == nil {
		(*sess).Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: pli})
	}
}

// keyRequests ask a sender for key frames (PLI, RFC 4585 section 6.3.1).
// Requests within keyFrameEvery of one another are one, sent at its end. Any
// goroutine may ask.
type keyRequests struct {
	send func()

	mu      sync.Mutex
	last    time.Time
	timer   *time.Timer
	stopped bool
}

func (k *keyRequests) want() {
	k.mu.Lock()
	if k.stopped || k.timer != nil {
		k.mu.Unlock()
		return
	}
	if wait := keyFrameEvery - time.Since(k.last); wait > 0 {
		k.timer = time.AfterFunc(wait, func() {
			k.mu.Lock()
			k.timer = nil
			k.mu.Unlock()
			k.want()
		})
		k.mu.Unlock()
		return
	}
	k.last = time.Now()
	k.mu.Unlock()
	k.send()
}

func (k *keyRequests) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.stopped = true
	if k.timer != nil {
		k.timer.Stop()
	}
}

// byteRate measures bits per second over about a second. One goroutine adds,
// any may ask.
type byteRate struct {
	began time.Time
	bytes int
	bps   atomic.Int64
}

func (r *byteRate) add(now time.Time, bytes int) {
	if r.began.IsZero() {
		r.began = now
	}
	if d := now.Sub(r.began); d >= time.Second {
		bps := int64(float64(8*r.bytes) / d.Seconds())
		if last := r.bps.Load(); last > 0 && d < 2*time.Second {
			bps = (last + bps) / 2
		}
		r.bps.Store(bps)
		r.began, r.bytes = now, 0
	}
	r.bytes += bytes
}
