package engine

import (
	"context"
	"errors"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
)

// SetPrivateMapKey sets the private-map key that Accept and JoinCall show from
// now on, and Call and GroupCall unless their options have another. Where the
// server wants keys, a listener's OnInvited is the place to set the one for the
// invitation's RoomID. Empty means none.
func (c *Client) SetPrivateMapKey(key string) {
	c.mu.Lock()
	c.mapKey = key
	c.mu.Unlock()
}

func (c *Client) privateMapKey() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mapKey
}

// JoinCall enters a running group call without an invitation.
func (c *Client) JoinCall(ctx context.Context, callID string) error {
	return c.enter(ctx, signal.TypeJoin, signal.Enter{CallID: callID, PrivateMapKey: c.privateMapKey(), Receive: c.receiveMode()}, callID)
}

// Accept answers the call that rings here. Errors: ErrNoCall if none does. One
// that is refused goes on ringing.
func (c *Client) Accept(ctx context.Context) error {
	id, err := c.callIn(callstate.Ringing)
	if err != nil {
		return err
	}
	return c.enter(ctx, signal.TypeAccept, signal.Enter{CallID: id, PrivateMapKey: c.privateMapKey(), Receive: c.receiveMode()}, id)
}

// enter asks to enter a call's room, and tells the listeners if that fails. If
// ctx ends first the client is not to come into the call any more, so it leaves
// again should it have been let in. callID is empty for a new call.
func (c *Client) enter(ctx context.Context, typ signal.Type, body any, callID string, dialled ...string) error {
	c.asking(dialled...)
	c.mu.Lock()
	if c.err != nil {
		defer c.mu.Unlock()
		return c.err
	}
	c.wg.Add(1)
	c.mu.Unlock()
	got := make(chan error)
	go func() {
		defer c.wg.Done()
		err := ctx.Err()
		var res signal.Result
		if err == nil {
			res, err = c.request(context.Background(), typ, body) // ends with the client
		}
		select {
		case got <- err:
		case <-ctx.Done():
			if err == nil {
				if callID == "" {
					callID = res.CallID
				}
				c.request(c.ctx, signal.TypeHangup, signal.CallRef{CallID: callID})
			}
		}
	}()
	var err error
	select {
	case err = <-got:
	case <-ctx.Done():
		err = ctx.Err()
	}
	c.notEntered(typ, err)
	return err
}

// notEntered tells the listeners that a room could not be entered. Of what is
// wrong with the asking itself, such as being busy, only the asker hears.
func (c *Client) notEntered(typ signal.Type, err error) {
	code, message := hooks.CodeOK, ""
	var e *Error
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		code, message = hooks.CodeConnectTimeout, "the server did not let the user in in time"
	case errors.As(err, &e):
		code, message = e.Code, e.Message
		switch e.Code {
		case hooks.CodeBadParam, hooks.CodeUnsupported, hooks.CodeBusy, hooks.CodeUserID, hooks.CodeDisconnected:
			return
		case hooks.CodeRefused:
			_, err := c.callIn(callstate.None)
			if inCall := err == nil; inCall || typ != signal.TypeJoin {
				return // it is in a call already, or the invitation is over
			}
			code = hooks.CodeEnterRoom
		case hooks.CodeFailed, hooks.CodeServerFailed, hooks.CodeServerTimeout:
			code = hooks.CodeEnterRoom
		}
	}
	if code == hooks.CodeOK {
		return
	}
	c.cb.post(func(l hooks.Listener) { l.OnEnterRoom(int(code)) })
	c.cb.post(func(l hooks.Listener) { l.OnError(code, message) })
}
