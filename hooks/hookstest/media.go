package hookstest

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

const (
	// budget is how long a media hook may take, and maxOverruns how often in a
	// row it may take longer before the engine takes it off.
	budget      = time.Millisecond
	maxOverruns = 25
	// maxPacket is the size of the largest RTP packet.
	maxPacket = 1150
	headerLen = 12
)

// packet makes an RTP packet (RFC 3550 section 5.1) with a random payload,
// with room behind it as in the engine's buffer.
func packet(n, size int) (p, room []byte) {
	room = make([]byte, maxPacket)
	for i := range room {
		room[i] = byte(rand.Uint32())
	}
	room[0], room[1] = 0x80, 111
	binary.BigEndian.PutUint16(room[2:], uint16(n))
	binary.BigEndian.PutUint32(room[4:], uint32(n)*960)
	binary.BigEndian.PutUint32(room[8:], 0x1234)
	return room[:size], room
}

// packets checks Packet and the hooks that it gives.
func packets(t testing.TB, bind func(hooks.TrackInfo) hooks.PacketHook) {
	t.Helper()
	for _, s := range hostile {
		var h hooks.PacketHook
		if err := contained(deadline, func() { h = bind(hooks.TrackInfo{CallID: s, UserID: s, Video: len(s)%2 == 1}) }); err != nil {
			t.Errorf("asked for the track of %.40q: %v", s, err)
			return
		}
		if h == nil {
			continue
		}
		if err := contained(deadline, func() {
			p, _ := packet(1, 100)
			h(p)
		}); err != nil {
			t.Errorf("the hook on the track of %.40q: %v", s, err)
			return
		}
	}
	for _, video := range []bool{false, true} {
		h := bind(hooks.TrackInfo{CallID: "c", UserID: "alice", Video: video})
		if h == nil {
			continue
		}
		spoilt := false
		media(t, "packet hook", func(n int) {
			p, room := packet(n, headerLen+1+n*37%(maxPacket-headerLen))
			before := slices.Clone(room)
			h(p)
			switch {
			case spoilt:
			case !bytes.Equal(room[:headerLen], before[:headerLen]):
				spoilt = true
				t.Errorf("the hook changed the packet's header: only the payload is its to change")
			case !bytes.Equal(room[len(p):], before[len(p):]):
				spoilt = true
				t.Errorf("the hook wrote beyond the packet's end: its length is not its to change")
			}
			clear(room) // the slice is the engine's again; the race detector sees who reads it
		}, func() func() {
			p, _ := packet(1, 172)
			return func() { h(p) }
		})
	}
	// Each track's hook is called on one goroutine, tracks beside one another.
	together(t, func(i int) {
		h := bind(hooks.TrackInfo{CallID: "c", UserID: string(rune('a' + i)), Video: i%2 == 1})
		for n := range 50 {
			if h != nil {
				p, _ := packet(n, 200)
				h(p)
			}
		}
	})
}

// processors checks Processor, or another that gives hooks on sound, and the
// hooks that it gives.
func processors(t testing.TB, bind func(hooks.TrackInfo) hooks.PCMHook) {
	t.Helper()
	for _, s := range hostile {
		var h hooks.PCMHook
		if err := contained(deadline, func() { h = bind(hooks.TrackInfo{CallID: s, UserID: s}) }); err != nil {
			t.Errorf("asked for the sound of %.40q: %v", s, err)
			return
		}
		if h == nil {
			continue
		}
		if err := contained(deadline, func() { h(make([]int16, 960)) }); err != nil {
			t.Errorf("the hook on the sound of %.40q: %v", s, err)
			return
		}
	}
	if h := bind(hooks.TrackInfo{CallID: "c", UserID: "alice"}); h != nil {
		blocks(t, "processor", h)
	}
	// Talkers of several rooms are mixed beside one another.
	together(t, func(i int) {
		h := bind(hooks.TrackInfo{CallID: "c", UserID: string(rune('a' + i))})
		for range 50 {
			if h != nil {
				h(make([]int16, 960))
			}
		}
	})
}

// media checks how a media hook takes 300 frames, and that it allocates
// nothing. one makes a call to be measured.
func media(t testing.TB, what string, frame func(n int), one func() func()) {
	t.Helper()
	overruns := 0
	err := contained(10*deadline, func() {
		call := one()
		for range 2 * maxOverruns {
			start := time.Now()
			call()
			if time.Since(start) <= budget {
				overruns = 0
			} else if overruns++; overruns == maxOverruns {
				return
			}
		}
		for n := range 300 {
			frame(n)
		}
	})
	switch {
	case err != nil:
		t.Errorf("the %s %v", what, err)
		return
	case overruns == maxOverruns:
		t.Errorf("the %s took longer than %v, %d times in a row: the engine would take it off", what, budget, maxOverruns)
		return
	}
	if raceEnabled {
		return // the detector allocates
	}
	if n := testing.AllocsPerRun(100, one()); n > 0 {
		t.Errorf("the %s allocates %v times a call", what, n)
	}
}
