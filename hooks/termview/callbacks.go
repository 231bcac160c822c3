package termview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// Present shows a call.
func (v *View) Present(s hooks.ViewState) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget()
	v.call = s
	switch {
	case s.Ringing:
		v.phase = ringing
		kind := ""
		if s.IsGroup {
			kind = "group, "
		}
		v.board.Printf("%s calls (%s%v).%s", v.peers(), kind, s.Media, v.offers())
		v.ring()
	case s.Begun:
		v.phase = talking
		for _, u := range s.Users {
			v.silent[u] = !slices.Contains(s.Audio, u)
		}
		v.board.Printf("You talk with %s.%s", v.peers(), v.offers())
	case len(s.Invited) > 0:
		v.phase = dialling
		v.board.Printf("Calling %s…%s", names(s.Invited), v.offers())
	default:
		v.phase = dialling // joined: nobody rings
	}
	v.draw()
}

// Dismiss takes the call away.
func (v *View) Dismiss(string) {
	v.mu.Lock()
	over := v.ended || v.declined != ""
	switch {
	case v.ended:
	case v.declined != "":
		v.board.Printf("%s", v.declined)
	default:
		v.board.Printf("The call is no longer shown here.")
	}
	v.forget()
	v.draw()
	v.mu.Unlock()
	if over {
		v.waiting()
	}
}

// tell prints a line, or "" for none, after a change to the call.
func (v *View) tell(change func() string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if words := change(); words != "" {
		v.board.Printf("%s", words)
	}
	v.draw()
}

func (v *View) OnInvited(inv hooks.Invitation) {
	v.tell(func() string {
		var words []string
		if nick := clean(inv.SponsorInfo.Nick); nick != "" && nick != inv.Sponsor {
			words = append(words, fmt.Sprintf("%s is shown as %q.", clean(inv.Sponsor), nick))
		}
		if len(inv.UserIDs) > 0 {
			words = append(words, "Also called: "+names(inv.UserIDs)+".")
		}
		return strings.Join(words, " ")
	})
}

func (v *View) OnGroupCallInviteeListUpdate(users []string) {
	v.tell(func() string {
		v.call.Invited = users
		return "Invited now: " + names(users) + "."
	})
}

// uninvite is somebody who is not waited for any more.
func (v *View) uninvite(user, words string) {
	v.tell(func() string {
		v.call.Invited = slices.DeleteFunc(v.call.Invited, func(u string) bool { return u == user })
		if words == "" || !v.call.IsGroup { // OnCallEnd says it
			return ""
		}
		return clean(user) + words
	})
}

func (v *View) OnAccept(user string)   { v.uninvite(user, "") }
func (v *View) OnReject(user string)   { v.uninvite(user, " rejected the call.") }
func (v *View) OnLineBusy(user string) { v.uninvite(user, " is on another call.") }
func (v *View) OnNoResp(user string)   { v.uninvite(user, " did not answer.") }

func (v *View) OnCallingCancel() {
	v.tell(func() string { return v.end(v.peers() + " took the call back.") })
}

func (v *View) OnCallingTimeout(users []string) {
	if len(users) == 0 {
		v.tell(func() string { return v.end("You did not answer " + v.peers() + ".") })
	}
}

func (v *View) OnEnterRoom(result int) {
	v.tell(func() string {
		if result < 0 {
			return "You cannot enter the call: " + hooks.Code(result).String() + "."
		}
		if v.phase == ringing {
			v.phase = dialling
		}
		return ""
	})
}

func (v *View) OnUserEnter(user string) {
	v.tell(func() string {
		s := &v.call
		s.Invited = slices.DeleteFunc(s.Invited, func(u string) bool { return u == user })
		if !slices.Contains(s.Users, user) {
			s.Users = append(s.Users, user)
			slices.Sort(s.Users)
		}
		if v.phase == talking {
			return clean(user) + " came in."
		}
		return ""
	})
}

func (v *View) OnUserLeave(user string, reason hooks.LeaveReason) {
	v.tell(func() string {
		s := &v.call
		s.Users = slices.DeleteFunc(s.Users, func(u string) bool { return u == user })
		delete(v.silent, user)
		delete(v.volumes, user)
		delete(v.quality, user)
		switch {
		case reason == hooks.LeftTimeout:
			return clean(user) + "'s connection was lost."
		case reason == hooks.LeftKicked:
			return clean(user) + " was taken out of the call."
		case len(s.Users) > 0:
			return clean(user) + " left."
		}
		return "" // OnCallEnd follows
	})
}

func (v *View) OnCallBegin(hooks.CallInfo) {
	v.tell(func() string {
		v.phase, v.call.Begun, v.call.BegunAt = talking, true, time.Now()
		return "You talk with " + v.peers() + "." + v.offers()
	})
}

