package engine

import (
	"context"
	"slices"
	"time"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// handle carries out one message of the server. It is called from the link's
// reading goroutine and never waits.
func (c *Client) handle(typ signal.Type, body any) {
	switch b := body.(type) {
	case *signal.Result:
		c.answered(b)
	case *signal.Goodbye:
		c.signedOut(typ, b)
	case *signal.Track:
		c.trackAdded(b)
	case *signal.TrackRef:
		c.trackEnded(b.TrackID)
	case *signal.Mute:
		c.trackMuted(b)
	case *signal.Quality:
		c.quality(b)
	case *signal.Shift:
		c.shift(b)
	case *signal.Empty:
		if typ == signal.TypeSigExpired {
			c.cb.post(func(l hooks.Listener) { l.OnUserSigExpired() })
		}
	default:
		if n, ok := noticeOf(typ, body); ok {
			c.notice(n, body)
		}
	}
}

var noticeKinds = map[signal.Type]callstate.Kind{
	signal.TypeInvited: callstate.Invited, signal.TypeInvitees: callstate.InviteeList,
	signal.TypeAccepted: callstate.Accepted, signal.TypeRejected: callstate.Rejected,
	signal.TypeLineBusy: callstate.LineBusy, signal.TypeNoResponse: callstate.NoResponse,
	signal.TypeCancelled: callstate.Cancelled, signal.TypeTimedOut: callstate.TimedOut,
	signal.TypeEntered: callstate.Entered, signal.TypeUserEnter: callstate.UserEnter,
	signal.TypeUserLeave: callstate.UserLeave, signal.TypeCallBegin: callstate.Begin,
	signal.TypeCallEnd: callstate.Ended, signal.TypeSwitched: callstate.MediaChanged,
}

// noticeOf is the reverse of Server.notify.
func noticeOf(typ signal.Type, body any) (n callstate.Notice, ok bool) {
	n.Kind, ok = noticeKinds[typ]
	switch b := body.(type) {
	case *signal.Invited:
		n.CallID, n.User, n.Users, n.Inviter = b.CallID, b.Sponsor, b.UserIDs, b.Inviter
		n.Group, n.GroupID, n.Media, n.Data = b.IsFromGroup, b.GroupID, b.Media, b.UserData
	case *signal.Entered:
		n.CallID, n.Users, n.Inviter = b.CallID, b.UserIDs, b.Inviter
		n.Group, n.GroupID, n.Media = b.IsFromGroup, b.GroupID, b.Media
	case *signal.Invitees:
		n.CallID, n.Users = b.CallID, b.UserIDs
	case *signal.TimedOut:
		n.CallID, n.Users = b.CallID, b.UserIDs
	case *signal.CallUser:
		n.CallID, n.User = b.CallID, b.UserID
	case *signal.UserLeave:
		n.CallID, n.User, n.Leave = b.CallID, b.UserID, b.Reason
	case *signal.CallRef:
		n.CallID = b.CallID
	case *signal.CallEnd:
		n.CallID, n.Reason, n.Duration = b.CallID, b.Reason, time.Duration(b.DurationMS)*time.Millisecond
	case *signal.Switched:
		n.CallID, n.User, n.From, n.Media = b.CallID, b.UserID, b.From, b.Media
	default:
		ok = false
	}
	return n, ok
}

// notice applies what the server says of the call, and tells the listeners.
func (c *Client) notice(n callstate.Notice, body any) {
	c.mu.Lock()
	before := c.seat
	var callbacks []callstate.Callback
	c.seat, callbacks = c.seat.Apply(n)
	now := c.seat
	took := 1
	if !c.asked.IsZero() {
		took = max(1, int(time.Since(c.asked)/time.Millisecond))
	}
	if n.Kind == callstate.Begin && now.Begun {
		c.begunAt = time.Now()
	}
	begun, dialled := c.begunAt, c.dialled
	c.mu.Unlock()

	var e callbackEntry
	switch {
	case before.Phase == callstate.None && now.Phase != callstate.None:
		byHost := customView(body)
		e.before = func(r *routing) { r.begin(comes(n, now, dialled), byHost) }
		fallthrough
	case now.Phase != callstate.None:
		e.after = func(r *routing) { r.update(n, now, begun) }
	case before.Phase != callstate.None:
		e.after = (*routing).end
	}
	for _, cb := range callbacks {
		e.tell = append(e.tell, c.callback(cb, body, took))
	}
	start := func() {}
	if before.Phase != callstate.In && now.Phase == callstate.In {
		start = c.enterRoom(now.Info.CallID)
	}
	if before.Phase == callstate.In && now.Phase != callstate.In {
		c.leaveRoom()
	}
	if now.Phase == callstate.In && now.Info.Media == hooks.MediaAudio {
		c.stopCamera() // the server has dropped its track
	}
	c.cb.enqueue(e)
	start() // and tells of errors only now
}

// customView says whether the host shows the call itself.
func customView(body any) bool {
	switch b := body.(type) {
	case *signal.Invited:
		return b.CustomView
	case *signal.Entered:
		return b.CustomView
	}
	return false
}

// callback makes one callback.
func (c *Client) callback(cb callstate.Callback, body any, took int) func(hooks.Listener) {
	return func(l hooks.Listener) {
		switch cb.Name {
		case callstate.OnInvited:
			l.OnInvited(invitation(cb.Notice, body))
		case callstate.OnCallReceived:
			l.OnCallReceived(cb.Info)
		case callstate.OnGroupCallInviteeListUpdate:
			l.OnGroupCallInviteeListUpdate(slices.Clone(cb.Users))
		case callstate.OnAccept:
			l.OnAccept(cb.User)
		case callstate.OnReject:
			l.OnReject(cb.User)
		case callstate.OnLineBusy:
			l.OnLineBusy(cb.User)
		case callstate.OnNoResp:
			l.OnNoResp(cb.User)
		case callstate.OnCallingCancel:
			l.OnCallingCancel()
		case callstate.OnCallingTimeout:
			l.OnCallingTimeout(slices.Clone(cb.Users))
		case callstate.OnEnterRoom:
			l.OnEnterRoom(took)
		case callstate.OnUserEnter:
			l.OnUserEnter(cb.User)
		case callstate.OnUserLeave:
			l.OnUserLeave(cb.User, cb.Leave)
		case callstate.OnCallBegin:
			l.OnCallBegin(cb.Info)
		case callstate.OnCallEnd:
			l.OnCallEnd(cb.Info, cb.Reason, cb.Duration)
		case callstate.OnCallMediaTypeChanged:
			l.OnCallMediaTypeChanged(cb.From, cb.To)
		}
	}
}

func invitation(n callstate.Notice, body any) hooks.Invitation {
	inv := hooks.Invitation{
		CallID: n.CallID, Sponsor: n.User, UserIDs: slices.Clone(n.Users), IsFromGroup: n.Group, GroupID: n.GroupID,
		Media: n.Media, UserData: n.Data,
	}
	if b, ok := body.(*signal.Invited); ok {
		inv.Timeout = time.Duration(b.TimeoutMS) * time.Millisecond
		inv.RoomID = b.RoomID
		if b.SponsorInfo != nil {
			inv.SponsorInfo = hooks.UserInfo{UserID: n.User, Nick: b.SponsorInfo.Nick, Avatar: b.SponsorInfo.Avatar}
		}
	}
	return inv
}

// answered hands a result to the one who asked. Results come in the order of
// the requests.
func (c *Client) answered(res *signal.Result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range c.pending {
		if r.id == res.Re {
			c.pending = append(c.pending[:i:i], c.pending[i+1:]...)
			r.res <- *res
			return
		}
	}
}

// signedOut is the server's last word.
func (c *Client) signedOut(typ signal.Type, why *signal.Goodbye) {
	c.mu.Lock()
	over := c.leaving || c.err != nil
	c.mu.Unlock()
	if over {
		return
	}
	c.dropCall(hooks.EndByServer)
	if typ == signal.TypeKicked {
		c.cb.post(func(l hooks.Listener) { l.OnKickedOffline() })
		c.end(ErrKicked)
		return
	}
	c.cb.post(func(l hooks.Listener) { l.OnError(why.Code, why.Message) })
	c.end(&Error{Code: why.Code, Message: why.Message})
}

// dropCall ends the present call here, without word from the server.
func (c *Client) dropCall(why hooks.EndReason) {
	c.mu.Lock()
	n := callstate.Notice{Kind: callstate.Ended, CallID: c.seat.Info.CallID, Reason: why}
	if c.seat.Begun {
		n.Duration = time.Since(c.begunAt)
	}
	c.mu.Unlock()
	c.notice(n, nil)
}

// enterRoom prepares what runs while the client is in a call; start starts it.
func (c *Client) enterRoom(callID string) (start func()) {
	ctx, stop := context.WithCancel(c.ctx)
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		stop()
		return func() {}
	}
	c.leave = stop
	c.audioSent.Store(0)
	c.wg.Add(2)
	c.mu.Unlock()
	return func() {
		go c.runMicrophone(ctx, callID)
		go c.runVolumes(ctx)
	}
}

