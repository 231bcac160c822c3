package callmessage

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// DefaultTimeout is how long an invitation rings unless Message.Timeout says
// otherwise.
const DefaultTimeout = 30 * time.Second

type envelope struct {
	BusinessID  int      `json:"businessID"`
	ActionType  int      `json:"actionType"`
	InviteID    string   `json:"inviteID"`
	GroupID     string   `json:"groupID"`
	Inviter     string   `json:"inviter"`
	InviteeList []string `json:"inviteeList"`
	Timeout     int64    `json:"timeout"`
	Data        string   `json:"data"`
}

type inner struct {
	Version    int     `json:"version"`
	BusinessID string  `json:"businessID"`
	Platform   string  `json:"platform"`
	ExtInfo    string  `json:"extInfo"`
	CallType   int     `json:"call_type"`
	RoomID     any     `json:"room_id"`
	IsGroup    bool    `json:"is_group,omitempty"`
	Data       command `json:"data"`

	// The legacy keys; being there is what they say.
	LineBusy    string `json:"line_busy,omitempty"`
	CallEnd     *int64 `json:"call_end,omitempty"`
	SwitchAudio string `json:"switch_to_audio_call,omitempty"`
}

type command struct {
	RoomID             any      `json:"room_id"`
	Cmd                string   `json:"cmd"`
	CmdInfo            string   `json:"cmdInfo"`
	Message            string   `json:"message"`
	UserIDs            []string `json:"userIDs"`
	Inviter            string   `json:"inviter"`
	InitialCallID      string   `json:"initialCallId"`
	ExcludeFromHistory bool     `json:"excludeFromHistoryMessage,omitempty"`
}

// Build writes a message in version 4 with the legacy keys beside it. Kind,
// CallID (or InviteID), Inviter and Media must be set, To for the switches, and
// Invitees where somebody is invited or answers; else it returns ErrIncomplete.
// Version is not looked at. Of Duration and Timeout whole seconds are written;
// what is shorter, but not zero, counts as one.
func Build(m Message) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	if m.CallID == "" {
		m.CallID = m.InviteID
	}
	if m.InviteID == "" {
		m.InviteID = m.CallID
		if m.Kind.ownInvitation() {
			m.InviteID = rand.Text()
		}
	}
	if m.Caller == "" {
		m.Caller = m.Inviter
	}
	if m.Kind == Dial && m.Timeout == 0 {
		m.Timeout = DefaultTimeout
	}
	if m.Kind == Hangup {
		m.Timeout = 0 // an invitation that nobody is to answer
	}
	if m.Invitees == nil {
		m.Invitees = []string{} // not null
	}
	data, err := json.Marshal(m.inner())
	if err != nil {
		return nil, err
	}
	out, err := json.Marshal(envelope{
		BusinessID: 1, ActionType: m.action(), InviteID: m.InviteID, GroupID: m.GroupID,
		Inviter: m.Inviter, InviteeList: m.Invitees, Timeout: seconds(m.Timeout), Data: string(data),
	})
	if err != nil {
		return nil, err
	}
	if len(out) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrMalformed, len(out), MaxSize)
	}
	return out, nil
}

func (m Message) check() error {
	missing := func(what string) error { return fmt.Errorf("%w: %v without %s", ErrIncomplete, m.Kind, what) }
	switch m.Kind {
	case Dial, Accept, Reject, LineBusy, Timeout, SwitchAccept, SwitchReject:
		if len(m.Invitees) == 0 {
			return missing("invitees")
		}
	case Cancel, Hangup, Switch:
	default:
		return fmt.Errorf("%w: there is no message of the kind %v to build", ErrIncomplete, m.Kind)
	}
	switch {
	case m.CallID == "" && m.InviteID == "":
		return missing("a call ID")
	case m.Inviter == "":
		return missing("an inviter")
	case m.Media != hooks.MediaAudio && m.Media != hooks.MediaVideo:
		return missing("a media type")
	case m.switching() && m.To != hooks.MediaAudio && m.To != hooks.MediaVideo:
		return missing("a media type to go over to")
	case m.Timeout < 0 || m.Timeout > maxSeconds*time.Second || m.Duration < 0 || m.Duration > maxSeconds*time.Second:
		return fmt.Errorf("%w: %v with a time of less than nothing, or more than 68 years", ErrIncomplete, m.Kind)
	case m.RoomID > maxRoomID:
		return fmt.Errorf("%w: %v with the room number %d", ErrIncomplete, m.Kind, m.RoomID)
	}
	return nil
}

func (m Message) switching() bool {
	return m.Kind == Switch || m.Kind == SwitchAccept || m.Kind == SwitchReject
}

func (m Message) action() int {
	switch m.Kind {
	case Cancel:
		return actionCancel
	case Accept, SwitchAccept:
		return actionAccept
	case Reject, LineBusy, SwitchReject:
		return actionReject
	case Timeout:
		return actionTimeout
	}
	return actionInvite
}

func (m Message) inner() inner {
	var room any = m.RoomID
	if m.RoomID == 0 && m.Room != "" {
		room = m.Room
	}
	in := inner{
		Version: 4, BusinessID: businessAVCall, Platform: "Earshot",
		CallType: int(m.Media), RoomID: room, IsGroup: m.Group || m.GroupID != "",
		Data: command{
			RoomID: room, Cmd: cmdAudioCall, UserIDs: m.Invitees, Inviter: m.Caller,
			InitialCallID: m.CallID, ExcludeFromHistory: m.ExcludeFromHistory,
		},
	}
	if m.Media == hooks.MediaVideo {
		in.Data.Cmd = cmdVideoCall
	}
	switch {
	case m.Kind == LineBusy:
		in.LineBusy, in.Data.Message = legacyLineBusy, wordLineBusy
	case m.Kind == Hangup:
		secs := seconds(m.Duration)
		if in.IsGroup {
			secs = 0
		}
		in.CallEnd, in.Data.Cmd, in.Data.CmdInfo = &secs, cmdHangup, strconv.FormatInt(secs, 10)
	case m.switching() && m.To == hooks.MediaAudio:
		in.SwitchAudio, in.Data.Cmd = cmdSwitchToAudio, cmdSwitchToAudio
	case m.switching():
		in.Data.Cmd = cmdSwitchToVideo
	}
	return in
}

// seconds rounds down, but nothing down to 0: old readers take a hang-up after
// 0 seconds for a new invitation, and a timeout of 0 means that there is none.
func seconds(d time.Duration) int64 {
	if d > 0 && d < time.Second {
		return 1
	}
	return int64(d / time.Second)
}
