package engine_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// Hooks that sleep, hang, panic or leave goroutines behind in a world, on ben's
// packets and in observers, are named in the metrics, and cat is heard as she is
// without them, packet for packet at the same moments.
func TestBadHooksInAWorldDisturbNobody(t *testing.T) {
	type run struct {
		cat  []string // when her packets came to ann
		snap engine.Snapshot
	}
	const frames = 120
	listen := func(t *testing.T, plugin func(bad func()) hooks.Plugin, bad func(end chan struct{})) (r run) {
		synctest.Test(t, func(t *testing.T) {
			end := make(chan struct{})
			p := &place{events: make(map[string][]string)}
			p.srv = serve(t, func(c *engine.ServerConfig) {
				anybody(c)
				c.VolumeInterval = 100 * time.Millisecond
				if plugin != nil {
					c.Plugins = []hooks.Plugin{plugin(func() { bad(end) })}
				}
			})
			var err error
			p.world, err = p.srv.NewWorld(engine.WorldConfig{ID: "village"})
			must(t, err)
			_, err = p.world.Join(engine.Player{UserID: "ann"}, engine.Player{UserID: "ben"}, engine.Player{UserID: "cat"})
			must(t, err)
			<-p.dial(t, "ann").World
			ben, cat := p.dial(t, "ben"), p.dial(t, "cat")
			must(t, ben.Publish(t.Context()))
			must(t, cat.Publish(t.Context()))
			began := time.Now()
			time.Sleep(time.Millisecond) // virtual: between two ticks
			for range frames {
				ben.Speak([]byte{0x78, 1, 2, 3}, 20)
				cat.Speak([]byte{0x78, 1, 2, 3}, 20)
				time.Sleep(20 * time.Millisecond) // virtual
			}
			synctest.Wait()
			for _, h := range p.take() {
				if h.receiver == "ann" && h.talker == "cat" {
					r.cat = append(r.cat, fmt.Sprint(h.at.Sub(began), h.seq, h.marker, h.gain))
				}
			}
			r.snap = p.srv.Snapshot()
			close(end)
			time.Sleep(time.Minute) // virtual: whoever sleeps comes back
		})
		return r
	}
	without := listen(t, nil, nil)
	if len(without.cat) != frames {
		t.Fatalf("ann heard %d packets of cat, not %d", len(without.cat), frames)
	}
	packet := func(bad func()) hooks.Plugin {
		return hooks.Plugin{Name: "bad", Packet: func(tr hooks.TrackInfo) hooks.PacketHook {
			if tr.UserID != "ben" {
				return nil
			}
			return func([]byte) bool { bad(); return true }
		}}
	}
	observe := func(bad func()) hooks.Plugin { return hooks.Plugin{Name: "bad", Observe: func(hooks.Event) { bad() }} }
	volumes := func(bad func()) hooks.Plugin {
		return hooks.Plugin{Name: "bad", Volumes: func(hooks.RoomVolumes) { bad() }}
	}
	sleep := func(chan struct{}) { time.Sleep(5 * time.Millisecond) }
	hang := func(end chan struct{}) { <-end }
	oh := func(chan struct{}) { panic("oh") }
	leak := func(end chan struct{}) { go func() { <-end }() }
	kept := make([][]byte, 0, frames)
	keep := func(func()) hooks.Plugin {
		return hooks.Plugin{Name: "bad", Packet: func(tr hooks.TrackInfo) hooks.PacketHook {
			if tr.UserID != "ben" {
				return nil
			}
			return func(p []byte) bool { // it keeps all that it is handed, and scribbles on it
				kept = append(kept, p)
				for _, old := range kept {
					clear(old[12:])
				}
				return true
			}
		}}
	}
	for name, c := range map[string]struct {
		plugin func(bad func()) hooks.Plugin
		hook   string
		bad    func(end chan struct{})
		check  func(h engine.HookStats) bool
	}{
		"a packet hook sleeps":           {packet, "Packet", sleep, func(h engine.HookStats) bool { return h.Late == 25 && h.TakenOff == 1 }},
		"a packet hook hangs":            {packet, "Packet", hang, func(h engine.HookStats) bool { return h.Running == 1 }},
		"a packet hook panics":           {packet, "Packet", oh, func(h engine.HookStats) bool { return h.Panics == 3 && h.TakenOff == 1 }},
		"a packet hook leaks goroutines": {packet, "Packet", leak, func(h engine.HookStats) bool { return h.Time.Count() == frames+2 }},
		"a packet hook keeps its slice":  {keep, "Packet", nil, func(h engine.HookStats) bool { return h.Time.Count() == frames+2 && h.Panics == 0 }},
		"an observer sleeps":             {observe, "Observe", sleep, func(h engine.HookStats) bool { return h.Time.Count() >= 6 && h.Time.Sum >= 0.03 }},
		"an observer hangs":              {observe, "Observe", hang, func(h engine.HookStats) bool { return h.Running == 1 }},
		"an observer panics":             {observe, "Observe", oh, func(h engine.HookStats) bool { return h.Panics >= 6 }},
		"who is told of volumes hangs":   {volumes, "Volumes", hang, func(h engine.HookStats) bool { return h.Running == 1 }},
		"who is told of volumes panics":  {volumes, "Volumes", oh, func(h engine.HookStats) bool { return h.Panics >= 20 }},
		"who is told of volumes leaks":   {volumes, "Volumes", leak, func(h engine.HookStats) bool { return h.Time.Count() >= 20 }},
	} {
		t.Run(name, func(t *testing.T) {
			r := listen(t, c.plugin, c.bad)
			if fmt.Sprint(r.cat) != fmt.Sprint(without.cat) {
				t.Errorf("ann heard of cat\n%v\nand without the hook\n%v", r.cat, without.cat)
			}
			if h := hookStats(r.snap, "bad", c.hook); !c.check(h) {
				t.Errorf("the metrics say %+v", h)
			}
		})
	}
}
