package engine

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"golang.org/x/time/rate"

	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/transport"
)

const (
	// A receiver whose oldest waiting packet is older than maxBacklog does not
	// keep up: frames that begin then are left out.
	maxBacklog = 350 * time.Millisecond
	// Nor does one whose waiting packets, of about packetBytes, would take longer
	// with what it has, which is taken for minBudget at least.
	packetBytes = 1000
	minBudget   = 400_000
	// beginGrace is for how long after its beginning more may wait.
	beginGrace = time.Second
	// slowKeyEvery is how often one receiver has key frames made for it in the
	// long run, as all others receive them, too; keyBurst may come together.
	slowKeyEvery = 1500 * time.Millisecond
	keyBurst     = 4
	// A receiver is sent againRate packets a second again at most.
	againRate  = 300
	againBurst = 300
)

// A videoLeg is a video track's way to one receiver.
type videoLeg struct {
	film *film
	to   *device
	flow uint64
	// budget is what the receiver has for it, bit/s; 0 while that is not known.
	budget atomic.Int64

	// mu is held while the receiver's packets are put into its session's queue,
	// which waits for nobody. Only what is done for this receiver takes it.
	mu     sync.Mutex
	way    *forward.Video
	asked  time.Time // when a key frame was last asked for as it is slow
	grace  time.Time // until when much may wait: what begins comes at once
	keys   *rate.Limiter
	sizing sizing
	buf    [transport.MaxPacketSize]byte
}

func newVideoLeg(f *film, to *device, flow uint64) *videoLeg {
	return &videoLeg{
		film: f, to: to, flow: flow, way: forward.NewVideo(),
		keys: rate.NewLimiter(rate.Every(slowKeyEvery), keyBurst),
	}
}

// send passes a packet on, if the receiver is to get it. The packet's numbers are
// changed in place.
func (l *videoLeg) send(from *filmLayer, m *forward.Meta, packet []byte, now time.Time) {
	sess := l.to.session.Load()
	if sess == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	slow := m.First && l.slow(*sess, now)
	if m.First && !slow {
		l.ask(now)
	}
	began := l.way.Layer()
	if !l.way.Packet(m, slow, now) {
		return
	}
	l.put(*sess, m, packet, now)
	if l.way.Layer() != began { // what came before its beginning did
		l.catchUp(*sess, from, m.Seq+1, now)
	}
}

// put rewrites a packet that passed, and queues it.
func (l *videoLeg) put(sess transport.Session, m *forward.Meta, packet []byte, now time.Time) {
	l.way.Rewrite(m, packet)
	l.to.downlink.sent(l.film.track.ssrc, packet, now)
	sess.Send(transport.Packet{Flow: l.flow, Class: classVideo, Deadline: now.Add(videoLifetime), Payload: packet})
}

// slow reports whether the receiver does not keep up.
func (l *videoLeg) slow(sess transport.Session, now time.Time) bool {
	packets, deadline := sess.Waiting(classVideo)
	if packets == 0 {
		return false
	}
	tooMuch := max(l.budget.Load(), minBudget) * int64(maxBacklog/time.Millisecond) / 1000 / 8
	return deadline.Sub(now) < videoLifetime-maxBacklog || int64(packets)*packetBytes > tooMuch && now.After(l.grace)
}

// ask asks for the key frame that the way waits for. The first requests come
// from who began or lost something; these are for one that was slow, or whose
// size is to change.
func (l *videoLeg) ask(now time.Time) {
	layer, waits := l.way.Wants()
	if !waits || now.Sub(l.asked) < keyFrameEvery || !l.mayAsk(now) {
		return
	}
	l.asked = now
	l.film.layers[min(layer, len(l.film.layers)-1)].keys.want()
}

// mayAsk reports whether a key frame may be made for this receiver: one that is
// alone disturbs nobody.
func (l *videoLeg) mayAsk(now time.Time) bool {
	t := l.film.track
	return len(t.call.room.route.Load().legs[t]) == 1 || l.keys.AllowN(now, 1)
}

// catchUp sends what the cache has from a number on.
func (l *videoLeg) catchUp(sess transport.Session, from *filmLayer, seq uint16, now time.Time) {
	for range maxGroup {
		from.mu.Lock()
		m, packet, _, ok := from.cache.Get(seq, now)
		n := copy(l.buf[:], packet)
		from.mu.Unlock()
		if !ok {
			return
		}
		if l.way.Packet(&m, false, now) {
			l.put(sess, &m, l.buf[:n], now)
		}
		seq++
	}
}

// begin shows the receiver a picture: at once, if there is a key frame that is
// fresh enough, or as soon as its sender has made one.
func (l *videoLeg) begin(now time.Time) {
	sess := l.to.session.Load()
	if sess == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.way.Restart()
	l.asked, l.grace = now, now.Add(beginGrace)
	layer, _ := l.way.Wants()
	from := l.film.layers[min(layer, len(l.film.layers)-1)]
	from.mu.Lock()
	first, _, age, ok := from.cache.Group(maxGroup, now)
	from.mu.Unlock()
	if ok && age <= maxGroupAge {
		l.catchUp(*sess, from, first, now)
		return
	}
	if l.mayAsk(now) {
		from.keys.want()
	}
	l.showStill(*sess, from, now)
}

// showStill shows the last key frame until there is another.
func (l *videoLeg) showStill(sess transport.Session, from *filmLayer, now time.Time) {
	for i := 0; ; i++ {
		from.mu.Lock()
		m, packet, ok := from.cache.Still(i)
		n := copy(l.buf[:], packet)
		from.mu.Unlock()
		if !ok {
			break
		}
		if l.way.Packet(&m, false, now) {
			l.put(sess, &m, l.buf[:n], now)
		}
	}
	l.way.Restart()
}

// restart waits for a key frame: the receiver has lost something.
func (l *videoLeg) restart(now time.Time) {
	l.mu.Lock()
	l.way.Restart()
	allowed := l.mayAsk(now)
	if allowed {
		l.asked = now
	}
	layer, _ := l.way.Wants()
	l.mu.Unlock()
	if allowed {
		l.film.layers[min(layer, len(l.film.layers)-1)].keys.want()
	}
}

// again sends packets again that the receiver lost, if they can still come in
// time.
func (l *videoLeg) again(nack *rtcp.TransportLayerNack, now time.Time) {
	sess := l.to.session.Load()
	if sess == nil {
		return
	}
	rtt := l.to.downlink.recentRTT(*sess, now)
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, pair := range nack.Nacks {
		pair.Range(func(seq uint16) bool {
			if !l.to.resends.AllowN(now, 1) {
				return false
			}
			layer, in, ok := l.way.Again(seq, rtt/2, now)
			if !ok || layer >= len(l.film.layers) {
				return true
			}
			from := l.film.layers[layer]
			from.mu.Lock()
			m, packet, age, ok := from.cache.Get(in, now)
			n := copy(l.buf[:], packet)
			from.mu.Unlock()
			if !ok || age+rtt/2 > videoLifetime {
				return true
			}
			l.way.RewriteAgain(seq, &m, l.buf[:n])
			l.to.downlink.resent(l.film.track.ssrc, seq, n, now)
			(*sess).Send(transport.Packet{Flow: l.flow, Class: classRTCP, Deadline: now.Add(videoLifetime - age), Payload: l.buf[:n]})
			return true
		})
	}
}
