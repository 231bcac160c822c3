package termview

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/earshotrtc/earshot/hooks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// screen is a fake terminal: what was written, as bytes.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

// take returns what was written since the last time.
func (s *screen) take() string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.b.Reset()
	return s.b.String()
}

// phone is a view that runs, with a fake terminal and a fake client.
type phone struct {
	*View
	*screen
	keys chan string
	did  []string
	err  error // what the client's functions return
	over chan struct{}
}

func (p *phone) do(what string) func(context.Context) error {
	return func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("no deadline")
		}
		p.did = append(p.did, what)
		return p.err
	}
}

func run(t *testing.T, columns int, test func(t *testing.T, p *phone)) {
	synctest.Test(t, func(t *testing.T) {
		p := &phone{screen: new(screen), keys: make(chan string), over: make(chan struct{})}
		cfg := Config{
			UserID: "bob", Out: p.screen,
			Accept: p.do("accept"), Reject: p.do("reject"), Ignore: p.do("ignore"), Hangup: p.do("hangup"),
			Mute: func(ctx context.Context, muted bool) error { return p.do(fmt.Sprint("mute ", muted))(ctx) },
			Invite: func(ctx context.Context, users []string) error {
				return p.do("invite " + strings.Join(users, "+"))(ctx)
			},
			Idle: "Waiting.",
		}
		if columns > 0 {
			cfg.Size = func() (int, int) { return columns, 24 }
		}
		p.View = New(cfg)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer close(p.over)
			p.Run(ctx, p.keys)
		}()
		if out := p.take(); strings.TrimSpace(out) != "Waiting." {
			t.Errorf("at first there is %q", out)
		}
		test(t, p)
		cancel()
		synctest.Wait()
	})
}

