package engine

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// keyFrameEvery is how often a track's sender is asked for a key frame at most.
const keyFrameEvery = 500 * time.Millisecond

// subscribe turns a track on or off for one receiver. Whoever turns video on,
// also when it is on already, begins with a key frame.
func (s *Server) subscribe(d *device, req *signal.Subscribe) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t, l := range d.legs {
		if t.id != req.TrackID {
			continue
		}
		if req.On {
			if err := d.mayReceive(t.kind); err != nil {
				return err
			}
		}
		if l.on != req.On {
			l.on = req.On
			d.setMixGain(t)
			t.call.room.reroute()
		}
		if l.on && t.kind == signal.KindVideo {
			s.wantKeyFrame(t)
		}
		return nil
	}
	return refuse(hooks.CodeBadParam, "no track %d is sent to %s", req.TrackID, d.userID)
}

// wantKeyFrame asks a track's sender for a key frame (PLI, RFC 4585 section
// 6.3.1). Requests within keyFrameEvery of one another are one, sent at its
// end. Server.mu is held.
func (s *Server) wantKeyFrame(t *track) {
	if wait := keyFrameEvery - time.Since(t.keyed); wait > 0 {
		if t.keyTimer == nil {
			t.keyTimer = time.AfterFunc(wait, func() {
				s.mu.Lock()
				defer s.mu.Unlock()
				t.keyTimer = nil
				if !t.closed.Load() {
					s.wantKeyFrame(t)
				}
			})
		}
		return
	}
	t.keyed = time.Now()
	sess := t.owner.session.Load()
	if sess == nil {
		return
	}
	pli, err := (&rtcp.PictureLossIndication{MediaSSRC: t.ssrc}).Marshal()
	if err == nil {
		(*sess).Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: pli})
	}
}

// listenRTCP takes a device's RTCP: the key frames that it asks for. Server.mu
// is not held: RTCP that came before the sign-in is handled at once.
func (s *Server) listenRTCP(d *device, sess transport.Session) {
	sess.HandleFlow(rtcpFlow, func(packet []byte, _ time.Time) {
		packets, err := rtcp.Unmarshal(packet)
		if err != nil {
			return
		}
		for _, p := range packets {
			pli, ok := p.(*rtcp.PictureLossIndication)
			if !ok {
				continue
			}
			s.mu.Lock()
			for t, l := range d.legs {
				if t.ssrc == pli.MediaSSRC && l.on && t.kind == signal.KindVideo {
					s.wantKeyFrame(t)
				}
			}
			s.mu.Unlock()
		}
	})
}
