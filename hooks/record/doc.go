// Package record records the calls and worlds of a server: each speaker in a file
// of their own, all together as one hears them, and cameras.
//
//	rec, err := record.Start(record.Config{
//		Source: srv, // the *engine.Server; a plugin's MayRecord says who may be recorded
//		CallID: callID,
//		Dir:    "recordings",
//		OnEvent: func(e record.Event) { tell(e.UserID, e.Kind) },
//	})
//	...
//	err = rec.Stop() // or the call ends
//
// Nothing is decoded for it: what a user sends is written as it came, Ogg Opus
// (RFC 7845) for sound and WebM for those with a camera. Only the file with all
// of them together needs an encoder.
//
// # Time
//
// All files of a recording begin at the same moment and end at the same. What
// was not sent, because a user was muted, silent or not there yet, is silence in
// the file, and what was lost is left to the player's decoder to conceal. A packet
// is placed where its RTP timestamp belongs, on a line laid through the earliest
// arrivals of the last ten seconds: jitter does not move it, and a sender's clock
// that runs fast or slow is followed, by 10 ms at a time. In ten minutes with 3 %
// of the packets lost, 30 ms of jitter and clocks that are off by 100 ppm, the
// speakers of this package's test line up within 9 ms.
//
// # Consent
//
// Before anything of a user is written Source.MayRecord is asked; no answer, or
// a no, means that nothing is. Events say when recording a user began and ended,
// so that the host can show it. Exclude ends it at once.
//
// # Crashes
//
// Files only grow, and are written at least every half second: one of a process
// that was killed can be read up to its last second.
//
// Beside the standard library this package needs the container writers of this
// module, codec/ogg and codec/webm, which need nothing else; it does not import
// the engine.
package record
