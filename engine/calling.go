package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// CallOptions are what Call and GroupCall can be told besides. The zero value
// is fine.
type CallOptions struct {
	// Timeout is how long it rings, up to 10 minutes. Default: the server's.
	Timeout time.Duration
	// UserData goes to those invited, at most 4096 bytes. Default none.
	UserData string
	// RoomID names the call's room, in which there is no other call. Default:
	// the server chooses a number.
	RoomID hooks.RoomID
	// PrivateMapKey says what the caller may do in that room, where the server
	// wants to know. Default: that of SetPrivateMapKey.
	PrivateMapKey string
}

// Call rings a user. It returns when the server has taken the call; the
// listener is told of the rest. Errors: ErrBusy while the user is dialling,
// ringing or in a call, here or on another device; others are *Error, too. A
// room that cannot be entered is also told to the listener, with OnEnterRoom
// and OnError: hooks.CodeEnterRoom, CodeConnectTimeout (ctx's deadline passed),
// CodeRoomID, CodeEnterRefused and CodePrivateMapKey. The same goes for Accept
// and JoinCall. A call that comes about after ctx has ended is hung up.
func (c *Client) Call(ctx context.Context, userID string, media hooks.MediaType, options ...CallOptions) error {
	return c.dial(ctx, signal.Call{UserIDs: []string{userID}, Media: media}, options)
}

// GroupCall rings several users. groupID is the host's group, which those
// called then have to belong to; it may be empty. Users named twice, and the
// caller, are passed over; a list without others is an error. Errors are as
// for Call.
func (c *Client) GroupCall(ctx context.Context, userIDs []string, media hooks.MediaType, groupID string, options ...CallOptions) error {
	return c.dial(ctx, signal.Call{UserIDs: userIDs, IsGroup: true, GroupID: groupID, Media: media}, options)
}

func (c *Client) dial(ctx context.Context, req signal.Call, options []CallOptions) error {
	if len(req.UserIDs) == 0 {
		return &Error{Code: hooks.CodeBadParam, Message: "nobody to call: the list of users is empty"}
	}
	if err := checkUsers(req.UserIDs); err != nil {
		return err
	}
	req.PrivateMapKey, req.Receive = c.privateMapKey(), c.receiveMode()
	for _, o := range options {
		req.TimeoutMS, req.UserData, req.RoomID = int(o.Timeout/time.Millisecond), o.UserData, o.RoomID
		if o.PrivateMapKey != "" {
			req.PrivateMapKey = o.PrivateMapKey
		}
	}
	if err := req.RoomID.Check(); err != nil {
		err := &Error{Code: hooks.CodeRoomID, Message: err.Error()}
		c.notEntered(signal.TypeCall, err)
		return err
	}
	return c.enter(ctx, signal.TypeCall, req, "", req.UserIDs...)
}

func checkUsers(userIDs []string) error {
	for _, u := range userIDs {
		if err := signal.CheckUserID(u); err != nil {
			return &Error{Code: hooks.CodeUserID, Message: err.Error()}
		}
	}
	return nil
}

// asking notes when the client asked to enter a room, and whom it called.
func (c *Client) asking(dialled ...string) {
	c.mu.Lock()
	c.asked, c.dialled = time.Now(), distinct(dialled, c.cfg.UserID)
	c.mu.Unlock()
}

// InviteUser brings more users into the group call that the client is in.
// Those who are in it or ring already are passed over. Errors: ErrNoCall.
func (c *Client) InviteUser(ctx context.Context, userIDs []string, options ...CallOptions) error {
	if err := checkUsers(userIDs); err != nil {
		return err
	}
	id, err := c.callIn(callstate.In)
	if err != nil {
		return err
	}
	req := signal.Invite{CallID: id, UserIDs: userIDs}
	for _, o := range options {
		req.TimeoutMS = int(o.Timeout / time.Millisecond)
	}
	users := distinct(userIDs, c.cfg.UserID)
	c.cb.enqueue(callbackEntry{after: func(r *routing) { r.invite(users) }})
	if _, err = c.request(ctx, signal.TypeInvite, req); err != nil {
		c.cb.enqueue(callbackEntry{after: func(r *routing) { r.uninvite(users) }})
	}
	return err
}

// Reject declines the call that rings here. Errors: ErrNoCall if none does.
func (c *Client) Reject(ctx context.Context) error {
	return c.about(ctx, signal.TypeReject, callstate.Ringing)
}

// Ignore declines the call that rings here as if the user were on the phone:
// the inviter is told that the line is busy. Errors: ErrNoCall if none does.
func (c *Client) Ignore(ctx context.Context) error {
	return c.about(ctx, signal.TypeIgnore, callstate.Ringing)
}

