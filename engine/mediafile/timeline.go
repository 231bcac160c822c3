package mediafile

import (
	"errors"
	"io"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/ivf"
	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/engine"
)

const (
	// maxSkew is how far a stream's own times may be from those of arrival.
	maxSkew = 200 * time.Millisecond
	// maxHeld is how many packets are kept for a picture at most.
	maxHeld      = 8192
	maxHeldBytes = 4 << 20
)

// timeline lays picture and sound on the clock of the file. It is the writing
// goroutine's own.
type timeline struct {
	r   *Recorder
	w   io.Writer
	cfg Config
	out container // nil before the file begins
	// begun is when that was, which is 0 in the file.
	begun time.Time
	video bool // the file has a picture

	held      []heldPacket // sound before the file begins
	heldBytes int

	offset    time.Duration // from a frame's own time to the file's
	lastVideo time.Duration // below 0 before the first

	enc    codec.Encoder
	pcm    []int16   // the beginning of a frame
	heard  bool      // next is known
	next   time.Time // when the next sample belongs
	last   time.Duration
	packet [codec.MaxPacketSize]byte
}

type heldPacket struct {
	at   time.Time
	data []byte
}

// container is a file in one of the formats.
type container interface {
	writeVideo(data []byte, at time.Duration, key bool) error
	writeAudio(packet []byte, at time.Duration) error
	Close() error
}

// write takes one item. Its error ends the recording.
func (t *timeline) write(it *item) error {
	switch it.kind {
	case kindVideo:
		return t.writeVideo(it.frame, it.data, it.at)
	case kindOpus:
		d, err := codec.PacketDuration(it.data)
		if err != nil {
			t.drop(kindOpus)
			return nil
		}
		at, ok := t.place(it.at.Add(-d), 0)
		if !ok {
			return nil
		}
		t.next = at.Add(d)
		return t.writeAudio(it.data, at)
	default:
		return t.encode(it.pcm, it.at)
	}
}

func (t *timeline) drop(k kind) {
	if k == kindVideo {
		t.r.video.Add(1)
	} else {
		t.r.audio.Add(1)
	}
}

func (t *timeline) writeVideo(f engine.VideoFrame, data []byte, arrival time.Time) error {
	if t.out == nil {
		h, ok := vp8.ParseFrameHeader(data)
		if !ok || !h.KeyFrame || h.Width == 0 || h.Height == 0 {
			t.drop(kindVideo)
			return nil
		}
		if err := t.begin(arrival, h.Width, h.Height); err != nil {
			return err
		}
		t.lastVideo = -minStep
		if err := t.release(); err != nil {
			return err
		}
	}
	if !t.video {
		t.drop(kindVideo)
		return nil
	}
	at := arrival.Sub(t.begun)
	if d := f.Time + t.offset - at; t.lastVideo < 0 || d > maxSkew || d < -maxSkew {
		t.offset = at - f.Time
	}
	at = max(f.Time+t.offset, t.lastVideo+minStep)
	t.lastVideo = at
	return t.wrote(kindVideo, at, t.out.writeVideo(data, at, f.KeyFrame))
}

// place says when a stretch of sound begins that arrived as one from start on:
// where the last one ended, if that is near. It reports false, and counts it, if
// there is more sound than time.
func (t *timeline) place(start time.Time, waiting time.Duration) (time.Time, bool) {
	next := t.next.Add(waiting)
	switch d := start.Sub(next); {
	case !t.heard || d > maxSkew:
		t.heard = true
		return start, true
	case d < -maxSkew:
		t.drop(kindOpus)
		return start, false
	}
	return next, true
}

