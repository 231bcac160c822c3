package main

import (
	"reflect"
	"strings"
	"testing"

	"github.com/earshotrtc/earshot/hooks"
)

// Every callback is told by its own name, whatever its arguments.
func TestTellerTellsAll(t *testing.T) {
	var told []string
	l := &teller{tell: func(name, words string) { told = append(told, name) }}
	v := reflect.ValueOf(hooks.Listener(l))
	for m := range reflect.TypeFor[hooks.Listener]().Methods() {
		told = nil
		f := v.MethodByName(m.Name)
		var args []reflect.Value
		for in := range f.Type().Ins() {
			args = append(args, reflect.Zero(in))
		}
		f.Call(args)
		if len(told) != 1 || told[0] != m.Name {
			t.Errorf("%s is told as %q", m.Name, told)
		}
	}
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		volume int
		want   string
	}{{-5, "░░░░"}, {0, "░░░░"}, {1, "█░░░"}, {50, "██░░"}, {100, "████"}, {1000, "████"}} {
		if got := bar(c.volume, 4); got != c.want {
			t.Errorf("%d is %s, want %s", c.volume, got, c.want)
		}
	}
}

// Lines go above the bars, which are drawn again below.
func TestBoard(t *testing.T) {
	var out strings.Builder
	b := newBoard(&out, "alice", "bob")
	b.volumes([]hooks.UserVolume{{UserID: "bob", Volume: 100}})
	if out.Len() != 0 {
		t.Errorf("bars where they cannot be drawn over: %q", out.String())
	}
	b.lasts = true
	b.volumes([]hooks.UserVolume{{UserID: "bob", Volume: 100, Voice: true}})
	bars := "  alice " + bar(0, 20) + "   bob " + bar(100, 20) + "*"
	b.raw()
	b.printf("a line")
	b.clear()
	b.printf("another")
	want := clearLine + bars + clearLine + "a line\r\n" + bars + clearLine + "another\r\n"
	if out.String() != want {
		t.Errorf("drew %q\nwant %q", out.String(), want)
	}
}
