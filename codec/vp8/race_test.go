//go:build race

package vp8_test

const raceEnabled = true
