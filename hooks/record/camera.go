package record

import (
	"errors"
	"io"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/webm"
	"github.com/earshotrtc/earshot/hooks"
)

const (
	videoRate = 90000
	// A cluster is short: what is lost at most when the process dies, beside the
	// writer's own half second for putting the tracks in order.
	clusterTime = 200 * time.Millisecond
	// videoRest is after how long without a frame all of it is written.
	videoRest = 400 * time.Millisecond
)

// A camera is a user's WebM file: their picture, and their sound from the first
// picture on. Its times are the recording's.
type camera struct {
	track  uint64
	clock  clock
	out    *webm.Writer
	below  io.WriteCloser
	name   string
	failed bool
	wrote  time.Time // the last frame
	last   [2]time.Duration
}

const (
	trackPicture = 0
	trackSound   = 1
)

// picture takes a frame.
func (c *camera) picture(s *speaker, p hooks.TapPacket, at time.Duration) {
	if p.Track != c.track || !c.clock.known {
		c.track, c.clock = p.Track, clock{rate: videoRate}
	}
	ts := c.clock.note(p.Timestamp, 0, at)
	if c.failed || s.ended {
		return
	}
	if c.out == nil {
		if !p.KeyFrame {
			return
		}
		var err error
		c.below, c.name, err = s.rec.open(s.user, ".webm")
		if err == nil {
			c.out, err = webm.NewWriter(c.below, webm.Config{
				Tracks:          []webm.Track{{CodecID: webm.VP8, Width: p.Width, Height: p.Height}, {CodecID: webm.Opus}},
				ClusterDuration: clusterTime,
			})
		}
		if !c.check(s, err) {
			return
		}
	}
	c.write(s, trackPicture, timeOf(c.clock.place(ts), videoRate), p.KeyFrame, p.Data)
}

// sound takes a packet of the user's voice.
func (c *camera) sound(s *speaker, packet []byte, at int64) {
	if c.out != nil {
		c.write(s, trackSound, timeOf(at, codec.SampleRate), true, packet)
	}
}

func (c *camera) write(s *speaker, track int, at time.Duration, key bool, data []byte) {
	if c.failed || s.ended && track == trackPicture {
		return
	}
	at = max(at, c.last[track], 0)
	c.last[track] = at
	c.wrote = time.Now()
	err := c.out.WriteFrame(webm.Frame{Track: track, Time: at, KeyFrame: key, Data: data})
	if errors.Is(err, webm.ErrFrame) {
		return
	}
	c.check(s, err)
}

// check ends the file after an error, and reports whether there was none.
func (c *camera) check(s *speaker, err error) bool {
	if err == nil {
		return true
	}
	c.failed = true
	if c.below != nil {
		err = errors.Join(err, c.below.Close())
	}
	s.rec.failed(s.user, c.name, err)
	return false
}

// tick lets what was written arrive, once nothing more comes.
func (c *camera) tick(now time.Time) {
	if c.out != nil && !c.failed && now.Sub(c.wrote) >= videoRest {
		c.out.Flush() // its error stays, and is the next frame's
	}
}

func (c *camera) end(s *speaker) {
	if c.out == nil || c.failed {
		return
	}
	if c.check(s, c.out.Close()) {
		c.check(s, c.below.Close())
	}
	c.failed = true // nothing more is written
}
