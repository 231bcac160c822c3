package engine

import (
	"context"
	"runtime/pprof"

	"github.com/earshotrtc/earshot/hooks"
)

// The labels that profiles of the process carry (runtime/pprof), so that a room
// or a plugin can be found in them. A goroutine has them while it works for a
// room: a tick of its mix, or of the window in which its voices wait for one
// another, and a packet from its reception until it is in the receivers' queues;
// the reader of a session keeps them until it has a packet for another room. While
// a plugin's hook runs, the plugin and the hook are there, too, and what goroutines
// the hook starts keep them. What QUIC does for a connection has none.
const (
	// LabelCall is the ID of the room's call.
	LabelCall = "earshot_call"
	// LabelMode is "mix" or "forward": what is done for the room.
	LabelMode = "earshot_mode"
	// LabelPlugin and LabelHook are Plugin.Name and the name of its field.
	LabelPlugin = "earshot_plugin"
	LabelHook   = "earshot_hook"
)

// roomLabels are a room's, made once: setting them costs a few nanoseconds. The
// zero value has none.
type roomLabels struct{ forward, mix context.Context }

func newRoomLabels(callID string) *roomLabels {
	with := func(mode hooks.RoomMode) context.Context {
		return pprof.WithLabels(context.Background(), pprof.Labels(LabelCall, callID, LabelMode, string(mode)))
	}
	return &roomLabels{forward: with(hooks.ModeForward), mix: with(hooks.ModeMix)}
}

// marked are the room's labels. Server.mu is held.
func (r *room) marked() *roomLabels {
	if r.labels == nil && r.call != nil {
		r.labels = newRoomLabels(r.call.state.ID)
	}
	if r.labels == nil {
		return new(roomLabels)
	}
	return r.labels
}

// mark gives the goroutine labels, if there are any.
func mark(labels context.Context) {
	if labels != nil {
		pprof.SetGoroutineLabels(labels)
	}
}

// withHook adds a hook's labels to those of the work that it is called in.
func withHook(labels context.Context, plugin string, k hookKind) context.Context {
	return pprof.WithLabels(labels, pprof.Labels(LabelPlugin, plugin, LabelHook, hookNames[k]))
}
