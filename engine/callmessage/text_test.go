package callmessage_test

import (
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/callmessage"
	"github.com/earshotrtc/earshot/hooks"
)

// step makes a message of alice's call as its receivers get it: built and
// parsed again.
func step(t *testing.T, k callmessage.Kind, group string, change ...func(*callmessage.Message)) callmessage.Message {
	t.Helper()
	m := callmessage.Message{
		Kind: k, CallID: "c1", GroupID: group, Caller: "alice", Inviter: "alice", Invitees: []string{"bob"},
		Media: hooks.MediaVideo, RoomID: 7,
	}
	switch k {
	case callmessage.Hangup:
		m.Duration = 83 * time.Second
	case callmessage.Switch, callmessage.SwitchAccept, callmessage.SwitchReject:
		m.To = hooks.MediaAudio
	}
	for _, f := range change {
		f(&m)
	}
	data, err := callmessage.Build(m)
	if err != nil {
		t.Fatal(err)
	}
	if !callmessage.IsCallingData(data) {
		t.Fatalf("not calling data: %s", data)
	}
	got, err := callmessage.Parse(data)
	if err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return got
}

func video(m *callmessage.Message)   { m.Media, m.To = hooks.MediaAudio, hooks.MediaVideo }
func three(m *callmessage.Message)   { m.Invitees = []string{"bob", "carol", "dave"} }
func someone(m *callmessage.Message) { m.Invitees = []string{"carol"} }

func unknown(t *testing.T, group string) callmessage.Message {
	t.Helper()
	m, err := callmessage.Parse(`{"businessID":1,"actionType":1,"groupID":"` + group + `","inviter":"alice",
		"data":"{\"businessID\":\"av_call\",\"data\":{\"cmd\":\"dance\",\"inviter\":\"alice\"}}"}`)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Each row of the newer clients' texts, both sides and both languages.
func TestText(t *testing.T) {
	names := map[string]string{"alice": "爱丽丝", "bob": "Bob", "carol": "卡罗", "dave": "Dave"}
	name := func(id string) string { return names[id] }
	type m = callmessage.Message
	for _, tt := range []struct {
		name                   string
		m                      m
		zhCaller, zhCallee     string
		enCaller, enCallee     string
		dotOnCallee, inHistory bool
	}{
		{"reject", step(t, callmessage.Reject, ""), "对方已拒绝", "已拒绝", "Declined by the other side", "Declined", false, true},
		{"cancel", step(t, callmessage.Cancel, ""), "已取消", "对方已取消", "Cancelled", "Cancelled by the caller", true, true},
		{"hangup", step(t, callmessage.Hangup, ""), "通话时长：01:23", "通话时长：01:23", "Call duration: 01:23", "Call duration: 01:23", false, true},
		{"timeout", step(t, callmessage.Timeout, ""), "对方无应答", "对方已取消", "No answer", "Cancelled by the caller", true, true},
		{"lineBusy", step(t, callmessage.LineBusy, ""), "对方忙线中", "对方已取消", "Line busy", "Cancelled by the caller", true, true},
		{"send", step(t, callmessage.Dial, ""), "发起通话", "发起通话", "Started a call", "Started a call", false, false},
		{"accept", step(t, callmessage.Accept, ""), "接听通话", "接听通话", "Answered the call", "Answered the call", false, false},
		{"switch", step(t, callmessage.Switch, ""), "视频转语音", "视频转语音", "Switched from video to voice", "Switched from video to voice", false, false},
		{"confirm", step(t, callmessage.SwitchAccept, ""), "确认转语音", "确认转语音", "Agreed to switch to voice", "Agreed to switch to voice", false, false},
		{"unknown", unknown(t, ""), "未知通话", "未知通话", "Unknown call", "Unknown call", false, false},
		{"switch to video", step(t, callmessage.Switch, "", video), "语音转视频", "语音转视频", "Switched from voice to video", "Switched from voice to video", false, false},
		{"confirm video", step(t, callmessage.SwitchAccept, "", video), "确认转视频", "确认转视频", "Agreed to switch to video", "Agreed to switch to video", false, false},
		{"switch rejected", step(t, callmessage.SwitchReject, ""), "对方已拒绝", "已拒绝", "Declined by the other side", "Declined", false, false},

		{"group send", step(t, callmessage.Dial, "g", three), "爱丽丝发起了群通话", "爱丽丝发起了群通话", "爱丽丝 started a group call", "爱丽丝 started a group call", false, true},
		{"group cancel", step(t, callmessage.Cancel, "g", three), "通话结束", "通话结束", "Call ended", "Call ended", false, true},
		{"group hangup", step(t, callmessage.Hangup, "g"), "通话结束", "通话结束", "Call ended", "Call ended", false, true},
		{"group timeout", step(t, callmessage.Timeout, "g", three), "Bob、卡罗、Dave未接听", "Bob、卡罗、Dave未接听", "Bob, 卡罗, Dave did not answer", "Bob, 卡罗, Dave did not answer", false, true},
		{"group busy", step(t, callmessage.LineBusy, "g"), "Bob未接听", "Bob未接听", "Bob did not answer", "Bob did not answer", false, true},
		{"group reject", step(t, callmessage.Reject, "g", someone), "卡罗拒绝群通话", "卡罗拒绝群通话", "卡罗 declined the group call", "卡罗 declined the group call", false, false},
		{"group accept", step(t, callmessage.Accept, "g", someone), "卡罗接听", "卡罗接听", "卡罗 answered", "卡罗 answered", false, false},
		{"group switch", step(t, callmessage.Switch, "g"), "视频转语音", "视频转语音", "Switched from video to voice", "Switched from video to voice", false, false},
		{"group confirm", step(t, callmessage.SwitchAccept, "g"), "同意视频转语音", "同意视频转语音", "Agreed to switch from video to voice", "Agreed to switch from video to voice", false, false},
		{"group unknown", unknown(t, "g"), "未知通话", "未知通话", "Unknown call", "Unknown call", false, false},
		{"group switch to video", step(t, callmessage.Switch, "g", video), "语音转视频", "语音转视频", "Switched from voice to video", "Switched from voice to video", false, false},
		{"a group without an ID", step(t, callmessage.Hangup, "", func(m *m) { m.Group = true }), "通话结束", "通话结束", "Call ended", "Call ended", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			caller := callmessage.Viewer{UserID: "alice", Name: name}
			callee := callmessage.Viewer{UserID: "bob", Name: name}
			for _, c := range []struct {
				lang callmessage.Lang
				v    callmessage.Viewer
				want string
			}{
				{callmessage.Chinese, caller, tt.zhCaller}, {callmessage.Chinese, callee, tt.zhCallee},
				{callmessage.English, caller, tt.enCaller}, {callmessage.English, callee, tt.enCallee},
			} {
				if got := tt.m.Text(c.lang, c.v); got != c.want {
					t.Errorf("%s sees %q, want %q", c.v.UserID, got, c.want)
				}
			}
			if tt.m.UnreadDot(caller) || tt.m.UnreadDot(callee) != tt.dotOnCallee {
				t.Errorf("dots %v, %v, want none on the caller's side and %v", tt.m.UnreadDot(caller), tt.m.UnreadDot(callee), tt.dotOnCallee)
			}
			if got := tt.m.ShownInHistory(); got != tt.inHistory {
				t.Errorf("shown in the history: %v", got)
			}
		})
	}
}

