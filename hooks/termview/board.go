package termview

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// A Board prints lines, and below them, on a terminal, one status line that
// stays. It may be used from any goroutine.
type Board struct {
	w    io.Writer
	size func() (columns, rows int)

	mu     sync.Mutex
	status string
}

// NewBoard returns a board. size is that of the terminal that w is; nil is no
// terminal, where no status is shown and no bell rings.
func NewBoard(w io.Writer, size func() (columns, rows int)) *Board {
	return &Board{w: w, size: size}
}

const clearLine = "\r\x1b[K"

// Printf prints a line. Strings and errors among the arguments are cleaned of
// what could harm a terminal; the format may break lines.
func (b *Board) Printf(format string, args ...any) {
	args = slices.Clone(args)
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = cleanText(a)
		case error:
			args[i] = cleanText(a.Error())
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	line := fmt.Sprintf(format, args...)
	if b.size == nil {
		fmt.Fprint(b.w, line, "\n")
		return
	}
	// A terminal in raw mode goes down at a line feed, and not to the left.
	line = strings.ReplaceAll(line, "\n", "\r\n") + "\r\n"
	if b.status != "" {
		line = clearLine + line + b.status
	}
	io.WriteString(b.w, line)
}

// Status shows a line below the others, cleaned and cut to the terminal's
// width; empty takes it away.
func (b *Board) Status(line string) {
	if b.size == nil {
		return
	}
	columns, _ := b.size()
	// The last column stays free: writing there wraps on some terminals.
	line = cut(printable(line, false), max(1, columns-1))
	b.mu.Lock()
	defer b.mu.Unlock()
	if line == b.status {
		return
	}
	b.status = line
	io.WriteString(b.w, clearLine+line)
}

// Bell rings the terminal's bell.
func (b *Board) Bell() {
	if b.size == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	io.WriteString(b.w, "\a")
}

// Bar is a volume, 0 to 100, as a bar of so many characters.
func Bar(volume, width int) string {
	n := (max(0, min(100, volume))*width + 99) / 100
	return strings.Repeat("█", n) + strings.Repeat("░", width-n)
}

const (
	maxName = 32  // columns of a name
	maxText = 500 // columns of a text of somebody else's
)

// clean is a name as it may be shown.
func clean(name string) string { return cut(printable(name, false), maxName) }

// cleanText is a text as it may be shown; it may have lines.
func cleanText(text string) string { return cut(printable(text, true), maxText) }

// printable leaves out what is not seen: control characters, with which
// terminals are driven, marks that turn the direction of writing, and piles of
// accents.
func printable(s string, lines bool) string {
	marks := 0
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.M, r) {
			marks++
		} else {
			marks = 0
		}
		switch {
		case lines && r == '\n', r == ' ':
			return r
		case r == utf8.RuneError, marks > 2, !unicode.IsPrint(r):
			return -1
		}
		return r
	}, s)
}

// cut cuts a string to a width in columns.
func cut(s string, columns int) string {
	n := 0
	for i, r := range s {
		w := width(r)
		if n+w > columns {
			for n > columns-1 { // room for the dots
				last, size := utf8.DecodeLastRuneInString(s[:i])
				n -= width(last)
				i -= size
			}
			return s[:i] + "…"
		}
		n += w
	}
	return s
}

// width is how many columns a character takes, roughly: what is East Asian or
// a picture takes two.
func width(r rune) int {
	switch {
	case unicode.Is(unicode.M, r), r == '\n':
		return 0
	case r >= 0x1100 && r <= 0x115F, r >= 0x2E80 && r <= 0xA4CF, r >= 0xAC00 && r <= 0xD7A3,
		r >= 0xF900 && r <= 0xFAFF, r >= 0xFE30 && r <= 0xFE6F, r >= 0xFF00 && r <= 0xFF60,
		r >= 0xFFE0 && r <= 0xFFE6, r >= 0x1F300 && r <= 0x1FAFF, r >= 0x20000 && r <= 0x3FFFD:
		return 2
	}
	return 1
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf(one, n)
	}
	return fmt.Sprintf(many, n)
}
