package callstate_test

import (
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/hooks"
)

// An engine carries out the actions; here they only reach bob's device.
func Example() {
	now := time.Unix(1_700_000_000, 0)
	call := callstate.Call{ID: "x", Media: hooks.MediaAudio}
	var bob callstate.Seat
	for _, ev := range []callstate.Event{
		callstate.Start{
			User: "alice", Device: "phone", Timeout: 30 * time.Second,
			Invitees: []callstate.Invitee{{User: "bob", Devices: []string{"laptop"}}},
		},
		callstate.Accept{User: "bob", Device: "laptop"},
		callstate.Hangup{User: "alice", Device: "phone"},
	} {
		next, actions, err := call.Apply(now, ev)
		if err != nil {
			fmt.Println(err)
			return
		}
		call, now = next, now.Add(10*time.Second)
		for _, a := range actions {
			tell, ok := a.(callstate.Tell)
			if !ok || tell.Device != "laptop" {
				continue
			}
			var callbacks []callstate.Callback
			bob, callbacks = bob.Apply(tell.Notice)
			for _, c := range callbacks {
				switch c.Name {
				case callstate.OnInvited:
					fmt.Println("invited by", c.Notice.User)
				case callstate.OnCallBegin:
					fmt.Println("begin")
				case callstate.OnCallEnd:
					fmt.Println("end:", c.Reason, c.Duration)
				}
			}
		}
	}
	// Output:
	// invited by alice
	// begin
	// end: hangup 10s
}
