package callstate

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// A world is a small engine around the two pure functions: who is busy, which
// devices are signed in, which timers run. It checks what the machine asks of
// an engine while it carries it out. phone_test.go has the devices.
type world struct {
	failure
	now    time.Time
	calls  map[string]*live // by ID; those that are over, too
	busy   map[string]string
	rooms  map[string]bool // the devices that are in one
	phones []*phone
	timers []timer
	serial int
	// heard counts the callbacks of all devices, by name.
	heard [OnCallMediaTypeChanged + 1]int
	// actions are those so far, without what devices were told.
	actions []Action
}

// failure is what testing.TB and rapid.T have in common here.
type failure interface {
	Helper()
	Fatalf(format string, args ...any)
}

type timer struct {
	call  *live
	at    time.Time
	users []string
}

// live is a call and what the checks know of it by themselves.
type live struct {
	Call
	room   map[string]time.Time // who is in since when, by device
	began  time.Time
	users  map[string]*account
	closed int // StepHangup and StepCancel, which a call has one of at most
	over   int
}

// account is a user's part in a call.
type account struct {
	stays, records  int           // each stay, and each busy line, ends with a record
	dials, outcomes int           // each dial has one outcome at most
	stay, total     time.Duration // talked in this stay, and in all
	was             bool          // in, at any time
	until           time.Time     // when the last ringing ends
}

func newWorld(f failure) *world {
	return &world{
		failure: f, now: time.Unix(1_700_000_000, 0),
		calls: make(map[string]*live), busy: make(map[string]string), rooms: make(map[string]bool),
	}
}

func (l *live) account(user string) *account {
	a := l.users[user]
	if a == nil {
		a = new(account)
		l.users[user] = a
	}
	return a
}

// phone finds a signed-in device.
func (w *world) phone(name string) *phone {
	for _, p := range w.phones {
		if p.name == name {
			return p
		}
	}
	return nil
}

// devices are the signed-in devices of a user.
func (w *world) devices(user string) (names []string) {
	for _, p := range w.phones {
		if p.user == user {
			names = append(names, p.name)
		}
	}
	return names
}

func (w *world) invitees(call string, users []string) (list []Invitee) {
	for _, u := range users {
		b := w.busy[u]
		list = append(list, Invitee{User: u, Busy: b != "" && b != call, Devices: w.devices(u)})
	}
	return list
}

// signIn adds a device; if its user rings, so does it.
func (w *world) signIn(user, name string) *phone {
	p := &phone{user: user, name: name}
	w.phones = append(w.phones, p)
	if l := w.calls[w.busy[user]]; l != nil {
		w.apply(l, Online{User: user, Device: name})
	}
	return p
}

// lose makes a device unknown, as the end of the reconnect window does.
func (w *world) lose(p *phone, why hooks.LeaveReason) {
	w.phones = slices.DeleteFunc(w.phones, func(o *phone) bool { return o == p })
	l := w.calls[w.busy[p.user]]
	if l == nil {
		return
	}
	switch m := l.Member(p.user); {
	case m.Phase == Ringing:
		w.apply(l, Offline{User: p.user, Device: p.name})
	case m.Devices[0] == p.name:
		w.apply(l, Leave{User: p.user, Reason: why})
	}
}

var errBusy = errors.New("the user is busy")

// dial starts a call.
func (w *world) dial(p *phone, c Call, users []string, ring time.Duration) (*live, error) {
	if w.busy[p.user] != "" {
		return nil, errBusy
	}
	w.serial++
	c.ID = fmt.Sprintf("call%d", w.serial)
	l := &live{Call: c, room: make(map[string]time.Time), users: make(map[string]*account)}
	w.calls[c.ID] = l
	err := w.apply(l, Start{User: p.user, Device: p.name, Invitees: w.invitees(c.ID, users), Timeout: ring})
	if err != nil {
		delete(w.calls, c.ID)
	}
	return l, err
}

// request applies what a device asks of a call that is there.
func (w *world) request(l *live, ev Event) error {
	if j, ok := ev.(Join); ok && w.busy[j.User] != "" && w.busy[j.User] != l.ID {
		return errBusy
	}
	return w.apply(l, ev)
}

