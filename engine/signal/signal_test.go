package signal

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/hooks"
)

// samples holds a valid body for every type.
var samples = map[Type]any{
	TypeSignIn:    &SignIn{Version: 1, SDKAppID: 1400000000, UserID: "alice", UserSig: "eJw*", Agent: "test/1"},
	TypeResume:    &Resume{Version: 1, Token: "00112233445566778899aabbccddeeff", Last: 7},
	TypeAck:       &Empty{},
	TypePing:      &Ping{T: 12.5},
	TypeSignOut:   &Empty{},
	TypeCall:      &Call{UserIDs: []string{"bob"}, Media: hooks.MediaAudio, TimeoutMS: 5000, UserData: "hi", RoomID: hooks.RoomID{Name: "123"}, PrivateMapKey: "eJw*"},
	TypeAccept:    &Enter{CallID: "c1", PrivateMapKey: "eJw*"},
	TypeReject:    &CallRef{CallID: "c1"},
	TypeHangup:    &CallRef{CallID: "c1"},
	TypePublish:   &Publish{CallID: "c1", Kind: KindAudio, Muted: true},
	TypeUnpublish: &TrackRef{TrackID: 5},
	TypeMute:      &Mute{TrackID: 5, Muted: true},

	TypeIgnore:    &CallRef{CallID: "c1"},
	TypeInvite:    &Invite{CallID: "c1", UserIDs: []string{"carol"}, TimeoutMS: 9},
	TypeJoin:      &Enter{CallID: "c1"},
	TypeSwitch:    &Switch{CallID: "c1", Media: hooks.MediaAudio},
	TypeSubscribe: &Subscribe{TrackID: 5, On: true},
	TypeReceive:   &Receive{CallID: "c1", Mode: hooks.ModeMix},
	TypeGain:      &Gain{CallID: "c1", UserID: "bob", Gain: 0.5},
	TypePose:      &Pose{CallID: "c1", Position: &[3]float32{1, 2, 3}, Forward: [3]float32{1, 0, 0}, Right: [3]float32{0, 1, 0}, Up: [3]float32{0, 0, 1}},
	TypeSelfInfo:  &UserInfo{Nick: "Al", Avatar: "a.png"},
	TypeUserInfo:  &UserRef{UserID: "bob"},
	TypeRecent:    &Recent{Result: hooks.RecordMissed, After: "x", Limit: 7},

	TypeQuality:    &Quality{CallID: "c1", Users: []UserQuality{{"alice", hooks.QualityGood}}, All: true},
	TypeShift:      &Shift{TrackID: 5, Samples: 431},
	TypeInvitees:   &Invitees{CallID: "c1", UserIDs: []string{"bob"}},
	TypeSwitched:   &Switched{CallID: "c1", UserID: "bob", From: hooks.MediaVideo, Media: hooks.MediaAudio},
	TypeWelcome:    &Welcome{Version: 1, Token: "00", WindowMS: 15000, Received: 3, Resumed: true},
	TypeGoodbye:    &Goodbye{Code: hooks.CodeUserSigCheck, Message: "no"},
	TypePong:       &Ping{T: 12.5},
	TypeResult:     &Result{Re: 3, Code: hooks.CodeBusy, Message: "busy", CallID: "c1", Track: &Track{TrackID: 1, CallID: "c1", UserID: "a", Kind: KindAudio, Flow: 1}},
	TypeInvited:    &Invited{CallID: "c1", Sponsor: "alice", Inviter: "alice", IsFromGroup: true, GroupID: "g", Media: hooks.MediaVideo, TimeoutMS: 30000, RoomID: hooks.RoomID{Number: 123}, CustomView: true, SponsorInfo: &UserInfo{Nick: "Al"}},
	TypeAccepted:   &CallUser{CallID: "c1", UserID: "bob"},
	TypeRejected:   &CallUser{CallID: "c1", UserID: "bob"},
	TypeLineBusy:   &CallUser{CallID: "c1", UserID: "bob"},
	TypeNoResponse: &CallUser{CallID: "c1", UserID: "bob"},
	TypeCancelled:  &CallRef{CallID: "c1"},
	TypeTimedOut:   &TimedOut{CallID: "c1", UserIDs: []string{"bob"}},
	TypeEntered:    &Entered{CallID: "c1", Inviter: "alice", Media: hooks.MediaAudio, UserIDs: []string{"alice"}, CustomView: true},
	TypeUserEnter:  &CallUser{CallID: "c1", UserID: "bob"},
	TypeUserLeave:  &UserLeave{CallID: "c1", UserID: "bob", Reason: hooks.LeftTimeout},
	TypeCallBegin:  &CallRef{CallID: "c1"},
	TypeCallEnd:    &CallEnd{CallID: "c1", Reason: hooks.EndHangup, DurationMS: 1234},
	TypeTrackAdded: &Track{TrackID: 5, CallID: "c1", UserID: "alice", Kind: KindAudio, Flow: 1, SSRC: 7, PayloadType: 111, LevelExtension: 1},
	TypeTrackEnded: &TrackRef{TrackID: 5},
	TypeTrackMuted: &Mute{TrackID: 5},
	TypeKicked:     &Goodbye{Code: hooks.CodeRefused, Message: "elsewhere"},
	TypeSigExpired: &Empty{},
}

