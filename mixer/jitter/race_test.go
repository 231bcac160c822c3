//go:build race

package jitter

const raceEnabled = true

// simSeeds is how many phases of a scene are played.
const simSeeds = 1