// leaveRoom stops it.
func (c *Client) leaveRoom() {
	c.mu.Lock()
	stop := c.leave
	c.leave, c.remote, c.qualities = nil, nil, nil
	if c.qualityTimer != nil {
		c.qualityTimer.Stop()
	}
	c.mu.Unlock()
	if stop != nil {
		stop()
	}
	c.stopCamera()
	c.play.clear(c.link.Load().sess)
	c.video.clear(c.link.Load().sess)
}

// quality takes what the server says of everyone's connection, all of it or
// what has changed. The listener is told of the first at once, and then every
// qualityEvery.
func (c *Client) quality(q *signal.Quality) {
	if id, err := c.callIn(callstate.In); err != nil || id != q.CallID {
		return // it was on its way when the call ended
	}
	c.mu.Lock()
	first := c.qualities == nil
	if q.All || first {
		c.qualities = make(map[string]hooks.Quality)
	}
	for _, u := range q.Users {
		c.qualities[u.UserID] = u.Quality
	}
	c.mu.Unlock()
	if first {
		c.tellQuality()
	}
}

// tellQuality tells the listener how good everyone's connection is, and again
// after qualityEvery, as long as the client is in the call.
func (c *Client) tellQuality() {
	local := hooks.UserQuality{UserID: c.cfg.UserID}
	var remote []hooks.UserQuality
	c.mu.Lock()
	if c.qualities == nil || c.err != nil {
		c.mu.Unlock()
		return
	}
	if c.qualityTimer == nil {
		c.qualityTimer = time.AfterFunc(qualityEvery, c.tellQuality)
	} else {
		c.qualityTimer.Reset(qualityEvery)
	}
	users := slices.Clone(c.seat.Users)
	for _, t := range c.remote { // in a world nobody else is known of
		if !slices.Contains(users, t.UserID) {
			users = append(users, t.UserID)
		}
	}
	slices.Sort(users[len(c.seat.Users):])
	for _, u := range users {
		if q, known := c.qualities[u]; known {
			remote = append(remote, hooks.UserQuality{UserID: u, Quality: q})
		}
	}
	local.Quality = c.qualities[c.cfg.UserID]
	c.mu.Unlock()
	c.cb.postLatest(latestQuality, func(l hooks.Listener) { l.OnNetworkQuality(local, slices.Clone(remote)) })
}

