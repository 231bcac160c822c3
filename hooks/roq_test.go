package hooks_test

import (
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/hooks"
)

func TestRoQAnswerCheck(t *testing.T) {
	sends := func(s ...hooks.RoQStream) hooks.RoQAnswer { return hooks.RoQAnswer{Sends: s} }
	audio := func(r hooks.RoQReceive) hooks.RoQAnswer { return hooks.RoQAnswer{Audio: &r} }
	for _, c := range []struct {
		answer hooks.RoQAnswer
		wrong  string // empty: nothing
	}{
		{sends(hooks.RoQStream{}), ""},
		{sends(hooks.RoQStream{Flow: 1<<62 - 1, PayloadType: 127, LevelExtension: 14}), ""},
		{sends(hooks.RoQStream{Flow: 1}, hooks.RoQStream{Flow: 1, Video: true}), ""},
		{audio(hooks.RoQReceive{Flow: 1, Flows: 1024, PayloadType: 63, Users: map[string]uint64{"a": 1}}), ""},
		{hooks.RoQAnswer{}, "neither sends nor receives"},
		{sends(hooks.RoQStream{Flow: 1 << 62}), "above 2^62-1"},
		{sends(hooks.RoQStream{PayloadType: 64}), "payload type 64"},
		{sends(hooks.RoQStream{PayloadType: 95}), "payload type 95"},
		{sends(hooks.RoQStream{PayloadType: 128}), "payload type 128"},
		{sends(hooks.RoQStream{LevelExtension: 15}), "1 to 14, not 15"},
		{sends(hooks.RoQStream{Flow: 1}, hooks.RoQStream{Flow: 1, PayloadType: 111}), "two streams on flow 1"},
		{sends(make([]hooks.RoQStream, 5)...), "5 streams"},
		{audio(hooks.RoQReceive{}), "flow 0"},
		{audio(hooks.RoQReceive{Flow: 1, Flows: -1}), "-1 flows"},
		{audio(hooks.RoQReceive{Flow: 1, Flows: 1025}), "1025 flows"},
		{audio(hooks.RoQReceive{Flow: 1<<62 - 2, Flows: 2}), "flows from"},
		{audio(hooks.RoQReceive{Flow: 1, PayloadType: 72}), "payload type 72"},
		{audio(hooks.RoQReceive{Flow: 1, Users: map[string]uint64{"ann": 0}}), `"ann"`},
		{hooks.RoQAnswer{Video: &hooks.RoQReceive{}}, "flow 0"},
		{hooks.RoQAnswer{Sends: make([]hooks.RoQStream, 1), Mode: "x"}, "neither forward nor mix"},
	} {
		err := c.answer.Check()
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%+v: %v, want %q", c.answer, err, c.wrong)
		}
	}
	if a, v := (hooks.RoQStream{}).RTPType(), (hooks.RoQReceive{}).RTPType(true); a != 111 || v != 96 {
		t.Errorf("the default payload types are %d and %d", a, v)
	}
}
