// Package callstate is the state machine of calls as two pure functions: no
// clock, no I/O, no goroutine. The engine feeds them and carries out what they
// say.
//
// [Call.Apply] is the server's side: it owns a call, and says of each event who
// is told what, which timers run, who is in the room and who is busy.
// [Seat.Apply] is a device's side: it turns what the server tells it into the
// callbacks of its listener.
//
//	call := callstate.Call{ID: "x", Media: hooks.MediaAudio}
//	call, actions, err := call.Apply(now, callstate.Start{
//		User: "alice", Device: "phone", Timeout: 30 * time.Second,
//		Invitees: []callstate.Invitee{{User: "bob", Devices: []string{"laptop"}}},
//	})
//
// The engine knows what a call cannot: who is signed in on which devices, and
// who is busy with another call. It must not let a busy user start or join a
// call, must give a device its notices in the order of the actions, and must
// not fire a timer early. It need not stop one.
//
// The rules are those of the original, where they are sound, and else:
//
//   - A call ends when fewer than two are in it and nobody rings, or when
//     nobody is in it. Whoever is in it then is told once, with reason and
//     duration; whoever rings then is told that it was taken back. The reason
//     is why the last one went, and a hang-up if there was talk before.
//   - In a one-to-one call, and in a group call without a group ID, what an
//     invited user did is told to who invited them, while they are in; with a
//     group ID to all who are in or ring.
//   - A user may ring on several devices, and is in a call on one. The others
//     cannot hang up for it.
//   - A duration is a user's own, from when they were in and talking had begun;
//     that of a [Post] is the call's.
//
// testdata/table has these rules row by row, as what happens and who is told;
// TestTable plays it. TestModel plays random histories against them.
package callstate