// Hangup leaves the call, takes back one's own that is not answered yet, or
// rejects the one that rings. Errors: ErrNoCall if there is none.
func (c *Client) Hangup(ctx context.Context) error {
	return c.about(ctx, signal.TypeHangup, callstate.None)
}

// SwitchMedia makes a video call an audio call, or the other way round, for
// all who are in it. Errors: ErrNoCall if the client is in none.
func (c *Client) SwitchMedia(ctx context.Context, media hooks.MediaType) error {
	id, err := c.callIn(callstate.In)
	if err != nil {
		return err
	}
	_, err = c.request(ctx, signal.TypeSwitch, signal.Switch{CallID: id, Media: media})
	return err
}

// callIn is the ID of the call that is in a phase here; None is any.
func (c *Client) callIn(p callstate.Phase) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return "", c.err
	}
	if c.seat.Phase == callstate.None || p != callstate.None && c.seat.Phase != p {
		return "", ErrNoCall
	}
	return c.seat.Info.CallID, nil
}

// about sends a request about the present call.
func (c *Client) about(ctx context.Context, typ signal.Type, p callstate.Phase) error {
	id, err := c.callIn(p)
	if err != nil {
		return err
	}
	_, err = c.request(ctx, typ, signal.CallRef{CallID: id})
	return err
}

// SetMicMute mutes or unmutes the microphone, in this call and later ones. The
// source is read on, and not sent.
func (c *Client) SetMicMute(ctx context.Context, muted bool) error {
	c.mu.Lock()
	c.micMuted = muted
	mic := c.mic
	c.mu.Unlock()
	if mic == nil {
		return nil
	}
	mic.muted.Store(muted)
	_, err := c.request(ctx, signal.TypeMute, signal.Mute{TrackID: mic.id, Muted: muted})
	return err
}

// MuteRemoteAudio stops or resumes hearing one user in this call: their voice
// is not even sent here. Errors: one that says so if the user has no
// microphone on.
func (c *Client) MuteRemoteAudio(ctx context.Context, userID string, muted bool) error {
	t := c.play.of(userID)
	if t == nil {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("%.32q has no microphone on", userID)}
	}
	_, err := c.request(ctx, signal.TypeSubscribe, signal.Subscribe{TrackID: t.id, On: !muted})
	return err
}

// SetSelfInfo says how the user wants to be shown: nick and avatar are at most
// 500 bytes each. Others are told with invitations, and when they ask.
func (c *Client) SetSelfInfo(ctx context.Context, nick, avatar string) error {
	_, err := c.request(ctx, signal.TypeSelfInfo, signal.UserInfo{Nick: nick, Avatar: avatar})
	return err
}

// UserInfo asks how a user wants to be shown. What they have not said is empty.
func (c *Client) UserInfo(ctx context.Context, userID string) (hooks.UserInfo, error) {
	if err := checkUsers([]string{userID}); err != nil {
		return hooks.UserInfo{}, err
	}
	res, err := c.request(ctx, signal.TypeUserInfo, signal.UserRef{UserID: userID})
	if err != nil || res.Info == nil {
		return hooks.UserInfo{UserID: userID}, err
	}
	return hooks.UserInfo{UserID: userID, Nick: res.Info.Nick, Avatar: res.Info.Avatar}, nil
}

// CallRecord is what became of a call for this user.
type CallRecord struct {
	hooks.CallInfo
	// IsGroup is true for a group call, even one without a group ID.
	IsGroup bool
	// UserIDs are the others who were called or came.
	UserIDs  []string
	Result   hooks.RecordResult
	Reason   hooks.EndReason
	Began    time.Time
	Duration time.Duration
}

// RecentQuery asks for a page of call records. The zero value asks for the
// newest 20 of all kinds.
type RecentQuery struct {
	// Result leaves only records with it. Default: all.
	Result hooks.RecordResult
	// After is the next value that the page before returned. Default: from the
	// newest on.
	After string
	// Limit is how many records at most, up to 100. Default 20.
	Limit int
}

// RecentCalls returns a page of the user's call records, the newest first, and
// what to ask for the next page with; it is empty after the last.
func (c *Client) RecentCalls(ctx context.Context, q RecentQuery) (page []CallRecord, next string, err error) {
	res, err := c.request(ctx, signal.TypeRecent, signal.Recent{Result: q.Result, After: q.After, Limit: q.Limit})
	if err != nil {
		return nil, "", err
	}
	for _, r := range res.Records {
		page = append(page, CallRecord{
			CallInfo: hooks.CallInfo{CallID: r.CallID, GroupID: r.GroupID, Media: r.Media, Inviter: r.Inviter},
			IsGroup:  r.IsGroup, UserIDs: r.UserIDs, Result: r.Result, Reason: r.Reason,
			Began: time.UnixMilli(r.BeganMS), Duration: time.Duration(r.DurationMS) * time.Millisecond,
		})
	}
	return page, res.Next, nil
}
