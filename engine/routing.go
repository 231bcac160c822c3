package engine

import (
	"errors"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/hooks"
)

// ErrNoView: there is no view that routing could be switched between.
var ErrNoView = errors.New("earshot: no view: set ClientConfig.View or ViewRoute")

// routing decides which view shows the call. It belongs to the callbacks'
// goroutine: calls come to it in order with what is told of them.
type routing struct {
	standard hooks.View
	route    hooks.ViewRoute
	call     func(hooks.Listener, func(hooks.Listener)) // contains panics

	custom  bool // EnableCustomViewRoute is on
	active  bool // there is a call
	byHost  bool // the server routes this call to the host's own view
	state   hooks.ViewState
	current hooks.View // shows the call, or nil
}

// view is the view that is told now: that of the call, or between calls the
// standard one.
func (r *routing) view() hooks.View {
	if r.active {
		return r.current
	}
	if r.custom {
		return nil
	}
	return r.standard
}

// choose asks which view shows the call.
func (r *routing) choose() hooks.View {
	if r.custom || r.byHost {
		return nil
	}
	v := r.standard
	if r.route != nil {
		r.call(hooks.NopListener{}, func(hooks.Listener) { v = r.route(r.state, r.standard) })
	}
	return v
}

// begin is a call that comes up.
func (r *routing) begin(s hooks.ViewState, byHost bool) {
	r.active, r.byHost, r.state = true, byHost, s
	r.current = r.choose()
}

// update is the call as it is from here on.
func (r *routing) update(s hooks.ViewState) { r.state = s }

// end is the end of the call.
func (r *routing) end() {
	r.active, r.byHost, r.current, r.state = false, false, nil, hooks.ViewState{}
}

// setCustom turns the default view off or on.
func (r *routing) setCustom(on bool) {
	if r.custom == on {
		return
	}
	r.custom = on
	if !r.active {
		return
	}
	old, next := r.current, r.choose()
	if old == next {
		return
	}
	r.current = next
	if old != nil {
		id := r.state.CallID
		r.call(old, func(hooks.Listener) { old.Dismiss(id) })
	}
	if next != nil {
		s := r.state
		r.call(next, func(hooks.Listener) { next.Present(s) })
	}
}

// EnableCustomViewRoute turns the default view off, at once and for calls to
// come, or on again: while it is off, the view of the configuration is told
// nothing and the listeners alone drive everything. In the middle of a call the
// view is dismissed, or shown the call as it is. Call and GroupCall work all
// the same. Errors: ErrNoView if there is no view to turn off.
func (c *Client) EnableCustomViewRoute(enable bool) error {
	if c.cfg.View == nil && c.cfg.ViewRoute == nil {
		return ErrNoView
	}
	c.cb.postStep(func(r *routing) { r.setCustom(enable) })
	return nil
}

// viewState is what a view has to know of a seat.
func viewState(s callstate.Seat) hooks.ViewState {
	return hooks.ViewState{
		CallInfo: s.Info, IsGroup: s.Group, Ringing: s.Phase == callstate.Ringing, Begun: s.Begun,
		Users: s.Users,
	}
}
