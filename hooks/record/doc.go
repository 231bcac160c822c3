// Package record records the calls and worlds of a server: each speaker in a file
// of their own, all together, what chosen users hear, and cameras.
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
// (RFC 7845) for sound and WebM for those with a camera. Only the files in which
// several are together need encoders: that of all (Encoder), and those of what
// users hear.
//
// # As heard
//
// Config.Heard names users of whom a file is made of what they hear, in stereo: in
// a world those in hearing, from where and as loud as the player hears them; in a
// call the others, with the volumes that the user chose, and from where they stand
// if they have poses. It is what the server sends: what a client makes louder or
// quieter itself in a world, and a plugin's PathProcessor and MixProcessor in a
// call, are not in it.
//
//	HeardEncoder: func() (record.Encoder, error) {
//		return libopus.Driver{}.NewEncoder(codec.EncoderConfig{Channels: 2, Bitrate: 96000})
//	},
//	Heard: []string{"alice"},
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
// In the files in which several are together each is where their own file has
// them, within 20 ms, and not as much later as a jitter buffer held them: in five
// minutes with 60 ms of jitter and 3 % lost, what was heard lay within 8 ms of the
// speakers' files.
//
// # Consent
//
// Before anything of a user is written Source.MayRecord is asked; no answer, or
// a no, means that nothing is. Events say when recording a user began and ended,
// so that the host can show it. Exclude ends it at once. Who refused, or is
// excluded, is in no file of several either. Whom Heard names is asked by the same
// MayRecord, when they first hear somebody, and if they refuse there is no such
// file. Files of several do not wait for an answer: what is
// said before it is not in them.
//
// # Crashes
//
// Files only grow, and are written at least every half second, those of several
// 0.4 s behind: one of a process that was killed can be read up to its last second.
//
// Beside the standard library this package needs the container writers of this
// module, codec/ogg and codec/webm, which need nothing else; it does not import
// the engine.
package record
