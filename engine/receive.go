package engine

import (
	"context"
	"fmt"
	"math"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// SetReceiveMode says how the others' voices are to reach this client, in this
// call and later ones: ModeForward, ModeMix, or ModeDefault for as the room has
// it. Errors: hooks.CodeUnsupported if the server cannot mix, and for ModeMix in a
// world.
func (c *Client) SetReceiveMode(ctx context.Context, mode hooks.RoomMode) error {
	if !mode.Valid() {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("mode %.20q is neither forward nor mix", string(mode))}
	}
	if id, err := c.callIn(callstate.In); err == nil {
		if _, err := c.request(ctx, signal.TypeReceive, signal.Receive{CallID: id, Mode: mode}); err != nil {
			return err
		}
	} else if err := c.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	c.receive = mode
	c.mu.Unlock()
	return nil
}

func (c *Client) receiveMode() hooks.RoomMode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.receive
}

// SetRemoteAudioVolume says how loud this client hears another user, for as
// long as the call lasts: 0 is not at all, 100 as they are, 150 the most. It
// has nothing to do with what OnUserVoiceVolume says of them. Errors: ErrNoCall
// if the client is in none, and one that says so if the user is not in it.
func (c *Client) SetRemoteAudioVolume(ctx context.Context, userID string, volume int) error {
	if volume < 0 || volume > 150 {
		return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("volume %d is not within 0 to 150", volume)}
	}
	if err := checkUsers([]string{userID}); err != nil {
		return err
	}
	id, err := c.callIn(callstate.In)
	if err != nil {
		return err
	}
	gain := float32(volume) / 100
	// The server hears of it in a room that forwards, too: it may mix later.
	if _, err := c.request(ctx, signal.TypeGain, signal.Gain{CallID: id, UserID: userID, Gain: gain}); err != nil {
		return err
	}
	c.play.amplify(userID, gain)
	return nil
}

// UpdateSelf3DSpatialPosition says where this user stands and looks, where the
// server lets clients say so (MixConfig.ClientPoses) and mixes for them. nil
// takes the user out of the space. At most 10 times a second is plenty. Errors:
// ErrNoCall; hooks.CodeRefused where positions are the host's.
func (c *Client) UpdateSelf3DSpatialPosition(ctx context.Context, pose *mixer.Pose) error {
	id, err := c.callIn(callstate.In)
	if err != nil {
		return err
	}
	req := signal.Pose{CallID: id}
	if pose != nil {
		if err := pose.Check(); err != nil {
			return &Error{Code: hooks.CodeBadParam, Message: err.Error()}
		}
		at := [3]float32(pose.Position)
		req.Position, req.Forward, req.Right, req.Up = &at, pose.Forward, pose.Right, pose.Up
	}
	_, err = c.request(ctx, signal.TypePose, req)
	return err
}

// shift makes the microphone's frames begin later, as the server asks.
func (c *Client) shift(s *signal.Shift) {
	c.mu.Lock()
	mic := c.mic
	c.mu.Unlock()
	if mic != nil && mic.id == s.TrackID {
		mic.shift.Store(int32(s.Samples))
	}
}

// shiftBelow is the level, in dBov, below which sound may be left out for a
// shift.
const shiftBelow = -50.0

// mayShift returns how many samples the microphone is to leave out before the
// next frame: between words, or before the first.
func (t *micTrack) mayShift(level float64) int {
	if n := t.shift.Load(); n > 0 && (t.quiet || level < shiftBelow || math.IsNaN(level)) {
		t.shift.Store(0)
		return int(n)
	}
	return 0
}
