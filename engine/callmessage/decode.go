package callmessage

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
)

// Errors of this package. They work with errors.Is.
var (
	// ErrNotCall: the data is no message of a call; it may be one of something
	// else.
	ErrNotCall = errors.New("callmessage: not a message of a call")
	// ErrMalformed: the data is one of a call, but broken, or too large.
	ErrMalformed = errors.New("callmessage: malformed")
	// ErrIncomplete: the message lacks something that Build needs.
	ErrIncomplete = errors.New("callmessage: incomplete")
)

const (
	// MaxSize is how many bytes Parse takes. A chat carries 12 KiB at most.
	MaxSize = 64 << 10
	// maxDepth is how deeply objects and arrays may nest. Three is in use.
	maxDepth = 32
	// maxSeconds bounds durations: 68 years, what 32 bits hold.
	maxSeconds = math.MaxInt32
	// maxRoomID is the largest number of a room.
	maxRoomID = math.MaxUint32 - 1
)

// object reads the fields of a JSON object by their exact names (a struct's
// would match in any case) and keeps the first error.
type object struct {
	path   string
	fields map[string]json.RawMessage
	err    error
}

func parseObject(path string, data []byte) (*object, error) {
	if tooDeep(data) {
		return nil, fmt.Errorf("%w: %s nests more than %d deep", ErrMalformed, path, maxDepth)
	}
	o := &object{path: path}
	if err := json.Unmarshal(data, &o.fields); err != nil {
		return nil, fmt.Errorf("%w: %s is not a JSON object: %w", ErrMalformed, path, err)
	}
	if o.fields == nil {
		return nil, fmt.Errorf("%w: %s is null", ErrMalformed, path)
	}
	return o, nil
}

func tooDeep(data []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// get returns a field; null is as good as absent.
func (o *object) get(key string) (json.RawMessage, bool) {
	v, ok := o.fields[key]
	if !ok || string(v) == "null" {
		return nil, false
	}
	return v, true
}

func (o *object) has(key string) bool {
	_, ok := o.get(key)
	return ok
}

func (o *object) fail(key, want string) {
	if o.err == nil {
		o.err = fmt.Errorf("%w: %s.%s is not %s", ErrMalformed, o.path, key, want)
	}
}

func (o *object) string(key string) string {
	var s string
	if v, ok := o.get(key); ok && json.Unmarshal(v, &s) != nil {
		o.fail(key, "a string")
	}
	return s
}

func (o *object) strings(key string) []string {
	v, ok := o.get(key)
	if !ok {
		return nil
	}
	var list []*string // a null in a list is no string
	if json.Unmarshal(v, &list) != nil {
		o.fail(key, "a list of strings")
		return nil
	}
	var out []string
	for _, s := range list {
		if s == nil {
			o.fail(key, "a list of strings")
			return nil
		}
		out = append(out, *s)
	}
	return out
}

// integer reads a whole number from 0 to max; 30.0 is one.
func (o *object) integer(key string, max int64) int64 {
	v, ok := o.get(key)
	if !ok {
		return 0
	}
	n, ok := wholeNumber(v)
	if !ok || n < 0 || n > max {
		o.fail(key, "a whole number from 0 to "+strconv.FormatInt(max, 10))
		return 0
	}
	return n
}

// seconds reads a number of seconds, also one that stands in a string.
func (o *object) seconds(key string) int64 {
	v, ok := o.get(key)
	if !ok {
		return 0
	}
	if v[0] == '"' {
		n, err := strconv.ParseInt(o.string(key), 10, 64)
		if err != nil || n < 0 || n > maxSeconds {
			return 0 // cmdInfo is free text in all but one command
		}
		return n
	}
	return o.integer(key, maxSeconds)
}

// flag reads true, false, 1 or 0.
func (o *object) flag(key string) bool {
	v, _ := o.get(key)
	switch string(v) {
	case "true", "1":
		return true
	case "", "false", "0":
		return false
	}
	o.fail(key, "true or false")
	return false
}

// wholeNumber reads a JSON number that has no fraction, and is exact.
func wholeNumber(v json.RawMessage) (int64, bool) {
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		return n, true
	}
	f, ok := number(v)
	if !ok || f != math.Trunc(f) || math.Abs(f) > 1<<53 {
		return 0, false
	}
	return int64(f), true
}

// number reads a JSON number, not a string that holds one.
func number(v json.RawMessage) (float64, bool) {
	if len(v) == 0 || v[0] != '-' && (v[0] < '0' || v[0] > '9') {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}