func (c *Client) trackAdded(t *signal.Track) {
	sess := c.link.Load().sess
	if t.Kind == signal.KindVideo {
		c.video.add(c, t, sess)
	} else if c.cfg.Codec != nil {
		if err := c.play.add(t, sess); err != nil {
			c.play.failed(t.UserID, err)
		}
	}
	c.mu.Lock()
	if c.remote == nil {
		c.remote = make(map[uint64]*signal.Track)
	}
	c.remote[t.TrackID] = t
	c.mu.Unlock()
	c.available(t, !t.Muted)
}

func (c *Client) trackEnded(id uint64) {
	c.mu.Lock()
	t := c.remote[id]
	delete(c.remote, id)
	c.mu.Unlock()
	if t == nil {
		return
	}
	sess := c.link.Load().sess
	c.play.remove(id, sess)
	c.video.remove(id, sess)
	c.available(t, false)
}

func (c *Client) trackMuted(m *signal.Mute) {
	c.mu.Lock()
	t := c.remote[m.TrackID]
	c.mu.Unlock()
	if t == nil {
		return
	}
	c.play.mute(t.TrackID, m.Muted)
	c.video.mute(t.TrackID, m.Muted)
	c.available(t, !m.Muted)
}

// available tells whether a track can be heard or seen.
func (c *Client) available(t *signal.Track, yes bool) {
	if t.Mix { // it is everybody's
		return
	}
	tell := func(l hooks.Listener) {
		if t.Kind == signal.KindVideo {
			l.OnUserVideoAvailable(t.UserID, yes)
		} else {
			l.OnUserAudioAvailable(t.UserID, yes)
		}
	}
	c.cb.enqueue(callbackEntry{
		tell:  []func(hooks.Listener){tell},
		after: func(r *routing) { r.available(t.Kind, t.UserID, yes) },
	})
}
