package termview

import (
	"bufio"
	"context"
	"io"
	"strings"
	"unicode"
)

const (
	ctrlC     = "\x03"
	backspace = '\x7f'
	escape    = '\x1b'
)

// Keys sends what is typed into in: each key of a terminal in raw mode, or else
// each line, ended by "\n"; of those the first letter is the key. Keys that send more than a character, such as arrows, are passed
// over. The channel is closed at the end of the input; the goroutine that reads
// ends then or, since reading cannot be interrupted, with what is read first
// after ctx has ended.
func Keys(ctx context.Context, in io.Reader, raw bool) <-chan string {
	keys := make(chan string)
	go func() {
		defer close(keys)
		r := bufio.NewReader(in)
		for {
			var key string
			var err error
			if raw {
				key, err = readKey(r)
			} else {
				key, err = r.ReadString('\n')
				if key = strings.TrimSpace(key); key != "" || err == nil {
					key += "\n"
				}
			}
			if key != "" {
				select {
				case keys <- key:
				case <-ctx.Done():
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
	return keys
}

// readKey reads a key; an empty one is passed over.
func readKey(r *bufio.Reader) (string, error) {
	c, _, err := r.ReadRune()
	if err != nil {
		return "", err
	}
	if c == escape && r.Buffered() > 0 { // an arrow's or such: it comes whole
		skipSequence(r)
		return "", nil
	}
	return string(c), nil
}

// skipSequence reads what follows an escape: "[", parameters and a letter, "O"
// and a letter, or a letter (ECMA-48 clause 5.4).
func skipSequence(r *bufio.Reader) {
	c, _ := r.ReadByte()
	for control := c == '['; r.Buffered() > 0 && (control || c == 'O'); {
		if c, _ = r.ReadByte(); c >= '@' && c <= '~' {
			return
		}
	}
}

// key does what a key, or a line, says; quit ends the view.
func (v *View) key(ctx context.Context, key string) (quit bool) {
	if key == "" {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, v.cfg.Patience)
	defer cancel()
	v.mu.Lock()
	var do func(context.Context) error
	if v.typing && key != ctrlC {
		do = v.edit([]rune(key))
		v.draw()
	} else {
		if quit = key == ctrlC || letter(key) == 'q'; !quit {
			do = v.action(key)
		}
	}
	v.mu.Unlock()
	if do != nil {
		if err := do(ctx); err != nil {
			v.board.Printf("That did not work: %s", v.cfg.Explain(err))
		}
	}
	return quit
}

func letter(key string) rune {
	for _, r := range key {
		return unicode.ToLower(r)
	}
	return 0
}

// action is what a key does now, or nil. v.mu is held, but not while that is
// done.
func (v *View) action(key string) func(context.Context) error {
	in := v.phase == dialling || v.phase == talking
	rings := v.phase == ringing
	switch l := letter(key); {
	case l == 'a' && rings && v.cfg.Accept != nil:
		return v.cfg.Accept
	case l == 'r' && rings && v.cfg.Reject != nil:
		return v.decline(v.cfg.Reject, "You rejected the call.")
	case l == 'i' && rings && v.cfg.Ignore != nil:
		return v.decline(v.cfg.Ignore, "You ignored the call.")
	case l == 'h' && rings && v.cfg.Hangup != nil:
		return v.decline(v.cfg.Hangup, "You rejected the call.")
	case l == 'h' && in && v.cfg.Hangup != nil:
		return v.cfg.Hangup
	case l == 'i' && v.mayInvite():
		_, rest, _ := strings.Cut(key, " ")
		if strings.TrimSpace(rest) == "" {
			v.typing = true
			v.draw()
			v.plainly("Whom? Type names, then Enter.")
			return nil
		}
		return v.invite(strings.Fields(rest))
	case l == 'm' && v.cfg.Mute != nil:
		return v.mute(!v.muted)
	case l > ' ':
		v.help()
	}
	return nil
}

// decline gives Dismiss the words, since no callback tells of it.
func (v *View) decline(f func(context.Context) error, words string) func(context.Context) error {
	v.declined = words
	id := v.call.CallID
	return func(ctx context.Context) error {
		err := f(ctx)
		if err != nil {
			v.mu.Lock()
			if v.call.CallID == id {
				v.declined = ""
			}
			v.mu.Unlock()
		}
		return err
	}
}

func (v *View) mute(muted bool) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := v.cfg.Mute(ctx, muted); err != nil {
			return err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		v.muted = muted
		v.draw()
		v.board.Printf("Your microphone is %s.", onOff(!muted))
		return nil
	}
}

func (v *View) invite(users []string) func(context.Context) error {
	return func(ctx context.Context) error {
		if err := v.cfg.Invite(ctx, users); err != nil {
			return err
		}
		v.board.Printf("Calling %s…", names(users))
		return nil
	}
}

// edit types names: keys one by one, or a line of them.
func (v *View) edit(keys []rune) func(context.Context) error {
	enter := false
	for _, k := range keys {
		switch {
		case k == '\r' || k == '\n':
			enter = true
		case k == backspace || k == '\b':
			v.typed = v.typed[:max(0, len(v.typed)-1)]
		case k == escape:
			v.typing, v.typed = false, nil
			return nil
		case unicode.IsPrint(k):
			v.typed = append(v.typed, k)
		}
	}
	if !enter {
		return nil
	}
	users := strings.FieldsFunc(string(v.typed), func(r rune) bool { return r == ' ' || r == ',' })
	v.typing, v.typed = false, nil
	if len(users) == 0 || !v.mayInvite() {
		return nil
	}
	return v.invite(users)
}

// plainly prints what the status shows, where none is shown.
func (v *View) plainly(words string) {
	if v.cfg.Size == nil {
		v.board.Printf("%s", words)
	}
}

// help tells of the keys, and of the call.
func (v *View) help() {
	v.board.Printf("Keys: a answer, r reject, i ignore or invite, m mute, h hang up, q quit. %s", [...]string{
		idle: "There is no call now.", dialling: "It rings at " + v.peers() + ".",
		ringing: v.peers() + " is calling.", talking: "You talk with " + v.peers() + ".",
	}[v.phase])
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}
