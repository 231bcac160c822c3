package record

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/earshotrtc/earshot/hooks"
)

// open makes a file. mu is held.
func (r *Recording) open(user, ext string) (io.WriteCloser, string, error) {
	name := fmt.Sprintf("%s-%s-%s%s", clean(r.cfg.CallID), r.began.UTC().Format("20060102T150405Z"), clean(user), ext)
	for i := 2; slices.Contains(r.files, name); i++ { // a user who came back after Exclude
		name = fmt.Sprintf("%s-%s-%s-%d%s", clean(r.cfg.CallID), r.began.UTC().Format("20060102T150405Z"), clean(user), i, ext)
	}
	f, err := r.cfg.Create(name)
	if err == nil {
		r.files = append(r.files, name)
	}
	return f, name, err
}

// clean makes a part of a file's name.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '_'
	}, s)
}

// failed notes what cannot be written. mu is held.
func (r *Recording) failed(user, name string, err error) {
	if user == all {
		user = ""
	}
	r.errs = append(r.errs, fmt.Errorf("record: %s: %w", name, err))
	r.event(Event{Kind: Failed, UserID: user, Name: name, Code: hooks.CodeRecordWrite, Err: err})
	for _, s := range r.speakers {
		s.lostFile()
	}
}
