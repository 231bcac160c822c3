package callstate

import (
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// An Action is something that the engine has to do, in order.
type Action any

// The actions.
type (
	// Tell tells one device something, reliably and in order.
	Tell struct {
		Device string
		Notice Notice
	}
	// Timer asks for a [Timeout] of the same users at a time, not before it. It
	// need not be stopped: for users who have answered meanwhile, and for those
	// who have been invited again since and so ring longer, it does nothing.
	Timer struct {
		Users []string
		At    time.Time
	}
	// EnterRoom and LeaveRoom put a device into the call's room and take it out.
	EnterRoom struct{ Device string }
	LeaveRoom struct{ Device string }
	// Occupy makes a user busy with this call, Release free again.
	Occupy  struct{ User string }
	Release struct{ User string }
	// Push asks to wake an offline user's device.
	Push struct{ User string }
	// Busy tells observers that a user was called while on another call.
	Busy struct{ User string }
	// Post is one step of the call, for the host's chat. Users are those who
	// were dialled, did not answer, or ring no more; Duration is the call's.
	Post struct {
		Step     Step
		By       string
		Users    []string
		Duration time.Duration
	}
	// Record is a user's part in the call, when it is over for them. For one who
	// comes back, or is invited again, there is another at the end of that; it
	// covers all of their part and takes the place of the one before. Duration
	// is how long they talked.
	Record struct {
		User     string
		Result   hooks.RecordResult
		Reason   hooks.EndReason
		Duration time.Duration
	}
	// Over is the last action of a call.
	Over struct{ Reason hooks.EndReason }
)

// Step is a step of a call that a chat shows.
type Step uint8

// The steps.
const (
	StepDial Step = iota + 1
	StepCancel
	StepAccept
	StepReject
	StepBusy
	StepTimeout
	StepHangup
	StepSwitch
)

// Kind says what a notice is about.
type Kind uint8

// The kinds of notices.
const (
	Invited      Kind = iota + 1 // User invites; Users are the others invited with this one
	InviteeList                  // Users all ring now
	Accepted                     // User accepted
	Rejected                     // User rejected
	LineBusy                     // User is on another call, or ignored this one
	NoResponse                   // User did not answer in time
	Cancelled                    // the call that rings was taken back
	TimedOut                     // the invitations of Users, or one's own, timed out
	Entered                      // the device is in the room, with Users
	UserEnter                    // User came in
	UserLeave                    // User left, for Leave
	Begin                        // talking begins
	Ended                        // the call is over for the device, for Reason after Duration
	MediaChanged                 // From became Media, by User
)

// A Notice is what a device is told of its call. Which fields are set its Kind
// says; Inviter, Group, GroupID, Media and Data are set with Invited and
// Entered.
type Notice struct {
	Kind     Kind
	CallID   string
	User     string
	Users    []string
	Until    time.Time // Invited: when the ringing ends
	Reason   hooks.EndReason
	Leave    hooks.LeaveReason
	Duration time.Duration
	Inviter  string
	Group    bool
	GroupID  string
	From     hooks.MediaType
	Media    hooks.MediaType
	Data     string
}
