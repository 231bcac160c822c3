// Package hooks is the host's side of the engine: what a host implements to be
// told (Listener), to decide (the deciders), and to show calls itself. It needs
// nothing but the standard library, so a plugin that implements these depends
// on nothing else.
package hooks

import "time"

// MediaType is what a call carries.
type MediaType uint8

// The media types, with the numbers of the original's call_type.
const (
	MediaUnknown MediaType = 0
	MediaAudio   MediaType = 1
	MediaVideo   MediaType = 2
)

func (m MediaType) String() string {
	switch m {
	case MediaAudio:
		return "audio"
	case MediaVideo:
		return "video"
	}
	return "unknown"
}

// EndReason says why a call ended.
type EndReason uint8

// The end reasons, with the original's numbers.
const (
	EndUnknown             EndReason = 0
	EndHangup              EndReason = 1 // somebody hung up and too few were left
	EndReject              EndReason = 2 // everyone who was invited rejected
	EndNoResponse          EndReason = 3 // nobody answered in time
	EndOffline             EndReason = 4 // a connection was lost for longer than the window
	EndLineBusy            EndReason = 5 // everyone who was invited was on a call
	EndCanceled            EndReason = 6 // the inviter took the call back
	EndOtherDeviceAccepted EndReason = 7 // answered on another device of the same user
	EndOtherDeviceReject   EndReason = 8 // rejected on another device of the same user
	EndByServer            EndReason = 9 // the server ended it: shut down, kicked, dissolved
)

func (r EndReason) String() string {
	names := [...]string{"unknown", "hangup", "reject", "no response", "offline", "line busy",
		"canceled", "other device accepted", "other device rejected", "ended by server"}
	if int(r) < len(names) {
		return names[r]
	}
	return "unknown"
}

// LeaveReason says why a user left a call.
type LeaveReason uint8

// The leave reasons, with the original's numbers.
const (
	LeftVoluntarily LeaveReason = 0
	LeftTimeout     LeaveReason = 1 // the connection was lost for longer than the window
	LeftKicked      LeaveReason = 2
)

// UserVolume is how loud one user is.
type UserVolume struct {
	UserID string
	// Volume is 1 to 100: the loudest 20 ms of the interval, on the scale of
	// mixer.Volume.
	Volume int
	// Voice is true when voice activity detection took the sound for speech.
	Voice bool
}

// Quality is how good a user's connection is.
type Quality uint8

// The qualities, with the original's numbers.
const (
	QualityUnknown   Quality = 0
	QualityExcellent Quality = 1
	QualityGood      Quality = 2
	QualityPoor      Quality = 3
	QualityBad       Quality = 4
	QualityVeryBad   Quality = 5
	QualityDown      Quality = 6
)

// UserQuality is the quality of one user's connection.
type UserQuality struct {
	UserID  string
	Quality Quality
}

// Invitation is what an invited user is told.
type Invitation struct {
	// CallID names the call, on every device and on the server.
	CallID string
	// Sponsor is the user who invites.
	Sponsor string
	// UserIDs are the others invited at the same time, without the receiver of
	// this invitation and without the sponsor.
	UserIDs []string
	// IsFromGroup is true for a group call, and GroupID is its group, which
	// may be empty.
	IsFromGroup bool
	GroupID     string
	// RoomID names the call's room. Where the server wants private-map keys,
	// accepting takes one for it: see Client.SetPrivateMapKey.
	RoomID RoomID
	// Media is what the call carries.
	Media MediaType
	// Timeout is how long it will ring.
	Timeout time.Duration
	// UserData is what the sponsor gave along; hostile input.
	UserData string
	// SponsorInfo is how the sponsor wants to be shown, if they have said.
	SponsorInfo UserInfo
}

// CallInfo describes a call in OnCallBegin and OnCallEnd.
type CallInfo struct {
	CallID  string
	GroupID string
	Media   MediaType
	// Inviter is the user who started the call.
	Inviter string
}

// UserInfo is how a user wants to be shown; hostile input.
type UserInfo struct {
	UserID string
	// Nick and Avatar are at most 500 bytes each.
	Nick, Avatar string
}

