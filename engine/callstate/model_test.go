package callstate

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/earshotrtc/earshot/hooks"
)

// histories is how many random histories the suite runs. A million takes six
// minutes on two busy cores:
//
//	go test -run TestModel -timeout 1h -rapid.checks 1000000 ./engine/callstate
const histories = 10_000

// TestModel lets random users do random things on devices whose requests and
// notices are delayed at random, and holds everything that the machine says
// against what must always be true: see world.carryOut, world.check and
// phone.watch. A failure is shrunk, and printed as a history.
func TestModel(t *testing.T) {
	if given := flag.Lookup("rapid.checks"); os.Getenv("RAPID_CHECKS") == "" && given.Value.String() == given.DefValue {
		if err := flag.Set("rapid.checks", fmt.Sprint(histories)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { flag.Set("rapid.checks", given.DefValue) })
	}
	var ran int
	var heard [OnCallMediaTypeChanged + 1]int
	rapid.Check(t, func(t *rapid.T) {
		m := &model{lines: make([]line, 0, 128)}
		m.world = newWorld(&teller{T: t, m: m})
		m.people(mix(rapid.Uint64().Draw(t, "people")))
		for _, word := range rapid.SliceOfN(rapid.Uint64(), 15, 120).Draw(t, "history") {
			m.dice = mix(word)
			m.act()
		}
		m.finish()
		ran++
		for name, n := range m.heard {
			heard[name] += n
		}
	})
	for name, n := range heard[OnInvited:] {
		if ran >= 1000 && n < ran/20 {
			t.Errorf("callback %d came %d times in %d histories: they are too dull", name+1, n, ran)
		}
	}
	t.Logf("%d histories; callbacks by name: %v", ran, heard[OnInvited:])
}

// teller tells the history when something is wrong.
type teller struct {
	*rapid.T
	m *model
}

func (f *teller) Fatalf(format string, args ...any) {
	f.T.Helper()
	var b strings.Builder
	for _, l := range f.m.lines {
		fmt.Fprintf(&b, "\n\t"+l.format, l.args...)
	}
	f.T.Fatalf("%s\nafter%s", fmt.Sprintf(format, args...), &b)
}

// dice is the randomness of one action.
type dice uint64

// mix spreads a drawn number over all bits: rapid prefers small ones.
func mix(word uint64) dice {
	word += 0x9e3779b97f4a7c15
	word = (word ^ word>>30) * 0xbf58476d1ce4e5b9
	word = (word ^ word>>27) * 0x94d049bb133111eb
	return dice(word ^ word>>31)
}

// roll takes a number below n out of it.
func (d *dice) roll(n int) int {
	r := int(uint64(*d) % uint64(n))
	*d = dice(uint64(*d) / uint64(n))
	return r
}

// model is a world with people in it.
type model struct {
	*world
	dice  dice
	users []string
	made  int // devices, for their names
	sets  []*handset
	lines []line // the history
}

// A handset is a phone, and what its user asked and the server has not heard.
type handset struct {
	*phone
	asked []func() error
	off   bool // nothing gets through
}

// line is a line of the history, put into words only if it is needed.
type line struct {
	format string
	args   []any
}

func (m *model) say(format string, args ...any) { m.lines = append(m.lines, line{format, args}) }

// people makes 3 to 6 users with 1 to 3 devices each.
func (m *model) people(d dice) {
	m.dice = d
	for i := range 3 + m.dice.roll(4) {
		user := string(rune('a' + i))
		m.users = append(m.users, user)
		for range 1 + m.dice.roll(3) {
			m.arrive(user)
		}
	}
}

func (m *model) arrive(user string) {
	m.made++
	name := fmt.Sprintf("%s%d", user, m.made)
	m.say("%s signs in", name)
	m.sets = append(m.sets, &handset{phone: m.signIn(user, name)})
}

// act does one random thing.
func (m *model) act() {
	m.actions = m.actions[:0]
	var h *handset
	if len(m.sets) > 0 {
		h = m.sets[m.dice.roll(len(m.sets))]
	}
	switch what := m.dice.roll(32); {
	case h == nil || what == 0:
		m.arrive(m.users[m.dice.roll(len(m.users))])
	case what == 1:
		m.gone(h)
	case what <= 3:
		h.off = !h.off
		m.say("%s is off: %v", h.name, h.off)
	case what <= 8:
		d := time.Duration(1+m.dice.roll(40)) * 500 * time.Millisecond
		m.say("%v pass", d)
		m.elapse(d)
	case what == 9:
		m.throw()
	case what == 10:
		m.flow(h, 1+m.dice.roll(4))
	default:
		m.press(h)
	}
	switch m.dice.roll(8) {
	case 0, 1: // everything waits
	case 2, 3:
		m.flow(m.any(), 1+m.dice.roll(3))
	default:
		m.flowAll()
	}
}

// any is one of the handsets, or nil.
func (m *model) any() *handset {
	if len(m.sets) == 0 {
		return nil
	}
	return m.sets[m.dice.roll(len(m.sets))]
}

// gone loses a device for good: its connection, or its place.
func (m *model) gone(h *handset) {
	why := hooks.LeftTimeout
	if m.dice.roll(2) == 0 {
		why = hooks.LeftKicked
	}
	m.say("%s is gone (%d)", h.name, why)
	m.sets = slices.DeleteFunc(m.sets, func(o *handset) bool { return o == h })
	m.lose(h.phone, why)
}

