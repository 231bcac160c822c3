package engine

import (
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// A Hearing says whether one user of a call is sent another's voice and video.
type Hearing struct {
	// Receiver and Talker are the users.
	Receiver, Talker string
	// Audio and Video: what of the talker the receiver is sent.
	Audio, Video bool
}

// pair is who hears whom.
type pair struct{ receiver, talker string }

// SetHearing says who hears and sees whom in a call, in bulk: what is not named
// stays as it is, which is everything to begin with. A receiver who is not to
// hear somebody is sent no packet of theirs, and does not have them in its mix.
// It holds until the call ends, also for users who come later, and takes effect
// at once. At most 100,000 pairs may be other than everything. Errors: an *Error
// if there is no such call, a user ID is none, or there are too many; nothing is
// changed then.
func (s *Server) SetHearing(callID string, changes []Hearing) error {
	begun, err := s.setHearing(callID, changes)
	now := time.Now()
	for _, l := range begun {
		l.begin(now)
	}
	return err
}

const maxHearings = 100_000

// setHearing returns the ways of the videos that may be seen again.
func (s *Server) setHearing(callID string, changes []Hearing) (begun []*videoLeg, err error) {
	for _, h := range changes {
		for _, user := range []string{h.Receiver, h.Talker} {
			if err := signal.CheckUserID(user); err != nil {
				return nil, &Error{Code: hooks.CodeBadParam, Message: err.Error()}
			}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[callID]
	if c == nil {
		return nil, s.noCall(callID)
	}
	r := c.room
	if len(r.hearing)+len(changes) > maxHearings {
		return nil, refuse(hooks.CodeRefused, "more than %d pairs", maxHearings)
	}
	if r.hearing == nil {
		r.hearing = make(map[pair]Hearing)
	}
	for _, h := range changes {
		if p := (pair{h.Receiver, h.Talker}); h.Audio && h.Video {
			delete(r.hearing, p)
		} else {
			r.hearing[p] = h
		}
	}
	for _, d := range r.devs {
		for t, l := range d.legs {
			if l.video != nil && l.passes(t) && d.videoLeg(t.ssrc) == nil {
				begun = append(begun, l.video)
			}
			d.setMixGain(t)
		}
	}
	r.reroute()
	return begun, nil
}

// hears reports whether a user is to be sent a track.
func (r *room) hears(receiver string, t *track) bool {
	if !t.isFor(receiver) {
		return false
	}
	h, limited := r.hearing[pair{receiver, t.owner.userID}]
	switch {
	case !limited:
		return true
	case t.kind == signal.KindVideo:
		return h.Video
	}
	return h.Audio
}
