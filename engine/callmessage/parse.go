package callmessage

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// The actions of the envelope.
const (
	actionInvite  = 1
	actionCancel  = 2
	actionAccept  = 3
	actionReject  = 4
	actionTimeout = 5
)

// The commands and words of version 4. cmdVideo is not the original's.
const (
	cmdAudioCall     = "audioCall"
	cmdVideoCall     = "videoCall"
	cmdHangup        = "hangup"
	cmdSwitchToAudio = "switchToAudio"
	cmdSwitchToVideo = "switchToVideo"
	cmdSync          = "sync_info"
	wordLineBusy     = "lineBusy"
	legacyLineBusy   = "line_busy"
	businessAVCall   = "av_call"
	businessRTCCall  = "rtc_call"
)

// The actions of sync_info, as far as they are relayed.
var syncActions = map[int64]Kind{2: Cancel, 3: Reject, 4: Timeout, 7: Accept}

// IsCallingData reports whether data is the envelope of an invitation, by the
// original's rule: a JSON object whose businessID is the number 1. What is no
// JSON is not. An envelope may hold the invitation to something that is no
// call; Parse tells.
func IsCallingData[T ~string | ~[]byte](data T) bool {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(data), &fields) != nil {
		return false
	}
	return isOne(fields["businessID"])
}

func isOne(v json.RawMessage) bool {
	f, ok := number(v)
	return ok && f == 1
}

// Parse reads a message of any version. Its errors are ErrNotCall and
// ErrMalformed; it never panics, whatever the data.
func Parse[T ~string | ~[]byte](data T) (Message, error) {
	if len(data) > MaxSize {
		return Message{}, fmt.Errorf("%w: %d bytes, more than %d", ErrMalformed, len(data), MaxSize)
	}
	env, err := parseObject("envelope", []byte(data))
	if err != nil {
		return Message{}, err
	}
	if !isOne(env.fields["businessID"]) {
		return Message{}, fmt.Errorf("%w: businessID is not 1", ErrNotCall)
	}
	text := env.string("data")
	if env.err != nil {
		return Message{}, env.err
	}
	if text == "" {
		return Message{}, fmt.Errorf("%w: envelope.data is empty", ErrNotCall)
	}
	in, err := parseObject("data", []byte(text))
	if err != nil {
		return Message{}, err
	}
	var business string
	_ = json.Unmarshal(in.fields["businessID"], &business) // another type is another business
	if business != businessAVCall && business != businessRTCCall && !in.has("call_type") {
		return Message{}, fmt.Errorf("%w: data has neither the businessID of one nor a call_type", ErrNotCall)
	}
	cmd := &object{path: "data.data"} // stays empty in the legacy form
	_, hasCmd := in.get("data")
	if hasCmd {
		if cmd, err = parseObject("data.data", in.fields["data"]); err != nil {
			return Message{}, err
		}
	}
	m := read(env, in, cmd, hasCmd)
	for _, o := range []*object{env, in, cmd} {
		if o.err != nil {
			return Message{}, o.err
		}
	}
	return m, nil
}

func read(env, in, cmd *object, hasCmd bool) Message {
	m := Message{
		InviteID:           env.string("inviteID"),
		GroupID:            env.string("groupID"),
		Inviter:            env.string("inviter"),
		Invitees:           env.strings("inviteeList"),
		Timeout:            time.Duration(env.integer("timeout", maxSeconds)) * time.Second,
		Version:            int(in.integer("version", 1<<16)),
		Media:              hooks.MediaType(in.integer("call_type", 255)),
		CallID:             cmd.string("initialCallId"),
		Caller:             cmd.string("inviter"),
		ExcludeFromHistory: cmd.flag("excludeFromHistoryMessage"),
	}
	m.Group = m.GroupID != "" || in.flag("is_group")
	if m.CallID == "" {
		m.CallID = in.string("callid")
	}
	if users := cmd.strings("userIDs"); len(m.Invitees) == 0 {
		m.Invitees = users
	}
	switch name := cmd.string("cmd"); {
	case name == cmdAudioCall:
		m.Media = hooks.MediaAudio
	case name == cmdVideoCall:
		m.Media = hooks.MediaVideo
	}
	if m.Media > hooks.MediaVideo {
		m.Media = hooks.MediaUnknown
	}
	m.RoomID, m.Room = room(in, "room_id")
	if m.RoomID == 0 && m.Room == "" {
		m.RoomID, m.Room = room(cmd, "room_id")
	}
	m.Kind = kind(env, in, cmd, hasCmd)
	switch m.Kind {
	case Switch, SwitchAccept, SwitchReject:
		m.To = hooks.MediaAudio
		if cmd.string("cmd") == cmdSwitchToVideo {
			m.To = hooks.MediaVideo
		}
	case Hangup:
		secs := in.integer("call_end", maxSeconds)
		if !in.has("call_end") {
			secs = cmd.seconds("cmdInfo")
		}
		m.Duration = time.Duration(secs) * time.Second
	case Sync:
		m.Sync = SyncInfo{Kind: syncActions[in.integer("call_action", 1<<16)], User: in.string("user")}
	}
	return m
}

// kind tells what a message means. The legacy form is told by which keys are
// there, version 4 by its command.
func kind(env, in, cmd *object, hasCmd bool) Kind {
	name := cmd.string("cmd")
	toAudio := in.string("switch_to_audio_call") != ""
	switching := name == cmdSwitchToAudio || name == cmdSwitchToVideo || !hasCmd && toAudio
	busy := cmd.string("message") == wordLineBusy || in.has(legacyLineBusy)
	_ = in.string(legacyLineBusy) // any string will do, and nothing else
	if !env.has("actionType") {
		env.fail("actionType", "there")
	}
	switch action := env.integer("actionType", 5); {
	case action == actionInvite && switching:
		return Switch
	case action == actionInvite && !hasCmd:
		if in.has("call_end") {
			return Hangup
		}
		return Dial
	case action == actionInvite:
		switch name {
		case cmdAudioCall, cmdVideoCall:
			return Dial
		case cmdHangup:
			return Hangup
		case cmdSync:
			return Sync
		}
		return Unknown
	case action == actionCancel:
		return Cancel
	case action == actionAccept && switching:
		return SwitchAccept
	case action == actionAccept:
		return Accept
	case action == actionReject && busy:
		return LineBusy
	case action == actionReject && switching:
		return SwitchReject
	case action == actionReject:
		return Reject
	case action == actionTimeout:
		return Timeout
	}
	env.fail("actionType", "from 1 to 5")
	return Unknown
}

// room reads a room's number or string: 123 and "123" are two rooms.
func room(o *object, key string) (uint32, string) {
	if v, ok := o.get(key); ok && v[0] == '"' {
		return 0, o.string(key)
	}
	return uint32(o.integer(key, maxRoomID)), ""
}