// A Listener is told what happens to a client's calls. All methods are called
// on one goroutine per client, in the order in which things happened. A method
// may call any function of the client. A slow method delays the later ones of
// the same client and nothing else; a method that panics is logged and the
// client lives on. Slices belong to the listener.
//
// Embed NopListener to implement only what you need, and to keep compiling
// when methods are added.
type Listener interface {
	// OnError: something failed. The code is one of this package's Code constants.
	OnError(code Code, message string)
	// OnWarning: something is not as it should be, and goes on.
	OnWarning(code Code, message string)

	// OnInvited: this user is invited to a call.
	OnInvited(inv Invitation)
	// OnCallReceived comes with OnInvited, in the words of the newer API.
	OnCallReceived(call CallInfo)
	// OnGroupCallInviteeListUpdate: more users were invited to the call one is
	// in; userIDs are all who are invited and have not answered.
	OnGroupCallInviteeListUpdate(userIDs []string)
	// OnAccept, OnReject, OnLineBusy, OnNoResp: an invited user accepted,
	// rejected, is on another call, or did not answer in time.
	OnAccept(userID string)
	OnReject(userID string)
	OnLineBusy(userID string)
	OnNoResp(userID string)
	// OnCallingCancel: the call one was invited to was taken back.
	OnCallingCancel()
	// OnCallingTimeout: invitations timed out. The callee whose own invitation
	// timed out gets an empty list.
	OnCallingTimeout(userIDs []string)

	// OnEnterRoom: the client entered the call's room (result > 0, in
	// milliseconds since asking) or could not (result < 0, a Code).
	OnEnterRoom(result int)
	// OnUserEnter and OnUserLeave: another user came into or left the call.
	OnUserEnter(userID string)
	OnUserLeave(userID string, reason LeaveReason)
	// OnCallBegin: the call is answered and talking begins.
	OnCallBegin(call CallInfo)
	// OnCallEnd: the call is over for this client. duration is zero if it was
	// never answered.
	OnCallEnd(call CallInfo, reason EndReason, duration time.Duration)

	// OnUserAudioAvailable, OnUserVideoAvailable: another user's microphone or
	// camera was turned on or off.
	OnUserAudioAvailable(userID string, available bool)
	OnUserVideoAvailable(userID string, available bool)
	// OnFirstVideoFrame: the first frame of a user's video that can be shown.
	OnFirstVideoFrame(userID string, width, height int)
	// OnCallMediaTypeChanged: the call went from video to audio or back.
	OnCallMediaTypeChanged(from, to MediaType)

	// OnUserVoiceVolume: how loud everybody is, the loudest first, only those
	// above 0; the local user stands under their own ID. total is the volume
	// of the remote users together, 0 to 100. It comes every interval, whether
	// or not anyone speaks.
	OnUserVoiceVolume(volumes []UserVolume, total int)
	// OnDominantSpeaker: another user has the floor, or with an empty userID
	// nobody; who has it is who a view would show large. It may be this user. It
	// goes by speech alone, and not by a cough or a short word (see
	// mixer.DominantSpeaker), and comes with volumes: EnableAudioVolumeEvaluation
	// turns both off.
	OnDominantSpeaker(userID string)
	// OnTargetBitrate: the video that this client sends may take so many bits
	// per second from here on, all sizes together: what gets through to the
	// server, and no more than the best receiver can take. A source that is an
	// engine.BitrateSetter is told, too.
	OnTargetBitrate(bps int)
	// OnNetworkQuality: how good the connections are.
	OnNetworkQuality(local UserQuality, remote []UserQuality)

	// OnKickedOffline: the same user signed in elsewhere; this client is done.
	OnKickedOffline()
	// OnUserSigExpired: the UserSig is no longer valid; sign in with a new one.
	OnUserSigExpired()
}

// NopListener is a Listener that does nothing.
type NopListener struct{}

var _ Listener = NopListener{}

func (NopListener) OnError(Code, string)                         {}
func (NopListener) OnWarning(Code, string)                       {}
func (NopListener) OnInvited(Invitation)                         {}
func (NopListener) OnCallReceived(CallInfo)                      {}
func (NopListener) OnGroupCallInviteeListUpdate([]string)        {}
func (NopListener) OnAccept(string)                              {}
func (NopListener) OnReject(string)                              {}
func (NopListener) OnLineBusy(string)                            {}
func (NopListener) OnNoResp(string)                              {}
func (NopListener) OnCallingCancel()                             {}
func (NopListener) OnCallingTimeout([]string)                    {}
func (NopListener) OnEnterRoom(int)                              {}
func (NopListener) OnUserEnter(string)                           {}
func (NopListener) OnUserLeave(string, LeaveReason)              {}
func (NopListener) OnCallBegin(CallInfo)                         {}
func (NopListener) OnCallEnd(CallInfo, EndReason, time.Duration) {}
func (NopListener) OnUserAudioAvailable(string, bool)            {}
func (NopListener) OnUserVideoAvailable(string, bool)            {}
func (NopListener) OnFirstVideoFrame(string, int, int)           {}
func (NopListener) OnCallMediaTypeChanged(from, to MediaType)    {}
func (NopListener) OnUserVoiceVolume([]UserVolume, int)          {}
func (NopListener) OnTargetBitrate(int)                          {}
func (NopListener) OnDominantSpeaker(string)                     {}
func (NopListener) OnNetworkQuality(UserQuality, []UserQuality)  {}
func (NopListener) OnKickedOffline()                             {}
func (NopListener) OnUserSigExpired()                            {}
