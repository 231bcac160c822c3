package hooks

// A View shows calls to a person. The default route presents every call to
// the view of the client's configuration; see ViewRoute for others.
//
// A view is a Listener: it is told of every callback of the calls that are
// routed to it, on the same goroutine, after the listeners.
type View interface {
	Listener
	// Present shows a call that is there already: routing was changed in the
	// middle of it. What follows comes as callbacks.
	Present(call ViewState)
	// Dismiss takes the call away: another view, or none, shows it now.
	Dismiss(callID string)
}

// ViewState is a call as a view has to show it.
type ViewState struct {
	CallInfo
	// IsGroup is true for a group call, even one without a group ID.
	IsGroup bool
	// Ringing: the user is invited and has not answered. Otherwise the user is
	// in the call.
	Ringing bool
	// Begun: somebody has answered.
	Begun bool
	// Users are the others in the call.
	Users []string
}

// A ViewRoute decides which view a call goes to: standard is the one that the
// client was configured with, or nil. It may return that, another one, or nil
// for none: then the listeners alone are told. It is asked once for each call,
// when it comes up, on the goroutine of the callbacks; should it panic, the
// call goes to the standard view.
type ViewRoute func(call ViewState, standard View) View
