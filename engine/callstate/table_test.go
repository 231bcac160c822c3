package callstate

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

var update = flag.Bool("update", false, "write what happens into testdata/table; read the difference")

// TestTable plays the rows of testdata/table, where it is written who is told
// what and when. A row is TestTable/file/name:
//
//	== name: what it shows [where the rule is from]
//	devices a1 b1      those that are signed in: a1 is user a's
//	busy d             users who are on another call
//	plumbing           show timers, rooms and who is busy, too
//	0s a1 calls b      something happens, and then, exactly:
//		a1 OnEnterRoom     what each listener is called with, in order
//		post dial by a: b  what the engine has to do, in order
//
// Notices reach a device at once; TestModel delays them.
func TestTable(t *testing.T) {
	files, err := filepath.Glob("testdata/table/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no tables:", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, rows := "", strings.Split("\n"+string(text), "\n== ")
		head, rows = rows[0], rows[1:]
		got := []string{head}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			for _, row := range rows {
				name, _, _ := strings.Cut(row, ":")
				played := row
				t.Run(name, func(t *testing.T) { played = play(t, row) })
				got = append(got, played)
			}
		})
		if *update {
			out := strings.TrimPrefix(strings.Join(got, "\n== "), "\n")
			if err := os.WriteFile(file, []byte(out), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// play plays a row and compares; it returns the row as it should be.
func play(t *testing.T, row string) string {
	s := &script{world: newWorld(t)}
	s.start = s.now
	title, body, _ := strings.Cut(row, "\n")
	out := []string{title}
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "\t"): // expected
		case line == "" || strings.HasPrefix(line, "#"):
			out = append(out, line)
		default:
			out = append(append(out, line), s.play(strings.Fields(line))...)
		}
	}
	if s.call != nil && s.call.Over {
		s.elapse(24 * time.Hour) // no timer may matter now: elapse checks it
	}
	got := strings.Join(out, "\n")
	if want := strings.TrimRight(row, "\n"); !*update && strings.TrimRight(got, "\n") != want {
		t.Errorf("want\n%s\n\ngot\n%s", want, got)
	}
	return got + "\n"
}

// script is a world with one call that words tell what to do.
type script struct {
	*world
	start    time.Time
	call     *live
	plumbing bool
}

// play carries out a line, and says what happened.
func (s *script) play(words []string) []string {
	switch words[0] {
	case "devices":
		for _, name := range words[1:] {
			s.signIn(userOf(name), name).keep = true
		}
		return nil
	case "busy":
		for _, user := range words[1:] {
			s.busy[user] = "another call"
		}
		return nil
	case "plumbing":
		s.plumbing = true
		return nil
	}
	at, err := time.ParseDuration(words[0])
	if err != nil || len(words) < 2 || s.start.Add(at).Before(s.now) {
		s.Fatalf("cannot play %q", words)
	}
	if words[1] == "timers" {
		s.elapse(s.start.Add(at).Sub(s.now))
		return s.told(nil)
	}
	s.elapse(s.start.Add(at).Sub(s.now))
	if lines := s.told(nil); len(lines) > 0 {
		s.Fatalf("before %q, and not asked for:\n%s", words, strings.Join(lines, "\n"))
	}
	return s.told(s.verb(words[1], words[2], words[3:]))
}

// verb lets somebody do something.
func (s *script) verb(who, verb string, words []string) error {
	user := userOf(who)
	var (
		users   []string
		group   string
		media   = hooks.MediaAudio
		ring    = 30 * time.Second
		byGroup = false
	)
	for i := 0; i < len(words); i++ {
		switch words[i] {
		case "audio":
			media = hooks.MediaAudio
		case "video":
			media = hooks.MediaVideo
		case "nothing":
			media = hooks.MediaUnknown
		case "in":
			i++
			group = words[i]
		case "for":
			i++
			ring, _ = time.ParseDuration(words[i])
		default:
			users = append(users, words[i])
		}
	}
	switch verb {
	case "group-calls":
		byGroup = true
		fallthrough
	case "calls":
		l, err := s.dial(s.phone(who), Call{Group: byGroup, GroupID: group, Media: media, Data: "hi"}, users, ring)
		if err == nil {
			s.call = l
		}
		return err
	case "invites":
		return s.request(s.call, Invite{User: user, Device: who, Invitees: s.invitees(s.call.ID, users), Timeout: ring})
	case "accepts":
		return s.request(s.call, Accept{User: user, Device: who})
	case "rejects":
		return s.decline(who, Reject{User: user, Device: who})
	case "ignores":
		return s.decline(who, Ignore{User: user, Device: who})
	case "hangs-up":
		return s.decline(who, Hangup{User: user, Device: who})
	case "joins":
		return s.request(s.call, Join{User: user, Device: who})
	case "switches-to":
		return s.request(s.call, Switch{User: user, Device: who, Media: media})
	case "is-kicked":
		return s.apply(s.call, Leave{User: user, Reason: hooks.LeftKicked})
	case "is-lost":
		s.lose(s.phone(who), hooks.LeftTimeout)
	case "is-kicked-offline":
		s.lose(s.phone(who), hooks.LeftKicked)
	case "signs-in":
		s.signIn(user, who).keep = true
	case "ends": // the server
		return s.apply(s.call, End{})
	default:
		s.Fatalf("unknown verb %q", verb)
	}
	return nil
}

