// Package callstate is the state machine of calls as two pure functions: no
// clock, no I/O, no goroutine. The engine feeds them and carries out what they
// say.
//
// [Call.Apply] is the server's side: it owns a call, and says of each event who
// is told what, which timers run, who is in the room and who is busy.
// [Seat.Apply] is a device's side: it turns what the server tells it into the
// callbacks of its listener.
//
// The rules are those of the original, where they are sound, and else:
//
//   - A call ends when fewer than two are in it and nobody rings, or when
//     nobody is in it. Whoever is in it then is told once, with reason and
//     duration; whoever rings then is told that it was taken back.
//   - In a one-to-one call, and in a group call without a group ID, what an
//     invited user did is told to who invited them; with a group ID to all who
//     are in or ring.
//   - A user may ring on several devices, and is in a call on one.
package callstate
