package engine

import (
	"errors"
	"slices"
	"time"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// ErrNoView: there is no view that routing could be switched between.
var ErrNoView = errors.New("earshot: no view: set ClientConfig.View or ViewRoute")

// EnableCustomViewRoute turns the default view off, at once and for calls to
// come, or on again: while it is off, no view is told anything and the
// listeners alone drive everything. In the middle of a call the view is
// dismissed, or shown the call as it is; one that is in a callback finishes
// it. Call and GroupCall work all the same. A call that the server routed to
// the host's own view stays there until it ends. Errors: ErrNoView if there is
// no view to turn off, and why the client ended if it has.
func (c *Client) EnableCustomViewRoute(enable bool) error {
	if c.cfg.View == nil && c.cfg.ViewRoute == nil {
		return ErrNoView
	}
	if err := c.Err(); err != nil {
		return err
	}
	c.cb.turn(enable)
	return nil
}

// routing decides which view shows the call. It belongs to the callbacks'
// goroutine: what becomes of the call comes to it in order with what is told
// of it.
type routing struct {
	standard hooks.View
	route    hooks.ViewRoute
	contain  func(who any, f func()) // calls the host's code

	custom bool // EnableCustomViewRoute is on
	active bool // there is a call
	byHost bool // the server routes this call to the host's own view

	state  hooks.ViewState // of what was told already
	asked  bool            // answer is route's
	answer hooks.View

	current hooks.View // shows the call, or nil
	telling bool       // a notice is being told: state is not that of now
	due     bool       // a view shall be shown the call after it
}

// view is the view that is told now: that of the call, or between calls the
// standard one.
func (r *routing) view() hooks.View {
	switch {
	case r.active:
		return r.current
	case r.custom:
		return nil
	}
	return r.standard
}

// begin is a call that comes up.
func (r *routing) begin(s hooks.ViewState, byHost bool) {
	r.active, r.byHost, r.state = true, byHost, s
	r.present()
}

// present shows the call to whom it goes.
func (r *routing) present() {
	r.due = false
	if !r.active || r.custom || r.byHost {
		return
	}
	if !r.asked {
		r.asked, r.answer = true, r.standard
		if r.route != nil {
			r.contain(r.route, func() { r.answer = r.route(copyState(r.state), r.standard) })
		}
	}
	if v := r.answer; v != nil {
		r.current = v
		r.contain(v, func() { v.Present(copyState(r.state)) })
	}
}

// dismiss takes the call away from its view.
func (r *routing) dismiss() {
	r.due = false
	if v := r.current; v != nil {
		r.current = nil
		id := r.state.CallID
		r.contain(v, func() { v.Dismiss(id) })
	}
}

// end is the end of the call.
func (r *routing) end() {
	r.dismiss()
	*r = routing{standard: r.standard, route: r.route, contain: r.contain, custom: r.custom}
}

// turn turns the default view off or on. A view that comes in while a notice
// is being told is shown the call after it, lest it be told the half.
func (r *routing) turn(custom bool) {
	if r.custom == custom {
		return
	}
	r.custom = custom
	switch {
	case custom:
		r.dismiss()
	case r.telling:
		r.due = true
	default:
		r.present()
	}
}

// told is the end of what is told at once.
func (r *routing) told() {
	r.telling = false
	if r.due {
		r.present()
	}
}

// comes is a call that comes up with a notice, without what is told of it.
func comes(n callstate.Notice, now callstate.Seat, dialled []string) hooks.ViewState {
	s := hooks.ViewState{CallInfo: now.Info, IsGroup: now.Group, Ringing: now.Phase == callstate.Ringing}
	if s.Ringing {
		s.Sponsor = n.User
	} else {
		s.Invited = slices.Clone(dialled)
	}
	return s
}

// update is a notice that was told, and the call as it is from here on.
func (r *routing) update(n callstate.Notice, now callstate.Seat, begun time.Time) {
	s := &r.state
	s.CallInfo, s.Ringing, s.Users = now.Info, now.Phase == callstate.Ringing, now.Users
	if s.Begun = now.Begun; s.Begun {
		s.BegunAt = begun
	}
	switch n.Kind {
	case callstate.InviteeList:
		s.Invited = slices.Clone(n.Users)
	case callstate.Accepted, callstate.Rejected, callstate.LineBusy, callstate.NoResponse, callstate.UserEnter:
		r.uninvite([]string{n.User})
	case callstate.TimedOut:
		r.uninvite(n.Users)
	}
}

// invite is more users who are invited from here: only the others are told.
func (r *routing) invite(userIDs []string) {
	s := &r.state
	for _, u := range userIDs {
		if !slices.Contains(s.Invited, u) && !slices.Contains(s.Users, u) {
			s.Invited = append(s.Invited, u)
		}
	}
}

// uninvite is users who are not invited any more.
func (r *routing) uninvite(userIDs []string) {
	r.state.Invited = slices.DeleteFunc(r.state.Invited, func(u string) bool { return slices.Contains(userIDs, u) })
}

// available is a track that was told of.
func (r *routing) available(kind signal.Kind, userID string, yes bool) {
	list := &r.state.Audio
	if kind == signal.KindVideo {
		list = &r.state.Video
	}
	*list = without(*list, userID)
	if yes {
		*list = append(*list, userID)
		slices.Sort(*list)
	}
}

func copyState(s hooks.ViewState) hooks.ViewState {
	for _, list := range []*[]string{&s.Invited, &s.Users, &s.Audio, &s.Video} {
		*list = slices.Clone(*list)
	}
	return s
}
