package main

import (
	"bufio"
	"context"
	"io"
	"strings"

	"golang.org/x/term"
)

const ctrlC = 3

// readKeys sends what the user types: single keys of a terminal, which it puts
// into raw mode, or the first letters of lines. restore undoes the raw mode.
// The channel is never closed: at the end of the input there are just no more
// keys. The reading goroutine ends with the input, or the next key after ctx.
func readKeys(ctx context.Context, in io.Reader) (keys <-chan byte, raw bool, restore func()) {
	c := make(chan byte)
	restore = func() {}
	if fd, ok := isTerminal(in); ok {
		if old, err := term.MakeRaw(fd); err == nil {
			raw = true
			restore = func() { term.Restore(fd, old) }
		}
	}
	send := func(b byte) bool {
		select {
		case c <- b:
			return true
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		r := bufio.NewReader(in)
		for {
			if raw {
				b, err := r.ReadByte()
				if err != nil || !send(b) {
					return
				}
				continue
			}
			line, err := r.ReadString('\n')
			if line = strings.TrimSpace(line); line != "" && !send(line[0]) {
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return c, raw, restore
}
