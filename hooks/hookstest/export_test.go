package hookstest

// RaceEnabled is whether the race detector is on.
const RaceEnabled = raceEnabled
