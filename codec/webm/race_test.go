//go:build race

package webm_test

const raceEnabled = true
