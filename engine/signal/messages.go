package signal

import (
	"errors"
	"fmt"

	"github.com/earshotrtc/earshot/hooks"
)

// Type names a message.
type Type string

// The messages of a client. SignIn and Resume open a connection, Ack and Ping
// carry no ID; all others are requests, which a Result answers.
const (
	TypeSignIn    Type = "signIn"
	TypeResume    Type = "resume"
	TypeAck       Type = "ack"
	TypePing      Type = "ping"
	TypeSignOut   Type = "signOut"
	TypeCall      Type = "call"
	TypeAccept    Type = "accept"
	TypeReject    Type = "reject"
	TypeIgnore    Type = "ignore"
	TypeHangup    Type = "hangup"
	TypeInvite    Type = "invite"
	TypeJoin      Type = "join"
	TypeSwitch    Type = "switchMedia"
	TypePublish   Type = "publish"
	TypeUnpublish Type = "unpublish"
	TypeMute      Type = "mute"
	TypeSubscribe Type = "subscribe"
	TypeReceive   Type = "receive"
	TypeGain      Type = "gain"
	TypePose      Type = "pose"
	TypeSelfInfo  Type = "setSelfInfo"
	TypeUserInfo  Type = "getUserInfo"
	TypeRecent    Type = "recentCalls"
)

// The messages of a server. Welcome, Goodbye, Pong, Quality and Shift carry no
// N; all others are events.
const (
	TypeWelcome    Type = "welcome"
	TypeGoodbye    Type = "goodbye"
	TypePong       Type = "pong"
	TypeResult     Type = "result"
	TypeQuality    Type = "quality"
	TypeShift      Type = "shift"
	TypeInvited    Type = "invited"
	TypeInvitees   Type = "invitees"
	TypeAccepted   Type = "accepted"
	TypeRejected   Type = "rejected"
	TypeLineBusy   Type = "lineBusy"
	TypeNoResponse Type = "noResponse"
	TypeCancelled  Type = "cancelled"
	TypeTimedOut   Type = "timedOut"
	TypeEntered    Type = "entered"
	TypeUserEnter  Type = "userEnter"
	TypeUserLeave  Type = "userLeave"
	TypeCallBegin  Type = "callBegin"
	TypeCallEnd    Type = "callEnd"
	TypeSwitched   Type = "mediaChanged"
	TypeTrackAdded Type = "trackAdded"
	TypeTrackEnded Type = "trackEnded"
	TypeTrackMuted Type = "trackMuted"
	TypeKicked     Type = "kicked"
	TypeSigExpired Type = "userSigExpired"
)

var bodies = map[Type]func() any{
	TypeSignIn: mk[SignIn], TypeResume: mk[Resume], TypeAck: mk[Empty], TypePing: mk[Ping],
	TypeSignOut: mk[Empty], TypeCall: mk[Call], TypeAccept: mk[Enter], TypeReject: mk[CallRef],
	TypeIgnore: mk[CallRef], TypeInvite: mk[Invite], TypeJoin: mk[Enter], TypeSwitch: mk[Switch],
	TypeSubscribe: mk[Subscribe], TypeSelfInfo: mk[UserInfo], TypeUserInfo: mk[UserRef], TypeRecent: mk[Recent],
	TypeReceive: mk[Receive], TypeGain: mk[Gain], TypePose: mk[Pose],
	TypeHangup: mk[CallRef], TypePublish: mk[Publish], TypeUnpublish: mk[TrackRef], TypeMute: mk[Mute],

	TypeWelcome: mk[Welcome], TypeGoodbye: mk[Goodbye], TypePong: mk[Ping], TypeResult: mk[Result],
	TypeShift: mk[Shift], TypeQuality: mk[Quality], TypeInvitees: mk[Invitees], TypeSwitched: mk[Switched],
	TypeInvited: mk[Invited], TypeAccepted: mk[CallUser], TypeRejected: mk[CallUser],
	TypeLineBusy: mk[CallUser], TypeNoResponse: mk[CallUser], TypeCancelled: mk[CallRef],
	TypeTimedOut: mk[TimedOut], TypeEntered: mk[Entered], TypeUserEnter: mk[CallUser],
	TypeUserLeave: mk[UserLeave], TypeCallBegin: mk[CallRef], TypeCallEnd: mk[CallEnd],
	TypeTrackAdded: mk[Track], TypeTrackEnded: mk[TrackRef], TypeTrackMuted: mk[Mute],
	TypeKicked: mk[Goodbye], TypeSigExpired: mk[Empty],
}

