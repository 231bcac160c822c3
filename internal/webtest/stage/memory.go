package main

import (
	"bytes"
	"os"
	"runtime"
	"strconv"
)

// memory says what this process holds after garbage was collected, and what it
// has used of the CPU.
func memory() (map[string]any, error) {
	runtime.GC()
	runtime.GC() // what finalizers let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return nil, err
	}
	pages := 0
	if f := bytes.Fields(statm); len(f) > 1 {
		pages, err = strconv.Atoi(string(f[1]))
	}
	return map[string]any{
		"heap": m.HeapAlloc, "rss": pages * os.Getpagesize(), "goroutines": runtime.NumGoroutine(), "pid": os.Getpid(),
	}, err
}
