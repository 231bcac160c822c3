package engine

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

const (
	// keyFrameEvery is how often a track's sender is asked for a key frame at most.
	keyFrameEvery = 500 * time.Millisecond
	// A device may send rtcpRate RTCP packets a second.
	rtcpRate  = 200
	rtcpBurst = 200
)

// subscribe turns a track on or off for one receiver. Whoever turns video on,
// also when it is on already, begins with a key frame.
func (s *Server) subscribe(d *device, req *signal.Subscribe) error {
	begun, err := s.setSubscribed(d, req)
	if begun != nil {
		begun.begin(time.Now())
	}
	return err
}

// setSubscribed returns the way of a video that begins.
func (s *Server) setSubscribed(d *device, req *signal.Subscribe) (*videoLeg, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.call != nil && d.call.world != nil {
		return nil, d.call.world.subscribe(d, req)
	}
	for t, l := range d.legs {
		if t.id != req.TrackID {
			continue
		}
		if req.On {
			if err := d.mayReceive(t.kind); err != nil {
				return nil, err
			}
		}
		if l.on != req.On {
			l.on = req.On
			d.setMixGain(t)
			t.call.room.reroute()
		}
		if l.on {
			return l.video, nil
		}
		return nil, nil
	}
	return nil, refuse(hooks.CodeBadParam, "no track %d is sent to %s", req.TrackID, d.userID)
}

// videoLegs are the ways of the videos that the device is sent.
func (d *device) videoLegs() (legs []*videoLeg) {
	if seen := d.seen.Load(); seen != nil {
		for _, l := range *seen {
			legs = append(legs, l)
		}
	}
	return legs
}

// videoLeg is that of a video by its SSRC, or nil.
func (d *device) videoLeg(ssrc uint32) *videoLeg {
	if seen := d.seen.Load(); seen != nil {
		return (*seen)[ssrc]
	}
	return nil
}

// listenRTCP takes a device's RTCP: the key frames that it asks for (PLI, RFC
// 4585 section 6.3.1; FIR, RFC 5104 section 4.3.1), what it lost (Generic NACK,
// RFC 4585 section 6.2.1) and what came (RFC 8888). No lock of the server's is
// taken: a flood is its sender's own loss. RTCP that came before the sign-in is
// handled at once.
func (s *Server) listenRTCP(d *device, sess transport.Session) {
	sess.HandleFlow(rtcpFlow, func(packet []byte, arrival time.Time) {
		if !d.feedback.AllowN(arrival, 1) {
			s.meters.rtcpLimited.Add(1)
			return
		}
		packets, err := rtcp.Unmarshal(packet)
		if err != nil {
			s.meters.rtcpBad.Add(1)
			return
		}
		s.meters.rtcpIn.add(len(packet))
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication:
				d.wantKeyFrame(p.MediaSSRC, arrival)
			case *rtcp.FullIntraRequest:
				for _, e := range p.FIR[:min(len(p.FIR), maxTracks)] {
					d.wantKeyFrame(e.SSRC, arrival)
				}
			case *rtcp.TransportLayerNack:
				if l := d.videoLeg(p.MediaSSRC); l != nil {
					l.again(p, arrival)
				}
			case *rtcp.CCFeedbackReport:
				if target, due := d.downlink.report(p, sess, arrival); due {
					d.share(target, arrival)
				}
			}
		}
	})
}

func (d *device) wantKeyFrame(ssrc uint32, now time.Time) {
	if l := d.videoLeg(ssrc); l != nil {
		l.restart(now)
	}
}