func mk[T any]() any { return new(T) }

// Empty is the body of messages that need none.
type Empty struct{}

// SignIn opens a connection.
type SignIn struct {
	Version  int    `json:"version"`
	SDKAppID uint32 `json:"sdkAppID,omitempty"`
	UserID   string `json:"userID"`
	UserSig  string `json:"userSig"`
	Agent    string `json:"agent,omitempty"`
	// Bundles: the client takes several packets in one datagram.
	Bundles bool `json:"bundles,omitempty"`
}

func (b *SignIn) check() error {
	return errors.Join(CheckUserID(b.UserID), atMost("userSig", b.UserSig, 8<<10), atMost("agent", b.Agent, 128))
}

// Resume opens a connection that goes on where a lost one ended.
type Resume struct {
	Version int    `json:"version"`
	Token   string `json:"token"`
	// Last is the N of the last event seen.
	Last uint64 `json:"last"`
	// Bundles is as in SignIn.
	Bundles bool `json:"bundles,omitempty"`
}

func (b *Resume) check() error { return atMost("token", b.Token, 64) }

// Welcome answers SignIn and Resume.
type Welcome struct {
	Version int `json:"version"`
	// Token resumes this connection once; WindowMS is for how long after the
	// last packet heard.
	Token    string `json:"token"`
	WindowMS int    `json:"windowMS"`
	// Received is the ID of the last request that was carried out.
	Received uint64 `json:"received,omitempty"`
	Resumed  bool   `json:"resumed,omitempty"`
	// Bundles: the server takes several packets in one datagram.
	Bundles bool `json:"bundles,omitempty"`
}

// Goodbye is the last message of a server before it closes the connection.
type Goodbye struct {
	Code    hooks.Code `json:"code"`
	Message string     `json:"message"`
}

// Ping is echoed as Pong.
type Ping struct {
	T float64 `json:"t"`
}

// Result answers a request.
type Result struct {
	// Re is the request's ID.
	Re uint64 `json:"re"`
	// Code is 0 for success, else one of the hooks.Code constants; Message
	// says why in words.
	Code    hooks.Code `json:"code,omitempty"`
	Message string     `json:"message,omitempty"`
	// CallID answers Call, Track Publish, Info GetUserInfo, and Records with
	// Next RecentCalls.
	CallID  string    `json:"callID,omitempty"`
	Track   *Track    `json:"track,omitempty"`
	Info    *UserInfo `json:"info,omitempty"`
	Records []Record  `json:"records,omitempty"`
	Next    string    `json:"next,omitempty"`
}

// Call starts a call.
type Call struct {
	UserIDs []string `json:"userIDs"`
	// IsGroup makes it a group call, whose group may have no ID. Without it
	// there is one user and no group ID.
	IsGroup bool            `json:"isGroup,omitempty"`
	GroupID string          `json:"groupID,omitempty"`
	Media   hooks.MediaType `json:"media"`
	// TimeoutMS is how long it rings; 0 is the server's default.
	TimeoutMS int    `json:"timeoutMS,omitempty"`
	UserData  string `json:"userData,omitempty"`
	// RoomID names the call's room; without it the server chooses one. Whether
	// it is a good one is checked when the call is made.
	RoomID hooks.RoomID `json:"roomID,omitzero"`
	// PrivateMapKey says what the caller may do in the room, where the server
	// wants to know.
	PrivateMapKey string `json:"privateMapKey,omitempty"`
	// Receive is how the caller wants to be sent the others' voices.
	Receive hooks.RoomMode `json:"receive,omitempty"`
}

func (b *Call) check() error {
	switch {
	case !b.IsGroup && (len(b.UserIDs) != 1 || b.GroupID != ""):
		return errors.New("a call without isGroup is to one user and has no groupID")
	case b.Media != hooks.MediaAudio && b.Media != hooks.MediaVideo:
		return fmt.Errorf("media %d is neither 1 (audio) nor 2 (video)", b.Media)
	}
	return errors.Join(checkInvitees(b.UserIDs, b.TimeoutMS), atMost("groupID", b.GroupID, 64), atMost("userData", b.UserData, 4<<10),
		atMost("privateMapKey", b.PrivateMapKey, 8<<10), checkMode(b.Receive))
}