func TestEveryTypeComesBackAsItWent(t *testing.T) {
	for typ := range bodies {
		body, ok := samples[typ]
		if !ok {
			t.Errorf("%s: no sample in this test", typ)
			continue
		}
		frame, err := Encode(Message{Type: typ, ID: 3, N: 4, Ack: 5}, body)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		m, err := NewReader(bytes.NewReader(frame)).Read()
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if m.Type != typ || m.ID != 3 || m.N != 4 || m.Ack != 5 {
			t.Errorf("%s: envelope came back as %+v", typ, m)
		}
		got, err := m.Body()
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if !reflect.DeepEqual(got, body) {
			t.Errorf("%s: got %+v, want %+v", typ, got, body)
		}
	}
}

func TestProtocolPageNamesEveryTypeAndField(t *testing.T) {
	page, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	for typ, body := range samples {
		if !strings.Contains(string(page), "`"+string(typ)+"`") {
			t.Errorf("PROTOCOL.md does not mention the message %s", typ)
		}
		st := reflect.TypeOf(body).Elem()
		for i := range st.NumField() {
			name, _, _ := strings.Cut(st.Field(i).Tag.Get("json"), ",")
			if !strings.Contains(string(page), "`"+name+"`") && !strings.Contains(string(page), `"`+name+`"`) {
				t.Errorf("PROTOCOL.md does not mention the field %s of %s", name, typ)
			}
		}
	}
	// What is drawn as JSON must be JSON.
	for _, js := range regexp.MustCompile("`(\\{\"[^`]*\\})`|(?m)^(\\{\"type.*\\})$").FindAllStringSubmatch(string(page), -1) {
		s := js[1] + js[2]
		s = strings.ReplaceAll(s, `"track":{…}`, `"track":{}`)
		if !json.Valid([]byte(s)) {
			t.Errorf("not JSON in PROTOCOL.md: %s", s)
		}
	}
}

func TestBadBodies(t *testing.T) {
	long := strings.Repeat("x", 70)
	for name, m := range map[string]Message{
		"no user":         {Type: TypeSignIn, Raw: []byte(`{"version":1,"userSig":"x"}`)},
		"bad user":        {Type: TypeSignIn, Raw: []byte(`{"version":1,"userID":"a b","userSig":"x"}`)},
		"long user":       {Type: TypeSignIn, Raw: []byte(`{"version":1,"userID":"` + long + `"}`)},
		"long sig":        {Type: TypeSignIn, Raw: []byte(`{"version":1,"userID":"a","userSig":"` + strings.Repeat("x", 9000) + `"}`)},
		"number for text": {Type: TypeSignIn, Raw: []byte(`{"userID":5}`)},
		"array":           {Type: TypeSignIn, Raw: []byte(`[]`)},
		"no callee":       {Type: TypeCall, Raw: []byte(`{"userIDs":[],"media":1}`)},
		"empty callee":    {Type: TypeCall, Raw: []byte(`{"userIDs":[""],"media":1}`)},
		"no media":        {Type: TypeCall, Raw: []byte(`{"userIDs":["bob"]}`)},
		"media 9":         {Type: TypeCall, Raw: []byte(`{"userIDs":["bob"],"media":9}`)},
		"past timeout":    {Type: TypeCall, Raw: []byte(`{"userIDs":["bob"],"media":1,"timeoutMS":-1}`)},
		"year's timeout":  {Type: TypeCall, Raw: []byte(`{"userIDs":["bob"],"media":1,"timeoutMS":99999999}`)},
		"long data":       {Type: TypeCall, Raw: []byte(`{"userIDs":["bob"],"media":1,"userData":"` + strings.Repeat("x", 5000) + `"}`)},
		"no call":         {Type: TypeAccept},
		"long key":        {Type: TypeJoin, Raw: []byte(`{"callID":"c","privateMapKey":"` + strings.Repeat("x", 9000) + `"}`)},
		"room of lists":   {Type: TypeCall, Raw: []byte(`{"userIDs":["bob"],"media":1,"roomID":[]}`)},
		"long call":       {Type: TypeHangup, Raw: []byte(`{"callID":"` + long + `"}`)},
		"smell":           {Type: TypePublish, Raw: []byte(`{"callID":"c","kind":"smell"}`)},
		"flow 0":          {Type: TypeTrackAdded, Raw: []byte(`{"callID":"c","userID":"a","kind":"audio"}`)},
		"token":           {Type: TypeResume, Raw: []byte(`{"token":"` + long + `"}`)},
	} {
		if b, err := m.Body(); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, %v; want ErrMalformed", name, b, err)
		}
	}
	if _, err := (&Message{Type: "dance"}).Body(); !errors.Is(err, ErrUnknownType) {
		t.Errorf("unknown type: got %v", err)
	}
}

