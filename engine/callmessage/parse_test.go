package callmessage_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/engine/callmessage"
	"github.com/earshotrtc/earshot/hooks"
)

func TestIsCallingData(t *testing.T) {
	for data, want := range map[string]bool{
		`{"businessID":1}`:                  true,
		`{"businessID":1.0}`:                true, // the same number to the original
		`{"businessID":1e0}`:                true,
		` { "x":[] , "businessID" : 1 } `:   true,
		`{"businessID":2,"businessID":1}`:   true, // the last one counts
		`{"businessID":"1"}`:                false,
		`{"businessID":"av_call"}`:          false,
		`{"businessID":true}`:               false,
		`{"businessID":null}`:               false,
		`{"businessID":2}`:                  false,
		`{"businessID":[1]}`:                false,
		`{"businessid":1}`:                  false,
		`{"BusinessID":1}`:                  false,
		`{"data":{"businessID":1}}`:         false,
		`[{"businessID":1}]`:                false,
		`{"businessID":1`:                   false,
		`{"businessID":1} x`:                false,
		`{"businessID":01}`:                 false,
		`1`:                                 false,
		`null`:                              false,
		`"{\"businessID\":1}"`:              false,
		``:                                  false,
		"\x00":                              false,
		strings.Repeat(`{"a":`, 20000):      false,
		"{\"businessID\":1,\"x\":\"\xff\"}": true,
	} {
		if got := callmessage.IsCallingData(data); got != want {
			t.Errorf("%.60q: %v", data, got)
		}
		if got := callmessage.IsCallingData([]byte(data)); got != want {
			t.Errorf("%.60q as bytes: %v", data, got)
		}
	}
}

// wrap puts inner data into an envelope.
func wrap(t testing.TB, action int, inner string) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"businessID": 1, "actionType": action, "inviteID": "i1", "groupID": "", "inviter": "alice",
		"inviteeList": []string{"bob"}, "timeout": 30, "data": inner,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What the original's clients write: both forms, every step.
