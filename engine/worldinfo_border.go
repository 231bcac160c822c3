package engine

import "github.com/earshotrtc/earshot/hooks"

// What calls have and worlds have not: each is refused with words that say so.

// errWorldVideo: a camera, a shared screen, or a switch to video.
var errWorldVideo = refuse(hooks.CodeUnsupported, "a world carries audio alone")

// noCall is why the host cannot change a call: there is none, or it is a world.
// Server.mu is held.
func (s *Server) noCall(id string) error {
	if s.worlds[id] != nil {
		return refuse(hooks.CodeUnsupported, "%.40q is a world, not a call: engine.World has methods of its own", id)
	}
	return refuse(hooks.CodeBadParam, "there is no call %.40q", id)
}

// mayNotEnterWorld is why a device cannot enter a world as it would a call.
func (d *device) mayNotEnterWorld() error {
	if d.stranger != nil {
		return refuse(hooks.CodeUnsupported, "a world takes no plain RTP over QUIC endpoints")
	}
	return refuse(hooks.CodeRefused, "this is a world: who is in it is the host's to say")
}
