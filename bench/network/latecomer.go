package network

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/hooks"
)

// latecomers is how many come, one every 3 s or so. With alice and bob they are
// fewer than the eight from which a room bundles.
const latecomers = 5

// RunLatecomers makes a call in which bob watches alice's camera of video bits
// per second. Others come later, one after the other; each has the path and
// watches too. It returns how long after StartRemoteView each saw the first
// picture. Errors are as for Run, and one that says so if somebody saw none
// within 2 s.
func RunLatecomers(ctx context.Context, p Path, video int, seed uint64) ([]time.Duration, error) {
	at := newSimulated(seed)
	h, err := newHouse(at)
	if err != nil {
		at.close()
		return nil, err
	}
	defer h.close()
	ctx, cancel := context.WithTimeout(ctx, setup)
	defer cancel()
	driver := libopus.Driver{}
	alice, err := h.signIn(ctx, "alice", p, driver, nil)
	if err != nil {
		return nil, err
	}
	names, late := []string{"bob"}, []*user(nil)
	bob, err := h.signIn(ctx, "bob", p, driver, nil)
	if err != nil {
		return nil, err
	}
	for i := range latecomers {
		u, err := h.signIn(ctx, fmt.Sprintf("latecomer%d", i), p, driver, nil)
		if err != nil {
			return nil, err
		}
		names, late = append(names, u.UserID()), append(late, u)
	}
	if err := alice.GroupCall(ctx, names, hooks.MediaVideo, ""); err != nil {
		return nil, err
	}
	if err := bob.accept(ctx); err != nil {
		return nil, err
	}
	if err := alice.wait(ctx, "told that the call begins", alice.begun); err != nil {
		return nil, err
	}
	if err := alice.OpenCamera(ctx, NewCamera(video, seed)); err != nil {
		return nil, err
	}
	if err := bob.wait(ctx, "told of the camera", bob.filmed); err != nil {
		return nil, err
	}
	if err := bob.StartRemoteView(ctx, "alice", new(Screen)); err != nil {
		return nil, err
	}
	var first []time.Duration
	for i, u := range late {
		// At various places between two frames.
		if err := sleep(ctx, time.Second+time.Duration(i)*frameStep/latecomers); err != nil {
			return nil, err
		}
		d, err := u.look(ctx)
		if err != nil {
			return first, err
		}
		first = append(first, d)
	}
	return first, nil
}

// look joins the call, watches alice, and says when the first picture came.
func (u *user) look(ctx context.Context) (time.Duration, error) {
	if err := u.accept(ctx); err != nil {
		return 0, err
	}
	if err := u.wait(ctx, "told of the camera", u.filmed); err != nil {
		return 0, err
	}
	var s Screen
	start := time.Now()
	if err := u.StartRemoteView(ctx, "alice", &s); err != nil {
		return 0, err
	}
	if err := sleep(ctx, 2*time.Second); err != nil {
		return 0, err
	}
	frames, _ := s.all()
	if len(frames) == 0 {
		return 0, errors.New("network: no picture within 2 s")
	}
	return frames[0].at.Sub(start), nil
}
