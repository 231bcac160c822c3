package hooks

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// A RoomID names a call's room, for the host's use and for private-map keys: by
// a number or by a name. The number 123 and the name "123" are two rooms. The
// zero value names none.
//
// In JSON it is a number or a string.
type RoomID struct {
	// Number is 1 to 4294967294, or 0 where Name is set.
	Number uint32
	// Name is 1 to 64 bytes of UTF-8, or empty where Number is set.
	Name string
}

// maxRoomName is how long a room's name may be, in bytes.
const maxRoomName = 64

// IsZero reports whether no room is named.
func (r RoomID) IsZero() bool { return r == RoomID{} }

// Check says what is wrong with the room ID. The zero value passes.
func (r RoomID) Check() error {
	switch {
	case r.Number != 0 && r.Name != "":
		return fmt.Errorf("a room has a number or a name, not both")
	case r.Number == math.MaxUint32:
		return fmt.Errorf("a room's number is 1 to %d", uint32(math.MaxUint32-1))
	case len(r.Name) > maxRoomName:
		return fmt.Errorf("a room's name of %d bytes, more than %d", len(r.Name), maxRoomName)
	case !utf8.ValidString(r.Name):
		return fmt.Errorf("a room's name that is not UTF-8")
	}
	return nil
}

// String is the number, or the name in quotes.
func (r RoomID) String() string {
	if r.Name != "" {
		return strconv.Quote(r.Name)
	}
	return strconv.FormatUint(uint64(r.Number), 10)
}

// MarshalJSON implements json.Marshaler.
func (r RoomID) MarshalJSON() ([]byte, error) {
	if r.Name != "" {
		return json.Marshal(r.Name)
	}
	return json.Marshal(r.Number)
}

// UnmarshalJSON implements json.Unmarshaler. A number that no room has becomes
// one that does not pass Check.
func (r *RoomID) UnmarshalJSON(b []byte) error {
	*r = RoomID{}
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, &r.Name)
	}
	if string(b) == "null" {
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err != nil {
		return fmt.Errorf("a room ID is a number or a string: %w", err)
	}
	v, err := strconv.ParseUint(n.String(), 10, 32)
	if err != nil {
		v = math.MaxUint32
	}
	r.Number = uint32(v)
	return nil
}
