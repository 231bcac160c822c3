package engine

import (
	"fmt"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/bridge"
)

// SetPoses says where users of a call stand and look, for those whom the room
// is mixed for (ModeMix): from then on they hear each other from where they
// are, in stereo. Users who are not named stay where they were; a nil pose
// takes a user out of the space, who then is heard, and hears, as without it.
// A game calls it as often as its world moves, for a whole room at a time; 10
// to 20 times a second is plenty, since gains glide. Each receiver with a pose
// costs an encode of its own. Errors: an *Error if there is no such call, a
// user is not in its room, or a pose has what is no number (and then nothing
// has changed).
func (s *Server) SetPoses(callID string, poses map[string]*mixer.Pose) error {
	for user, p := range poses {
		if p == nil {
			continue
		}
		if err := p.Check(); err != nil {
			return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("the pose of %.32q: %v", user, err)}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[callID]
	if c == nil {
		return s.noCall(callID)
	}
	in := make(map[string]*device, len(c.room.devs))
	for _, d := range c.room.devs {
		in[d.userID] = d
	}
	for _, p := range c.room.sounds {
		in[p.cfg.UserID] = p.device
	}
	for user := range poses {
		if in[user] == nil {
			return refuse(hooks.CodeBadParam, "%.32q is not in the room of the call", user)
		}
	}
	for user, p := range poses {
		in[user].setPose(p)
	}
	return nil
}

// setPose moves a device's user. Server.mu is held.
func (d *device) setPose(p *mixer.Pose) {
	if p != nil {
		at := *p
		p = &at
	}
	d.pose = p
	for _, t := range d.published {
		src := t.source.Load()
		switch {
		case src == nil:
		case p == nil:
			src.ClearPosition()
		default:
			src.SetPosition(p.Position)
		}
	}
	var heard []*bridge.Receiver
	if d.mixLeg != nil {
		heard = append(heard, d.mixLeg.heard)
	}
	for _, e := range d.ears {
		heard = append(heard, e.heard)
	}
	for _, h := range heard {
		if p == nil {
			h.ClearPose()
		} else {
			h.SetPose(*p)
		}
	}
}

// setOwnPose is a client that says where its user is.
func (s *Server) setOwnPose(d *device, req *signal.Pose) error {
	if !s.cfg.Mix.ClientPoses {
		return refuse(hooks.CodeRefused, "positions are the host's to tell here")
	}
	var pose *mixer.Pose
	if req.Position != nil {
		pose = &mixer.Pose{Position: *req.Position, Forward: req.Forward, Right: req.Right, Up: req.Up}
		if err := pose.Check(); err != nil {
			return refuse(hooks.CodeBadParam, "%v", err)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.inCall(d, req.CallID)
	if err != nil {
		return err
	}
	if c.world != nil {
		return refuse(hooks.CodeRefused, "positions are the host's to tell in a world")
	}
	d.setPose(pose)
	return nil
}