func (s *script) decline(who string, ev Event) error {
	if p := s.phone(who); p.phase == Ringing {
		p.declined = s.call
	}
	return s.request(s.call, ev)
}

// told delivers everything, and says it and what the engine had to do.
func (s *script) told(err error) (lines []string) {
	if err != nil {
		return []string{"\trefused: " + err.Error()}
	}
	phones := slices.Clone(s.phones)
	slices.SortFunc(phones, func(a, b *phone) int { return strings.Compare(a.name, b.name) })
	for _, p := range phones {
		for len(p.inbox) > 0 {
			s.deliver(p)
		}
		if len(p.heard) == 0 {
			continue
		}
		line := "\t" + p.name
		for _, c := range p.heard {
			line += " " + s.callback(c)
		}
		lines = append(lines, line)
		p.heard = nil
	}
	for _, a := range s.actions {
		if line := s.action(a); line != "" {
			lines = append(lines, "\t"+line)
		}
	}
	s.actions = s.actions[:0]
	return lines
}

// callback writes a callback with its payload.
func (s *script) callback(c Callback) string {
	info := hooks.CallInfo{CallID: s.call.ID, GroupID: s.call.GroupID, Media: s.call.Media, Inviter: s.call.Inviter}
	list := strings.Join(c.Users, " ")
	switch c.Name {
	case OnInvited:
		n := c.Notice
		if n.CallID != info.CallID || n.GroupID != info.GroupID || n.Media != info.Media || n.Inviter != info.Inviter ||
			n.Group != s.call.Group || n.Data != "hi" {
			s.Fatalf("invited to %+v", n)
		}
		out := fmt.Sprintf("OnInvited(by %s, %v, %v", n.User, n.Media, n.Until.Sub(s.now))
		if n.Group {
			out += fmt.Sprintf(", group %q", n.GroupID)
		}
		if len(n.Users) > 0 {
			out += ", with " + strings.Join(n.Users, " ")
		}
		return out + ")"
	case OnCallReceived, OnCallBegin:
		if c.Info != info {
			s.Fatalf("the call is %+v: %+v", info, c)
		}
		return map[Callee]string{OnCallReceived: "OnCallReceived", OnCallBegin: "OnCallBegin"}[c.Name]
	case OnCallEnd:
		if c.Info != info {
			s.Fatalf("the call is %+v: %+v", info, c)
		}
		return fmt.Sprintf("OnCallEnd(%v, %v)", c.Reason, c.Duration)
	case OnGroupCallInviteeListUpdate:
		return "OnGroupCallInviteeListUpdate[" + list + "]"
	case OnAccept:
		return "OnAccept(" + c.User + ")"
	case OnReject:
		return "OnReject(" + c.User + ")"
	case OnLineBusy:
		return "OnLineBusy(" + c.User + ")"
	case OnNoResp:
		return "OnNoResp(" + c.User + ")"
	case OnCallingCancel:
		return "OnCallingCancel"
	case OnCallingTimeout:
		return "OnCallingTimeout[" + list + "]"
	case OnEnterRoom:
		return "OnEnterRoom"
	case OnUserEnter:
		return "OnUserEnter(" + c.User + ")"
	case OnUserLeave:
		return fmt.Sprintf("OnUserLeave(%s, %d)", c.User, c.Leave)
	case OnCallMediaTypeChanged:
		return fmt.Sprintf("OnCallMediaTypeChanged(%v, %v)", c.From, c.To)
	}
	s.Fatalf("unknown callback %+v", c)
	return ""
}

var steps = map[Step]string{
	StepDial: "dial", StepCancel: "cancel", StepAccept: "accept", StepReject: "reject",
	StepBusy: "busy", StepTimeout: "timeout", StepHangup: "hangup", StepSwitch: "switch",
}

var results = map[hooks.RecordResult]string{
	hooks.RecordMissed: "missed", hooks.RecordIncoming: "incoming", hooks.RecordOutgoing: "outgoing",
}

// action writes what the engine has to do; nothing for plumbing.
func (s *script) action(a Action) string {
	switch a := a.(type) {
	case Post:
		out := fmt.Sprintf("post %s by %s", steps[a.Step], a.By)
		if len(a.Users) > 0 && !slices.Equal(a.Users, []string{a.By}) {
			out += ": " + strings.Join(a.Users, " ")
		}
		if a.Duration > 0 {
			out += fmt.Sprintf(", %v", a.Duration)
		}
		return out
	case Record:
		return fmt.Sprintf("record of %s: %s, %v, %v", a.User, results[a.Result], a.Reason, a.Duration)
	case Over:
		return fmt.Sprintf("over: %v", a.Reason)
	case Push:
		return "push " + a.User
	case Busy:
		return "observers: " + a.User + " was called while busy"
	}
	if !s.plumbing {
		return ""
	}
	switch a := a.(type) {
	case Timer:
		return fmt.Sprintf("timer at %v: %s", a.At.Sub(s.start), strings.Join(a.Users, " "))
	case Occupy:
		return "occupy " + a.User
	case Release:
		return "release " + a.User
	case EnterRoom:
		return "room + " + a.Device
	case LeaveRoom:
		return "room - " + a.Device
	}
	s.Fatalf("unknown action %T", a)
	return ""
}