func checkMode(m hooks.RoomMode) error {
	if !m.Valid() {
		return fmt.Errorf("mode %.20q is neither forward nor mix", string(m))
	}
	return nil
}

func checkInvitees(users []string, timeoutMS int) error {
	switch {
	case len(users) == 0:
		return errors.New("userIDs is empty")
	case len(users) > 1000:
		return errors.New("more than 1000 userIDs")
	case timeoutMS < 0 || timeoutMS > 600_000:
		return fmt.Errorf("timeoutMS %d is not within 0 to 600000", timeoutMS)
	}
	for _, u := range users {
		if err := CheckUserID(u); err != nil {
			return err
		}
	}
	return nil
}

// Invite brings more users into a group call.
type Invite struct {
	CallID    string   `json:"callID"`
	UserIDs   []string `json:"userIDs"`
	TimeoutMS int      `json:"timeoutMS,omitempty"`
}

func (b *Invite) check() error {
	return errors.Join(checkCallID(b.CallID), checkInvitees(b.UserIDs, b.TimeoutMS))
}

// Switch changes what a call carries.
type Switch struct {
	CallID string          `json:"callID"`
	Media  hooks.MediaType `json:"media"`
}

func (b *Switch) check() error {
	if b.Media != hooks.MediaAudio && b.Media != hooks.MediaVideo {
		return fmt.Errorf("media %d is neither 1 (audio) nor 2 (video)", b.Media)
	}
	return checkCallID(b.CallID)
}

// Switched tells that a call carries something else now.
type Switched struct {
	CallID string          `json:"callID"`
	UserID string          `json:"userID"`
	From   hooks.MediaType `json:"from"`
	Media  hooks.MediaType `json:"media"`
}

// Invitees tells who all is invited and has not answered.
type Invitees struct {
	CallID  string   `json:"callID"`
	UserIDs []string `json:"userIDs"`
}

// Subscribe asks for the packets of a track, or for no more of them. Audio is
// subscribed from the start, video is not.
type Subscribe struct {
	TrackID uint64 `json:"trackID"`
	On      bool   `json:"on"`
}

// Receive changes how the others' voices are sent to the client; without a mode
// it is as the room has it.
type Receive struct {
	CallID string         `json:"callID"`
	Mode   hooks.RoomMode `json:"mode,omitempty"`
}

func (b *Receive) check() error { return errors.Join(checkCallID(b.CallID), checkMode(b.Mode)) }

// Gain says how loud the client wants another user in its mix: 1 is as they
// are.
type Gain struct {
	CallID string  `json:"callID"`
	UserID string  `json:"userID"`
	Gain   float32 `json:"gain"`
}

func (b *Gain) check() error {
	if !(b.Gain >= 0 && b.Gain <= MaxGain) {
		return fmt.Errorf("gain %v is not within 0 to %d", b.Gain, MaxGain)
	}
	return errors.Join(checkCallID(b.CallID), CheckUserID(b.UserID))
}

// MaxGain is the most by which a user can be amplified.
const MaxGain = 4

// Pose says where the client's user stands and looks, in metres and unit
// vectors; without a position they leave the space.
type Pose struct {
	CallID   string      `json:"callID"`
	Position *[3]float32 `json:"position,omitempty"`
	Forward  [3]float32  `json:"forward"`
	Right    [3]float32  `json:"right"`
	Up       [3]float32  `json:"up"`
}

func (b *Pose) check() error { return checkCallID(b.CallID) }

// Shift asks the sender of an audio track to begin its frames later, once, by
// a number of samples at 48 kHz: its packets then arrive just before they are
// mixed.
type Shift struct {
	TrackID uint64 `json:"trackID"`
	Samples int    `json:"samples"`
}

func (b *Shift) check() error {
	if b.Samples < 1 || b.Samples > 2880 {
		return fmt.Errorf("samples %d is not within 1 to 2880", b.Samples)
	}
	return nil
}

// UserRef names a user.
type UserRef struct {
	UserID string `json:"userID"`
}

func (b *UserRef) check() error { return CheckUserID(b.UserID) }

// UserInfo is how a user wants to be shown. UserID is set in answers.
type UserInfo struct {
	UserID string `json:"userID,omitempty"`
	Nick   string `json:"nick,omitempty"`
	Avatar string `json:"avatar,omitempty"`
}

