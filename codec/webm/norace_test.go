//go:build !race

package webm_test

const raceEnabled = false
