package record

import (
	"math"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	frame = 960 // samples of 20 ms
	// heardWait is how long a frame waits for voices: they come out of jitter
	// buffers, later than the packets that they are of.
	heardWait = 400 * time.Millisecond
	// heardFrames is how many frames may wait.
	heardFrames = 32
)

// A heard is several voices together in one file: all who may be recorded, or
// those whom one user hears. Guarded by Recording.mu.
type heard struct {
	rec      *Recording
	file     oggFile
	enc      Encoder
	channels int

	// pos is where the first frame that waits begins, in samples from the
	// recording's beginning. The frame at p is waiting[p/frame%heardFrames].
	pos     int64
	waiting [heardFrames]struct {
		used bool
		sum  [2 * frame]int32
	}
	used    int // of those
	voices  map[string]*voice
	after   int64 // the end of the last packet
	encoded bool
	block   []int16 // of a voice, with the file's channels
	pcm     [2 * frame]int16
	packet  [codec.MaxPacketSize]byte
}

// newHeard is one that has nothing yet; enc takes so many channels.
func newHeard(r *Recording, user, ext string, enc Encoder, channels int) *heard {
	return &heard{rec: r, file: oggFile{rec: r, user: user, ext: ext, channels: channels}, enc: enc, channels: channels}
}

// add takes a block of what a user says.
func (h *heard) add(s *speaker, b hooks.TapSound) {
	if b.Channels != 1 && b.Channels != 2 || len(b.PCM) == 0 || len(b.PCM) > b.Channels*frame || len(b.PCM)%b.Channels != 0 || h.file.failed {
		return
	}
	h.write(time.Since(h.rec.began) - heardWait)
	v := h.voices[b.UserID]
	if v == nil {
		if h.voices == nil {
			h.voices = make(map[string]*voice)
		}
		v = new(voice)
		h.voices[b.UserID] = v
	}
	h.block = h.block[:0]
	for i := 0; i < len(b.PCM); i += b.Channels {
		left, right := b.PCM[i], b.PCM[i+b.Channels-1]
		if h.channels == 1 {
			left = int16((int32(left) + int32(right)) / 2)
			h.block = append(h.block, left)
		} else {
			h.block = append(h.block, left, right)
		}
	}
	v.add(h, h.block, b.Track, s.place(b))
}

// lay adds sound at a place. What is before the frames that wait is too late for it.
func (h *heard) lay(at int64, pcm []int16, weight func(i int64) float32) {
	n := int64(len(pcm) / h.channels)
	if at+n > h.pos+heardFrames*frame {
		return // from the future
	}
	for i := max(0, h.pos-at); i < n; i++ {
		f := &h.waiting[(at+i)/frame%heardFrames]
		if !f.used {
			f.used = true
			h.used++
		}
		w := weight(i)
		for c := range int64(h.channels) {
			f.sum[(at+i)%frame*int64(h.channels)+c] += int32(w * float32(pcm[i*int64(h.channels)+c]))
		}
	}
}

// write encodes the frames that end before a time.
func (h *heard) write(until time.Duration) {
	for end := samplesAt(until, codec.SampleRate); h.pos+frame <= end; h.pos += frame {
		if h.used == 0 { // nobody was heard for perhaps long
			h.pos = end / frame * frame
			return
		}
		f := &h.waiting[h.pos/frame%heardFrames]
		if !f.used {
			continue
		}
		f.used = false
		h.used--
		pcm := h.pcm[:h.channels*frame]
		for i := range pcm {
			pcm[i] = squeeze(f.sum[i])
			f.sum[i] = 0
		}
		h.encode(pcm)
	}
}

func (h *heard) encode(pcm []int16) {
	n, err := h.enc.Encode(pcm, h.packet[:])
	if err != nil {
		if h.file.open() {
			h.file.check(err)
		}
		return
	}
	if n == 0 {
		return // discontinuous transmission: the file is filled up
	}
	follows := h.encoded && h.after == h.pos
	h.encoded, h.after = true, h.pos+frame
	h.file.put(h.packet[:n], h.pos, follows, false)
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
	h.write(now.Sub(h.rec.began) - heardWait)
	h.file.tick()
}

func (h *heard) end(now time.Time) {
	at := now.Sub(h.rec.began)
	h.write(at + timeOf(frame, codec.SampleRate))
	h.file.end(samplesAt(at, codec.SampleRate))
}
