//go:build !race

package jitter

const raceEnabled = false

// simSeeds is how many phases of a scene are played.
const simSeeds = 8
