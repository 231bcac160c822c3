package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// A teller is a hooks.Listener that puts every callback into words.
type teller struct {
	// tell is called for each callback with its name and a few words.
	tell func(name, words string)
	// volumes is called for OnUserVoiceVolume, after tell.
	volumes func([]hooks.UserVolume)
}

var _ hooks.Listener = (*teller)(nil)

func (t *teller) OnError(code hooks.Code, message string) {
	t.tell("OnError", fmt.Sprintf("%s: %v", message, code))
}

func (t *teller) OnWarning(code hooks.Code, message string) {
	t.tell("OnWarning", fmt.Sprintf("%s: %v", message, code))
}

func (t *teller) OnInvited(inv hooks.Invitation) {
	t.tell("OnInvited", fmt.Sprintf("from %s (%v)", inv.Sponsor, inv.Media))
}

func (t *teller) OnCallReceived(call hooks.CallInfo) {
	t.tell("OnCallReceived", fmt.Sprintf("%v call from %s", call.Media, call.Inviter))
}

func (t *teller) OnGroupCallInviteeListUpdate(users []string) {
	t.tell("OnGroupCallInviteeListUpdate", strings.Join(users, ", "))
}

func (t *teller) OnAccept(user string)   { t.tell("OnAccept", user) }
func (t *teller) OnReject(user string)   { t.tell("OnReject", user) }
func (t *teller) OnLineBusy(user string) { t.tell("OnLineBusy", user) }
func (t *teller) OnNoResp(user string)   { t.tell("OnNoResp", user) }
func (t *teller) OnCallingCancel()       { t.tell("OnCallingCancel", "") }

func (t *teller) OnCallingTimeout(users []string) {
	t.tell("OnCallingTimeout", strings.Join(users, ", "))
}

func (t *teller) OnEnterRoom(result int) {
	if result < 0 {
		t.tell("OnEnterRoom", hooks.Code(result).String())
		return
	}
	t.tell("OnEnterRoom", fmt.Sprintf("after %d ms", result))
}

func (t *teller) OnUserEnter(user string) { t.tell("OnUserEnter", user) }

func (t *teller) OnUserLeave(user string, reason hooks.LeaveReason) {
	words := [...]string{"left", "connection lost", "kicked"}
	if int(reason) < len(words) {
		user += " (" + words[reason] + ")"
	}
	t.tell("OnUserLeave", user)
}

func (t *teller) OnCallBegin(call hooks.CallInfo) {
	t.tell("OnCallBegin", fmt.Sprintf("%v call that %s began", call.Media, call.Inviter))
}

func (t *teller) OnCallEnd(_ hooks.CallInfo, reason hooks.EndReason, d time.Duration) {
	t.tell("OnCallEnd", fmt.Sprintf("%v after %.1f s", reason, d.Seconds()))
}

func (t *teller) OnUserAudioAvailable(user string, on bool) {
	t.tell("OnUserAudioAvailable", user+" "+onOff(on))
}

func (t *teller) OnUserVideoAvailable(user string, on bool) {
	t.tell("OnUserVideoAvailable", user+" "+onOff(on))
}

func (t *teller) OnFirstVideoFrame(user string, width, height int) {
	t.tell("OnFirstVideoFrame", fmt.Sprintf("%s %dx%d", user, width, height))
}

func (t *teller) OnCallMediaTypeChanged(from, to hooks.MediaType) {
	t.tell("OnCallMediaTypeChanged", fmt.Sprintf("%v to %v", from, to))
}

func (t *teller) OnUserVoiceVolume(volumes []hooks.UserVolume, _ int) {
	words := make([]string, len(volumes))
	for i, v := range volumes {
		words[i] = fmt.Sprintf("%s %d", v.UserID, v.Volume)
	}
	t.tell("OnUserVoiceVolume", strings.Join(words, ", "))
	if t.volumes != nil {
		t.volumes(volumes)
	}
}

func (t *teller) OnTargetBitrate(bps int)       { t.tell("OnTargetBitrate", strconv.Itoa(bps)) }
func (t *teller) OnDominantSpeaker(user string) { t.tell("OnDominantSpeaker", user) }

func (t *teller) OnNetworkQuality(local hooks.UserQuality, remote []hooks.UserQuality) {
	words := make([]string, 0, len(remote)+1)
	for _, q := range append([]hooks.UserQuality{local}, remote...) {
		words = append(words, fmt.Sprintf("%s %d", q.UserID, q.Quality))
	}
	t.tell("OnNetworkQuality", strings.Join(words, ", "))
}

func (t *teller) OnKickedOffline()  { t.tell("OnKickedOffline", "signed in elsewhere") }
func (t *teller) OnUserSigExpired() { t.tell("OnUserSigExpired", "") }

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
