package callstate

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// Phase is how far a member of a call is.
type Phase uint8

// The phases. None is not a member's: it is a device's that has no call.
const (
	None Phase = iota
	Ringing
	In
)

// A Member is a user who rings or is in a call.
type Member struct {
	User  string
	Phase Phase
	// By is who invited them; empty for who started the call or joined it.
	By string
	// With are the users who were invited at the same time, this one included.
	With []string
	// Devices are those that ring, or the one that is in.
	Devices []string
	// Until is when the ringing ends.
	Until time.Time
	// Since is when they came in and, if later, talking began.
	Since time.Time
}

// A Past is how long a user who was in talked before they left: they may come
// back.
type Past struct {
	User   string
	Talked time.Duration
}

// A Call is a call as its server sees it. It is a value: Apply returns a new
// one, and slices are never changed in place.
type Call struct {
	ID      string
	Inviter string
	Group   bool
	GroupID string
	Media   hooks.MediaType
	Data    string
	Members []Member
	// Past are those who were in, and left. Who never came in is not kept, so
	// that inviting strangers without end costs nothing.
	Past []Past
	// Dialled is when it started.
	Dialled time.Time
	// Began is when it was first answered.
	Began time.Time
	// Over: it has ended, and nothing more happens.
	Over bool
}

// Member returns a member, or nil.
func (c *Call) Member(user string) *Member {
	for i := range c.Members {
		if c.Members[i].User == user {
			return &c.Members[i]
		}
	}
	return nil
}

func (c *Call) count(p Phase) (n int) {
	for _, m := range c.Members {
		if m.Phase == p {
			n++
		}
	}
	return n
}

// Users lists the members in a phase, in the order in which they came.
func (c *Call) Users(p Phase) (users []string) {
	for _, m := range c.Members {
		if m.Phase == p {
			users = append(users, m.User)
		}
	}
	return users
}

// An Event is something that happens to a call.
type Event interface{ apply(*step) error }

// An Invitee is a user to be invited, with what the engine knows of them.
type Invitee struct {
	User string
	// Busy: they are in another call.
	Busy bool
	// Devices are those that are signed in.
	Devices []string
}

// The events. Those that a user causes fail with a [Refusal] where they make
// no sense, and nothing happens then.
type (
	// Start is the first event of a call, which has its ID, Group, GroupID,
	// Media and Data already: User dials on Device and must not be busy. Of the
	// Invitees, User and repetitions are left out.
	Start struct {
		User, Device string
		Invitees     []Invitee
		Timeout      time.Duration
	}
	// Invite brings more users into a group call; members and repetitions are
	// left out. With a Device, here and below, only the one that is in may ask;
	// without one the engine asks for the user.
	Invite struct {
		User, Device string
		Invitees     []Invitee
		Timeout      time.Duration
	}
	// Accept answers an invitation on Device.
	Accept struct{ User, Device string }
	// Reject declines an invitation, for all of the user's devices.
	Reject struct{ User, Device string }
	// Ignore declines it as if the user were on the phone: the others are told
	// that the line is busy.
	Ignore struct{ User, Device string }
	// Join enters a running group call without an invitation; User must not be
	// busy with another.
	Join struct{ User, Device string }
	// Hangup leaves the call. While it rings it is a Reject.
	Hangup struct{ User, Device string }
	// Switch changes what the call carries.
	Switch struct {
		User, Device string
		Media        hooks.MediaType
	}
	// Timeout is a timer that ran out (see [Timer]); those of Users who no
	// longer ring, or who ring longer, are passed over.
	Timeout struct{ Users []string }
	// Leave takes out a user who is lost (hooks.LeftTimeout) or was kicked
	// (hooks.LeftKicked). Who rings can only be kicked: a lost device may be
	// followed by another while the ringing lasts (see [Offline]).
	Leave struct {
		User   string
		Reason hooks.LeaveReason
	}
	// Online and Offline are a device of a ringing user that comes and goes.
	Online  struct{ User, Device string }
	Offline struct{ User, Device string }
	// End ends the call by the server's will.
	End struct{}
)

// A Refusal says why a request makes no sense now.
type Refusal string

func (r Refusal) Error() string { return string(r) }

// Reasons of refusals.
const (
	ErrNotInvited Refusal = "the user is not invited to this call now"
	ErrNotIn      Refusal = "the user is not in this call"
	ErrAlreadyIn  Refusal = "the user is in this call already"
	ErrNotGroup   Refusal = "only a group call can be joined, or be of more than two"
	ErrOver       Refusal = "the call is over"
	ErrMedia      Refusal = "the call carries that already"
	ErrBadMedia   Refusal = "a call carries audio or video"
	ErrNobody     Refusal = "nobody is named who could be invited"
	ErrStarted    Refusal = "the call has started already"
)

