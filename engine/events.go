package engine

import (
	"context"
	"time"

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
	case *signal.Invited:
		c.invited(b)
	case *signal.Entered:
		c.entered(b)
	case *signal.CallEnd:
		c.callEnded(b)
	case *signal.UserLeave:
		c.cb.post(func(l hooks.Listener) { l.OnUserLeave(b.UserID, b.Reason) })
	case *signal.TimedOut:
		if len(b.UserIDs) == 0 {
			c.ringingOver(b.CallID)
		}
		c.cb.post(func(l hooks.Listener) { l.OnCallingTimeout(b.UserIDs) })
	case *signal.Track:
		c.trackAdded(b)
	case *signal.TrackRef:
		c.trackEnded(b.TrackID)
	case *signal.Mute:
		c.trackMuted(b)
	case *signal.CallUser:
		c.userEvent(typ, b.UserID)
	case *signal.CallRef:
		switch typ {
		case signal.TypeCancelled:
			c.ringingOver(b.CallID)
			c.cb.post(func(l hooks.Listener) { l.OnCallingCancel() })
		case signal.TypeCallBegin:
			c.mu.Lock()
			var info hooks.CallInfo
			if c.call != nil {
				info = c.call.info
			}
			c.mu.Unlock()
			c.cb.post(func(l hooks.Listener) { l.OnCallBegin(info) })
		}
	case *signal.Empty:
		if typ == signal.TypeSigExpired {
			c.cb.post(func(l hooks.Listener) { l.OnUserSigExpired() })
		}
	}
}

func (c *Client) userEvent(typ signal.Type, userID string) {
	c.cb.post(func(l hooks.Listener) {
		switch typ {
		case signal.TypeAccepted:
			l.OnAccept(userID)
		case signal.TypeRejected:
			l.OnReject(userID)
		case signal.TypeLineBusy:
			l.OnLineBusy(userID)
		case signal.TypeNoResponse:
			l.OnNoResp(userID)
		case signal.TypeUserEnter:
			l.OnUserEnter(userID)
		}
	})
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
	call, over := c.call, c.leaving || c.err != nil
	c.mu.Unlock()
	if over {
		return
	}
	if call != nil {
		c.callEnded(&signal.CallEnd{CallID: call.info.CallID, Reason: hooks.EndByServer})
	}
	if typ == signal.TypeKicked {
		c.cb.post(func(l hooks.Listener) { l.OnKickedOffline() })
		c.end(ErrKicked)
		return
	}
	c.cb.post(func(l hooks.Listener) { l.OnError(why.Code, why.Message) })
	c.end(&Error{Code: why.Code, Message: why.Message})
}

func (c *Client) invited(b *signal.Invited) {
	c.mu.Lock()
	c.call = &clientCall{info: hooks.CallInfo{CallID: b.CallID, GroupID: b.GroupID, Media: b.Media, Inviter: b.Sponsor}}
	c.mu.Unlock()
	c.cb.post(func(l hooks.Listener) {
		l.OnInvited(hooks.Invitation{
			CallID: b.CallID, Sponsor: b.Sponsor, UserIDs: b.UserIDs, IsFromGroup: b.IsFromGroup, GroupID: b.GroupID,
			Media: b.Media, Timeout: time.Duration(b.TimeoutMS) * time.Millisecond, UserData: b.UserData,
		})
	})
}

// ringingOver forgets a call that rang here.
func (c *Client) ringingOver(callID string) {
	c.mu.Lock()
	if c.call != nil && c.call.info.CallID == callID && !c.call.in {
		c.call = nil
	}
	c.mu.Unlock()
}

// entered starts what runs while the client is in a call.
func (c *Client) entered(b *signal.Entered) {
	took := 1
	c.mu.Lock()
	if old := c.call; old != nil {
		if !old.asked.IsZero() {
			took = max(1, int(time.Since(old.asked)/time.Millisecond))
		}
		if old.stop != nil {
			old.stop()
		}
	} else if !c.asked.IsZero() {
		took = max(1, int(time.Since(c.asked)/time.Millisecond))
	}
	ctx, stop := context.WithCancel(c.ctx)
	call := &clientCall{
		info: hooks.CallInfo{CallID: b.CallID, GroupID: b.GroupID, Media: b.Media, Inviter: b.Inviter},
		in:   true, stop: stop,
	}
	c.call = call
	ended := c.err != nil
	if !ended {
		c.wg.Add(2)
	}
	c.mu.Unlock()
	if ended {
		stop()
		return
	}
	go c.runMicrophone(ctx, call.info.CallID)
	go c.runVolumes(ctx)
	c.cb.post(func(l hooks.Listener) {
		l.OnEnterRoom(took)
		for _, u := range b.UserIDs {
			l.OnUserEnter(u)
		}
	})
}

// callEnded stops what runs for a call and tells the listener, once.
func (c *Client) callEnded(b *signal.CallEnd) {
	c.mu.Lock()
	call := c.call
	if call == nil || call.info.CallID != b.CallID {
		c.mu.Unlock()
		return
	}
	c.call = nil
	c.mu.Unlock()
	if call.stop != nil {
		call.stop()
	}
	c.play.clear(c.link.Load().sess)
	c.cb.post(func(l hooks.Listener) {
		l.OnCallEnd(call.info, b.Reason, time.Duration(b.DurationMS)*time.Millisecond)
	})
}

func (c *Client) trackAdded(t *signal.Track) {
	if t.Kind == signal.KindAudio && c.cfg.Codec != nil {
		if err := c.play.add(t, c.cfg.Codec, c.link.Load().sess); err != nil {
			c.log.Error("cannot play a track", "user", t.UserID, "err", err)
			c.cb.post(func(l hooks.Listener) { l.OnError(hooks.CodeFailed, "cannot play "+t.UserID+": "+err.Error()) })
			return
		}
	}
	c.available(t.UserID, t.Kind, !t.Muted)
}

func (c *Client) trackEnded(id uint64) {
	if t := c.play.remove(id, c.link.Load().sess); t != nil {
		c.available(t.userID, signal.KindAudio, false)
	}
}

func (c *Client) trackMuted(m *signal.Mute) {
	if t := c.play.mute(m.TrackID, m.Muted); t != nil {
		c.available(t.userID, signal.KindAudio, !m.Muted)
	}
}

func (c *Client) available(userID string, kind signal.Kind, yes bool) {
	c.cb.post(func(l hooks.Listener) {
		if kind == signal.KindVideo {
			l.OnUserVideoAvailable(userID, yes)
		} else {
			l.OnUserAudioAvailable(userID, yes)
		}
	})
}
