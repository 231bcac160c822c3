//go:build race

package hookstest

const raceEnabled = true