// Apply carries out one event at a time now. On an error the call is as it was
// and there are no actions.
func (c Call) Apply(now time.Time, ev Event) (Call, []Action, error) {
	if c.Over {
		return c, nil, ErrOver
	}
	s := step{Call: c, now: now, actions: make([]Action, 0, 12)}
	s.Members = slices.Clone(c.Members)
	if err := ev.apply(&s); err != nil {
		return c, nil, err
	}
	return s.Call, s.actions, nil
}

// step is one application of an event.
type step struct {
	Call
	now     time.Time
	actions []Action
}

func (s *step) do(a Action) { s.actions = append(s.actions, a) }

// tell tells devices something.
func (s *step) tell(devices []string, n Notice) {
	n.CallID = s.ID
	for _, d := range devices {
		s.do(Tell{d, n})
	}
}

// tellIn tells all who are in, but one user.
func (s *step) tellIn(but string, n Notice) {
	for _, m := range s.Members {
		if m.Phase == In && m.User != but {
			s.tell(m.Devices, n)
		}
	}
}

// member finds a user who is in, on a device if it is named.
func (s *step) member(user, device string) (Member, error) {
	m := s.Member(user)
	if m == nil || m.Phase != In || device != "" && m.Devices[0] != device {
		return Member{}, ErrNotIn
	}
	return *m, nil
}

// answered tells what an invited user did: who invited them, or everybody.
func (s *step) answered(m Member, k Kind) {
	n := Notice{Kind: k, User: m.User}
	if s.Group && s.GroupID != "" {
		for _, other := range s.Members {
			if other.User != m.User {
				s.tell(other.Devices, n)
			}
		}
		return
	}
	if by := s.Member(m.By); by != nil && by.Phase == In {
		s.tell(by.Devices, n)
	}
}

// remove takes a member out; the user is free again. out is how it ended for
// them.
func (s *step) remove(m Member, out hooks.EndReason) {
	s.Members = slices.DeleteFunc(s.Members, func(x Member) bool { return x.User == m.User })
	if m.Phase == In {
		s.do(LeaveRoom{m.Devices[0]})
	}
	s.do(Release{m.User})
	s.log(m, out)
}

func (s *step) talked(m Member) time.Duration {
	if m.Phase != In || m.Since.IsZero() {
		return 0
	}
	return max(0, s.now.Sub(m.Since))
}

// log writes the record of a user's part in the call.
func (s *step) log(m Member, out hooks.EndReason) {
	was := slices.IndexFunc(s.Past, func(p Past) bool { return p.User == m.User })
	r := Record{User: m.User, Result: hooks.RecordIncoming, Reason: out, Duration: s.talked(m)}
	if was >= 0 {
		r.Duration += s.Past[was].Talked
	}
	if m.Phase == In {
		s.Past = slices.Clone(s.Past)
		if was < 0 {
			s.Past = append(s.Past, Past{m.User, r.Duration})
		} else {
			s.Past[was].Talked = r.Duration
		}
	}
	switch {
	case m.User == s.Inviter:
		r.Result = hooks.RecordOutgoing
	case m.Phase != In && was < 0 && out != hooks.EndReject:
		r.Result = hooks.RecordMissed
	}
	s.do(r)
}

// settle ends the call if it has to. cause is why the last one went, and by
// who that was.
func (s *step) settle(cause hooks.EndReason, by string) {
	in := s.count(In)
	if in > 1 || in == 1 && s.count(Ringing) > 0 {
		return
	}
	s.end(cause, by)
}

// end ends the call for all who are left.
func (s *step) end(cause hooks.EndReason, by string) {
	reason := cause
	if !s.Began.IsZero() {
		switch cause {
		case hooks.EndReject, hooks.EndNoResponse, hooks.EndLineBusy, hooks.EndCanceled:
			reason = hooks.EndHangup // they talked, and had talked enough
		}
	}
	unanswered := hooks.EndCanceled
	if cause == hooks.EndByServer {
		unanswered = cause
	}
	ringing := s.Users(Ringing)
	for _, m := range slices.Clone(s.Members) {
		if m.Phase == In {
			s.remove(m, reason)
			s.tell(m.Devices, Notice{Kind: Ended, Reason: reason, Duration: s.talked(m)})
		} else {
			s.remove(m, unanswered)
			s.tell(m.Devices, Notice{Kind: Cancelled})
		}
	}
	switch {
	case !s.Began.IsZero():
		s.do(Post{Step: StepHangup, By: by, Duration: max(0, s.now.Sub(s.Began))})
	case len(ringing) > 0:
		s.do(Post{Step: StepCancel, By: by, Users: ringing})
	}
	s.Over = true
	s.do(Over{Reason: reason})
}
