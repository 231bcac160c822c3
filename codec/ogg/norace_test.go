//go:build !race

package ogg_test

const raceEnabled = false
