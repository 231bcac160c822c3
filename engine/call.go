package engine

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
)

// A call is a state machine (package callstate), and the room around which it
// rings. All of it is guarded by Server.mu.
type call struct {
	state  callstate.Call
	room   *room
	roomID hooks.RoomID
	timers []*time.Timer
	history
	world  *World          // whose place it is, if it is no call at all
	routes map[string]bool // users whose host shows the call in a view of its own
}

// refuse is an error with a code of the original's.
func refuse(code hooks.Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func newCallID() string {
	var b [12]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// startCall rings users, and puts the caller into the call's room.
func (s *Server) startCall(d *device, req *signal.Call) (string, error) {
	callees := distinct(req.UserIDs, d.userID)
	if len(callees) == 0 {
		return "", refuse(hooks.CodeBadParam, "%s cannot call nobody else", d.userID)
	}
	if req.IsGroup && len(callees)+1 > s.cfg.MaxCallUsers {
		return "", refuse(hooks.CodeBadParam, "a call has at most %d users", s.cfg.MaxCallUsers)
	}
	if err := s.mayMix(req.Receive); err != nil {
		return "", err
	}
	if err := s.checkRoom(req.RoomID); err != nil {
		return "", err
	}
	rights, err := s.permit(d.userID, req.PrivateMapKey, req.RoomID, usersig.CreateRoom|usersig.EnterRoom)
	if err != nil {
		return "", err
	}
	if err := d.mayInvite(len(callees)); err != nil {
		return "", err
	}
	ask := hooks.CallRequest{Caller: d.userID, Callees: callees, IsGroup: req.IsGroup, GroupID: req.GroupID, RoomID: req.RoomID, Media: req.Media}
	if err := s.decideCall(ask); err != nil {
		return "", err
	}
	if err := s.decideAdmit(hooks.AdmitRequest{UserID: d.userID, GroupID: req.GroupID, RoomID: req.RoomID, Media: req.Media}); err != nil {
		return "", err
	}
	routes := s.decideRoutes(append([]string{d.userID}, callees...), ask)

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
	roomID, err := s.chooseRoom(req.RoomID)
	if err != nil {
		return "", err
	}
	d.rights = rights
	c := &call{
		state: callstate.Call{
			ID: newCallID(), Group: req.IsGroup, GroupID: req.GroupID, Media: req.Media, Data: req.UserData,
		},
		room: newRoom(s), roomID: roomID, routes: routes,
	}
	c.room.call = c
	d.receive = req.Receive
	s.calls[c.state.ID], s.rooms[roomID] = c, c
	s.meters.calls.Add(1)
	s.observe(hooks.Event{Kind: hooks.EventCallStarted, UserID: d.userID, Users: callees, CallID: c.state.ID, GroupID: req.GroupID, Media: req.Media})
	err = s.apply(c, callstate.Start{
		User: d.userID, Device: d.id, Invitees: s.invitees(c, callees), Timeout: s.ringTime(req.TimeoutMS),
	})
	return c.state.ID, err
}

// distinct returns the users once each, without one of them.
func distinct(users []string, without string) (out []string) {
	seen := map[string]bool{without: true}
	for _, u := range users {
		if !seen[u] {
			seen[u] = true
			out = append(out, u)
		}
	}
	return out
}

func (s *Server) ringTime(ms int) time.Duration {
	if ms > 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return s.cfg.CallTimeout
}

// invitees says of users to be invited what the state machine has to know.
func (s *Server) invitees(c *call, users []string) (list []callstate.Invitee) {
	for _, u := range users {
		i := callstate.Invitee{User: u, Busy: s.busy[u] != nil && s.busy[u] != c}
		for _, d := range s.users[u] {
			i.Devices = append(i.Devices, d.id)
		}
		list = append(list, i)
	}
	return list
}

// inviteUsers brings more users into a group call.
func (s *Server) inviteUsers(d *device, req *signal.Invite) error {
	users := distinct(req.UserIDs, d.userID)
	if len(users) == 0 {
		return refuse(hooks.CodeBadParam, "nobody else to invite")
	}
	s.mu.Lock()
	c, err := s.callOf(d, req.CallID)
	if err != nil {
		s.mu.Unlock()
		return err
	}
	st := c.state
	s.mu.Unlock()
	if len(st.Members)+len(users) > s.cfg.MaxCallUsers {
		return refuse(hooks.CodeBadParam, "a call has at most %d users", s.cfg.MaxCallUsers)
	}
	if err := d.mayInvite(len(users)); err != nil {
		return err
	}
	ask := hooks.CallRequest{Caller: d.userID, Callees: users, IsGroup: st.Group, GroupID: st.GroupID, RoomID: c.roomID, Media: st.Media, CallID: st.ID}
	if err := s.decideCall(ask); err != nil {
		return err
	}
	routes := s.decideRoutes(users, ask)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, u := range users {
		c.routes[u] = routes[u]
	}
	return s.apply(c, callstate.Invite{User: d.userID, Device: d.id, Invitees: s.invitees(c, users), Timeout: s.ringTime(req.TimeoutMS)})
}

// callOf finds the call that a request names, of which its sender must be a
// member: another's call might as well not be there.
func (s *Server) callOf(d *device, callID string) (*call, error) {
	if d.inWorld(callID) {
		return nil, refuse(hooks.CodeRefused, "%s is in a world: who is in it is the host's to say", d.userID)
	}
	c := s.calls[callID]
	if c == nil || c.state.Member(d.userID) == nil {
		return nil, refuse(hooks.CodeRefused, "there is no such call for %s now", d.userID)
	}
	return c, nil
}

// inWorld reports whether an ID is that of the world which the device is in.
// Server.mu is held.
func (d *device) inWorld(id string) bool {
	return d.call != nil && d.call.world != nil && d.call.world.cfg.ID == id
}

// inCall finds the call that a request names, which its sender must be in, on
// this device.
func (s *Server) inCall(d *device, callID string) (*call, error) {
	if d.inWorld(callID) {
		return d.call, nil
	}
	c, err := s.callOf(d, callID)
	if err == nil && d.call != c {
		err = refuse(hooks.CodeRefused, "%s is not in the call on this device", d.userID)
	}
	return c, err
}

// enterCall answers an invitation, or joins a running group call.
func (s *Server) enterCall(d *device, req *signal.Enter, join bool) error {
	callID := req.CallID
	if err := s.mayMix(req.Receive); err != nil {
		return err
	}
	s.mu.Lock()
	c := s.calls[callID]
	if s.worlds[callID] != nil {
		s.mu.Unlock()
		return d.mayNotEnterWorld()
	}
	if c == nil || !join && c.state.Member(d.userID) == nil || join && !c.state.Group {
		s.mu.Unlock()
		return refuse(hooks.CodeRefused, "there is no such call for %s now", d.userID)
	}
	st := c.state
	s.mu.Unlock()
	rights, err := s.permit(d.userID, req.PrivateMapKey, c.roomID, usersig.EnterRoom)
	if err != nil {
		return err
	}
	if join && st.GroupID != "" {
		if err := s.decideMembers(st.GroupID, []string{d.userID}); err != nil {
			return err
		}
	}
	if err := s.decideAdmit(hooks.AdmitRequest{UserID: d.userID, CallID: callID, GroupID: st.GroupID, RoomID: c.roomID, Media: st.Media}); err != nil {
		return err
	}
	var routes map[string]bool
	if join {
		routes = s.decideRoutes([]string{d.userID}, hooks.CallRequest{Caller: st.Inviter, IsGroup: true, GroupID: st.GroupID, Media: st.Media})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.removed {
		return refuse(hooks.CodeDisconnected, "signed out")
	}
	if busy := s.busy[d.userID]; busy != nil && busy != c {
		return ErrBusy
	}
	if !join {
		return s.enter(c, d, rights, req.Receive, callstate.Accept{User: d.userID, Device: d.id})
	}
	if c.state.Member(d.userID) == nil && len(c.state.Members) >= s.cfg.MaxCallUsers {
		return refuse(hooks.CodeRefused, "a call has at most %d users", s.cfg.MaxCallUsers)
	}
	if routes != nil {
		c.routes[d.userID] = routes[d.userID]
	}
	return s.enter(c, d, rights, req.Receive, callstate.Join{User: d.userID, Device: d.id})
}

// enter lets a device into a call's room, with rights and a wish for a mode.
// Server.mu is held.
func (s *Server) enter(c *call, d *device, rights usersig.Privileges, mode hooks.RoomMode, ev callstate.Event) error {
	before, wish := d.rights, d.receive
	d.rights, d.receive = rights, mode
	err := s.apply(c, ev)
	if err != nil {
		d.rights, d.receive = before, wish
	}
	return err
}

// aboutCall carries out a request that needs no decision of the host's.
func (s *Server) aboutCall(d *device, typ signal.Type, callID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.callOf(d, callID)
	if err != nil {
		return err
	}
	ringing := c.state.Member(d.userID).Phase == callstate.Ringing
	switch {
	case typ == signal.TypeReject, typ == signal.TypeHangup && ringing:
		return s.apply(c, callstate.Reject{User: d.userID, Device: d.id})
	case typ == signal.TypeIgnore:
		return s.apply(c, callstate.Ignore{User: d.userID, Device: d.id})
	}
	if _, err := s.inCall(d, callID); err != nil {
		return err
	}
	return s.apply(c, callstate.Hangup{User: d.userID, Device: d.id})
}

// switchMedia changes what a call carries.
func (s *Server) switchMedia(d *device, req *signal.Switch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.inCall(d, req.CallID)
	if err != nil {
		return err
	}
	if c.world != nil {
		return errWorldVideo
	}
	if err := s.apply(c, callstate.Switch{User: d.userID, Device: d.id, Media: req.Media}); err != nil {
		return err
	}
	if req.Media == hooks.MediaAudio { // nobody sends video into an audio call
		for _, t := range slices.Clone(c.room.tracks) {
			if t.kind == signal.KindVideo {
				c.room.drop(t)
			}
		}
		c.room.reroute()
	}
	return nil
}

// apply carries out an event of a call. Server.mu is held.
func (s *Server) apply(c *call, ev callstate.Event) error {
	next, actions, err := c.state.Apply(time.Now(), ev)
	if err != nil {
		return refuse(hooks.CodeRefused, "%v", err)
	}
	c.state = next
	for _, a := range actions {
		s.carryOut(c, a)
	}
	return nil
}

// carryOut does one thing that the state machine said.
func (s *Server) carryOut(c *call, a callstate.Action) {
	id := c.state.ID
	switch a := a.(type) {
	case callstate.Tell:
		if d := s.byID[a.Device]; d != nil {
			s.notify(c, d, a.Notice)
		}
	case callstate.Timer:
		c.timers = append(c.timers, time.AfterFunc(time.Until(a.At), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.apply(c, callstate.Timeout{Users: a.Users})
		}))
	case callstate.EnterRoom:
		if d := s.byID[a.Device]; d != nil {
			d.call = c // it joins the room when it is told so: see notify
			s.observe(hooks.Event{Kind: hooks.EventUserEntered, UserID: d.userID, CallID: id, Device: d.id})
		}
	case callstate.LeaveRoom:
		if d := s.byID[a.Device]; d != nil {
			c.room.leave(d)
			d.call = nil
			s.observe(hooks.Event{Kind: hooks.EventUserLeft, UserID: d.userID, CallID: id, Device: d.id})
		}
	case callstate.Occupy:
		s.busy[a.User] = c
	case callstate.Release:
		if s.busy[a.User] == c {
			delete(s.busy, a.User)
		}
	case callstate.Push:
		if m := c.state.Member(a.User); m != nil {
			s.push(hooks.PushRequest{UserID: a.User, CallID: id, Sponsor: m.By, GroupID: c.state.GroupID, RoomID: c.roomID, Media: c.state.Media, Until: m.Until})
		}
	case callstate.Busy: // the observers are told with its Post
	case callstate.Post:
		s.post(c, a)
	case callstate.Record:
		s.keepRecord(c, a)
	case callstate.Over:
		s.over(c, a.Reason)
	}
}

// over forgets a call that has ended.
func (s *Server) over(c *call, reason hooks.EndReason) {
	for _, t := range c.timers {
		t.Stop()
	}
	c.room.endSounds()
	c.room.endTaps()
	delete(s.calls, c.state.ID)
	delete(s.rooms, c.roomID)
	s.meters.ended[min(int(reason), numEndReasons-1)].Add(1)
	s.keepRecords(c)
	e := hooks.Event{Kind: hooks.EventCallEnded, CallID: c.state.ID, GroupID: c.state.GroupID, Media: c.state.Media, Reason: reason}
	if !c.state.Began.IsZero() {
		e.Duration = time.Since(c.state.Began)
	}
	s.observe(e)
	if s.draining && len(s.calls) == 0 && s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// leaveCall takes a user out of the call that a device of theirs is in.
func (s *Server) leaveCall(d *device, why hooks.LeaveReason) {
	c := s.busy[d.userID]
	switch {
	case c == nil:
	case c.world != nil:
		c.world.signedOut(d)
	case d.call == c && why == hooks.LeftVoluntarily:
		s.apply(c, callstate.Hangup{User: d.userID, Device: d.id})
	case d.call == c:
		s.apply(c, callstate.Leave{User: d.userID, Reason: why})
	default: // it rings; the user may answer elsewhere, or sign in again
		s.apply(c, callstate.Offline{User: d.userID, Device: d.id})
	}
}

// ringOn rings a device that has just signed in, if its user rings.
func (s *Server) ringOn(d *device) {
	switch c := s.busy[d.userID]; {
	case c == nil:
	case c.world != nil:
		c.world.signedIn(d)
	default:
		s.apply(c, callstate.Online{User: d.userID, Device: d.id})
	}
}

// notify puts a notice of the state machine into a message.
func (s *Server) notify(c *call, d *device, n callstate.Notice) {
	user := signal.CallUser{CallID: n.CallID, UserID: n.User}
	switch n.Kind {
	case callstate.Invited:
		d.tell(signal.TypeInvited, signal.Invited{
			CallID: n.CallID, Sponsor: n.User, Inviter: n.Inviter, UserIDs: n.Users,
			IsFromGroup: n.Group, GroupID: n.GroupID, Media: n.Media, UserData: n.Data,
			TimeoutMS: int(max(0, time.Until(n.Until)) / time.Millisecond), CustomView: c.routes[d.userID],
			SponsorInfo: s.infoOf(n.User), RoomID: c.roomID,
		})
	case callstate.InviteeList:
		d.tell(signal.TypeInvitees, signal.Invitees{CallID: n.CallID, UserIDs: n.Users})
	case callstate.Accepted:
		d.tell(signal.TypeAccepted, user)
	case callstate.Rejected:
		d.tell(signal.TypeRejected, user)
	case callstate.LineBusy:
		d.tell(signal.TypeLineBusy, user)
	case callstate.NoResponse:
		d.tell(signal.TypeNoResponse, user)
	case callstate.Cancelled:
		d.tell(signal.TypeCancelled, signal.CallRef{CallID: n.CallID})
	case callstate.TimedOut:
		d.tell(signal.TypeTimedOut, signal.TimedOut{CallID: n.CallID, UserIDs: n.Users})
	case callstate.Entered:
		d.tell(signal.TypeEntered, signal.Entered{
			CallID: n.CallID, Inviter: n.Inviter, IsFromGroup: n.Group, GroupID: n.GroupID, Media: n.Media,
			UserIDs: n.Users, CustomView: c.routes[d.userID],
		})
		c.room.join(d)
	case callstate.UserEnter:
		d.tell(signal.TypeUserEnter, user)
	case callstate.UserLeave:
		d.tell(signal.TypeUserLeave, signal.UserLeave{CallID: n.CallID, UserID: n.User, Reason: n.Leave})
	case callstate.Begin:
		d.tell(signal.TypeCallBegin, signal.CallRef{CallID: n.CallID})
	case callstate.Ended:
		d.tell(signal.TypeCallEnd, signal.CallEnd{CallID: n.CallID, Reason: n.Reason, DurationMS: n.Duration.Milliseconds()})
	case callstate.MediaChanged:
		d.tell(signal.TypeSwitched, signal.Switched{CallID: n.CallID, UserID: n.User, From: n.From, Media: n.Media})
	}
}
