package callstate

import (
	"slices"

	"github.com/earshotrtc/earshot/hooks"
)

// A phone is a device: a Seat behind a queue that keeps order, and a watch on
// what its listener is called with.
type phone struct {
	user, name string
	seat       Seat
	inbox      []letter
	heard      []Callback // if keep
	keep       bool
	declined   *live // the call that was rejected or ignored here last

	// What the listener knows from the callbacks alone.
	phase  Phase
	call   *live
	begun  bool
	others []string
	media  hooks.MediaType
	counts map[count]int
	last   Callee
}

// letter is a notice on its way.
type letter struct {
	call *live
	Notice
}

// count counts callbacks of a kind about a user of a call.
type count struct {
	call string
	name Callee
	user string
}

// userOf is the user of a device: its name without the number.
func userOf(device string) string { return device[:1] }

// tell queues a notice, and checks what is known only now.
func (w *world) tell(l *live, p *phone, n Notice) {
	if n.Kind == Ended && n.Duration != l.account(p.user).stay {
		w.Fatalf("%s talked %v, was told %v", p.name, l.account(p.user).stay, n.Duration)
	}
	p.inbox = append(p.inbox, letter{l, n})
}

// deliver gives a device its next notice.
func (w *world) deliver(p *phone) {
	n := p.inbox[0]
	p.inbox = p.inbox[1:]
	var calls []Callback
	p.seat, calls = p.seat.Apply(n.Notice)
	for _, c := range calls {
		w.watch(p, n.call, c)
	}
	if p.keep {
		p.heard = append(p.heard, calls...)
	}
	if p.seat.Phase == None && p.phase == Ringing {
		// Nothing is called where the invitation was declined.
		if p.declined != n.call {
			w.Fatalf("%s rings for ever", p.name)
		}
		p.phase, p.call = None, nil
	}
	if p.seat.Phase != p.phase {
		w.Fatalf("%s is %d, its listener was told %d", p.name, p.seat.Phase, p.phase)
	}
	if len(p.inbox) == 0 {
		w.agree(p)
	}
}

// watch checks one callback against those before it.
func (w *world) watch(p *phone, l *live, c Callback) {
	wrong := func(why string) {
		w.Helper()
		w.Fatalf("%s, %s: %+v (phase %d, others %v)", p.name, why, c, p.phase, p.others)
	}
	if c.CallID != l.ID || p.phase != None && p.call != l {
		wrong("callback of another call")
	}
	if p.counts == nil {
		p.counts = make(map[count]int)
	}
	w.heard[c.Name]++
	key := count{c.CallID, c.Name, c.User}
	p.counts[key]++
	n := p.counts[key]

	switch c.Name {
	case OnInvited:
		if p.phase != None || n > l.account(p.user).dials {
			wrong("invited")
		}
		if slices.Contains(c.Notice.Users, p.user) || slices.Contains(c.Notice.Users, c.Notice.User) {
			wrong("invited with oneself")
		}
		p.phase, p.call, p.media = Ringing, l, c.Notice.Media
	case OnCallReceived:
		if p.last != OnInvited {
			wrong("received without an invitation")
		}
	case OnEnterRoom:
		if p.phase == In {
			wrong("entered twice")
		}
		p.phase, p.call, p.begun, p.others = In, l, false, nil
		p.media = p.seat.Info.Media
	case OnUserEnter:
		if p.phase != In || slices.Contains(p.others, c.User) || c.User == p.user {
			wrong("enter")
		}
		p.others = append(p.others, c.User)
	case OnUserLeave:
		if p.phase != In || !slices.Contains(p.others, c.User) {
			wrong("leave")
		}
		p.others = slices.DeleteFunc(p.others, func(u string) bool { return u == c.User })
	case OnCallBegin:
		if p.phase != In || p.begun || len(p.others) == 0 {
			wrong("begin")
		}
		p.begun = true
	case OnAccept, OnReject, OnLineBusy, OnNoResp:
		if p.phase == None || p.phase == Ringing && l.GroupID == "" || c.User == p.user {
			wrong("answer of another")
		}
		sum := 0
		for _, name := range []Callee{OnAccept, OnReject, OnLineBusy, OnNoResp} {
			sum += p.counts[count{c.CallID, name, c.User}]
		}
		if sum > l.account(c.User).dials {
			wrong("more answers than invitations")
		}
	case OnGroupCallInviteeListUpdate:
		if p.phase != In || !l.Group || len(c.Users) == 0 {
			wrong("invitee list")
		}
	case OnCallMediaTypeChanged:
		if p.phase == None || c.From != p.media || c.To == c.From {
			wrong("media")
		}
		p.media = c.To
	case OnCallingTimeout:
		switch {
		case p.phase == None, p.phase == Ringing && len(c.Users) > 0, p.phase == In && len(c.Users) == 0:
			wrong("timeout")
		case p.phase == Ringing:
			p.phase, p.call = None, nil
		}
	case OnCallingCancel:
		if p.phase != Ringing {
			wrong("cancel")
		}
		p.phase, p.call = None, nil
	case OnCallEnd:
		elsewhere := c.Reason == hooks.EndOtherDeviceAccepted || c.Reason == hooks.EndOtherDeviceReject
		if p.phase == None || elsewhere != (p.phase == Ringing) || c.Reason == hooks.EndUnknown || !p.begun && c.Duration > 0 {
			wrong("end")
		}
		p.phase, p.call = None, nil
	default:
		wrong("unknown callback")
	}
	p.last = c.Name
}

// agree checks that a device which has been told everything knows what the
// server knows.
func (w *world) agree(p *phone) {
	l := w.calls[w.busy[p.user]]
	phase := None
	if l != nil {
		if m := l.Member(p.user); slices.Contains(m.Devices, p.name) {
			phase = m.Phase
		}
	}
	if p.seat.Phase != phase {
		w.Fatalf("%s: phase %d on the server, %d on the device", p.name, phase, p.seat.Phase)
	}
	if phase == None {
		return
	}
	info := hooks.CallInfo{CallID: l.ID, GroupID: l.GroupID, Media: l.Media, Inviter: l.Inviter}
	if p.seat.Info != info || p.media != l.Media {
		w.Fatalf("%s: %+v on the server, %+v on the device", p.name, info, p.seat.Info)
	}
	var others []string
	if phase == In {
		others = slices.DeleteFunc(l.Users(In), func(u string) bool { return u == p.user })
		slices.Sort(others)
	}
	slices.Sort(p.others)
	if !slices.Equal(p.seat.Users, others) || phase == In && !slices.Equal(p.others, others) {
		w.Fatalf("%s: with %v on the server, with %v on the device", p.name, others, p.seat.Users)
	}
}
