package callmessage_test

import (
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/callmessage"
	"github.com/earshotrtc/earshot/hooks"
)

// What goes out, to the letter: both the keys of version 4 and the legacy ones.
func TestBuild(t *testing.T) {
	m := callmessage.Message{
		CallID: "c1", InviteID: "i1", Caller: "alice", Inviter: "alice", Invitees: []string{"bob"},
		Media: hooks.MediaVideo, RoomID: 99,
	}
	const head = `"version":4,"businessID":"av_call","platform":"Earshot","extInfo":"","call_type":2,"room_id":99,`
	cmd := func(cmd, info, message string) string {
		return `"data":{"room_id":99,"cmd":"` + cmd + `","cmdInfo":"` + info + `","message":"` + message + `","userIDs":["bob"],"inviter":"alice","initialCallId":"c1"}`
	}
	for _, tt := range []struct {
		name    string
		change  func(*callmessage.Message)
		action  int
		timeout int
		inner   string
	}{
		{"dial", func(m *callmessage.Message) { m.Kind = callmessage.Dial }, 1, 30, cmd("videoCall", "", "")},
		{"dial for a minute", func(m *callmessage.Message) { m.Kind, m.Timeout = callmessage.Dial, time.Minute }, 1, 60, cmd("videoCall", "", "")},
		{"cancel", func(m *callmessage.Message) { m.Kind = callmessage.Cancel }, 2, 0, cmd("videoCall", "", "")},
		{"accept", func(m *callmessage.Message) { m.Kind = callmessage.Accept }, 3, 0, cmd("videoCall", "", "")},
		{"reject", func(m *callmessage.Message) { m.Kind = callmessage.Reject }, 4, 0, cmd("videoCall", "", "")},
		{"busy", func(m *callmessage.Message) { m.Kind = callmessage.LineBusy }, 4, 0, cmd("videoCall", "", "lineBusy") + `,"line_busy":"line_busy"`},
		{"timeout", func(m *callmessage.Message) { m.Kind = callmessage.Timeout }, 5, 0, cmd("videoCall", "", "")},
		{"hangup", func(m *callmessage.Message) {
			m.Kind, m.Duration, m.Timeout = callmessage.Hangup, 61*time.Second+999*time.Millisecond, time.Minute
		}, 1, 0, cmd("hangup", "61", "") + `,"call_end":61`},
		{"a short talk is not none", func(m *callmessage.Message) {
			m.Kind, m.Duration = callmessage.Hangup, 10*time.Millisecond
		}, 1, 0, cmd("hangup", "1", "") + `,"call_end":1`},
		{"to audio", func(m *callmessage.Message) {
			m.Kind, m.To, m.Timeout = callmessage.Switch, hooks.MediaAudio, 30*time.Second
		}, 1, 30, cmd("switchToAudio", "", "") + `,"switch_to_audio_call":"switchToAudio"`},
		{"to audio, yes", func(m *callmessage.Message) { m.Kind, m.To = callmessage.SwitchAccept, hooks.MediaAudio }, 3, 0,
			cmd("switchToAudio", "", "") + `,"switch_to_audio_call":"switchToAudio"`},
		{"to video", func(m *callmessage.Message) { m.Kind, m.To = callmessage.Switch, hooks.MediaVideo }, 1, 0, cmd("switchToVideo", "", "")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := m
			tt.change(&m)
			data, err := callmessage.Build(m)
			if err != nil {
				t.Fatal(err)
			}
			inner, _ := json.Marshal("{" + head + tt.inner + "}")
			want, _ := json.Marshal(map[string]any{
				"businessID": 1, "actionType": tt.action, "inviteID": "i1", "groupID": "", "inviter": "alice",
				"inviteeList": []string{"bob"}, "timeout": tt.timeout, "data": json.RawMessage(inner),
			})
			var g, w any
			must(t, json.Unmarshal(data, &g))
			must(t, json.Unmarshal(want, &w))
			if !reflect.DeepEqual(g, w) {
				t.Errorf("\n got %s\nwant %s", data, want)
			}
			back, err := callmessage.Parse(data)
			must(t, err)
			if back.Kind != m.Kind || back.To != m.To || back.CallID != "c1" || back.Caller != "alice" || back.RoomID != 99 || back.Version != 4 {
				t.Errorf("reads back as %+v", back)
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A reader that knows only the legacy keys tells the steps apart, too.
func TestLegacyReadersUnderstand(t *testing.T) {
	for _, k := range []callmessage.Kind{callmessage.Dial, callmessage.Cancel, callmessage.Accept, callmessage.Reject,
		callmessage.LineBusy, callmessage.Timeout, callmessage.Hangup, callmessage.Switch, callmessage.SwitchAccept} {
		data, err := callmessage.Build(callmessage.Message{
			Kind: k, CallID: "c1", Inviter: "alice", Invitees: []string{"bob"}, Media: hooks.MediaVideo,
			To: hooks.MediaAudio, Duration: 5 * time.Second,
		})
		must(t, err)
		var env map[string]any
		must(t, json.Unmarshal(data, &env))
		var in map[string]any
		must(t, json.Unmarshal([]byte(env["data"].(string)), &in))
		delete(in, "data") // what such a reader does not look at
		legacy, _ := json.Marshal(in)
		env["data"] = string(legacy)
		data, _ = json.Marshal(env)
		m, err := callmessage.Parse(data)
		must(t, err)
		if m.Kind != k || k == callmessage.Hangup && m.Duration != 5*time.Second {
			t.Errorf("%v is read as %v", k, m.Kind)
		}
	}
}

func TestBuildGroup(t *testing.T) {
	for _, group := range []string{"g1", ""} {
		m := callmessage.Message{
			Kind: callmessage.Hangup, CallID: "c1", Group: true, GroupID: group, Inviter: "bob", Caller: "alice",
			Media: hooks.MediaAudio, Room: "lobby", Duration: time.Minute,
		}
		data, err := callmessage.Build(m)
		must(t, err)
		got, err := callmessage.Parse(data)
		must(t, err)
		if !got.Group || got.GroupID != group || got.Room != "lobby" || got.Inviter != "bob" || got.Caller != "alice" {
			t.Errorf("%+v", got)
		}
		if got.Duration != 0 || !strings.Contains(string(data), `call_end\":0`) || !strings.Contains(string(data), `"inviteeList":[]`) {
			t.Errorf("a group's hang-up carries call_end 0 and a list: %s", data)
		}
	}
}

// A hang-up and a switch are invitations of their own.
func TestInviteID(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		for _, k := range []callmessage.Kind{callmessage.Dial, callmessage.Accept, callmessage.Hangup, callmessage.Switch} {
			got := step(t, k, "")
			if own := got.InviteID != "c1"; own != (k == callmessage.Hangup || k == callmessage.Switch) {
				t.Errorf("%v has the invitation %q", k, got.InviteID)
			} else if own && seen[got.InviteID] {
				t.Errorf("the invitation %q twice", got.InviteID)
			}
			seen[got.InviteID] = true
			if got.CallID != "c1" {
				t.Errorf("%v is of the call %q", k, got.CallID)
			}
		}
	}
}

func TestBuildRefuses(t *testing.T) {
	for name, change := range map[string]func(*callmessage.Message){
		"no kind":          func(m *callmessage.Message) { m.Kind = callmessage.Unknown },
		"sync":             func(m *callmessage.Message) { m.Kind = callmessage.Sync },
		"a kind too far":   func(m *callmessage.Message) { m.Kind = 99 },
		"no call":          func(m *callmessage.Message) { m.CallID = "" },
		"no inviter":       func(m *callmessage.Message) { m.Inviter = "" },
		"no invitees":      func(m *callmessage.Message) { m.Invitees = nil },
		"no media":         func(m *callmessage.Message) { m.Media = 0 },
		"nowhere to go":    func(m *callmessage.Message) { m.Kind = callmessage.Switch },
		"negative time":    func(m *callmessage.Message) { m.Duration = -1 },
		"endless time":     func(m *callmessage.Message) { m.Timeout = math.MaxInt64 },
		"room 2^32-1":      func(m *callmessage.Message) { m.RoomID = math.MaxUint32 },
		"too many invited": func(m *callmessage.Message) { m.Invitees = strings.Split(strings.Repeat("a,", 20000), ",") },
	} {
		m := callmessage.Message{
			Kind: callmessage.Accept, CallID: "c1", Inviter: "alice", Invitees: []string{"bob"}, Media: hooks.MediaAudio,
		}
		change(&m)
		data, err := callmessage.Build(m)
		if !errors.Is(err, callmessage.ErrIncomplete) && !errors.Is(err, callmessage.ErrMalformed) || data != nil {
			t.Errorf("%s: %.80s, %v", name, data, err)
		}
	}
}
