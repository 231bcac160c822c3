package callmessage

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/earshotrtc/earshot/hooks"
)

// Lang is the language of a text.
type Lang uint8

// The languages.
const (
	Chinese Lang = iota
	English
)

// table is a text for each kind; an empty one falls back.
type table [len(kindNames)]string

// words are the texts of one language. In those of groups, %s is a name or a
// list of them.
type words struct {
	separator string
	caller    table // one-to-one, on the caller's side
	callee    table // where it differs on the callee's
	group     table
	duration  string
	toVideo   table // the switches, the other way
	groupTo   table
	notCall   string

	plugin         table // the old plugin's
	pluginDuration string
}

var texts = [...]words{
	Chinese: {
		separator: "、",
		caller: table{
			Unknown: "未知通话", Dial: "发起通话", Cancel: "已取消", Accept: "接听通话", Reject: "对方已拒绝",
			LineBusy: "对方忙线中", Timeout: "对方无应答", Switch: "视频转语音", SwitchAccept: "确认转语音",
			SwitchReject: "对方已拒绝", Sync: "未知通话",
		},
		callee: table{
			Cancel: "对方已取消", Reject: "已拒绝", LineBusy: "对方已取消", Timeout: "对方已取消",
			SwitchReject: "已拒绝",
		},
		group: table{
			Unknown: "未知通话", Dial: "%s发起了群通话", Cancel: "通话结束", Accept: "%s接听", Reject: "%s拒绝群通话",
			LineBusy: "%s未接听", Timeout: "%s未接听", Hangup: "通话结束", Switch: "视频转语音",
			SwitchAccept: "同意视频转语音", SwitchReject: "%s拒绝群通话", Sync: "未知通话",
		},
		duration: "通话时长：",
		toVideo:  table{Switch: "语音转视频", SwitchAccept: "确认转视频"},
		groupTo:  table{Switch: "语音转视频", SwitchAccept: "同意语音转视频"},
		notCall:  "[自定义]",
		plugin: table{
			Dial: "发起通话", Cancel: "取消通话", Accept: "接受通话", Reject: "拒绝通话", Timeout: "超时未接听",
		},
		pluginDuration: "通话时间：",
	},
	English: {
		separator: ", ",
		caller: table{
			Unknown: "Unknown call", Dial: "Started a call", Cancel: "Cancelled", Accept: "Answered the call",
			Reject: "Declined by the other side", LineBusy: "Line busy", Timeout: "No answer",
			Switch: "Switched from video to voice", SwitchAccept: "Agreed to switch to voice",
			SwitchReject: "Declined by the other side", Sync: "Unknown call",
		},
		callee: table{
			Cancel: "Cancelled by the caller", Reject: "Declined", LineBusy: "Cancelled by the caller",
			Timeout: "Cancelled by the caller", SwitchReject: "Declined",
		},
		group: table{
			Unknown: "Unknown call", Dial: "%s started a group call", Cancel: "Call ended", Accept: "%s answered",
			Reject: "%s declined the group call", LineBusy: "%s did not answer", Timeout: "%s did not answer",
			Hangup: "Call ended", Switch: "Switched from video to voice",
			SwitchAccept: "Agreed to switch from video to voice", SwitchReject: "%s declined the group call",
			Sync: "Unknown call",
		},
		duration: "Call duration: ",
		toVideo:  table{Switch: "Switched from voice to video", SwitchAccept: "Agreed to switch to video"},
		groupTo:  table{Switch: "Switched from voice to video", SwitchAccept: "Agreed to switch from voice to video"},
		notCall:  "[Custom message]",
		plugin: table{
			Dial: "Started a call", Cancel: "Cancelled the call", Accept: "Accepted the call",
			Reject: "Declined the call", Timeout: "Timed out without an answer",
		},
		pluginDuration: "Call time: ",
	},
}

func wordsOf(l Lang) *words {
	if int(l) < len(texts) {
		return &texts[l]
	}
	return &texts[Chinese]
}

// Text is what the message says to a viewer, as the newer clients put it. It
// is there for hidden messages, too.
func (m Message) Text(lang Lang, v Viewer) string {
	w := wordsOf(lang)
	k := m.Kind
	if int(k) >= len(kindNames) {
		k = Unknown
	}
	if m.Group {
		form := w.group[k]
		if m.To == hooks.MediaVideo && w.groupTo[k] != "" {
			form = w.groupTo[k]
		}
		if !strings.Contains(form, "%s") {
			return form
		}
		return fmt.Sprintf(form, m.names(w, v))
	}
	switch {
	case k == Hangup:
		return w.duration + FormatDuration(m.Duration)
	case m.To == hooks.MediaVideo && w.toVideo[k] != "":
		return w.toVideo[k]
	case w.callee[k] != "" && !m.IsCaller(v):
		return w.callee[k]
	}
	return w.caller[k]
}

// PluginText is what the original's old plugin (1.1.1) shows for the message,
// which knows neither sides nor line busy nor switches. In a group the names
// of those concerned stand before it.
func (m Message) PluginText(lang Lang, v Viewer) string {
	w := wordsOf(lang)
	text := w.plugin[m.wireKind()]
	if m.Duration > 0 && m.Kind != Cancel {
		text = w.pluginDuration + FormatDuration(m.Duration)
	}
	if !m.Group || m.Kind == Cancel {
		return text
	}
	if names := m.names(w, v); names != "" {
		return names + " " + text
	}
	return text
}

// wireKind is the kind as the action alone says it.
func (m Message) wireKind() Kind {
	switch m.action() {
	case actionCancel:
		return Cancel
	case actionAccept:
		return Accept
	case actionReject:
		return Reject
	case actionTimeout:
		return Timeout
	}
	return Dial
}

// TextOf parses data and returns its text: that of an unknown call for what
// cannot be read, and of a custom message for what is no call.
func TextOf[T ~string | ~[]byte](data T, lang Lang, v Viewer) string {
	m, err := Parse(data)
	switch {
	case err == nil:
		return m.Text(lang, v)
	case errors.Is(err, ErrNotCall) || !IsCallingData(data):
		return wordsOf(lang).notCall
	}
	return wordsOf(lang).caller[Unknown]
}

// names are those whom the step concerns: who did not answer, or whose step it
// is.
func (m Message) names(w *words, v Viewer) string {
	name := v.Name
	if name == nil {
		name = plain
	}
	if m.Kind == Timeout || m.Kind == LineBusy {
		names := make([]string, len(m.Invitees))
		for i, u := range m.Invitees {
			names[i] = name(u)
		}
		return strings.Join(names, w.separator)
	}
	who := v.Sender
	if who == "" {
		who = m.By()
	}
	return name(who)
}

// plain drops what could move a reader's cursor or turn the text around: a
// user ID in a message is whatever its sender wrote.
func plain(userID string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, userID)
}

// FormatDuration writes MM:SS, and from an hour on H:MM:SS.
func FormatDuration(d time.Duration) string {
	s := max(0, int64(d/time.Second))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%02d:%02d", s/60, s%60)
}
