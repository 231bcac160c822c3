// Package jitter turns packets that arrive unevenly into sound that plays
// evenly. A [Buffer] belongs to one track: [Buffer.Push] takes packets as they
// come from the network, and [Buffer.Pull] gives exactly as many samples as
// asked for, decoding, or concealing what is missing.
//
// The buffer has no goroutine and no clock: the arrival time of a packet and
// the time of a pull are given to it.
package jitter
