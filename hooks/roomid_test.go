package hooks_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/hooks"
)

func TestRoomIDs(t *testing.T) {
	for js, c := range map[string]struct {
		want hooks.RoomID
		ok   bool
	}{
		`123`:                                {hooks.RoomID{Number: 123}, true},
		`"123"`:                              {hooks.RoomID{Name: "123"}, true},
		`1`:                                  {hooks.RoomID{Number: 1}, true},
		`4294967294`:                         {hooks.RoomID{Number: 4294967294}, true},
		`4294967295`:                         {hooks.RoomID{Number: 4294967295}, false},
		`4294967296`:                         {hooks.RoomID{Number: 4294967295}, false},
		`-1`:                                 {hooks.RoomID{Number: 4294967295}, false},
		`1.5`:                                {hooks.RoomID{Number: 4294967295}, false},
		`"` + strings.Repeat("x", 64) + `"`:  {hooks.RoomID{Name: strings.Repeat("x", 64)}, true},
		`"` + strings.Repeat("x", 65) + `"`:  {hooks.RoomID{Name: strings.Repeat("x", 65)}, false},
		`"` + strings.Repeat("房", 21) + `x"`: {hooks.RoomID{Name: strings.Repeat("房", 21) + "x"}, true},
		`"` + strings.Repeat("房", 22) + `"`:  {hooks.RoomID{Name: strings.Repeat("房", 22)}, false},
		`0`:                                  {hooks.RoomID{}, true},
		`""`:                                 {hooks.RoomID{}, true},
		`null`:                               {hooks.RoomID{}, true},
	} {
		var r hooks.RoomID
		if err := json.Unmarshal([]byte(js), &r); err != nil || r != c.want || (r.Check() == nil) != c.ok {
			t.Errorf("%.20s: %v, %v, check %v; want %v, ok %v", js, r, err, r.Check(), c.want, c.ok)
			continue
		}
		if !c.ok || r.IsZero() {
			continue
		}
		if b, err := json.Marshal(r); err != nil || string(b) != js {
			t.Errorf("%s came back as %s, %v", js, b, err)
		}
	}
	for _, js := range []string{`{}`, `[1]`, `true`} {
		var r hooks.RoomID
		if err := json.Unmarshal([]byte(js), &r); err == nil {
			t.Errorf("%s is the room %v", js, r)
		}
	}
	for _, r := range []hooks.RoomID{{Number: 1, Name: "1"}, {Name: "\xFF"}} {
		if r.Check() == nil {
			t.Errorf("%q passes", r)
		}
	}
	if a, b := (hooks.RoomID{Number: 123}).String(), (hooks.RoomID{Name: "123"}).String(); a != "123" || b != `"123"` {
		t.Errorf("as text: %s and %s", a, b)
	}
}
