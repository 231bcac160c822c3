//go:build !race

package hookstest

const raceEnabled = false
