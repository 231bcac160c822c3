//go:build race

package simnet

// raceEnabled: the race detector makes pools forget on purpose.
const raceEnabled = true
