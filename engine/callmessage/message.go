package callmessage

import (
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// Kind is the step of a call that a message tells of.
type Kind uint8

// The kinds.
const (
	Unknown      Kind = iota // a call, but a command that is not known
	Dial                     // Inviter invites Invitees
	Cancel                   // Inviter takes the invitation back
	Accept                   // Invitees[0] accepts
	Reject                   // Invitees[0] rejects
	LineBusy                 // Invitees[0] is on another call
	Timeout                  // Invitees did not answer in time
	Hangup                   // the call is over, after Duration
	Switch                   // Inviter goes over to the medium To
	SwitchAccept             // Invitees[0] agrees to that
	SwitchReject             // Invitees[0] does not
	Sync                     // Inviter relays what another did; see Message.Sync
)

var kindNames = [...]string{"unknown", "dial", "cancel", "accept", "reject", "line busy", "timeout",
	"hangup", "switch", "switch accepted", "switch rejected", "sync"}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return kindNames[Unknown]
}

// ownInvitation reports whether the original sends this kind as an invitation
// of its own, with an ID of its own.
func (k Kind) ownInvitation() bool { return k == Hangup || k == Switch }

// A Message is one step of a call. It is a value without pointers into what it
// was parsed from.
type Message struct {
	Kind Kind

	// CallID names the call. Parse leaves it empty where the message does not
	// say, as the legacy form does not.
	CallID string
	// InviteID names the invitation that this is a step of: many to a call,
	// where more people are invited later. Build's default is CallID for the
	// steps of an invitation, and a random ID for Hangup and Switch, which are
	// invitations of their own in the original.
	InviteID string
	// Group is true for a call of more than two, and GroupID is its group,
	// which may be empty. A GroupID makes it a group call.
	Group   bool
	GroupID string
	// Caller is the user who started the call. Build's default is Inviter;
	// Parse leaves it empty where the message does not say.
	Caller string
	// Inviter is the user who sent the invitation: for Hangup and Switch who
	// hung up or switched, for Accept, Reject, LineBusy and Timeout the one who
	// waited for the answer.
	Inviter string
	// Invitees are those who were invited; for an answer, the one who answers.
	Invitees []string
	// Media is what the call carries, and for a switch what it carried before.
	Media hooks.MediaType
	// To is what the call goes over to, for the switches.
	To hooks.MediaType
	// RoomID is the room's number, 1 to 4294967294, or 0 and Room is its
	// string, or neither is known.
	RoomID uint32
	Room   string
	// Timeout is how long the invitation rings, in whole seconds; 0 is for
	// ever. Build's default is 30 s for Dial.
	Timeout time.Duration
	// Duration is how long they talked, in whole seconds; for Hangup of a
	// one-to-one call. Groups carry none.
	Duration time.Duration
	// ExcludeFromHistory asks a chat not to show the message.
	ExcludeFromHistory bool
	// Sync is set for the kind Sync.
	Sync SyncInfo
	// Version is that of the inner data: 1 is the legacy form. Build writes 4.
	Version int
}

// SyncInfo is what a caller relays to the other invitees of a call of several
// people without a group, who do not see each other's answers.
type SyncInfo struct {
	Kind Kind // Accept, Reject, Cancel or Timeout
	User string
}

// By returns the user whose step this is: the one who answers, or else Inviter.
func (m Message) By() string {
	switch m.Kind {
	case Accept, Reject, LineBusy, SwitchAccept, SwitchReject:
		if len(m.Invitees) > 0 {
			return m.Invitees[0]
		}
	}
	return m.Inviter
}

// ShownInHistory reports whether the step is one of those that tell a call's
// story once: how it ended, and for a group also that it began. The newer
// clients exclude the others from the history: set ExcludeFromHistory to its
// opposite to do as they do.
func (m Message) ShownInHistory() bool {
	switch m.Kind {
	case Cancel, LineBusy, Timeout, Hangup:
		return true
	case Reject:
		return !m.Group
	case Dial:
		return m.Group
	}
	return false
}