func frameOf(n uint32, body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, n), body...)
}

func TestReadWhatIsNoMessage(t *testing.T) {
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"nothing":        {nil, io.EOF},
		"half a length":  {[]byte{0, 0}, io.ErrUnexpectedEOF},
		"no body":        {frameOf(5, ""), io.ErrUnexpectedEOF},
		"half a body":    {frameOf(20, `{"type":`), io.ErrUnexpectedEOF},
		"empty":          {frameOf(0, ""), ErrMalformed},
		"64 KiB and one": {frameOf(MaxMessageSize+1, ""), ErrTooLarge},
		"4 GiB":          {frameOf(1<<32-1, "x"), ErrTooLarge},
		"no JSON":        {frameOf(3, "abc"), ErrMalformed},
		"no object":      {frameOf(2, "42"), ErrMalformed},
		"no type":        {frameOf(2, "{}"), ErrMalformed},
		"negative id":    {frameOf(24, `{"type":"ack","id":-1   }`), ErrMalformed},
	} {
		if _, err := NewReader(bytes.NewReader(c.in)).Read(); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// A peer that announces 64 KiB and sends little must not cost 64 KiB.
func TestReaderGrowsWithWhatComes(t *testing.T) {
	r := NewReader(bytes.NewReader(frameOf(MaxMessageSize, "{")))
	if _, err := r.Read(); err == nil {
		t.Fatal("read half a message")
	}
	if cap(r.buf) > 8<<10 {
		t.Errorf("buffer of %d bytes for a message of which one byte came", cap(r.buf))
	}
}

func TestEncodeTooLarge(t *testing.T) {
	if _, err := Encode(Message{Type: TypeCall}, Call{UserData: strings.Repeat("x", MaxMessageSize)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
}

func FuzzRead(f *testing.F) {
	for typ, body := range samples {
		frame, err := Encode(Message{Type: typ, ID: 1}, body)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
		f.Add(frame[:len(frame)/2])
	}
	f.Add(frameOf(0, ""))
	f.Add(frameOf(1<<32-1, "{}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := NewReader(bytes.NewReader(data))
		for range 100 {
			m, err := r.Read()
			if err != nil {
				return
			}
			body, err := m.Body()
			if err != nil {
				if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownType) {
					t.Fatalf("%s: %v is of no kind", m.Type, err)
				}
				continue
			}
			// What was accepted can be sent on and is accepted again.
			m.Raw = nil
			frame, err := Encode(m, body)
			if err != nil {
				if errors.Is(err, ErrTooLarge) {
					continue
				}
				t.Fatalf("%s: accepted but not encoded: %v", m.Type, err)
			}
			again, err := NewReader(bytes.NewReader(frame)).Read()
			if err != nil {
				t.Fatalf("%s: encoded but not read: %v", m.Type, err)
			}
			if _, err := again.Body(); err != nil {
				t.Fatalf("%s: accepted once but not again: %v", m.Type, err)
			}
		}
	})
}
