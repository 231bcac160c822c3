package engine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// A call is ringing around a room, from dialling to the end. All of it is
// guarded by Server.mu.
type call struct {
	id      string
	inviter string
	media   hooks.MediaType
	data    string
	room    *room
	members map[string]*member // by user ID, as long as they ring or are in
	until   time.Time          // when the ringing ends
	ringing *time.Timer
	began   time.Time // when it was first answered
}

// A member is a user in a call: in, on a device, or still ringing.
type member struct {
	userID string
	device *device // nil while ringing
	told   bool    // the invitation has reached a device
}

// refuse is an error with a code of the original's.
func refuse(code hooks.Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// startCall rings a user, and puts the caller into the call's room.
func (s *Server) startCall(d *device, req *signal.Call) (string, error) {
	if len(req.UserIDs) != 1 || req.GroupID != "" {
		return "", refuse(hooks.CodeUnsupported, "group calls are not there yet; name one user")
	}
	callee := req.UserIDs[0]
	if callee == d.userID {
		return "", refuse(hooks.CodeBadParam, "%s cannot call themselves", callee)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.draining || s.closed:
		return "", refuse(hooks.CodeServerFailed, "the server is shutting down")
	case d.removed:
		return "", refuse(hooks.CodeDisconnected, "signed out")
	case s.busy[d.userID] != nil:
		return "", ErrBusy
	}
	ring := s.cfg.CallTimeout
	if req.TimeoutMS > 0 {
		ring = time.Duration(req.TimeoutMS) * time.Millisecond
	}
	c := &call{
		id:      newCallID(),
		inviter: d.userID,
		media:   req.Media,
		data:    req.UserData,
		room:    newRoom(s),
		members: map[string]*member{d.userID: {userID: d.userID}},
		until:   time.Now().Add(ring),
	}
	s.calls[c.id] = c
	s.busy[d.userID] = c
	s.enter(c, d)

	if s.busy[callee] != nil {
		s.log.Debug("line busy", "caller", d.userID, "callee", callee)
		d.tell(signal.TypeLineBusy, signal.CallUser{CallID: c.id, UserID: callee})
		s.endCall(c, hooks.EndLineBusy)
		return c.id, nil
	}
	c.members[callee] = &member{userID: callee}
	s.busy[callee] = c
	if callee := s.users[callee]; callee != nil {
		s.invite(c, callee)
	}
	c.ringing = time.AfterFunc(ring, func() { s.ringOver(c) })
	return c.id, nil
}

func newCallID() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// invite rings one device.
func (s *Server) invite(c *call, d *device) {
	c.members[d.userID].told = true
	d.tell(signal.TypeInvited, signal.Invited{
		CallID: c.id, Sponsor: c.inviter, Media: c.media, UserData: c.data,
		TimeoutMS: int(max(0, time.Until(c.until)) / time.Millisecond),
	})
}

// inviteWaiting rings a device that has just signed in with an invitation that
// came while its user was offline.
func (s *Server) inviteWaiting(d *device) {
	if c := s.busy[d.userID]; c != nil {
		if m := c.members[d.userID]; m != nil && m.device == nil {
			s.invite(c, d)
		}
	}
}

// enter puts a device into the call's room and tells everybody.
func (s *Server) enter(c *call, d *device) {
	in := c.in()
	c.members[d.userID].device = d
	d.call = c
	e := signal.Entered{CallID: c.id, Inviter: c.inviter, Media: c.media}
	for _, m := range in {
		e.UserIDs = append(e.UserIDs, m.userID)
	}
	d.tell(signal.TypeEntered, e)
	for _, m := range in {
		m.device.tell(signal.TypeUserEnter, signal.CallUser{CallID: c.id, UserID: d.userID})
	}
	c.room.join(d)
}

// in are the members that are in the room.
func (c *call) in() []*member {
	var in []*member
	for _, m := range c.members {
		if m.device != nil {
			in = append(in, m)
		}
	}
	return in
}

// memberOf finds the call that a request names, and its sender in it.
func (s *Server) memberOf(d *device, callID string) (*call, *member, error) {
	c := s.calls[callID]
	if c == nil || c.members[d.userID] == nil {
		return nil, nil, refuse(hooks.CodeRefused, "there is no such call for %s now", d.userID)
	}
	return c, c.members[d.userID], nil
}

func (s *Server) acceptCall(d *device, callID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, m, err := s.memberOf(d, callID)
	if err != nil {
		return err
	}
	if m.device != nil {
		return refuse(hooks.CodeRefused, "the call is accepted already")
	}
	c.stopRinging()
	for _, in := range c.in() {
		in.device.tell(signal.TypeAccepted, signal.CallUser{CallID: c.id, UserID: d.userID})
	}
	s.enter(c, d)
	c.began = time.Now()
	for _, in := range c.in() {
		in.device.tell(signal.TypeCallBegin, signal.CallRef{CallID: c.id})
	}
	return nil
}

func (s *Server) reject(d *device, callID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, m, err := s.memberOf(d, callID)
	if err != nil {
		return err
	}
	if m.device != nil {
		return refuse(hooks.CodeRefused, "the call is accepted already; hang up instead")
	}
	s.out(c, d.userID)
	for _, in := range c.in() {
		in.device.tell(signal.TypeRejected, signal.CallUser{CallID: c.id, UserID: d.userID})
	}
	s.endCall(c, hooks.EndReject)
	return nil
}

// hangup leaves a call; for one who still rings it is a reject.
func (s *Server) hangup(d *device, callID string) error {
	s.mu.Lock()
	c, m, err := s.memberOf(d, callID)
	if err != nil || m.device == nil {
		s.mu.Unlock()
		if err != nil {
			return err
		}
		return s.reject(d, callID)
	}
	defer s.mu.Unlock()
	s.leaveCall(c, d.userID, hooks.LeftVoluntarily)
	return nil
}

// ringOver is called when nobody answered in time.
func (s *Server) ringOver(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.calls[c.id] != c || !c.began.IsZero() {
		return
	}
	var late []string
	for _, m := range c.members {
		if m.device == nil {
			late = append(late, m.userID)
		}
	}
	for _, userID := range late {
		s.out(c, userID)
		if d := s.users[userID]; d != nil {
			d.tell(signal.TypeTimedOut, signal.TimedOut{CallID: c.id, UserIDs: []string{}})
		}
		for _, in := range c.in() {
			in.device.tell(signal.TypeNoResponse, signal.CallUser{CallID: c.id, UserID: userID})
		}
	}
	for _, in := range c.in() {
		in.device.tell(signal.TypeTimedOut, signal.TimedOut{CallID: c.id, UserIDs: late})
	}
	s.endCall(c, hooks.EndNoResponse)
}

// leaveCall takes a user out of a call, which ends it: fewer than two are left.
func (s *Server) leaveCall(c *call, userID string, why hooks.LeaveReason) {
	m := c.members[userID]
	if m.device == nil { // still ringing, and the device is gone: it may sign in again
		return
	}
	reason := hooks.EndHangup
	switch {
	case why == hooks.LeftTimeout:
		reason = hooks.EndOffline
	case why == hooks.LeftKicked:
		reason = hooks.EndByServer
	case c.began.IsZero():
		reason = hooks.EndCanceled
	}
	d := m.device
	s.out(c, userID)
	for _, in := range c.in() {
		in.device.tell(signal.TypeUserLeave, signal.UserLeave{CallID: c.id, UserID: userID, Reason: why})
	}
	d.tell(signal.TypeCallEnd, c.ended(reason))
	s.endCall(c, reason)
}

func (c *call) ended(reason hooks.EndReason) signal.CallEnd {
	e := signal.CallEnd{CallID: c.id, Reason: reason}
	if !c.began.IsZero() {
		e.DurationMS = time.Since(c.began).Milliseconds()
	}
	return e
}

func (c *call) stopRinging() {
	if c.ringing != nil {
		c.ringing.Stop()
	}
}

// out takes a user out of the call and its room, and makes them free.
func (s *Server) out(c *call, userID string) {
	if m := c.members[userID]; m.device != nil {
		c.room.leave(m.device)
		m.device.call = nil
	}
	delete(c.members, userID)
	delete(s.busy, userID)
}

// endCall ends a call and tells everyone who is still in it or ringing, once.
func (s *Server) endCall(c *call, reason hooks.EndReason) {
	if s.calls[c.id] != c {
		return
	}
	c.stopRinging()
	e := c.ended(reason)
	for userID, m := range c.members {
		d := m.device
		s.out(c, userID)
		if d != nil {
			d.tell(signal.TypeCallEnd, e)
		} else if d := s.users[userID]; d != nil && m.told {
			d.tell(signal.TypeCancelled, signal.CallRef{CallID: c.id})
		}
	}
	delete(s.calls, c.id)
	if s.draining && len(s.calls) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}