// throw kicks a user out of a call, or ends it.
func (m *model) throw() {
	l := m.someCall()
	if l == nil {
		return
	}
	if m.dice.roll(2) == 0 {
		m.say("the server ends %s", l.ID)
		m.apply(l, End{})
		return
	}
	u := m.users[m.dice.roll(len(m.users))]
	m.say("%s is kicked out of %s", u, l.ID)
	m.apply(l, Leave{User: u, Reason: hooks.LeftKicked})
}

// someCall is one of the calls so far, or nil.
func (m *model) someCall() *live {
	if m.serial == 0 {
		return nil
	}
	return m.calls["call"+strconv.Itoa(1+m.dice.roll(m.serial))]
}

// flow lets requests and notices of one device through.
func (m *model) flow(h *handset, n int) {
	for ; h != nil && !h.off && n > 0; n-- {
		if len(h.asked) > 0 {
			ask := h.asked[0]
			h.asked = h.asked[1:]
			if err := ask(); err != nil {
				m.say("\t%s: %v", h.name, err)
			}
		}
		if len(h.inbox) > 0 {
			m.deliver(h.phone)
		}
	}
}

// flowAll lets everything through that can.
func (m *model) flowAll() {
	for busy := true; busy; {
		busy = false
		for _, h := range m.sets {
			if !h.off && len(h.asked)+len(h.inbox) > 0 {
				m.flow(h, 1)
				busy = true
			}
		}
	}
}

// press lets a user do what their device offers, and now and then what it does
// not: requests of a hostile client, or for a call of somebody else.
func (m *model) press(h *handset) {
	phase, id := h.seat.Phase, h.seat.Info.CallID
	if m.dice.roll(8) == 0 {
		phase = Phase(m.dice.roll(3))
		if l := m.someCall(); l != nil {
			id = l.ID
		}
	}
	var ev Event
	switch verb := m.dice.roll(8); phase {
	case None:
		if verb < 6 {
			m.pressDial(h)
			return
		}
		if l := m.someCall(); l != nil {
			id = l.ID
		}
		ev = Join{User: h.user, Device: h.name}
	case Ringing:
		switch {
		case verb < 5:
			ev = Accept{User: h.user, Device: h.name}
		case verb == 5:
			ev = Reject{User: h.user, Device: h.name}
		case verb == 6:
			ev = Ignore{User: h.user, Device: h.name}
		default:
			ev = Hangup{User: h.user, Device: h.name}
		}
	default:
		switch {
		case verb < 3:
			ev = Hangup{User: h.user, Device: h.name}
		case verb < 6:
			m.ask(h, id, nil, m.someUsers(), m.ring())
			return
		default:
			ev = Switch{User: h.user, Device: h.name, Media: hooks.MediaType(1 + m.dice.roll(2))}
		}
	}
	m.ask(h, id, ev, nil, 0)
}

// ask sends a request about a call; without an event it is an invitation.
func (m *model) ask(h *handset, id string, ev Event, users []string, ring time.Duration) {
	m.say("%s asks %s: %T %v", h.name, id, ev, users)
	h.asked = append(h.asked, func() error {
		l := m.calls[id]
		if l == nil {
			return ErrOver
		}
		m.say("\t%s is heard: %T", h.name, ev)
		if ev == nil {
			return m.request(l, Invite{User: h.user, Device: h.name, Invitees: m.invitees(id, users), Timeout: ring})
		}
		rang := false
		if mem := l.Member(h.user); mem != nil {
			rang = mem.Phase == Ringing
		}
		err := m.request(l, ev)
		switch ev.(type) {
		case Reject, Ignore, Hangup:
			if err == nil && rang {
				h.declined = l
			}
		}
		return err
	})
}

func (m *model) pressDial(h *handset) {
	c := Call{Media: hooks.MediaAudio}
	users := m.someUsers()
	switch m.dice.roll(4) {
	case 0:
		users = users[:1]
	case 1:
		c.Group, c.Media = true, hooks.MediaVideo
	default:
		c.Group, c.GroupID = true, "team"
	}
	ring := m.ring()
	m.say("%s dials %v, group %v %q", h.name, users, c.Group, c.GroupID)
	h.asked = append(h.asked, func() error {
		l, err := m.dial(h.phone, c, users, ring)
		if err == nil {
			m.say("\t%s has dialled %s", h.name, l.ID)
		}
		return err
	})
}

// someUsers names up to four users, perhaps twice, perhaps oneself.
func (m *model) someUsers() (users []string) {
	for range 1 + m.dice.roll(4) {
		users = append(users, m.users[m.dice.roll(len(m.users))])
	}
	return users
}

func (m *model) ring() time.Duration {
	return []time.Duration{30 * time.Second, 10 * time.Second, time.Minute}[m.dice.roll(3)]
}

// finish delivers everything, lets every ringing end, then lets everybody hang
// up. Nothing may be left.
func (m *model) finish() {
	settle := func() {
		for _, h := range m.sets {
			h.off = false
		}
		m.flowAll()
		for _, h := range m.sets {
			m.agree(h.phone)
		}
	}
	m.say("everything is delivered")
	settle()
	m.say("an hour passes")
	m.elapse(time.Hour)
	settle()
	if len(m.timers) > 0 {
		m.Fatalf("timers are left: %v", m.timers)
	}
	for _, h := range m.sets {
		switch h.seat.Phase {
		case Ringing:
			m.Fatalf("%s still rings", h.name)
		case In:
			m.ask(h, h.seat.Info.CallID, Hangup{User: h.user, Device: h.name}, nil, 0)
			m.flowAll()
		}
	}
	settle()
	for _, l := range m.calls {
		if !l.Over {
			m.Fatalf("%s outlives everybody", l.ID)
		}
	}
	if len(m.busy) > 0 {
		m.Fatalf("busy without a call: %v", m.busy)
	}
}
