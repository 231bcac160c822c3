package main

import (
	"context"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// An event is a callback, as pages name it.
type event struct {
	Name string `json:"name"`
	Args []any  `json:"args"`
}

// notes are the listener of a user: it notes what comes, looks at every camera,
// and answers at once if it is to. Volumes, qualities and bitrates are not noted.
type notes struct {
	hooks.NopListener
	user   *user
	answer bool

	mu     sync.Mutex
	events []event
	sinks  map[string]*sink
}

func (l *notes) add(name string, args ...any) {
	if args == nil {
		args = []any{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event{name, args})
}

func (l *notes) all() []event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]event{}, l.events...)
}

// seen is what was shown of each user.
func (l *notes) seen() map[string]any {
	l.mu.Lock()
	defer l.mu.Unlock()
	seen := make(map[string]any)
	for name, s := range l.sinks {
		s.mu.Lock()
		seen[name] = map[string]int{"frames": s.frames, "keys": s.keys, "width": s.width, "height": s.high}
		s.mu.Unlock()
	}
	return seen
}

// look shows a user's camera from now on.
func (l *notes) look(userID string) {
	l.mu.Lock()
	s := l.sinks[userID]
	if s == nil {
		s = new(sink)
		l.sinks[userID] = s
	}
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := l.user.client.StartRemoteView(ctx, userID, s); err != nil {
		l.add("lookFailed", userID, err.Error())
	}
}

func (l *notes) OnError(c hooks.Code, m string)   { l.add("onError", c, m) }
func (l *notes) OnWarning(c hooks.Code, _ string) { l.add("onWarning", c) }
func (l *notes) OnInvited(i hooks.Invitation) {
	l.add("onInvited", i.Sponsor)
	if !l.answer {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := l.user.client.Accept(ctx); err != nil {
			l.add("acceptFailed", err.Error())
		}
	}()
}
func (l *notes) OnCallReceived(c hooks.CallInfo)         { l.add("onCallReceived", c.Inviter) }
func (l *notes) OnGroupCallInviteeListUpdate(u []string) { l.add("onGroupCallInviteeListUpdate", u) }
func (l *notes) OnAccept(u string)                       { l.add("onAccept", u) }
func (l *notes) OnReject(u string)                       { l.add("onReject", u) }
func (l *notes) OnLineBusy(u string)                     { l.add("onLineBusy", u) }
func (l *notes) OnNoResp(u string)                       { l.add("onNoResp", u) }
func (l *notes) OnCallingCancel()                        { l.add("onCallingCancel") }
func (l *notes) OnCallingTimeout(u []string)             { l.add("onCallingTimeout", u) }
func (l *notes) OnEnterRoom(r int)                       { l.add("onEnterRoom", min(r, 0)) }
func (l *notes) OnUserEnter(u string)                    { l.add("onUserEnter", u) }
func (l *notes) OnUserLeave(u string, r hooks.LeaveReason) {
	l.add("onUserLeave", u, r)
}
func (l *notes) OnCallBegin(hooks.CallInfo) { l.add("onCallBegin") }
func (l *notes) OnCallEnd(_ hooks.CallInfo, r hooks.EndReason, _ time.Duration) {
	l.add("onCallEnd", r)
}
func (l *notes) OnUserAudioAvailable(u string, on bool) { l.add("onUserAudioAvailable", u, on) }
func (l *notes) OnUserVideoAvailable(u string, on bool) {
	l.add("onUserVideoAvailable", u, on)
	if on {
		go l.look(u)
	}
}
func (l *notes) OnFirstVideoFrame(u string, w, h int) { l.add("onFirstVideoFrame", u, w, h) }
func (l *notes) OnCallMediaTypeChanged(from, to hooks.MediaType) {
	l.add("onCallMediaTypeChanged", from, to)
}
func (l *notes) OnKickedOffline() { l.add("onKickedOffline") }
