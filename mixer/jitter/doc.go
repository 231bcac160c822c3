// Package jitter turns packets that arrive unevenly into sound that plays
// evenly. A [Buffer] belongs to one track: [Buffer.Push] takes packets as they
// come from the network, and [Buffer.Pull] gives exactly as many samples as
// asked for, decoding, or concealing what is missing.
//
//	buf, err := jitter.New(jitter.Config{Decoder: dec})
//	...
//	buf.Push(jitter.Packet{ // the network's goroutine
//		SequenceNumber: h.SequenceNumber, Timestamp: h.Timestamp,
//		Marker: h.Marker, Payload: payload, Arrival: time.Now(),
//	})
//	...
//	res := buf.Pull(pcm, time.Now()) // the sink's goroutine, every 10 ms or so
//
// The buffer has no goroutine and no clock: the arrival time of a packet and
// the time of a pull are given to it.
//
// # How it chooses the delay
//
// Everything is counted in samples of the sink. A packet can be heard at the
// earliest at the output position of the next pull; that position minus the
// packet's timestamp is its lateness. The sound plays at timestamp plus delay,
// so a packet is on time when its lateness is at most the delay. No wall clock
// takes part, so a frame starts exactly at the start of a pull when that is
// what the phases of sender and sink allow, and a sender's drifting clock is
// followed like any other change.
//
// The delay is the one that costs least over the last seconds: a millisecond
// more is weighed against each time that it would have kept the sound from
// breaking. A packet that comes late is played whole, which lengthens the
// delay there and then; too long a delay is shortened by dropping silence, or
// by cutting whole pitch periods where the sound does not pause.
package jitter