func (b *UserInfo) check() error {
	return errors.Join(atMost("nick", b.Nick, 500), atMost("avatar", b.Avatar, 500))
}

// Recent asks for a page of the user's call records, the newest first.
type Recent struct {
	// Result leaves only records with it; 0 is all.
	Result hooks.RecordResult `json:"result,omitempty"`
	// After is Next of the page before; empty for the first.
	After string `json:"after,omitempty"`
	// Limit is how many at most, 1 to 100; 0 is 20.
	Limit int `json:"limit,omitempty"`
}

func (b *Recent) check() error {
	if b.Limit < 0 || b.Limit > 100 {
		return fmt.Errorf("limit %d is not within 0 to 100", b.Limit)
	}
	return atMost("after", b.After, 200)
}

// Record is what became of a call for the user who asks.
type Record struct {
	CallID     string             `json:"callID"`
	Inviter    string             `json:"inviter"`
	UserIDs    []string           `json:"userIDs,omitempty"`
	IsGroup    bool               `json:"isGroup,omitempty"`
	GroupID    string             `json:"groupID,omitempty"`
	Media      hooks.MediaType    `json:"media"`
	Result     hooks.RecordResult `json:"result"`
	Reason     hooks.EndReason    `json:"reason"`
	BeganMS    int64              `json:"beganMS"`
	DurationMS int64              `json:"durationMS,omitempty"`
}

// Quality tells how good the connections of those in the call are: of all, or
// of those of whom it has changed since the last time.
type Quality struct {
	CallID string        `json:"callID"`
	Users  []UserQuality `json:"users,omitempty"`
	All    bool          `json:"all,omitempty"`
}

// UserQuality is one user's quality.
type UserQuality struct {
	UserID  string        `json:"userID"`
	Quality hooks.Quality `json:"quality"`
}

// CallRef names a call.
type CallRef struct {
	CallID string `json:"callID"`
}

func (b *CallRef) check() error { return checkCallID(b.CallID) }

// Enter asks to enter a call's room: to accept it, or to join it.
type Enter struct {
	CallID string `json:"callID"`
	// PrivateMapKey and Receive are as in Call.
	PrivateMapKey string         `json:"privateMapKey,omitempty"`
	Receive       hooks.RoomMode `json:"receive,omitempty"`
}

func (b *Enter) check() error {
	return errors.Join(checkCallID(b.CallID), atMost("privateMapKey", b.PrivateMapKey, 8<<10), checkMode(b.Receive))
}

// CallUser names a call and a user.
type CallUser struct {
	CallID string `json:"callID"`
	UserID string `json:"userID"`
}

func (b *CallUser) check() error { return errors.Join(checkCallID(b.CallID), CheckUserID(b.UserID)) }

// Invited tells of an invitation.
type Invited struct {
	CallID  string `json:"callID"`
	Sponsor string `json:"sponsor"`
	// Inviter started the call; Sponsor invites now.
	Inviter     string          `json:"inviter"`
	UserIDs     []string        `json:"userIDs,omitempty"`
	IsFromGroup bool            `json:"isFromGroup,omitempty"`
	GroupID     string          `json:"groupID,omitempty"`
	Media       hooks.MediaType `json:"media"`
	TimeoutMS   int             `json:"timeoutMS"`
	UserData    string          `json:"userData,omitempty"`
	// RoomID names the call's room.
	RoomID hooks.RoomID `json:"roomID,omitzero"`
	// CustomView: the host shows this call itself, not in the default view.
	CustomView  bool      `json:"customView,omitempty"`
	SponsorInfo *UserInfo `json:"sponsorInfo,omitempty"`
}

func (b *Invited) check() error { return errors.Join(checkCallID(b.CallID), CheckUserID(b.Sponsor)) }

// TimedOut tells whose invitations timed out; the callee's own list is empty.
type TimedOut struct {
	CallID  string   `json:"callID"`
	UserIDs []string `json:"userIDs"`
}

// Entered tells that the client is in the call's room, or why not.
type Entered struct {
	CallID string `json:"callID"`
	// Inviter and what follows describe the call, as they do for OnCallBegin.
	Inviter     string          `json:"inviter"`
	IsFromGroup bool            `json:"isFromGroup,omitempty"`
	GroupID     string          `json:"groupID,omitempty"`
	Media       hooks.MediaType `json:"media"`
	// UserIDs are those in the room already.
	UserIDs []string `json:"userIDs,omitempty"`
	// CustomView: the host shows this call itself, not in the default view.
	CustomView bool `json:"customView,omitempty"`
}

