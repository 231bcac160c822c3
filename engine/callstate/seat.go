package callstate

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// A Seat is a device's place in its call, or the place of one that has none.
// It is a value: Apply returns a new one. The zero Seat has no call.
type Seat struct {
	Phase Phase
	Info  hooks.CallInfo
	// Group: it is a group call, even one without a group ID.
	Group bool
	// Begun: talking has begun.
	Begun bool
	// Users are the others who are in, sorted.
	Users []string
}

// A Callback is one call of a listener's method.
type Callback struct {
	Name     Callee
	CallID   string
	User     string
	Users    []string
	Info     hooks.CallInfo
	Reason   hooks.EndReason
	Leave    hooks.LeaveReason
	Duration time.Duration
	From, To hooks.MediaType
	Notice   Notice // of OnInvited
}

// Callee names a method of hooks.Listener.
type Callee uint8

// The methods that a call's notices lead to.
const (
	OnInvited Callee = iota + 1
	OnCallReceived
	OnGroupCallInviteeListUpdate
	OnAccept
	OnReject
	OnLineBusy
	OnNoResp
	OnCallingCancel
	OnCallingTimeout
	OnEnterRoom
	OnUserEnter
	OnUserLeave
	OnCallBegin
	OnCallEnd
	OnCallMediaTypeChanged
)

// Apply carries out a notice. A notice about a call that the device is not in
// does nothing: it was on its way when the device left.
func (s Seat) Apply(n Notice) (Seat, []Callback) {
	var out []Callback
	do := func(c Callback) {
		c.CallID = n.CallID
		out = append(out, c)
	}
	switch n.Kind {
	case Invited:
		if s.Phase != None {
			return s, nil
		}
		s = Seat{Phase: Ringing, Info: infoOf(n), Group: n.Group}
		do(Callback{Name: OnInvited, Notice: n})
		do(Callback{Name: OnCallReceived, Info: s.Info})
		return s, out
	case Entered:
		if s.Phase == In || s.Phase == Ringing && s.Info.CallID != n.CallID {
			return s, nil
		}
		s = Seat{Phase: In, Info: infoOf(n), Group: n.Group, Users: slices.Sorted(slices.Values(n.Users))}
		do(Callback{Name: OnEnterRoom})
		for _, u := range s.Users {
			do(Callback{Name: OnUserEnter, User: u})
		}
		return s, out
	}
	if s.Phase == None || s.Info.CallID != n.CallID {
		return s, nil
	}
	switch n.Kind {
	case InviteeList:
		do(Callback{Name: OnGroupCallInviteeListUpdate, Users: n.Users})
	case Accepted:
		do(Callback{Name: OnAccept, User: n.User})
	case Rejected:
		do(Callback{Name: OnReject, User: n.User})
	case LineBusy:
		do(Callback{Name: OnLineBusy, User: n.User})
	case NoResponse:
		do(Callback{Name: OnNoResp, User: n.User})
	case Cancelled:
		do(Callback{Name: OnCallingCancel})
		s = Seat{}
	case TimedOut:
		do(Callback{Name: OnCallingTimeout, Users: n.Users})
		if s.Phase == Ringing {
			s = Seat{}
		}
	case UserEnter:
		if i, ok := slices.BinarySearch(s.Users, n.User); !ok {
			s.Users = slices.Insert(slices.Clone(s.Users), i, n.User)
			do(Callback{Name: OnUserEnter, User: n.User})
		}
	case UserLeave:
		if i, ok := slices.BinarySearch(s.Users, n.User); ok {
			s.Users = slices.Delete(slices.Clone(s.Users), i, i+1)
			do(Callback{Name: OnUserLeave, User: n.User, Leave: n.Leave})
		}
	case Begin:
		s.Begun = true
		do(Callback{Name: OnCallBegin, Info: s.Info})
	case MediaChanged:
		s.Info.Media = n.Media
		do(Callback{Name: OnCallMediaTypeChanged, From: n.From, To: n.Media})
	case Ended:
		// The device that declined an invitation did so itself.
		if s.Phase == In || n.Reason != hooks.EndReject && n.Reason != hooks.EndLineBusy {
			do(Callback{Name: OnCallEnd, Info: s.Info, Reason: n.Reason, Duration: n.Duration})
		}
		s = Seat{}
	}
	return s, out
}

func infoOf(n Notice) hooks.CallInfo {
	return hooks.CallInfo{CallID: n.CallID, GroupID: n.GroupID, Media: n.Media, Inviter: n.Inviter}
}
