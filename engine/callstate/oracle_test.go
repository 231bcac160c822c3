package callstate

import (
	"slices"

	"github.com/earshotrtc/earshot/hooks"
)

// What must be true of a call, worked out without the machine.

// expect works out by itself, from the members before, whether the call has to
// end and who has to be told what an invited user did.
func (w *world) expect(before, after Call, ev Event, actions []Action) {
	var out []string // who is no longer a member
	var user, device string
	var kind Kind
	switch ev := ev.(type) {
	case Start:
		rings := slices.ContainsFunc(ev.Invitees, func(i Invitee) bool { return !i.Busy && i.User != ev.User })
		if rings == after.Over {
			w.Fatalf("%+v: over %v", ev, after.Over)
		}
		return
	case Accept:
		user, kind = ev.User, Accepted
	case Reject:
		user, kind = ev.User, Rejected
		out = []string{ev.User}
	case Ignore:
		user, kind = ev.User, LineBusy
		out = []string{ev.User}
	case Hangup:
		user, device = ev.User, ev.Device
		if m := before.Member(ev.User); m.Phase == Ringing {
			kind, device = Rejected, ""
		}
		out = []string{ev.User}
	case Invite:
		user, device = ev.User, ev.Device
	case Switch:
		user, device = ev.User, ev.Device
	case Leave:
		user = ev.User
		if m := before.Member(ev.User); m.Phase == Ringing {
			kind = NoResponse
		}
		out = []string{ev.User}
	case Timeout:
		kind = NoResponse
		for _, m := range before.Members {
			if m.Phase == Ringing && !m.Until.After(w.now) && slices.Contains(ev.Users, m.User) {
				out = append(out, m.User)
				user = m.User
			}
		}
	default:
		return
	}
	if device != "" && before.Member(user).Devices[0] != device {
		w.Fatalf("%T from %s, which is not in: %+v", ev, device, before.Members)
	}
	in, ringing := 0, 0
	var audience []string
	for _, m := range before.Members {
		switch {
		case slices.Contains(out, m.User):
			continue
		case m.Phase == In:
			in++
		default:
			ringing++
		}
		inviter := m.Phase == In && kind != 0 && m.User == before.Member(user).By
		if m.User != user && (before.GroupID != "" || inviter) {
			audience = append(audience, m.Devices...)
		}
	}
	if ends := in == 0 || in == 1 && ringing == 0; len(out) > 0 && ends != after.Over {
		w.Fatalf("%T left %d in and %d ringing; over: %v", ev, in, ringing, after.Over)
	}
	var told []string
	for _, a := range actions {
		if t, ok := a.(Tell); ok && t.Notice.Kind == kind && t.Notice.User == user {
			told = append(told, t.Device)
		}
	}
	if kind != 0 && !slices.Equal(told, audience) {
		w.Fatalf("%T of %s: %v should be told, %v are", ev, user, audience, told)
	}
}

// posted checks that each dial of a user has one outcome at most.
func (w *world) posted(l *live, p Post) {
	switch p.Step {
	case StepDial:
		for _, u := range p.Users {
			l.account(u).dials++
		}
	case StepAccept, StepReject, StepBusy, StepTimeout, StepCancel:
		for _, u := range p.Users {
			acc := l.account(u)
			if acc.outcomes++; acc.outcomes > acc.dials {
				w.Fatalf("more outcomes than dials for %s: %+v", u, p)
			}
		}
	}
	if p.Step == StepHangup || p.Step == StepCancel {
		if l.closed++; l.closed > 1 {
			w.Fatalf("the end was posted twice: %+v", p)
		}
	}
	if p.Step == StepHangup && (l.began.IsZero() || p.Duration != w.now.Sub(l.began)) {
		w.Fatalf("talked %v, posted %+v", w.now.Sub(l.began), p)
	}
}

// recorded checks that each part in the call has one record, which covers all.
func (w *world) recorded(l *live, r Record) {
	acc := l.account(r.User)
	if acc.records++; acc.records > acc.stays {
		w.Fatalf("second record: %+v", r)
	}
	if r.Duration != acc.total {
		w.Fatalf("%s talked %v: %+v", r.User, acc.total, r)
	}
	if r.Reason == hooks.EndNoResponse && w.now.Before(acc.until) {
		w.Fatalf("rang until %v, timed out at %v: %+v", acc.until, w.now, r)
	}
	want := hooks.RecordMissed
	switch {
	case r.User == l.Inviter:
		want = hooks.RecordOutgoing
	case acc.was || r.Reason == hooks.EndReject:
		want = hooks.RecordIncoming
	}
	if r.Result != want {
		w.Fatalf("want result %v: %+v", want, r)
	}
}

// check holds a call against the rules that are always true.
func (w *world) check(l *live) {
	if l.Over {
		w.checkOver(l)
		return
	}
	in, ringing := 0, 0
	for _, m := range l.Members {
		if w.busy[m.User] != l.ID {
			w.Fatalf("%s is a member of %s and is busy with %q", m.User, l.ID, w.busy[m.User])
		}
		if m.Phase == In {
			in++
			if _, ok := l.room[m.Devices[0]]; !ok || len(m.Devices) != 1 {
				w.Fatalf("%s is in on %v, the room has %v", m.User, m.Devices, l.room)
			}
			continue
		}
		ringing++
		due := slices.ContainsFunc(w.timers, func(t timer) bool {
			return t.call == l && t.at.Equal(m.Until) && slices.Contains(t.users, m.User)
		})
		if !due {
			w.Fatalf("%s rings in %s, and no timer will end it", m.User, l.ID)
		}
	}
	if in != len(l.room) {
		w.Fatalf("%d are in %s, its room has %v", in, l.ID, l.room)
	}
	if in < 2 && (in == 0 || ringing == 0) {
		w.Fatalf("%s outlives its people: %d in, %d ringing", l.ID, in, ringing)
	}
	for user, id := range w.busy {
		if id == l.ID && l.Member(user) == nil {
			w.Fatalf("%s is busy with %s without being in it", user, id)
		}
	}
}

func (w *world) checkOver(l *live) {
	if l.over != 1 || len(l.room) > 0 || len(l.Members) > 0 {
		w.Fatalf("%s is over (%d times) with %v, room %v", l.ID, l.over, l.Members, l.room)
	}
	for user, id := range w.busy {
		if id == l.ID {
			w.Fatalf("%s is busy with %s after it", user, id)
		}
	}
	for user, acc := range l.users {
		if acc.records != acc.stays {
			w.Fatalf("%s: %d records for %d parts in %s", user, acc.records, acc.stays, l.ID)
		}
	}
	if !l.began.IsZero() && l.closed != 1 {
		w.Fatalf("the end of %s was not posted", l.ID)
	}
}
