package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/earshotrtc/earshot/hooks"
)

// A board prints lines, and below them, on a terminal, one line of volume bars
// that stays. It may be used from any goroutine.
type board struct {
	w     io.Writer
	lasts bool // w is a terminal: bars can be drawn over

	mu    sync.Mutex
	users []string
	eol   string // "\r\n" while the terminal is raw
	bars  string
}

func newBoard(w io.Writer, users ...string) *board {
	_, tty := isTerminal(w)
	return &board{w: w, lasts: tty, users: users, eol: "\n"}
}

// show says whose bars there are.
func (b *board) show(users ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.users = users
}

// raw is for terminals that do not go back to the line's start by themselves.
func (b *board) raw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.eol = "\r\n"
}

const clearLine = "\r\x1b[K"

// printf prints a line.
func (b *board) printf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	line := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", b.eol)
	if b.bars == "" {
		fmt.Fprint(b.w, line, b.eol)
		return
	}
	fmt.Fprint(b.w, clearLine, line, b.eol, b.bars)
}

// volumes draws the bars. A star stands for speech.
func (b *board) volumes(volumes []hooks.UserVolume) {
	if !b.lasts {
		return
	}
	loud := make(map[string]hooks.UserVolume, len(volumes))
	for _, v := range volumes {
		loud[v.UserID] = v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	var line strings.Builder
	for _, u := range b.users {
		v := loud[u]
		mark := " "
		if v.Voice {
			mark = "*"
		}
		fmt.Fprintf(&line, "  %s %s%s", u, bar(v.Volume, 20), mark)
	}
	b.bars = line.String()
	fmt.Fprint(b.w, clearLine, b.bars)
}

// clear takes the bars away.
func (b *board) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.bars != "" {
		fmt.Fprint(b.w, clearLine)
		b.bars = ""
	}
}

// bar is volume, 0 to 100, as a bar of so many characters.
func bar(volume, width int) string {
	n := (max(0, min(100, volume))*width + 99) / 100
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}
