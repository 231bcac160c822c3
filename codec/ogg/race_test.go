//go:build race

package ogg_test

const raceEnabled = true
