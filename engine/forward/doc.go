// Package forward is the arithmetic of rooms that forward: which packets of
// which sources a receiver is sent, and what is changed in them so that it does
// not notice. It has no network, no clock but the times it is given, and no
// goroutine; nothing in it allocates per packet.
//
//   - [Voices] chooses the voices that a room hears at a time.
//   - [Sequence] closes the gaps that packets which are not sent would leave.
//   - [Cache] keeps a video track's newest packets: for those who lost some, and
//     for those who come late.
//   - [Video] is a video track's way to one receiver: the size and the rate of
//     frames that it is sent, with numbers that go on as if it were one stream.
//   - [Gaps] finds out which packets did not come, and when to ask for them.
//   - [Order] puts packets back into their order, once they came.
//
// A type here is for one goroutine at a time unless it says otherwise.
package forward