// elapse lets time pass and fires what is due.
func (w *world) elapse(d time.Duration) {
	end := w.now.Add(d)
	for {
		next := -1
		for i, t := range w.timers {
			if !t.at.After(end) && (next < 0 || t.at.Before(w.timers[next].at)) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		t := w.timers[next]
		w.timers = slices.Delete(w.timers, next, next+1)
		w.now = t.at
		over := t.call.Over
		if err := w.apply(t.call, Timeout{Users: t.users}); over && err != ErrOver {
			w.Fatalf("a timer of %s did something after the call: %v", t.call.ID, err)
		}
	}
	w.now = end
}

// apply lets something happen to a call and carries out what follows.
func (w *world) apply(l *live, ev Event) error {
	before := l.Call
	copied := slices.Clone(before.Members)
	for i := range copied {
		copied[i].Devices = slices.Clone(copied[i].Devices)
	}
	past := slices.Clone(before.Past)
	next, actions, err := before.Apply(w.now, ev)
	if !slices.EqualFunc(before.Members, copied, sameMember) || !slices.Equal(before.Past, past) {
		w.Fatalf("%T changed its call in place", ev)
	}
	if err != nil {
		var r Refusal
		if len(actions) > 0 || !errors.As(err, &r) || !slices.EqualFunc(next.Members, copied, sameMember) {
			w.Fatalf("%T was refused (%v) and did something: %v", ev, err, actions)
		}
		return err
	}
	l.Call = next
	w.expect(before, next, ev, actions)
	var posts []Post
	for _, a := range actions {
		if l.over > 0 {
			w.Fatalf("%T after the end of %s: %+v", a, l.ID, a)
		}
		if p, ok := a.(Post); ok {
			for _, other := range posts {
				if other.Step == p.Step && other.By == p.By && slices.Equal(other.Users, p.Users) {
					w.Fatalf("posted twice: %+v", p)
				}
			}
			posts = append(posts, p)
		}
		w.carryOut(l, a)
	}
	w.check(l)
	return nil
}

func sameMember(a, b Member) bool {
	return a.User == b.User && a.Phase == b.Phase && a.By == b.By && slices.Equal(a.Devices, b.Devices) &&
		slices.Equal(a.With, b.With) && a.Until.Equal(b.Until) && a.Since.Equal(b.Since)
}

func (w *world) carryOut(l *live, a Action) {
	if _, ok := a.(Tell); !ok {
		w.actions = append(w.actions, a)
	}
	switch a := a.(type) {
	case Tell:
		if a.Notice.CallID != l.ID {
			w.Fatalf("told of another call: %+v", a)
		}
		if p := w.phone(a.Device); p != nil {
			w.tell(l, p, a.Notice)
		}
	case Timer:
		if len(a.Users) == 0 || a.At.Before(w.now) {
			w.Fatalf("timer of nobody, or in the past: %+v", a)
		}
		w.timers = append(w.timers, timer{l, a.At, a.Users})
		for _, u := range a.Users {
			l.account(u).until = a.At
		}
	case Occupy:
		if w.busy[a.User] != "" {
			w.Fatalf("%s is on %s and made busy with %s", a.User, w.busy[a.User], l.ID)
		}
		w.busy[a.User] = l.ID
		acc := l.account(a.User)
		acc.stays++
		acc.stay = 0
	case Release:
		if w.busy[a.User] != l.ID {
			w.Fatalf("%s is freed of %s and was busy with %q", a.User, l.ID, w.busy[a.User])
		}
		delete(w.busy, a.User)
	case EnterRoom:
		if w.rooms[a.Device] {
			w.Fatalf("%s is put into a second room", a.Device)
		}
		w.rooms[a.Device] = true
		l.room[a.Device] = w.now
		if len(l.room) > 1 && l.began.IsZero() {
			l.began = w.now
		}
	case LeaveRoom:
		since, ok := l.room[a.Device]
		if !ok {
			w.Fatalf("%s is taken out of a room and was not in it", a.Device)
		}
		delete(l.room, a.Device)
		delete(w.rooms, a.Device)
		acc := l.account(userOf(a.Device))
		acc.was, acc.stay = true, 0
		if !l.began.IsZero() {
			if since.Before(l.began) {
				since = l.began
			}
			acc.stay = w.now.Sub(since)
		}
		acc.total += acc.stay
	case Push:
		if len(w.devices(a.User)) > 0 {
			w.Fatalf("pushed to %s, who is there", a.User)
		}
	case Busy:
		if b := w.busy[a.User]; b == "" || b == l.ID {
			w.Fatalf("%s is called busy and is on %q", a.User, b)
		}
		l.account(a.User).stays++
	case Post:
		w.posted(l, a)
	case Record:
		w.recorded(l, a)
	case Over:
		l.over++
		talked := a.Reason == hooks.EndHangup || a.Reason == hooks.EndOffline || a.Reason == hooks.EndByServer
		if !l.began.IsZero() && !talked || l.began.IsZero() && a.Reason == hooks.EndHangup {
			w.Fatalf("began %v, and it is over: %v", l.began, a.Reason)
		}
	default:
		w.Fatalf("unknown action %T", a)
	}
}

var _ failure = testing.TB(nil)