// encode makes packets of PCM. A frame that a pause falls into is filled up with
// silence.
func (t *timeline) encode(pcm []int16, arrival time.Time) error {
	ch := t.cfg.Encoder.Channels
	size := t.cfg.Encoder.FrameSamples() * ch
	waiting := duration(int64(len(t.pcm) / ch))
	at, ok := t.place(arrival.Add(-duration(int64(len(pcm)/ch))), waiting)
	if !ok {
		return nil
	}
	if len(t.pcm) > 0 && !at.Equal(t.next.Add(waiting)) {
		t.pcm = append(t.pcm, make([]int16, size-len(t.pcm))...)
		if err := t.encodeFrame(t.pcm); err != nil {
			return err
		}
		t.pcm = t.pcm[:0]
	}
	if len(t.pcm) == 0 {
		t.next = at
	}
	t.pcm = append(t.pcm, pcm...)
	n := 0
	for ; len(t.pcm)-n >= size; n += size {
		if err := t.encodeFrame(t.pcm[n : n+size]); err != nil {
			return err
		}
	}
	t.pcm = append(t.pcm[:0], t.pcm[n:]...)
	return nil
}

func (t *timeline) encodeFrame(pcm []int16) error {
	n, err := t.enc.Encode(pcm, t.packet[:])
	if err != nil {
		return err
	}
	at := t.next
	t.next = at.Add(t.cfg.Encoder.FrameDuration)
	if n == 0 {
		return nil // discontinuous transmission: the file has a gap
	}
	return t.writeAudio(t.packet[:n], at)
}

// writeAudio writes a packet whose sound begins at at, or keeps it for the
// picture that the file is to begin with.
func (t *timeline) writeAudio(packet []byte, at time.Time) error {
	if t.out == nil {
		t.held = append(t.held, heldPacket{at, append([]byte(nil), packet...)})
		t.heldBytes += len(packet)
		if t.cfg.NoVideo || at.Sub(t.held[0].at) >= t.cfg.VideoWait || len(t.held) == maxHeld || t.heldBytes > maxHeldBytes {
			return t.beginWithSound()
		}
		return nil
	}
	since := at.Sub(t.begun)
	if since < 0 {
		return nil // before the file begins
	}
	since = max(since, t.last)
	t.last = since
	return t.wrote(kindOpus, since, t.out.writeAudio(packet, since))
}

// wrote counts what the container refused, and notes how long the file is.
func (t *timeline) wrote(k kind, at time.Duration, err error) error {
	if errors.Is(err, webm.ErrFrame) || errors.Is(err, ivf.ErrFrame) {
		t.drop(k)
		return nil
	}
	if err == nil {
		t.r.length.Store(max(t.r.length.Load(), int64(at)))
	}
	return err
}

// begin begins the file: with a picture if that has a width.
func (t *timeline) begin(at time.Time, width, height int) (err error) {
	t.begun, t.video = at, width > 0
	if t.cfg.Format == IVF {
		t.out, err = newIVFFile(t.w, width, height)
	} else {
		t.out, err = newWebMFile(t.w, t.cfg, width, height)
	}
	return err
}

// beginWithSound begins it without one.
func (t *timeline) beginWithSound() error {
	if err := t.begin(t.held[0].at, 0, 0); err != nil {
		return err
	}
	return t.release()
}

// release writes the sound that was kept.
func (t *timeline) release() error {
	held := t.held
	t.held, t.heldBytes = nil, 0
	for _, p := range held {
		if err := t.writeAudio(p.data, p.at); err != nil {
			return err
		}
	}
	return nil
}

// close writes what is left, and completes the file.
func (t *timeline) close() error {
	if len(t.pcm) > 0 {
		size := t.cfg.Encoder.FrameSamples() * t.cfg.Encoder.Channels
		if err := t.encodeFrame(append(t.pcm, make([]int16, size-len(t.pcm))...)); err != nil {
			return err
		}
	}
	if t.out == nil && len(t.held) > 0 {
		if err := t.beginWithSound(); err != nil {
			return err
		}
	}
	if t.out == nil {
		return ErrNothing
	}
	return t.out.Close()
}
