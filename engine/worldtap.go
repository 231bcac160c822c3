package engine

import (
	"encoding/binary"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// A tap on what a player of a world hears is given the packets that they are sent,
// with gain and pan, and plays them as a client in stereo does. It is not on the
// tick, which only copies.

// listenTo puts a tap on what a player hears, whether they are there or not.
// Server.mu is held.
func (w *World) listenTo(tp *tap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ears = append(w.ears, tp)
	w.prick(w.members[tp.userID])
}

// dropEars ends a tap. Server.mu is held.
func (w *World) dropEars(tp *tap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ears = without(w.ears, tp)
	w.prick(w.members[tp.userID])
}

// prick gives a member the taps on what they hear. mu is held.
func (w *World) prick(m *member) {
	if m == nil {
		return
	}
	var ears []*tap
	for _, tp := range w.ears {
		if tp.userID == m.userID {
			ears = append(ears, tp)
		}
	}
	if len(ears) == 0 {
		m.ears.Store(nil)
		return
	}
	m.ears.Store(&ears)
}

// overhear gives taps a packet as a player is sent it. It is a worker's of the
// tick.
func overhear(ears []*tap, s *spoken, packet []byte, v *audience.Voice) {
	at := payloadOf(packet)
	for _, tp := range ears {
		it := tp.item()
		if it == nil {
			tp.dropped.Add(1)
			continue
		}
		it.t, it.arrival, it.marker = s.t, s.arrival, packet[1]&0x80 != 0
		it.seq, it.ts = binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[4:])
		it.gain, it.pan = v.Gain, v.Pan
		it.data = append(it.data[:0], packet[at:]...)
		tp.push(it)
	}
}

// A blend is all that one hears, in stereo.
type blend struct {
	sum     [2 * frameSamples]int32
	pcm     [2 * frameSamples]int16
	limiter mixer.Limiter
}

// heardRest is for how long after its last packet a voice is kept that may come
// into hearing again.
const heardRest = 5 * time.Second

// add adds a voice's next block.
func (b *blend) add(v *tapVoice, pcm []int16) { v.space.add(b.sum[:], pcm, 1, true) }

// one is a voice's next block by itself, in stereo as it is heard.
func (b *blend) one(v *tapVoice, pcm []int16) []int16 {
	b.add(v, pcm)
	mixer.Saturate(b.pcm[:], b.sum[:])
	clear(b.sum[:])
	return b.pcm[:]
}

// take is the block, and begins the next.
func (b *blend) take(userID string, due time.Time) hooks.TapSound {
	b.limiter.Process(b.pcm[:], b.sum[:])
	clear(b.sum[:])
	return hooks.TapSound{UserID: userID, PCM: b.pcm[:], Channels: 2, Time: due}
}

// tell is how loud and from which side a voice is heard from now on.
func (s *space) tell(gain, pan int8) {
	s.told.Store(uint32(uint8(gain))<<8 | uint32(uint8(pan)))
}
