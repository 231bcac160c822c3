package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/callmessage"
	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/records"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	// maxUnkept is how many calls' records may wait for a slow store.
	maxUnkept = 1024
	// keepTime is how long a store may take to keep one call's, and to answer.
	keepTime = 5 * time.Second
)

// history is what a call leaves behind: messages for the host's chat, and
// records. It remembers who was called by whom and when.
type history struct {
	order []string // of users, as they came
	parts map[string]part
	dials int
	out   []records.Record // of those who are through
}

type part struct {
	inviteID string
	by       string
	called   time.Time
}

// called notes that a user was called, or came by themselves.
func (h *history) called(user string, p part) {
	if h.parts == nil {
		h.parts = make(map[string]part)
	}
	if _, ok := h.parts[user]; !ok {
		h.order = append(h.order, user)
	} else {
		p.called = h.parts[user].called // again: it stays one record
	}
	h.parts[user] = p
}

var messageKinds = map[callstate.Step]callmessage.Kind{
	callstate.StepDial: callmessage.Dial, callstate.StepCancel: callmessage.Cancel,
	callstate.StepAccept: callmessage.Accept, callstate.StepReject: callmessage.Reject,
	callstate.StepBusy: callmessage.LineBusy, callstate.StepTimeout: callmessage.Timeout,
	callstate.StepHangup: callmessage.Hangup, callstate.StepSwitch: callmessage.Switch,
}

var stepEvents = map[callstate.Step]hooks.EventKind{
	callstate.StepAccept: hooks.EventAccepted, callstate.StepReject: hooks.EventRejected,
	callstate.StepTimeout: hooks.EventNoResponse, callstate.StepSwitch: hooks.EventMediaChanged,
	callstate.StepBusy: hooks.EventLineBusy,
}

// post tells the observers of a step of the call, and hands them the message
// with which the original's chats show it. Server.mu is held.
func (s *Server) post(c *call, p callstate.Post) {
	st, h := &c.state, &c.history
	now := time.Now()
	if p.Step == callstate.StepDial {
		h.dials++
		id := st.ID
		if h.dials > 1 {
			id = fmt.Sprintf("%s-%d", id, h.dials)
		}
		h.called(p.By, part{inviteID: st.ID, by: p.By, called: now})
		for _, u := range p.Users {
			h.called(u, part{inviteID: id, by: p.By, called: now})
		}
	}
	e := hooks.Event{UserID: p.By, Users: p.Users, CallID: st.ID, GroupID: st.GroupID, Media: st.Media, Duration: p.Duration}
	if kind, ok := stepEvents[p.Step]; ok {
		e.Kind = kind
		s.observe(e)
	}
	if !s.observed() {
		return
	}
	m := callmessage.Message{
		Kind: messageKinds[p.Step], CallID: st.ID, Group: st.Group, GroupID: st.GroupID,
		Caller: st.Inviter, Inviter: p.By, Invitees: p.Users, Media: st.Media, Duration: p.Duration,
		RoomID: c.roomID.Number, Room: c.roomID.Name,
	}
	switch p.Step {
	case callstate.StepDial, callstate.StepTimeout:
		if len(p.Users) > 0 {
			m.InviteID = h.parts[p.Users[0]].inviteID
		}
		for _, u := range p.Users {
			if ringing := st.Member(u); ringing != nil && p.Step == callstate.StepDial {
				m.Timeout = max(0, ringing.Until.Sub(now)).Round(time.Second)
			}
		}
	case callstate.StepAccept, callstate.StepReject, callstate.StepBusy:
		m.Inviter, m.InviteID = h.parts[p.By].by, h.parts[p.By].inviteID
	case callstate.StepSwitch:
		m.To = st.Media
		m.Media = hooks.MediaAudio + hooks.MediaVideo - st.Media
	}
	m.ExcludeFromHistory = !m.ShownInHistory()
	text, err := callmessage.Build(m)
	if err != nil {
		s.log.Error("cannot build a call message", "call", st.ID, "step", m.Kind, "err", err)
		return
	}
	e.Kind, e.Text = hooks.EventCallMessage, string(text)
	s.observe(e)
}

// keepRecord notes a user's part in the call; it is kept when the call is over.
func (s *Server) keepRecord(c *call, r callstate.Record) {
	h := &c.history
	p, ok := h.parts[r.User]
	if !ok { // joined without an invitation
		p = part{called: time.Now().Add(-r.Duration)}
		h.called(r.User, p)
	}
	rec := records.Record{
		CallID: c.state.ID, UserID: r.User, Inviter: c.state.Inviter, Group: c.state.Group, GroupID: c.state.GroupID,
		Media: c.state.Media, Result: r.Result, Reason: r.Reason,
		Began: p.called, Ended: time.Now(), Duration: r.Duration,
	}
	for i := range h.out {
		if h.out[i].UserID == r.User {
			h.out[i] = rec
			return
		}
	}
	h.out = append(h.out, rec)
}

// keepRecords hands the records of a call that is over to the store.
func (s *Server) keepRecords(c *call) {
	h := &c.history
	for i := range h.out {
		h.out[i].Users = without(h.order, h.out[i].UserID)
	}
	select {
	case s.unkept <- h.out:
	default:
		s.log.Error("the store of call records does not keep up; records are lost", "call", c.state.ID)
	}
}

// runRecords keeps records, off the path of calls, until the server ends.
func (s *Server) runRecords() {
	defer close(s.kept)
	for recs := range s.unkept {
		ctx, cancel := context.WithTimeout(context.Background(), keepTime)
		if err := s.cfg.Records.Add(ctx, recs...); err != nil {
			s.log.Error("call records are lost", "err", err)
		}
		cancel()
	}
}

// recentCalls reads a page of a user's own records.
func (s *Server) recentCalls(d *device, q *signal.Recent) ([]signal.Record, string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), keepTime)
	defer cancel()
	page, next, err := s.cfg.Records.Recent(ctx, d.userID, records.Query{Result: q.Result, Limit: q.Limit, From: records.Cursor(q.After)})
	if err != nil {
		return nil, "", refuse(hooks.CodeBadParam, "%v", err)
	}
	var out []signal.Record
	for _, r := range page {
		out = append(out, signal.Record{
			CallID: r.CallID, Inviter: r.Inviter, UserIDs: r.Users, IsGroup: r.Group, GroupID: r.GroupID, Media: r.Media,
			Result: r.Result, Reason: r.Reason, BeganMS: r.Began.UnixMilli(), DurationMS: r.Duration.Milliseconds(),
		})
	}
	return out, string(next), nil
}
