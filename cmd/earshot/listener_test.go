package main

import (
	"reflect"
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
