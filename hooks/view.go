package hooks

import "time"

// A View shows calls to a person. The default route presents every call to
// the view of the client's configuration; see ViewRoute for others.
//
// A view shows one call at a time, from Present to Dismiss. It is a Listener:
// between the two it is told of every callback, on the same goroutine, after
// the listeners. The view of the configuration is also told what happens
// between calls, such as OnKickedOffline.
type View interface {
	Listener
	// Present shows a call: one that comes up, and whose callbacks begin then,
	// or, when the routing is changed in the middle of it, one as it is. What
	// is in call will not be told again; what follows comes as callbacks.
	Present(call ViewState)
	// Dismiss takes the call away, after its last callback: it is over for
	// this device, or another view, or none, shows it now.
	Dismiss(callID string)
}

// ViewState is a call as a view has to show it. Slices belong to the view.
type ViewState struct {
	CallInfo
	// IsGroup is true for a group call, even one without a group ID.
	IsGroup bool
	// Ringing: the user is invited and has not answered. Otherwise the user is
	// in the call, or about to enter it.
	Ringing bool
	// Sponsor invited the user; it is empty for a call that the user dialled or
	// joined.
	Sponsor string
	// Invited are those who were called by this user, or brought into the call
	// while they were in it, and of whom nothing was heard yet.
	Invited []string
	// Begun: somebody has answered, or was there to talk to; BegunAt is when
	// this device heard of it.
	Begun   bool
	BegunAt time.Time
	// Users are the others in the call, and Audio and Video those of them whose
	// microphone and camera are on; sorted.
	Users, Audio, Video []string
}

// A ViewRoute decides which view a call goes to: standard is the one that the
// client was configured with, or nil. It may return that, another one, or nil
// for none: then the listeners alone are told. It is asked once for each call,
// on the goroutine of the callbacks: when the call comes up, or, if
// EnableCustomViewRoute was on then, when it is turned off. Should it panic,
// the call goes to the standard view. A call that the server routes to the
// host's own view goes to none, and it is not asked.
type ViewRoute func(call ViewState, standard View) View
