package callstate

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

func (e Start) apply(s *step) error {
	s.Inviter = e.User
	s.enter(e.User, e.Device, "")
	s.do(Post{Step: StepDial, By: e.User, Users: names(e.Invitees)})
	s.invite(e.User, e.Invitees, e.Timeout)
	return nil
}

func (e Invite) apply(s *step) error {
	m := s.Member(e.User)
	switch {
	case !s.Group:
		return ErrNotGroup
	case m == nil || m.Phase != In:
		return ErrNotIn
	}
	fresh := slices.DeleteFunc(slices.Clone(e.Invitees), func(i Invitee) bool { return s.Member(i.User) != nil })
	if len(fresh) == 0 {
		return ErrAlreadyIn
	}
	s.do(Post{Step: StepDial, By: e.User, Users: names(fresh)})
	s.invite(e.User, fresh, e.Timeout)
	if ringing := s.Users(Ringing); !s.Over && len(ringing) > 0 {
		s.tellIn(e.User, Notice{Kind: InviteeList, Users: ringing})
	}
	return nil
}

func names(list []Invitee) (users []string) {
	for _, i := range list {
		users = append(users, i.User)
	}
	return users
}

// invite rings users who are not members yet.
func (s *step) invite(by string, list []Invitee, timeout time.Duration) {
	var ringing, busy []string
	for _, i := range list {
		if s.Member(i.User) != nil {
			continue
		}
		if i.Busy {
			busy = append(busy, i.User)
			continue
		}
		s.Members = append(s.Members, Member{User: i.User, Phase: Ringing, By: by, Devices: slices.Clone(i.Devices)})
		s.do(Occupy{i.User})
		ringing = append(ringing, i.User)
	}
	for _, user := range ringing {
		m := s.Member(user)
		s.tell(m.Devices, s.invitation(*m, ringing, s.now.Add(timeout)))
		if len(m.Devices) == 0 {
			s.do(Push{user})
		}
	}
	if len(ringing) > 0 {
		s.do(Timer{Users: ringing, At: s.now.Add(timeout)})
	}
	for _, user := range busy {
		m := Member{User: user, By: by, Phase: Ringing}
		s.answered(m, LineBusy)
		s.do(Busy{user})
		s.do(Post{Step: StepBusy, By: user, Users: []string{user}})
		s.log(m, hooks.EndLineBusy)
	}
	s.settle(hooks.EndLineBusy)
}

// invitation is what a member is told when they ring.
func (s *step) invitation(m Member, together []string, until time.Time) Notice {
	others := slices.DeleteFunc(slices.Clone(together), func(u string) bool { return u == m.User })
	return Notice{
		Kind: Invited, User: m.By, Users: others, Until: until,
		Inviter: s.Inviter, Group: s.Group, GroupID: s.GroupID, Media: s.Media, Data: s.Data,
	}
}

// enter puts a user who is not a member into the room.
func (s *step) enter(user, device, by string) {
	s.Members = append(s.Members, Member{User: user, Phase: In, By: by, Devices: []string{device}})
	s.do(Occupy{user})
	s.entered(user)
}

// entered tells those in of a member who has just come in, and the other way
// round; talking begins when there are two.
func (s *step) entered(user string) {
	m := s.Member(user)
	s.do(EnterRoom{m.Devices[0]})
	others := slices.DeleteFunc(s.Users(In), func(u string) bool { return u == user })
	s.tell(m.Devices, Notice{
		Kind: Entered, Users: others, Inviter: s.Inviter, Group: s.Group, GroupID: s.GroupID, Media: s.Media, Data: s.Data,
	})
	s.tellIn(user, Notice{Kind: UserEnter, User: user})
	switch {
	case len(others) == 0:
	case s.Began.IsZero():
		s.Began = s.now
		for i := range s.Members {
			if s.Members[i].Phase == In {
				s.Members[i].Since = s.now
			}
		}
		s.tellIn("", Notice{Kind: Begin})
	default:
		m.Since = s.now
		s.tell(m.Devices, Notice{Kind: Begin})
	}
}

// ringing finds the member who answers on a device.
func (s *step) ringing(user string) (Member, error) {
	m := s.Member(user)
	switch {
	case m == nil:
		return Member{}, ErrNotInvited
	case m.Phase == In:
		return Member{}, ErrAlreadyIn
	}
	return *m, nil
}

// elsewhere ends the ringing on a user's other devices.
func (s *step) elsewhere(m Member, device string, reason hooks.EndReason) {
	others := slices.DeleteFunc(slices.Clone(m.Devices), func(d string) bool { return d == device })
	s.tell(others, Notice{Kind: Ended, Reason: reason})
}

func (e Accept) apply(s *step) error {
	m, err := s.ringing(e.User)
	if err != nil {
		return err
	}
	s.answered(m, Accepted)
	s.elsewhere(m, e.Device, hooks.EndOtherDeviceAccepted)
	at := s.Member(e.User)
	at.Phase, at.Devices = In, []string{e.Device}
	s.do(Post{Step: StepAccept, By: e.User, Users: []string{e.User}})
	s.entered(e.User)
	return nil
}

