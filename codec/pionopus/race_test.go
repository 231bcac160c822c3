//go:build race

package pionopus_test

const raceEnabled = true
