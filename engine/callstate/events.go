package callstate

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

func (e Start) apply(s *step) error {
	if len(s.Members) > 0 {
		return ErrStarted
	}
	list := s.strangers(e.Invitees, e.User)
	switch {
	case len(list) == 0:
		return ErrNobody
	case len(list) > 1 && !s.Group:
		return ErrNotGroup
	}
	s.Inviter, s.Dialled = e.User, s.now
	s.enter(e.User, e.Device)
	s.invite(e.User, list, e.Timeout)
	return nil
}

func (e Invite) apply(s *step) error {
	if !s.Group {
		return ErrNotGroup
	}
	if _, err := s.member(e.User, e.Device); err != nil {
		return err
	}
	if len(e.Invitees) == 0 {
		return ErrNobody
	}
	list := s.strangers(e.Invitees, e.User)
	if len(list) == 0 {
		return ErrAlreadyIn
	}
	s.invite(e.User, list, e.Timeout)
	return nil
}

// strangers leaves out of list who is a member, repetitions, and one user.
func (s *step) strangers(list []Invitee, but string) (fresh []Invitee) {
	for _, i := range list {
		again := slices.ContainsFunc(fresh, func(f Invitee) bool { return f.User == i.User })
		if !again && i.User != but && s.Member(i.User) == nil {
			fresh = append(fresh, i)
		}
	}
	return fresh
}

// invite rings users who are not members yet.
func (s *step) invite(by string, list []Invitee, timeout time.Duration) {
	var with, ringing []string
	var busy []Member
	until := s.now.Add(timeout)
	for _, i := range list {
		with = append(with, i.User)
	}
	s.do(Post{Step: StepDial, By: by, Users: with})
	for _, i := range list {
		m := Member{User: i.User, Phase: Ringing, By: by, With: with, Devices: slices.Clone(i.Devices), Until: until}
		if i.Busy {
			busy = append(busy, m)
			continue
		}
		s.Members = append(s.Members, m)
		s.do(Occupy{m.User})
		ringing = append(ringing, m.User)
		s.tell(m.Devices, s.invitation(m))
		if len(m.Devices) == 0 {
			s.do(Push{m.User})
		}
	}
	if len(ringing) > 0 {
		s.do(Timer{Users: ringing, At: until})
		s.tellIn(by, Notice{Kind: InviteeList, Users: s.Users(Ringing)})
	}
	for _, m := range busy {
		s.answered(m, LineBusy)
		s.do(Busy{m.User})
		s.do(Post{Step: StepBusy, By: m.User, Users: []string{m.User}})
		s.log(m, hooks.EndLineBusy)
	}
	s.settle(hooks.EndLineBusy, by)
}

// invitation is what a member is told when they ring.
func (s *step) invitation(m Member) Notice {
	others := slices.DeleteFunc(slices.Clone(m.With), func(u string) bool { return u == m.User })
	return Notice{
		Kind: Invited, User: m.By, Users: others, Until: m.Until,
		Inviter: s.Inviter, Group: s.Group, GroupID: s.GroupID, Media: s.Media, Data: s.Data,
	}
}

// enter puts a user who is not a member into the room.
func (s *step) enter(user, device string) {
	s.Members = append(s.Members, Member{User: user, Phase: In, Devices: []string{device}})
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
	if device != "" {
		s.tell([]string{device}, Notice{Kind: Ended, Reason: reason})
	}
	s.elsewhere(m, device, hooks.EndOtherDeviceReject)
	s.answered(m, k)
	s.do(Post{Step: post, By: user, Users: []string{user}})
	s.settle(reason, user)
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
	s.enter(e.User, e.Device)
	return nil
}

func (e Hangup) apply(s *step) error {
	if m := s.Member(e.User); m != nil && m.Phase == Ringing {
		return Reject(e).apply(s)
	}
	m, err := s.member(e.User, e.Device)
	if err != nil {
		return err
	}
	reason := hooks.EndHangup
	if s.Began.IsZero() {
		reason = hooks.EndCanceled
	}
	s.leave(m, hooks.LeftVoluntarily, reason)
	return nil
}

func (e Leave) apply(s *step) error {
	m := s.Member(e.User)
	reason := hooks.EndOffline
	if e.Reason == hooks.LeftKicked {
		reason = hooks.EndByServer
	}
	switch {
	case m == nil:
		return ErrNotIn
	case m.Phase == In:
		s.leave(*m, e.Reason, reason)
	case e.Reason == hooks.LeftKicked:
		s.giveUp([]Member{*m}, reason, Notice{Kind: Cancelled})
	default:
		return ErrNotIn
	}
	return nil
}

// leave takes out one who is in.
func (s *step) leave(m Member, why hooks.LeaveReason, reason hooks.EndReason) {
	s.tellIn(m.User, Notice{Kind: UserLeave, User: m.User, Leave: why})
	s.remove(m, reason)
	s.tell(m.Devices, Notice{Kind: Ended, Reason: reason, Duration: s.talked(m)})
	s.settle(reason, m.User)
}

func (e Switch) apply(s *step) error {
	_, err := s.member(e.User, e.Device)
	switch {
	case err != nil:
		return err
	case e.Media != hooks.MediaAudio && e.Media != hooks.MediaVideo:
		return ErrBadMedia
	case s.Media == e.Media:
		return ErrMedia
	}
	for _, m := range s.Members {
		s.tell(m.Devices, Notice{Kind: MediaChanged, User: e.User, From: s.Media, Media: e.Media})
	}
	s.Media = e.Media
	s.do(Post{Step: StepSwitch, By: e.User})
	return nil
}

func (e Timeout) apply(s *step) error {
	var late []Member
	for _, m := range s.Members {
		if m.Phase == Ringing && !s.now.Before(m.Until) && slices.Contains(e.Users, m.User) {
			late = append(late, m)
		}
	}
	if len(late) == 0 {
		return ErrNotInvited
	}
	s.giveUp(late, hooks.EndNoResponse, Notice{Kind: TimedOut, Users: []string{}})
	return nil
}

// giveUp takes out some who ring and did not answer; own is what they are told.
func (s *step) giveUp(late []Member, reason hooks.EndReason, own Notice) {
	var users []string
	for _, m := range late {
		users = append(users, m.User)
		s.remove(m, reason)
		s.tell(m.Devices, own)
	}
	for _, m := range late {
		s.answered(m, NoResponse)
	}
	if own.Kind == TimedOut {
		s.tellIn("", Notice{Kind: TimedOut, Users: users})
	}
	s.do(Post{Step: StepTimeout, By: late[0].By, Users: users})
	s.settle(reason, late[0].By)
}

func (e Online) apply(s *step) error {
	m, err := s.ringing(e.User)
	if err != nil {
		return err
	}
	if slices.Contains(m.Devices, e.Device) {
		return nil
	}
	at := s.Member(e.User)
	at.Devices = append(slices.Clone(at.Devices), e.Device)
	s.tell([]string{e.Device}, s.invitation(m))
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
	s.end(hooks.EndByServer, s.Inviter)
	return nil
}
