package record

import (
	"errors"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// Exclude ends the recording of a user at once, whatever they agreed to before.
// What was written of them stays; it is the host's to delete.
func (r *Recording) Exclude(userID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.speakers[userID]; s != nil {
		s.end(time.Now())
		s.state = refused
	} else if !r.stopped {
		r.speakers[userID] = &speaker{rec: r, user: userID, state: refused}
	}
}

// Include asks again whether a user may be recorded who was refused, or
// excluded. Those who are, or are being asked, stay as they are.
func (r *Recording) Include(userID string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if s := r.speakers[userID]; s != nil && s.state == refused && !r.stopped {
		delete(r.speakers, userID) // asked with the next packet, and in a new file
	}
}

// ask asks whether a user may be recorded.
func (r *Recording) ask(s *speaker) {
	defer r.asking.Done()
	err := errors.New("record: MayRecord panicked")
	func() {
		defer func() { recover() }()
		err = r.cfg.Source.MayRecord(r.ctx, hooks.RecordRequest{UserID: s.user, CallID: r.cfg.CallID})
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.state != asking || r.speakers[s.user] != s || r.ctx.Err() != nil {
		return
	}
	if err != nil {
		s.state, s.held = refused, nil
		r.event(Event{Kind: Refused, UserID: s.user, Err: err})
		return
	}
	s.state = agreed
	r.event(Event{Kind: Began, UserID: s.user})
}