func (e Reject) apply(s *step) error {
	return s.decline(e.User, e.Device, Rejected, StepReject, hooks.EndReject)
}

func (e Ignore) apply(s *step) error {
	return s.decline(e.User, e.Device, LineBusy, StepBusy, hooks.EndLineBusy)
}

// decline takes out one who rings. The device that declined knows it, and is
// told only that it is done.
func (s *step) decline(user, device string, k Kind, post Step, reason hooks.EndReason) error {
	m, err := s.ringing(user)
	if err != nil {
		return err
	}
	s.remove(m, reason)
	s.tell([]string{device}, Notice{Kind: Ended, Reason: reason})
	s.elsewhere(m, device, hooks.EndOtherDeviceReject)
	s.answered(m, k)
	s.do(Post{Step: post, By: user, Users: []string{user}})
	s.settle(reason)
	return nil
}

func (e Join) apply(s *step) error {
	m := s.Member(e.User)
	switch {
	case !s.Group:
		return ErrNotGroup
	case m != nil && m.Phase == In:
		return ErrAlreadyIn
	case m != nil:
		return Accept(e).apply(s)
	}
	s.enter(e.User, e.Device, "")
	return nil
}

func (e Hangup) apply(s *step) error {
	m := s.Member(e.User)
	if m == nil || m.Phase != In {
		return ErrNotIn
	}
	reason := hooks.EndHangup
	if s.Began.IsZero() {
		reason = hooks.EndCanceled
	}
	ringing := s.Users(Ringing)
	s.leave(*m, hooks.LeftVoluntarily, reason)
	switch {
	case reason == hooks.EndCanceled:
		s.do(Post{Step: StepCancel, By: e.User, Users: ringing})
	case s.Over:
		s.do(Post{Step: StepHangup, By: e.User, Duration: s.now.Sub(s.Began)})
	}
	return nil
}

func (e Leave) apply(s *step) error {
	m := s.Member(e.User)
	if m == nil || m.Phase != In {
		return ErrNotIn
	}
	reason := hooks.EndOffline
	if e.Reason == hooks.LeftKicked {
		reason = hooks.EndByServer
	}
	began := !s.Began.IsZero()
	s.leave(*m, e.Reason, reason)
	if s.Over && began {
		s.do(Post{Step: StepHangup, By: e.User, Duration: s.now.Sub(s.Began)})
	} else if s.Over {
		s.do(Post{Step: StepCancel, By: e.User})
	}
	return nil
}

// leave takes out one who is in.
func (s *step) leave(m Member, why hooks.LeaveReason, reason hooks.EndReason) {
	s.tellIn(m.User, Notice{Kind: UserLeave, User: m.User, Leave: why})
	s.remove(m, reason)
	s.tell(m.Devices, Notice{Kind: Ended, Reason: reason, Duration: s.talked(m)})
	s.settle(reason)
}

func (e Switch) apply(s *step) error {
	m := s.Member(e.User)
	switch {
	case m == nil || m.Phase != In:
		return ErrNotIn
	case s.Media == e.Media:
		return ErrMedia
	}
	s.tellIn("", Notice{Kind: MediaChanged, User: e.User, From: s.Media, Media: e.Media})
	s.Media = e.Media
	s.do(Post{Step: StepSwitch, By: e.User})
	return nil
}

func (e Timeout) apply(s *step) error {
	var late []Member
	for _, user := range e.Users {
		if m := s.Member(user); m != nil && m.Phase == Ringing {
			late = append(late, *m)
		}
	}
	if len(late) == 0 {
		return ErrNotInvited
	}
	var users []string
	for _, m := range late {
		users = append(users, m.User)
		s.remove(m, hooks.EndNoResponse)
		s.tell(m.Devices, Notice{Kind: TimedOut, Users: []string{}})
	}
	for _, m := range late {
		s.answered(m, NoResponse)
	}
	s.tellIn("", Notice{Kind: TimedOut, Users: users})
	s.do(Post{Step: StepTimeout, By: late[0].By, Users: users})
	s.settle(hooks.EndNoResponse)
	return nil
}

func (e Online) apply(s *step) error {
	m, err := s.ringing(e.User)
	if err != nil {
		return err
	}
	at := s.Member(e.User)
	at.Devices = append(slices.Clone(at.Devices), e.Device)
	s.tell([]string{e.Device}, s.invitation(m, s.Users(Ringing), time.Time{}))
	return nil
}

func (e Offline) apply(s *step) error {
	if _, err := s.ringing(e.User); err != nil {
		return err
	}
	at := s.Member(e.User)
	at.Devices = slices.DeleteFunc(slices.Clone(at.Devices), func(d string) bool { return d == e.Device })
	return nil
}

func (e End) apply(s *step) error {
	began := !s.Began.IsZero()
	s.end(hooks.EndByServer)
	if began {
		s.do(Post{Step: StepHangup, By: s.Inviter, Duration: s.now.Sub(s.Began)})
	} else {
		s.do(Post{Step: StepCancel, By: s.Inviter})
	}
	return nil
}
