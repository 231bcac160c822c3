package record

import (
	"math"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	frame = 960 // samples of 20 ms
	// heardWait is how long a block waits for those of other users.
	heardWait = 100 * time.Millisecond
)

// A heard is all who may be recorded, together in one file. Guarded by
// Recording.mu.
type heard struct {
	rec     *Recording
	file    oggFile
	at      time.Time // of the block that is added up; zero if there is none
	after   int64     // the end of the last block
	encoded bool
	sum     [frame]int32
	pcm     [frame]int16
	packet  [codec.MaxPacketSize]byte
}

// add takes a block of a user. Those that belong together have the same time.
func (h *heard) add(b hooks.TapSound) {
	if len(b.PCM) != frame || b.Channels != 1 {
		return
	}
	if !b.Time.Equal(h.at) {
		h.write()
		h.at = b.Time
	}
	for i, v := range b.PCM {
		h.sum[i] += int32(v)
	}
}

// write encodes the block.
func (h *heard) write() {
	if h.at.IsZero() {
		return
	}
	for i, v := range h.sum {
		h.pcm[i] = squeeze(v)
		h.sum[i] = 0
	}
	at := samplesAt(h.at.Sub(h.rec.began), codec.SampleRate)
	h.at = time.Time{}
	n, err := h.rec.cfg.Encoder.Encode(h.pcm[:], h.packet[:])
	if err != nil {
		if h.file.open() {
			h.file.check(err)
		}
		return
	}
	if n == 0 {
		return // discontinuous transmission: the file is filled up
	}
	follows := h.encoded && at-h.after < 2 && h.after-at < 2
	h.encoded, h.after = true, at+frame
	h.file.put(h.packet[:n], at, follows, false)
}

// squeeze is v where several voices together are no louder than one may be, and
// bends what is above three quarters of it.
func squeeze(v int32) int16 {
	const knee = 3 * math.MaxInt16 / 4
	if v <= knee && v >= -knee {
		return int16(v)
	}
	const room = math.MaxInt16 - knee
	x := float64(max(v, -v) - knee)
	y := int16(knee + x*room/(x+room))
	if v < 0 {
		return -y
	}
	return y
}

func (h *heard) tick(now time.Time) {
	if now.Sub(h.at) > heardWait {
		h.write()
	}
	h.file.tick()
}

func (h *heard) end(now time.Time) {
	h.write()
	h.file.end(samplesAt(now.Sub(h.rec.began), codec.SampleRate))
}
