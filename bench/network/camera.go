package network

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine"
)

const (
	frameRate   = 25
	frameStep   = time.Second / frameRate
	keySize     = 5   // times that of a mean frame
	repay       = 0.3 // of a frame at most, to make up for a key frame
	minBitrate  = 30_000
	unevenness  = 0.2 // frames differ in size by so much
	keyHeader   = 10  // bytes, RFC 6386 section 9.1
	deltaHeader = 3
	stampBytes  = 16 // CRC, number, time of capture
)

// A Camera makes frames that are VP8 in their headers and noise behind them, as
// an encoder with a rate control would: 25 a second, the first a key frame and
// others when asked for, five times as large and made up for by the frames that
// follow. It implements engine.VideoSource and engine.KeyFramer. One goroutine
// reads, the other methods may be called from any.
type Camera struct {
	most   int // bit/s
	rng    *rand.Rand
	buf    []byte
	start  time.Time
	number int
	debt   float64 // bytes above the bitrate

	mu       sync.Mutex
	target   int
	wanted   bool
	asked    int
	captured []time.Time // each frame
}

// NewCamera makes a camera of so many bits per second, which SetBitrate can
// lower.
func NewCamera(bps int, seed uint64) *Camera {
	return &Camera{most: bps, target: bps, wanted: true, rng: rand.New(rand.NewPCG(seed, 1))}
}

// SetBitrate changes the bitrate, within 30 kbit/s and what the camera was made
// with.
func (c *Camera) SetBitrate(bps int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = min(max(bps, minBitrate), c.most)
}

// RequestKeyFrame makes the next frame a key frame.
func (c *Camera) RequestKeyFrame() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted = true
	c.asked++
}

// KeyFramesAsked is how often a key frame was requested.
func (c *Camera) KeyFramesAsked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// framesBefore is how many frames were captured before t, from number first on.
func (c *Camera) framesBefore(t time.Time, first int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, _ := slices.BinarySearchFunc(c.captured, t, time.Time.Compare)
	return max(0, n-first)
}

// ReadFrame returns the next frame when it is due. Its data is the camera's,
// until the next call.
func (c *Camera) ReadFrame(ctx context.Context) (engine.VideoFrame, error) {
	if c.start.IsZero() {
		c.start = time.Now()
	}
	at := time.Duration(c.number) * frameStep
	t := time.NewTimer(time.Until(c.start.Add(at)))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
		return engine.VideoFrame{}, ctx.Err()
	}
	now := time.Now()
	c.mu.Lock()
	key, mean := c.wanted, float64(c.target)/8/frameRate
	c.wanted = false
	c.captured = append(c.captured, now)
	c.mu.Unlock()
	f := engine.VideoFrame{Time: at, KeyFrame: key}
	if key {
		f.Width, f.Height = 640, 360
	}
	f.Data = c.frame(key, c.size(key, mean), now)
	c.number++
	return f, nil
}

// size is how many bytes the next frame has.
func (c *Camera) size(key bool, mean float64) int {
	size := mean * (1 + unevenness*(2*c.rng.Float64()-1))
	if key {
		size *= keySize
	} else {
		size -= min(max(c.debt, 0), repay*mean)
	}
	c.debt += size - mean
	return max(int(size), keyHeader+stampBytes)
}

// frame makes one: header, CRC-32 of what follows, number, time of capture,
// noise.
func (c *Camera) frame(key bool, size int, now time.Time) []byte {
	for len(c.buf) < size {
		c.buf = binary.LittleEndian.AppendUint64(c.buf, c.rng.Uint64())
	}
	f := c.buf[:size]
	const shown, firstPartition = 0x10, stampBytes
	f[0], f[1], f[2] = shown|firstPartition&7<<5, firstPartition>>3, 0
	body := f[deltaHeader:]
	if key {
		copy(f[3:], []byte{0x9d, 0x01, 0x2a, 640 & 0xff, 640 >> 8, 360 & 0xff, 360 >> 8})
		body = f[keyHeader:]
	} else {
		f[0] |= 1
	}
	binary.LittleEndian.PutUint32(body[4:], uint32(c.number))
	binary.LittleEndian.PutUint64(body[8:], uint64(now.UnixNano()))
	binary.LittleEndian.PutUint32(body, crc32.ChecksumIEEE(body[4:]))
	return f
}

// readStamp reads what frame wrote; ok is false if the frame is not whole.
func readStamp(f engine.VideoFrame) (number int, captured time.Time, ok bool) {
	header := deltaHeader
	if f.KeyFrame {
		header = keyHeader
	}
	if len(f.Data) < header+stampBytes {
		return 0, time.Time{}, false
	}
	body := f.Data[header:]
	if crc32.ChecksumIEEE(body[4:]) != binary.LittleEndian.Uint32(body) {
		return 0, time.Time{}, false
	}
	return int(binary.LittleEndian.Uint32(body[4:])), time.Unix(0, int64(binary.LittleEndian.Uint64(body[8:]))), true
}
