package engine

import (
	"sync"
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A cameraLink is what an open camera knows of its way to the server: how much
// gets through, how much receivers can take, and what was lost.
type cameraLink struct {
	client *Client
	cam    *cameraTrack
	downlink

	mu   sync.Mutex
	most int // what receivers can take, 0 while unknown
	told int // the target that the source and the listener know
}

func (l *cameraLink) init(c *Client, cam *cameraTrack) { l.client, l.cam = c, cam }

func (l *cameraLink) sent(s *videoSender, packet []byte, now time.Time) {
	l.downlink.sent(s.header.SSRC, packet, now)
}

// again sends packets again that the server lost.
func (l *cameraLink) again(s *videoSender, nack *rtcp.TransportLayerNack, sess transport.Session, now time.Time) {
	half := l.recentRTT(sess, now) / 2
	var buf [transport.MaxPacketSize]byte
	for _, pair := range nack.Nacks {
		pair.Range(func(seq uint16) bool {
			s.mu.Lock()
			_, packet, age, ok := s.cache.Get(seq, now)
			n := copy(buf[:], packet)
			s.mu.Unlock()
			if !ok || age+half > videoLifetime {
				return true
			}
			l.resent(s.header.SSRC, seq, n, now)
			sess.Send(transport.Packet{Flow: s.flow, Class: classRTCP, Deadline: now.Add(videoLifetime - age), Payload: buf[:n]})
			return true
		})
	}
}

// report takes what came.
func (l *cameraLink) report(r *rtcp.CCFeedbackReport, sess transport.Session, now time.Time) {
	if target, due := l.downlink.report(r, sess, now); due {
		l.tell(target)
	}
}

// limit takes how much receivers can take.
func (l *cameraLink) limit(bps int) {
	l.mu.Lock()
	l.most = bps
	l.mu.Unlock()
	l.tell(l.sender().Target())
}

// tell tells the source its target, and the listener.
func (l *cameraLink) tell(target int) {
	l.mu.Lock()
	if l.most > 0 {
		target = min(target, l.most)
	}
	changed := target > l.told+l.told/20 || target < l.told-l.told/20
	if changed {
		l.told = target
	}
	l.mu.Unlock()
	if !changed {
		return
	}
	l.client.target.Store(int64(target))
	if s, ok := l.cam.src.(BitrateSetter); ok {
		l.client.cb.contain(s, func() { s.SetBitrate(target) })
	}
	l.client.cb.post(func(h hooks.Listener) { h.OnTargetBitrate(target) })
}
