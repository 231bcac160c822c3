package callstate

import (
	"fmt"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// BenchmarkOneToOne is a call from dialling to hanging up: three events of the
// server, and what both devices make of it.
func BenchmarkOneToOne(b *testing.B) {
	now := time.Unix(1_700_000_000, 0)
	events := []Event{
		Start{User: "a", Device: "a1", Invitees: []Invitee{{User: "b", Devices: []string{"b1"}}}, Timeout: 30 * time.Second},
		Accept{User: "b", Device: "b1"},
		Hangup{User: "a", Device: "a1"},
	}
	run(b, now, Call{ID: "call", Media: hooks.MediaAudio}, events)
}

// BenchmarkGroup is a call of a number of users with a group ID, who all
// accept, and hang up one by one.
func BenchmarkGroup(b *testing.B) {
	for _, n := range []int{9, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			start := Start{User: "u0", Device: "u0", Timeout: 30 * time.Second}
			var accepts, hangups []Event
			for i := 1; i < n; i++ {
				u := fmt.Sprint("u", i)
				start.Invitees = append(start.Invitees, Invitee{User: u, Devices: []string{u}})
				accepts = append(accepts, Accept{User: u, Device: u})
				hangups = append(hangups, Hangup{User: u, Device: u})
			}
			events := append(append([]Event{start}, accepts...), hangups...)
			run(b, time.Unix(1_700_000_000, 0), Call{ID: "call", Group: true, GroupID: "g", Media: hooks.MediaAudio}, events)
		})
	}
}

func run(b *testing.B, now time.Time, call Call, events []Event) {
	b.ReportAllocs()
	notices := 0
	for b.Loop() {
		c := call
		seats := make(map[string]Seat)
		for _, ev := range events {
			next, actions, err := c.Apply(now, ev)
			if err != nil {
				b.Fatal(err)
			}
			for _, a := range actions {
				if t, ok := a.(Tell); ok {
					seats[t.Device], _ = seats[t.Device].Apply(t.Notice)
					notices++
				}
			}
			c = next
		}
		if !c.Over {
			b.Fatal("the call is not over")
		}
	}
	b.ReportMetric(float64(notices)/float64(b.N), "notices/call")
}