// press types keys and returns what was done.
func (p *phone) press(keys ...string) string {
	for _, k := range keys {
		p.keys <- k
		synctest.Wait()
	}
	defer func() { p.did = nil }()
	return strings.Join(p.did, ", ")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

var fromAlice = hooks.ViewState{
	CallInfo: hooks.CallInfo{CallID: "1", Media: hooks.MediaAudio, Inviter: "alice"}, Ringing: true, Sponsor: "alice",
}

// A call without a terminal: lines only, no bell, no status.
func TestPlainLines(t *testing.T) {
	run(t, 0, func(t *testing.T, p *phone) {
		p.Present(fromAlice)
		p.OnInvited(hooks.Invitation{CallID: "1", Sponsor: "alice", SponsorInfo: hooks.UserInfo{Nick: "Ali"}})
		want(t, "ringing", p.take(), "alice calls (audio). a answers, r rejects, i ignores.\n"+
			"alice is shown as \"Ali\".\n")
		want(t, "answering", p.press("a\n"), "accept")
		p.OnEnterRoom(3)
		p.OnUserEnter("alice")
		p.OnCallBegin(fromAlice.CallInfo)
		want(t, "talking", p.take(), "You talk with alice. m mutes, h hangs up.\n")
		p.OnUserAudioAvailable("alice", true)
		p.OnUserVoiceVolume([]hooks.UserVolume{{UserID: "alice", Volume: 50}}, 50)
		time.Sleep(time.Minute)
		want(t, "nothing new", p.take(), "")
		p.OnUserAudioAvailable("alice", false)
		p.OnUserAudioAvailable("alice", false)
		p.OnUserAudioAvailable("alice", true)
		p.OnNetworkQuality(hooks.UserQuality{UserID: "bob", Quality: hooks.QualityBad}, nil)
		p.OnNetworkQuality(hooks.UserQuality{UserID: "bob", Quality: hooks.QualityVeryBad}, nil)
		p.OnNetworkQuality(hooks.UserQuality{UserID: "bob", Quality: hooks.QualityGood}, nil)
		p.OnCallMediaTypeChanged(hooks.MediaAudio, hooks.MediaVideo)
		p.OnUserVideoAvailable("alice", true)
		want(t, "changes", p.take(), "alice's microphone is off.\nalice's microphone is on.\nYour connection is bad.\n"+
			"Your connection is better again.\nThe call is video now.\nalice's camera is on.\n")
		want(t, "muting", p.press("m\n", "mute\n"), "mute true, mute false")
		want(t, "hanging up", p.press("hang up please\n"), "hangup")
		p.OnCallEnd(fromAlice.CallInfo, hooks.EndHangup, 3723*time.Second)
		p.Dismiss("1")
		want(t, "the end", p.take(), "Your microphone is off.\nYour microphone is on.\nThe call is over after 1:02:03 (hangup).\nWaiting.\n")
	})
}

func TestRingingOnATerminal(t *testing.T) {
	run(t, 60, func(t *testing.T, p *phone) {
		p.Present(fromAlice)
		status := "alice is calling. a answers, r rejects, i ignores."
		want(t, "ringing", p.take(), "alice calls (audio). a answers, r rejects, i ignores.\r\n\a"+clearLine+status)
		time.Sleep(5 * time.Second)
		want(t, "the bell", p.take(), "\a\a")
		p.OnError(hooks.CodeFailed, "no\r\nsound")
		want(t, "a line above the status", p.take(), clearLine+"Error: nosound: failed (-1)\r\n"+status)
		p.OnCallingCancel()
		p.Dismiss("1")
		want(t, "the end", p.take(), clearLine+"alice took the call back.\r\n"+status+clearLine+"Waiting.\r\n")
		time.Sleep(10 * time.Second)
		want(t, "silence", p.take(), "")
	})
}

func TestTalkingOnATerminal(t *testing.T) {
	run(t, 200, func(t *testing.T, p *phone) {
		p.Present(hooks.ViewState{
			CallInfo: fromAlice.CallInfo, IsGroup: true, Begun: true, BegunAt: time.Now().Add(-time.Minute),
			Users: []string{"alice", "carol"}, Audio: []string{"alice", "carol"},
		})
		want(t, "as it is", p.take(), "You talk with alice, carol. m mutes, i invites, h hangs up.\r\n"+clearLine+
			"1:00  bob "+Bar(0, 12)+"   alice "+Bar(0, 12)+"   carol "+Bar(0, 12)+" ")
		p.OnUserVoiceVolume([]hooks.UserVolume{{UserID: "carol", Volume: 100, Voice: true}}, 100)
		want(t, "the loudest first", p.take(), clearLine+"1:00  bob "+Bar(0, 12)+"   carol "+Bar(100, 12)+"*  alice "+Bar(0, 12)+" ")
		p.OnUserAudioAvailable("alice", false)
		p.OnNetworkQuality(hooks.UserQuality{UserID: "bob", Quality: hooks.QualityGood}, []hooks.UserQuality{{UserID: "carol", Quality: hooks.QualityPoor}})
		p.take()
		p.press("m")
		time.Sleep(1500 * time.Millisecond)
		_, last, _ := strings.Cut(p.take(), "off.\r\n")
		if i := strings.LastIndex(last, clearLine); last[i:] != clearLine+"1:01  bob (muted) good  carol "+Bar(100, 12)+"* poor  alice (muted)" {
			t.Errorf("the status is %q", last[i:])
		}
		p.OnUserLeave("carol", hooks.LeftTimeout)
		if out := p.take(); !strings.Contains(out, "carol's connection was lost.") || strings.Contains(out[strings.LastIndex(out, clearLine):], "carol") {
			t.Errorf("after carol left %q", out)
		}
		p.Dismiss("1") // shown elsewhere
		if out := p.take(); !strings.Contains(out, "no longer shown here") || !strings.HasSuffix(out, clearLine) || strings.Contains(out, "Waiting") {
			t.Errorf("after Dismiss %q", out)
		}
	})
}

// A narrow terminal's status never wraps, whatever it is to show.
func TestStatusIsCut(t *testing.T) {
	run(t, 30, func(t *testing.T, p *phone) {
		users := make([]string, 20)
		for i := range users {
			users[i] = fmt.Sprint("用户", i)
		}
		p.Present(hooks.ViewState{CallInfo: fromAlice.CallInfo, IsGroup: true, Begun: true, BegunAt: time.Now(), Users: users})
		out := p.take()
		last := strings.TrimPrefix(out[strings.LastIndex(out, clearLine):], clearLine)
		n := 0
		for _, r := range last {
			n += width(r)
		}
		if n > 29 || n < 27 || !strings.HasSuffix(last, "…") {
			t.Errorf("the status takes %d columns: %q", n, last)
		}
		if !strings.Contains(out, "and 12 others") {
			t.Errorf("%q", out)
		}
	})
}

func TestKeysWhileRinging(t *testing.T) {
	for key, c := range map[string]struct{ did, words string }{
		"r": {"reject", "You rejected the call."},
		"h": {"hangup", "You rejected the call."},
		"i": {"ignore", "You ignored the call."},
	} {
		run(t, 0, func(t *testing.T, p *phone) {
			want(t, "without a call", p.press(key), "")
			p.Present(fromAlice)
			p.err = errors.New("busy\x1b[2J")
			p.take()
			p.press(key)
			want(t, "a failure", p.take(), "That did not work: busy[2J\n")
			p.err = nil
			want(t, key, p.press(key), c.did)
			p.Dismiss("1")
			want(t, "the end", p.take(), c.words+"\nWaiting.\n")
		})
	}
}

func TestHelp(t *testing.T) {
	run(t, 0, func(t *testing.T, p *phone) {
		p.press("?", " ", "\x1b")
		want(t, "help", p.take(), "Keys: a answer, r reject, i ignore or invite, m mute, h hang up, q quit. There is no call now.\n")
		p.Present(fromAlice)
		p.take()
		p.press("x")
		if out := p.take(); !strings.Contains(out, "alice is calling.") {
			t.Errorf("help is %q", out)
		}
	})
}

func TestInvite(t *testing.T) {
	group := hooks.ViewState{CallInfo: fromAlice.CallInfo, IsGroup: true, Invited: []string{"carol"}}
	run(t, 80, func(t *testing.T, p *phone) {
		p.Present(fromAlice)
		p.Present(group)
		if out := p.take(); !strings.Contains(out, "Calling carol… i invites, h hangs up.") {
			t.Errorf("%q", out)
		}
		p.press("i", "d", "x", "\x7f", "a", "m")
		if out := p.take(); !strings.HasSuffix(out, "dam_") {
			t.Errorf("while typing: %q", out)
		}
		want(t, "names", p.press(" ", "q", "\r"), "invite dam+q")
		want(t, "after it", p.press("h"), "hangup")
		want(t, "escape", p.press("i", "d", "\x1b", "h"), "hangup")
	})
	run(t, 0, func(t *testing.T, p *phone) {
		p.Present(group)
		want(t, "a line", p.press("i dave erin\n"), "invite dave+erin")
		want(t, "two lines", p.press("invite\n", "d, erin\n"), "invite d+erin")
		want(t, "a line without names", p.press("i\n", "\n", "h\n"), "hangup")
	})
}

func TestQuit(t *testing.T) {
	for _, key := range []string{"q", "quit\n", "\x03"} {
		run(t, 80, func(t *testing.T, p *phone) {
			p.Present(fromAlice)
			p.press(key)
			select {
			case <-p.over:
			default:
				t.Errorf("%q does not quit", key)
			}
			if out := p.take(); !strings.HasSuffix(out, clearLine) {
				t.Errorf("the status stays: %q", out)
			}
		})
	}
}

func TestEnds(t *testing.T) {
	run(t, 0, func(t *testing.T, p *phone) {
		for reason := range hooks.EndReason(11) {
			p.Present(fromAlice)
			p.take()
			p.OnCallEnd(fromAlice.CallInfo, reason, 0)
			p.Dismiss("1")
			if out := p.take(); strings.Count(out, "\n") != 2 || !strings.HasSuffix(out, ".\nWaiting.\n") {
				t.Errorf("%v: %q", reason, out)
			}
		}
		p.Present(fromAlice)
		p.OnCallingTimeout([]string{"carol"})
		p.take()
		p.OnCallingTimeout(nil)
		p.Dismiss("1")
		want(t, "not answered", p.take(), "You did not answer alice.\nWaiting.\n")
	})
}

const hostile = "\x1b]0;gotcha\a\x1b[2J\r\n\u202e\u0085\x9b31mA\u0301\u0301\u0301\u0301\u0301\xff\x00"

// Whatever others say, the terminal sees no control characters but the view's
// own.
func TestHostileWords(t *testing.T) {
	for _, columns := range []int{0, 80} {
		run(t, columns, func(t *testing.T, p *phone) {
			tellAll(p.View, hostile+strings.Repeat("x", 5000))
			out := p.take()
			for _, own := range []string{clearLine, "\r\n", "\n", "\a"} {
				out = strings.ReplaceAll(out, own, "")
			}
			if strings.Contains(out, "gotcha\a") || printable(out, false) != out {
				t.Errorf("it shows %q", out)
			}
			if !strings.Contains(out, "31mA") {
				t.Errorf("what is harmless is not shown: %q", out)
			}
		})
	}
}

// tellAll calls every method of a view with a string wherever one fits.
func tellAll(v hooks.View, s string) {
	state := hooks.ViewState{
		CallInfo: hooks.CallInfo{CallID: s, GroupID: s, Inviter: s}, IsGroup: true, Ringing: true, Sponsor: s,
		Invited: []string{s}, Users: []string{s},
	}
	v.Present(state)
	state.Ringing, state.Begun = false, true
	v.Present(state)
	value := reflect.ValueOf(v)
	for m := range reflect.TypeFor[hooks.View]().Methods() {
		if m.Name == "Present" || m.Name == "Dismiss" {
			continue
		}
		f := value.MethodByName(m.Name)
		var args []reflect.Value
		for in := range f.Type().Ins() {
			a := reflect.New(in).Elem()
			fill(a, s)
			args = append(args, a)
		}
		f.Call(args)
	}
	v.Dismiss(s)
}

func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), s)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), s)
		}
	}
}