// Each row of the old plugin's texts.
func TestPluginText(t *testing.T) {
	type m = callmessage.Message
	v := callmessage.Viewer{UserID: "bob"}
	silent := func(m *m) { m.Duration = 0 }
	for _, tt := range []struct {
		name   string
		m      m
		zh, en string
	}{
		{"dial", step(t, callmessage.Dial, ""), "发起通话", "Started a call"},
		{"cancel", step(t, callmessage.Cancel, ""), "取消通话", "Cancelled the call"},
		{"accept", step(t, callmessage.Accept, ""), "接受通话", "Accepted the call"},
		{"reject", step(t, callmessage.Reject, ""), "拒绝通话", "Declined the call"},
		{"busy", step(t, callmessage.LineBusy, ""), "拒绝通话", "Declined the call"},
		{"timeout", step(t, callmessage.Timeout, ""), "超时未接听", "Timed out without an answer"},
		{"call_end", step(t, callmessage.Hangup, ""), "通话时间：01:23", "Call time: 01:23"},
		{"call_end 0", step(t, callmessage.Hangup, "", silent), "发起通话", "Started a call"},
		{"group", step(t, callmessage.Timeout, "g", three), "bob、carol、dave 超时未接听", "bob, carol, dave Timed out without an answer"},
		{"group accept", step(t, callmessage.Accept, "g"), "bob 接受通话", "bob Accepted the call"},
		{"group cancel", step(t, callmessage.Cancel, "g", three), "取消通话", "Cancelled the call"},
	} {
		if got := tt.m.PluginText(callmessage.Chinese, v); got != tt.zh {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.zh)
		}
		if got := tt.m.PluginText(callmessage.English, v); got != tt.en {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.en)
		}
	}
}

func TestTextOf(t *testing.T) {
	for data, want := range map[string]string{
		"hello":                          "[自定义]",
		`{"businessID":"text"}`:          "[自定义]",
		`{"businessID":1,"data":"{}"}`:   "[自定义]", // an invitation to something else
		`{"businessID":1,"data":"oops"}`: "未知通话",
		`{"businessID":1,"actionType":2,"inviter":"alice","data":"{\"version\":1,\"call_type\":1}"}`: "已取消",
	} {
		if got := callmessage.TextOf(data, callmessage.Chinese, callmessage.Viewer{UserID: "alice"}); got != want {
			t.Errorf("%s: %q, want %q", data, got, want)
		}
	}
	if got := callmessage.TextOf("hello", callmessage.English, callmessage.Viewer{}); got != "[Custom message]" {
		t.Errorf("English: %q", got)
	}
	if got := callmessage.TextOf("hello", callmessage.Lang(9), callmessage.Viewer{}); got != "[自定义]" {
		t.Errorf("a language that there is not: %q", got)
	}
}

func TestFormatDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                  "00:00",
		0:                             "00:00",
		59*time.Second + 999e6:        "00:59",
		time.Minute:                   "01:00",
		time.Hour - time.Second:       "59:59",
		time.Hour:                     "1:00:00",
		25*time.Hour + 61*time.Second: "25:01:01",
	} {
		if got := callmessage.FormatDuration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	m := step(t, callmessage.Hangup, "", func(m *callmessage.Message) { m.Duration = 3600 * time.Second })
	if got := m.Text(callmessage.Chinese, callmessage.Viewer{}); got != "通话时长：1:00:00" {
		t.Error(got)
	}
}

func TestDisplayName(t *testing.T) {
	for _, tt := range [][5]string{
		{"remark", "nick", "card", "id", "remark"}, {"", "nick", "card", "id", "nick"},
		{"", "", "card", "id", "card"}, {"", "", "", "id", "id"},
	} {
		if got := callmessage.DisplayName(tt[0], tt[1], tt[2], tt[3]); got != tt[4] {
			t.Errorf("%q", got)
		}
	}
	// Without names the IDs stand, and cannot play with the terminal.
	m := step(t, callmessage.Accept, "g", func(m *callmessage.Message) { m.Invitees = []string{"\x1b[2J\u202ebob\n"} })
	if got := m.Text(callmessage.Chinese, callmessage.Viewer{}); got != "[2Jbob接听" {
		t.Errorf("%q", got)
	}
	if got := m.Text(callmessage.Chinese, callmessage.Viewer{Sender: "carol"}); got != "carol接听" {
		t.Errorf("the chat's sender: %q", got)
	}
}

func TestIconAndSide(t *testing.T) {
	audio := step(t, callmessage.Dial, "", func(m *callmessage.Message) { m.Media = hooks.MediaAudio })
	if audio.Icon() != callmessage.IconVoice || step(t, callmessage.Dial, "").Icon() != callmessage.IconVideo {
		t.Error("the icon is not that of the media type")
	}
	if unknown(t, "").Icon() != callmessage.IconVideo {
		t.Error("what is not voice has the video icon")
	}
	// The caller's side of a text has nothing to do with who sent the message.
	if audio.Side(callmessage.Viewer{UserID: "alice"}) != callmessage.Left ||
		audio.Side(callmessage.Viewer{UserID: "bob", FromSelf: true}) != callmessage.Right {
		t.Error("the side is not told by FromSelf")
	}
}

func TestHidden(t *testing.T) {
	missed := step(t, callmessage.Cancel, "")
	for _, tt := range []struct {
		v           callmessage.Viewer
		hidden, dot bool
	}{
		{callmessage.Viewer{UserID: "bob"}, false, true},
		{callmessage.Viewer{UserID: "bob", Seen: true}, false, false},
		{callmessage.Viewer{UserID: "bob", ExcludedFromLastMessage: true}, false, true},
		{callmessage.Viewer{UserID: "bob", ExcludedFromUnreadCount: true}, false, true},
		{callmessage.Viewer{UserID: "bob", ExcludedFromLastMessage: true, ExcludedFromUnreadCount: true}, true, false},
	} {
		if missed.Hidden(tt.v) != tt.hidden || missed.UnreadDot(tt.v) != tt.dot {
			t.Errorf("%+v: hidden %v, dot %v", tt.v, missed.Hidden(tt.v), missed.UnreadDot(tt.v))
		}
	}
	own := step(t, callmessage.Cancel, "", func(m *callmessage.Message) { m.ExcludeFromHistory = true })
	if !own.Hidden(callmessage.Viewer{}) || own.UnreadDot(callmessage.Viewer{UserID: "bob"}) {
		t.Error("the message's own mark is passed over")
	}
}

// A legacy message does not say who called.
func TestCallerOfLegacy(t *testing.T) {
	parse := func(action, inner string) callmessage.Message {
		m, err := callmessage.Parse(`{"businessID":1,"actionType":` + action + `,"inviter":"alice","inviteeList":["bob"],"data":"{\"version\":1,\"call_type\":1` + inner + `}"}`)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	bob := callmessage.Viewer{UserID: "bob"}
	if got := parse("4", "").Text(callmessage.Chinese, bob); got != "已拒绝" {
		t.Errorf("bob, who rejected, sees %q", got)
	}
	if !parse("1", `,\"call_end\":5`).IsCaller(bob) {
		t.Error("either side may send a hang-up: the viewer is taken for the caller, as in the original")
	}
}