// UserLeave tells that a user left a call.
type UserLeave struct {
	CallID string            `json:"callID"`
	UserID string            `json:"userID"`
	Reason hooks.LeaveReason `json:"reason"`
}

// CallEnd tells that a call is over.
type CallEnd struct {
	CallID     string          `json:"callID"`
	Reason     hooks.EndReason `json:"reason"`
	DurationMS int64           `json:"durationMS,omitempty"`
}

// Kind is what a track carries.
type Kind string

// The kinds of tracks.
const (
	KindAudio Kind = "audio"
	KindVideo Kind = "video"
)

// Publish asks to send a track into the call's room.
type Publish struct {
	CallID string `json:"callID"`
	Kind   Kind   `json:"kind"`
	Muted  bool   `json:"muted,omitempty"`
	// Layers is how many sizes of the video are sent, up to MaxLayers, the
	// smallest first; 0 is one.
	Layers int `json:"layers,omitempty"`
}

// MaxLayers is how many sizes a video may be sent in.
const MaxLayers = 3

func (b *Publish) check() error {
	if b.Layers < 0 || b.Layers > MaxLayers || b.Layers > 1 && b.Kind != KindVideo {
		return fmt.Errorf("%d layers of %.20q", b.Layers, b.Kind)
	}
	if b.Kind != KindAudio && b.Kind != KindVideo {
		return fmt.Errorf("kind %.20q is neither audio nor video", b.Kind)
	}
	return checkCallID(b.CallID)
}

// Track describes a track: how its packets look on the wire.
type Track struct {
	// TrackID names the track in its call.
	TrackID uint64 `json:"trackID"`
	CallID  string `json:"callID"`
	UserID  string `json:"userID"`
	Kind    Kind   `json:"kind"`
	Muted   bool   `json:"muted,omitempty"`
	// Flow is the RoQ flow identifier, in the direction in which the track's
	// packets go; SSRC and PayloadType are those of its RTP packets.
	Flow        uint64 `json:"flow"`
	SSRC        uint32 `json:"ssrc"`
	PayloadType uint8  `json:"payloadType"`
	// LevelExtension is the identifier of the header extension with the level:
	// RFC 6464, or of a mix RFC 6465.
	LevelExtension uint8 `json:"levelExtension,omitempty"`
	// SpaceExtension is the identifier of the header extension with how loud and
	// from which side the track is to be heard, in a world.
	SpaceExtension uint8 `json:"spaceExtension,omitempty"`
	// LayerSSRCs are those of a video's sizes, where it is sent in several: the
	// first is SSRC.
	LayerSSRCs []uint32 `json:"layerSSRCs,omitempty"`
	// Mix: it is everybody else, mixed for this client; there is no UserID.
	Mix bool `json:"mix,omitempty"`
}

func (b *Track) check() error {
	if b.Flow == 0 || b.Flow >= 1<<62 {
		return fmt.Errorf("flow %d is out of range", b.Flow)
	}
	if b.Mix && b.UserID == "" && b.Kind == KindAudio {
		return checkCallID(b.CallID)
	}
	return errors.Join(checkCallID(b.CallID), CheckUserID(b.UserID))
}

// TrackRef names a track.
type TrackRef struct {
	TrackID uint64 `json:"trackID"`
}

// Mute mutes or unmutes a track.
type Mute struct {
	TrackID uint64 `json:"trackID"`
	Muted   bool   `json:"muted"`
}

// CheckUserID says what is wrong with a user ID: it must be 1 to 32 bytes of
// A-Z a-z 0-9 _ and -.
func CheckUserID(id string) error {
	if len(id) == 0 || len(id) > 32 {
		return fmt.Errorf("user ID %.40q is not 1 to 32 bytes long", id)
	}
	for i := range len(id) {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return fmt.Errorf("user ID %.40q has a character other than A-Z a-z 0-9 _ -", id)
		}
	}
	return nil
}

func checkCallID(id string) error {
	if id == "" {
		return errors.New("callID is missing")
	}
	return atMost("callID", id, 64)
}

func atMost(name, s string, n int) error {
	if len(s) > n {
		return fmt.Errorf("%s is longer than %d bytes", name, n)
	}
	return nil
}