func FuzzHostileWords(f *testing.F) {
	f.Add(hostile, 10)
	f.Add("名前 👩\u200d🚀", 3)
	f.Fuzz(func(t *testing.T, s string, columns int) {
		columns = max(1, columns%500)
		got := cut(printable(s, false), columns)
		n := 0
		for _, r := range got {
			if r < ' ' || r >= 0x7f && r < 0xa0 {
				t.Fatalf("%q has control characters", got)
			}
			n += width(r)
		}
		if n > columns {
			t.Fatalf("%q takes %d columns of %d", got, n, columns)
		}
	})
}

func TestKeys(t *testing.T) {
	for _, c := range []struct {
		in   string
		raw  bool
		want string
	}{
		{"", true, ""},
		{"aé\r\x03", true, `"a" "é" "\r" "\x03"`},
		{"answer\r\n\n i dave \nq", false, `"answer\n" "\n" "i dave\n" "q\n"`},
		{"", false, ""},
	} {
		var got []string
		for k := range Keys(t.Context(), strings.NewReader(c.in), c.raw) {
			got = append(got, fmt.Sprintf("%q", k))
		}
		want(t, c.in, strings.Join(got, " "), c.want)
	}
	// An arrow is one key of several bytes, an escape alone is a key.
	r, w := io.Pipe()
	go func() {
		io.WriteString(w, "\x1b[Aa\x1b[1;5Db\x1bOPc\x1bxd\x1b[")
		io.WriteString(w, "\x1b")
		io.WriteString(w, "x")
		w.Close()
	}()
	var got []string
	for k := range Keys(t.Context(), r, true) {
		got = append(got, fmt.Sprintf("%q", k))
	}
	want(t, "escapes", strings.Join(got, " "), `"a" "b" "c" "d" "\x1b" "x"`)
}

func TestKeysEndWithContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keys := Keys(ctx, strings.NewReader(strings.Repeat("a", 100)), true)
	n := 0
	for range keys {
		n++
	}
	if n == 100 {
		t.Error("it reads on")
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		volume int
		want   string
	}{{-5, "░░░░"}, {0, "░░░░"}, {1, "█░░░"}, {50, "██░░"}, {100, "████"}, {1000, "████"}} {
		want(t, fmt.Sprint(c.volume), Bar(c.volume, 4), c.want)
	}
}

func TestZeroConfig(t *testing.T) {
	var out strings.Builder
	v := New(Config{Out: &out})
	tellAll(v, "alice")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v.Run(ctx, nil)
	if s := out.String(); !strings.Contains(s, "alice calls (group, unknown).\n") {
		t.Errorf("%s", s)
	}
}