func TestParse(t *testing.T) {
	const v4 = `{"version":4,"businessID":"av_call","platform":"Android","extInfo":"","call_type":2,"room_id":99,`
	base := callmessage.Message{
		InviteID: "i1", Inviter: "alice", Invitees: []string{"bob"}, Timeout: 30 * time.Second,
		Media: hooks.MediaVideo, RoomID: 99, Version: 4,
	}
	for _, tt := range []struct {
		name   string
		action int
		inner  string
		change func(*callmessage.Message)
	}{
		{"dial", 1, v4 + `"data":{"room_id":99,"cmd":"videoCall","cmdInfo":"","message":"","userIDs":["bob"],"inviter":"alice","initialCallId":"c1","excludeFromHistoryMessage":true}}`,
			func(m *callmessage.Message) {
				m.Kind, m.Caller, m.CallID, m.ExcludeFromHistory = callmessage.Dial, "alice", "c1", true
			}},
		{"the command says what it carries", 1, v4 + `"data":{"cmd":"audioCall"}}`,
			func(m *callmessage.Message) { m.Kind, m.Media = callmessage.Dial, hooks.MediaAudio }},
		{"rtc_call", 1, `{"version":4,"businessID":"rtc_call","room_id":"lobby","data":{"cmd":"audioCall"}}`,
			func(m *callmessage.Message) {
				m.Kind, m.Media, m.RoomID, m.Room = callmessage.Dial, hooks.MediaAudio, 0, "lobby"
			}},
		{"room inside", 1, `{"version":4,"businessID":"av_call","data":{"cmd":"audioCall","room_id":5}}`,
			func(m *callmessage.Message) {
				m.Kind, m.Media, m.RoomID = callmessage.Dial, hooks.MediaAudio, 5
			}},
		{"cancel", 2, v4 + `"data":{"cmd":"videoCall"}}`, func(m *callmessage.Message) { m.Kind = callmessage.Cancel }},
		{"accept", 3, v4 + `"data":{"cmd":"videoCall"}}`, func(m *callmessage.Message) { m.Kind = callmessage.Accept }},
		{"accept, bare", 3, v4 + `"data":{}}`, func(m *callmessage.Message) { m.Kind = callmessage.Accept }},
		{"reject", 4, v4 + `"data":{"cmd":"videoCall","message":""}}`, func(m *callmessage.Message) { m.Kind = callmessage.Reject }},
		{"busy, by message", 4, v4 + `"data":{"message":"lineBusy"}}`, func(m *callmessage.Message) { m.Kind = callmessage.LineBusy }},
		{"busy, by key", 4, v4 + `"line_busy":"line_busy","data":{}}`, func(m *callmessage.Message) { m.Kind = callmessage.LineBusy }},
		{"timeout", 5, v4 + `"data":{"cmd":"videoCall"}}`, func(m *callmessage.Message) { m.Kind = callmessage.Timeout }},
		{"hangup", 1, v4 + `"call_end":61,"data":{"cmd":"hangup","cmdInfo":"61"}}`,
			func(m *callmessage.Message) { m.Kind, m.Duration = callmessage.Hangup, 61*time.Second }},
		{"hangup, by cmdInfo", 1, v4 + `"data":{"cmd":"hangup","cmdInfo":"61"}}`,
			func(m *callmessage.Message) { m.Kind, m.Duration = callmessage.Hangup, 61*time.Second }},
		{"hangup, cmdInfo a number", 1, v4 + `"data":{"cmd":"hangup","cmdInfo":61}}`,
			func(m *callmessage.Message) { m.Kind, m.Duration = callmessage.Hangup, 61*time.Second }},
		{"hangup, cmdInfo words", 1, v4 + `"data":{"cmd":"hangup","cmdInfo":"long"}}`,
			func(m *callmessage.Message) { m.Kind = callmessage.Hangup }},
		{"to audio", 1, v4 + `"switch_to_audio_call":"switchToAudio","data":{"cmd":"switchToAudio"}}`,
			func(m *callmessage.Message) { m.Kind, m.To = callmessage.Switch, hooks.MediaAudio }},
		{"to audio, yes", 3, v4 + `"data":{"cmd":"switchToAudio"}}`,
			func(m *callmessage.Message) { m.Kind, m.To = callmessage.SwitchAccept, hooks.MediaAudio }},
		{"to audio, no", 4, v4 + `"data":{"cmd":"switchToAudio"}}`,
			func(m *callmessage.Message) { m.Kind, m.To = callmessage.SwitchReject, hooks.MediaAudio }},
		{"to video", 1, v4 + `"data":{"cmd":"switchToVideo"}}`,
			func(m *callmessage.Message) { m.Kind, m.To = callmessage.Switch, hooks.MediaVideo }},
		{"sync", 1, v4 + `"call_action":7,"callid":"c1","user":"carol","data":{"cmd":"sync_info"}}`,
			func(m *callmessage.Message) {
				m.Kind, m.CallID, m.Sync = callmessage.Sync, "c1", callmessage.SyncInfo{Kind: callmessage.Accept, User: "carol"}
			}},
		{"a command to come", 1, v4 + `"data":{"cmd":"hologramCall"}}`, func(m *callmessage.Message) { m.Kind = callmessage.Unknown }},
		{"a medium to come", 1, `{"version":5,"businessID":"av_call","call_type":3,"room_id":99,"data":{"cmd":"hologramCall"}}`,
			func(m *callmessage.Message) { m.Version, m.Media = 5, hooks.MediaUnknown }},
		{"is_group", 5, v4 + `"is_group":true,"data":{}}`, func(m *callmessage.Message) { m.Kind, m.Group = callmessage.Timeout, true }},
		{"nulls", 1, `{"version":4,"businessID":"av_call","call_type":2,"room_id":99,"call_end":null,"data":{"cmd":"videoCall","userIDs":null,"inviter":null}}`,
			func(m *callmessage.Message) { m.Kind = callmessage.Dial }},
		{"version 4 without a command", 1, v4 + `"call_end":5}`,
			func(m *callmessage.Message) { m.Kind, m.Duration = callmessage.Hangup, 5*time.Second }},

		{"legacy dial", 1, `{"version":1,"call_type":1,"room_id":99}`,
			func(m *callmessage.Message) { m.Kind, m.Version, m.Media = callmessage.Dial, 1, hooks.MediaAudio }},
		{"legacy floats", 1, `{"version":1.0,"call_type":2.0,"room_id":9.9e1}`,
			func(m *callmessage.Message) { m.Kind, m.Version = callmessage.Dial, 1 }},
		{"legacy cancel", 2, `{"version":1,"call_type":2,"room_id":99}`, func(m *callmessage.Message) { m.Kind, m.Version = callmessage.Cancel, 1 }},
		{"legacy accept", 3, `{"version":1,"call_type":2,"room_id":99}`, func(m *callmessage.Message) { m.Kind, m.Version = callmessage.Accept, 1 }},
		{"legacy reject", 4, `{"version":1,"call_type":2,"room_id":99}`, func(m *callmessage.Message) { m.Kind, m.Version = callmessage.Reject, 1 }},
		{"legacy busy", 4, `{"version":1,"call_type":2,"room_id":99,"line_busy":""}`, func(m *callmessage.Message) { m.Kind, m.Version = callmessage.LineBusy, 1 }},
		{"legacy timeout", 5, `{"version":1,"call_type":2,"room_id":99}`, func(m *callmessage.Message) { m.Kind, m.Version = callmessage.Timeout, 1 }},
		{"legacy hangup", 1, `{"version":1,"call_type":2,"room_id":99,"call_end":3605}`,
			func(m *callmessage.Message) { m.Kind, m.Version, m.Duration = callmessage.Hangup, 1, 3605*time.Second }},
		{"legacy hangup of a group", 1, `{"version":1,"call_type":2,"room_id":99,"call_end":0}`,
			func(m *callmessage.Message) { m.Kind, m.Version = callmessage.Hangup, 1 }},
		{"legacy to audio", 1, `{"version":1,"call_type":2,"room_id":99,"switch_to_audio_call":"switch_to_audio_call"}`,
			func(m *callmessage.Message) { m.Kind, m.Version, m.To = callmessage.Switch, 1, hooks.MediaAudio }},
		{"legacy to audio, yes", 3, `{"version":1,"call_type":2,"room_id":99,"switch_to_audio_call":"switch_to_audio_call"}`,
			func(m *callmessage.Message) { m.Kind, m.Version, m.To = callmessage.SwitchAccept, 1, hooks.MediaAudio }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := base
			tt.change(&want)
			got, err := callmessage.Parse(wrap(t, tt.action, tt.inner))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("\n got %+v\nwant %+v", got, want)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	const legacy = `{\"version\":1,\"call_type\":1}`
	env := func(more string) string { return `{"businessID":1,"actionType":1,"data":"` + legacy + `"` + more + `}` }
	in := func(inner string) string { return wrap(t, 1, inner) }
	for _, tt := range []struct {
		name, data string
		want       error
		words      string
	}{
		{"empty", ``, callmessage.ErrMalformed, "envelope is not a JSON object"},
		{"null", `null`, callmessage.ErrMalformed, "envelope is null"},
		{"list", `[]`, callmessage.ErrMalformed, "envelope is not a JSON object"},
		{"another business", `{"businessID":2}`, callmessage.ErrNotCall, "businessID"},
		{"no data", `{"businessID":1,"actionType":1}`, callmessage.ErrNotCall, "data is empty"},
		{"data not a string", `{"businessID":1,"data":{}}`, callmessage.ErrMalformed, "envelope.data is not a string"},
		{"data no JSON", `{"businessID":1,"data":"x"}`, callmessage.ErrMalformed, "data is not a JSON object"},
		{"data of something else", `{"businessID":1,"actionType":1,"data":"{\"businessID\":\"live\"}"}`, callmessage.ErrNotCall, "call_type"},
		{"no action", `{"businessID":1,"data":"` + legacy + `"}`, callmessage.ErrMalformed, "actionType"},
		{"action 0", `{"businessID":1,"actionType":0,"data":"` + legacy + `"}`, callmessage.ErrMalformed, "actionType"},
		{"action 6", `{"businessID":1,"actionType":6,"data":"` + legacy + `"}`, callmessage.ErrMalformed, "actionType"},
		{"action a string", `{"businessID":1,"actionType":"1","data":"` + legacy + `"}`, callmessage.ErrMalformed, "actionType"},
		{"inviteID", env(`,"inviteID":5`), callmessage.ErrMalformed, "envelope.inviteID is not a string"},
		{"groupID", env(`,"groupID":["g"]`), callmessage.ErrMalformed, "envelope.groupID is not a string"},
		{"inviter", env(`,"inviter":{}`), callmessage.ErrMalformed, "envelope.inviter is not a string"},
		{"inviteeList", env(`,"inviteeList":"bob"`), callmessage.ErrMalformed, "envelope.inviteeList is not a list"},
		{"inviteeList of numbers", env(`,"inviteeList":[1]`), callmessage.ErrMalformed, "envelope.inviteeList is not a list"},
		{"inviteeList of nulls", env(`,"inviteeList":[null]`), callmessage.ErrMalformed, "envelope.inviteeList is not a list"},
		{"timeout", env(`,"timeout":-1`), callmessage.ErrMalformed, "envelope.timeout is not a whole number"},
		{"timeout huge", env(`,"timeout":1e300`), callmessage.ErrMalformed, "envelope.timeout is not a whole number"},
		{"timeout a fraction", env(`,"timeout":0.5`), callmessage.ErrMalformed, "envelope.timeout is not a whole number"},
		{"call_type", in(`{"call_type":"audio"}`), callmessage.ErrMalformed, "data.call_type"},
		{"version", in(`{"call_type":1,"version":"4"}`), callmessage.ErrMalformed, "data.version"},
		{"room_id", in(`{"call_type":1,"room_id":4294967295}`), callmessage.ErrMalformed, "data.room_id"},
		{"room_id object", in(`{"call_type":1,"room_id":{}}`), callmessage.ErrMalformed, "data.room_id"},
		{"call_end", in(`{"call_type":1,"call_end":-5}`), callmessage.ErrMalformed, "data.call_end"},
		{"call_end huge", in(`{"call_type":1,"call_end":99999999999}`), callmessage.ErrMalformed, "data.call_end"},
		{"line_busy", in(`{"call_type":1,"line_busy":1}`), callmessage.ErrMalformed, "data.line_busy"},
		{"inner data", in(`{"call_type":1,"data":"x"}`), callmessage.ErrMalformed, "data.data is not a JSON object"},
		{"cmd", in(`{"call_type":1,"data":{"cmd":1}}`), callmessage.ErrMalformed, "data.data.cmd"},
		{"inner inviter", in(`{"call_type":1,"data":{"cmd":"audioCall","inviter":1}}`), callmessage.ErrMalformed, "data.data.inviter"},
		{"userIDs", in(`{"call_type":1,"data":{"cmd":"audioCall","userIDs":{}}}`), callmessage.ErrMalformed, "data.data.userIDs"},
		{"flag", in(`{"call_type":1,"data":{"excludeFromHistoryMessage":"no"}}`), callmessage.ErrMalformed, "excludeFromHistoryMessage"},
		{"too large", env(`,"x":"` + strings.Repeat("x", callmessage.MaxSize) + `"`), callmessage.ErrMalformed, "bytes, more than"},
		{"too deep", env(`,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), callmessage.ErrMalformed, "deep"},
		{"too deep inside", in(`{"call_type":1,"x":` + strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40) + "}"), callmessage.ErrMalformed, "deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m, err := callmessage.Parse(tt.data)
			if !errors.Is(err, tt.want) || err != nil && !strings.Contains(err.Error(), tt.words) {
				t.Errorf("%+v, %v; want %v with %q", m, err, tt.want, tt.words)
			}
			if !reflect.DeepEqual(m, callmessage.Message{}) {
				t.Errorf("a message beside the error: %+v", m)
			}
		})
	}
	// Brackets in strings do not nest.
	if _, err := callmessage.Parse(env(`,"x":"` + strings.Repeat(`[{\"`, 100) + `"`)); err != nil {
		t.Error(err)
	}
}

// Whatever parses and can be built again says the same then.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"businessID":1,"actionType":1,"inviteID":"i","groupID":"g","inviter":"a","inviteeList":["b"],"timeout":30,"data":"{\"version\":4,\"businessID\":\"av_call\",\"call_type\":1,\"room_id\":1,\"data\":{\"cmd\":\"audioCall\",\"userIDs\":[\"b\"],\"inviter\":\"a\"}}"}`))
	f.Add([]byte(`{"businessID":1,"actionType":4,"inviteID":"i","inviter":"a","inviteeList":["b"],"data":"{\"version\":1,\"call_type\":2,\"line_busy\":\"\"}"}`))
	f.Add([]byte(`{"businessID":1,"actionType":1,"inviteID":"i","inviter":"a","data":"{\"call_type\":2,\"call_end\":4e3}"}`))
	f.Add([]byte(`{"businessID":1.0,"actionType":3,"inviteID":"i","inviter":"a","inviteeList":["b"],"data":"{\"businessID\":\"rtc_call\",\"call_type\":2,\"room_id\":\"r\",\"data\":{\"cmd\":\"switchToAudio\",\"excludeFromHistoryMessage\":1}}"}`))
	f.Add([]byte(`{"businessID":1,"actionType":1,"inviteID":"i","inviter":"a","inviteeList":["b"],"data":"{\"call_type\":1,\"call_action\":7,\"user\":\"c\",\"data\":{\"cmd\":\"sync_info\"}}"}`))
	f.Add([]byte(`{"businessID":1,"data":"[[[[[["}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := callmessage.Parse(data)
		if err != nil {
			if !errors.Is(err, callmessage.ErrMalformed) && !errors.Is(err, callmessage.ErrNotCall) {
				t.Fatalf("an error of neither kind: %v", err)
			}
			return
		}
		if !callmessage.IsCallingData(data) {
			t.Fatal("parsed, but no calling data")
		}
		for _, v := range []callmessage.Viewer{{}, {UserID: m.Inviter}} {
			for _, lang := range []callmessage.Lang{callmessage.Chinese, callmessage.English} {
				if !m.Group && m.Text(lang, v) == "" {
					t.Fatalf("no text for %+v", m)
				}
				m.PluginText(lang, v)
			}
			m.Hidden(v)
			m.UnreadDot(v)
		}
		built, err := callmessage.Build(m)
		if err != nil {
			return // not everything that parses is whole
		}
		again, err := callmessage.Parse(built)
		if err != nil {
			t.Fatalf("%s: %v", built, err)
		}
		if again.Kind != m.Kind || again.To != m.To || again.Media != m.Media || !again.Group != !m.Group {
			t.Fatalf("\n  in %+v\n out %+v", m, again)
		}
		built, err = callmessage.Build(again)
		if err != nil {
			t.Fatal(err)
		}
		if third, err := callmessage.Parse(built); err != nil || !reflect.DeepEqual(third, again) {
			t.Fatalf("%v\n  in %+v\n out %+v", err, again, third)
		}
	})
}