func (v *View) OnCallEnd(_ hooks.CallInfo, reason hooks.EndReason, d time.Duration) {
	v.tell(func() string {
		switch reason {
		case hooks.EndReject:
			return v.end("The call was rejected.")
		case hooks.EndLineBusy:
			return v.end("The line is busy.")
		case hooks.EndNoResponse:
			return v.end("Nobody answered.")
		case hooks.EndCanceled:
			return v.end("You took the call back.")
		case hooks.EndOtherDeviceAccepted:
			return v.end("You answered on another device.")
		case hooks.EndOtherDeviceReject:
			return v.end("You rejected the call on another device.")
		}
		return v.end(fmt.Sprintf("The call is over after %s (%v).", clock(d), reason))
	})
}

// end is the last word on the call; Dismiss comes next.
func (v *View) end(words string) string {
	v.ended = true
	v.phase = idle
	return words
}

func (v *View) OnUserAudioAvailable(user string, on bool) {
	v.tell(func() string {
		was := v.silent[user]
		v.silent[user] = !on
		if was == !on || !slices.Contains(v.call.Users, user) {
			return ""
		}
		return clean(user) + "'s microphone is " + onOff(on) + "."
	})
}

func (v *View) OnUserVideoAvailable(user string, on bool) {
	v.tell(func() string {
		if !slices.Contains(v.call.Users, user) {
			return ""
		}
		return clean(user) + "'s camera is " + onOff(on) + "."
	})
}

func (v *View) OnCallMediaTypeChanged(_, to hooks.MediaType) {
	v.tell(func() string {
		v.call.Media = to
		return fmt.Sprintf("The call is %v now.", to)
	})
}

func (v *View) OnUserVoiceVolume(volumes []hooks.UserVolume, _ int) {
	v.tell(func() string {
		clear(v.volumes)
		for _, u := range volumes {
			v.volumes[u.UserID] = u
		}
		return ""
	})
}

func (v *View) OnNetworkQuality(local hooks.UserQuality, remote []hooks.UserQuality) {
	v.tell(func() string {
		before := v.quality[v.cfg.UserID]
		clear(v.quality)
		for _, u := range remote {
			v.quality[u.UserID] = u.Quality
		}
		v.quality[v.cfg.UserID] = local.Quality
		if bad := local.Quality >= hooks.QualityBad; bad != (before >= hooks.QualityBad) {
			if bad {
				return "Your connection is " + qualityWords(local.Quality) + "."
			}
			return "Your connection is better again."
		}
		return ""
	})
}

func (v *View) OnError(code hooks.Code, message string) {
	v.board.Printf("Error: %s: %v", printable(message, false), code)
}

func (v *View) OnWarning(code hooks.Code, message string) {
	v.board.Printf("Warning: %s: %v", printable(message, false), code)
}

func (v *View) OnKickedOffline() { v.board.Printf("You signed in elsewhere.") }

func (v *View) OnUserSigExpired() {
	v.board.Printf("Your UserSig is no longer valid; the next sign-in needs a new one.")
}

const (
	barWidth  = 12
	barWidth1 = 20 // with one other
)

// draw draws the status line. v.mu is held.
func (v *View) draw() {
	var line string
	switch {
	case v.typing:
		line = "Invite (names, Enter; Esc stops): " + string(v.typed) + "_"
	case v.phase == ringing:
		line = v.peers() + " is calling." + v.offers()
	case v.phase == dialling && len(v.call.Invited) > 0:
		line = "Ringing at " + names(v.call.Invited) + "…" + v.offers()
	case v.phase == talking:
		line = v.talk()
	}
	v.board.Status(line)
}

// talk is the status of a call: how long, one's own bar, those of the others,
// the loudest first.
func (v *View) talk() string {
	var b strings.Builder
	b.WriteString(clock(time.Since(v.call.BegunAt)))
	others := slices.Clone(v.call.Users)
	wide := barWidth
	if len(others) == 1 {
		wide = barWidth1
	}
	slices.SortStableFunc(others, func(a, b string) int { return cmp.Compare(v.volumes[b].Volume, v.volumes[a].Volume) })
	rest := 0
	if len(others) > maxNames {
		rest = len(others) - maxNames
		others = others[:maxNames]
	}
	for i, u := range append([]string{v.cfg.UserID}, others...) {
		fmt.Fprintf(&b, "  %s ", clean(u))
		if i == 0 && v.muted || i > 0 && v.silent[u] {
			b.WriteString("(muted)")
		} else {
			b.WriteString(Meter(v.volumes[u], wide))
		}
		if q := v.quality[u]; q >= hooks.QualityPoor || i == 0 && q != hooks.QualityUnknown {
			b.WriteString(" " + qualityWords(q))
		}
	}
	if rest > 0 {
		b.WriteString(plural(rest, "  +%d", "  +%d"))
	}
	return b.String()
}

// Meter is a user's volume as a bar, with a star for speech.
func Meter(u hooks.UserVolume, width int) string {
	mark := " "
	if u.Voice {
		mark = "*"
	}
	return Bar(u.Volume, width) + mark
}

func qualityWords(q hooks.Quality) string {
	words := [...]string{"", "excellent", "good", "poor", "bad", "very bad", "down"}
	if int(q) < len(words) {
		return words[q]
	}
	return ""
}

// clock is a duration as M:SS, from an hour on as H:MM:SS.
func clock(d time.Duration) string {
	s := int(max(0, d) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}
