package callstate

import (
	"reflect"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// TestSeatStale: notices of another call, or that make no sense where the seat
// is, change nothing. A server in order sends none of them.
func TestSeatStale(t *testing.T) {
	invited, _ := Seat{}.Apply(Notice{Kind: Invited, CallID: "x", User: "a", Inviter: "a", Media: hooks.MediaAudio})
	in, _ := invited.Apply(Notice{Kind: Entered, CallID: "x", Users: []string{"a"}, Inviter: "a", Media: hooks.MediaAudio})
	if invited.Phase != Ringing || in.Phase != In {
		t.Fatalf("ringing %+v, in %+v", invited, in)
	}
	for name, seat := range map[string]Seat{"none": {}, "ringing": invited, "in": in} {
		for k := Invited; k <= MediaChanged; k++ {
			if seat.Phase == None && (k == Invited || k == Entered) {
				continue
			}
			n := Notice{Kind: k, CallID: "y", User: "b", Users: []string{"b"}, Media: hooks.MediaVideo, Reason: hooks.EndHangup}
			got, calls := seat.Apply(n)
			if !reflect.DeepEqual(got, seat) || len(calls) > 0 {
				t.Errorf("%s, kind %d of another call: %+v, %+v", name, k, got, calls)
			}
		}
	}
	for _, n := range []Notice{
		{Kind: UserEnter, User: "a"}, {Kind: UserLeave, User: "b"}, {Kind: Invited}, {Kind: Entered}, {Kind: 99},
	} {
		n.CallID = "x"
		if got, calls := in.Apply(n); !reflect.DeepEqual(got, in) || len(calls) > 0 {
			t.Errorf("in, %+v: %+v, %+v", n, got, calls)
		}
	}
}

// TestEngineAsks: events that come from the engine, not from a device, and
// those that come twice.
func TestEngineAsks(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	c := Call{ID: "x", Group: true, Media: hooks.MediaAudio}
	do := func(ev Event, want error) []Action {
		t.Helper()
		next, actions, err := c.Apply(now, ev)
		if err != want {
			t.Fatalf("%T: %v, want %v", ev, err, want)
		}
		c = next
		return actions
	}
	bob := []Invitee{{User: "b", Devices: []string{"b1"}}}
	do(Start{User: "a", Device: "a1", Invitees: bob, Timeout: time.Minute}, nil)
	do(Start{User: "a", Device: "a1", Invitees: bob, Timeout: time.Minute}, ErrStarted)
	if a := do(Online{User: "b", Device: "b1"}, nil); len(a) > 0 {
		t.Errorf("a device that rings already: %v", a)
	}
	do(Online{User: "a", Device: "a2"}, ErrAlreadyIn)
	do(Online{User: "c", Device: "c1"}, ErrNotInvited)
	do(Offline{User: "a", Device: "a1"}, ErrAlreadyIn)
	do(Leave{User: "b", Reason: hooks.LeftTimeout}, ErrNotIn)
	do(Invite{User: "a", Invitees: []Invitee{{User: "c"}}, Timeout: time.Minute}, nil)
	do(Switch{User: "a", Media: hooks.MediaVideo}, nil)
	for _, a := range do(Hangup{User: "b"}, nil) { // rings: a reject for all devices
		if tell, ok := a.(Tell); ok && tell.Device == "b1" && tell.Notice.Reason != hooks.EndOtherDeviceReject {
			t.Errorf("b1 was told %+v", tell.Notice)
		}
	}
	do(Hangup{User: "a"}, nil)
	do(End{}, ErrOver)
	if !c.Over || len(c.Members) > 0 {
		t.Errorf("not over: %+v", c)
	}
	for _, r := range []Refusal{ErrOver, ErrStarted} {
		if r.Error() == "" {
			t.Error("a refusal without words")
		}
	}
}
