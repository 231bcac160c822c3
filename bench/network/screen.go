package network

import (
	"slices"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/engine"
)

// A freeze is a picture that stands for longer than this.
const freeze = 200 * time.Millisecond

// A Screen notes what it is shown of a Camera's frames. It implements
// engine.VideoSink; its zero value is ready.
type Screen struct {
	mu     sync.Mutex
	frames []shown
	broken int
}

// shown is a frame that a decoder could have decoded.
type shown struct {
	number       int
	captured, at time.Time
	bytes        int
}

// WriteFrame notes a frame. One that is damaged, or that refers to one that was
// not shown, counts as broken.
func (s *Screen) WriteFrame(f engine.VideoFrame) {
	now := time.Now()
	number, captured, ok := readStamp(f)
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.frames)
	if !ok || !f.KeyFrame && (n == 0 || s.frames[n-1].number+1 != number) || n > 0 && number <= s.frames[n-1].number {
		s.broken++
		return
	}
	s.frames = append(s.frames, shown{number, captured, now, len(f.Data)})
}

func (s *Screen) all() (frames []shown, broken int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.frames), s.broken
}

// Video is how a call looked.
type Video struct {
	// Sent is how many frames the camera took from the first one shown on that
	// was taken after the view began, but for those of the last half second, which may be under way; Shown those of
	// them that were shown. Broken ones were shown that no decoder could have
	// decoded: there should be none.
	Sent, Shown, Broken int
	// First is from StartRemoteView to the first picture; negative if none came.
	First time.Duration
	// Freezes is how often the picture stood for over 200 ms once there was one,
	// and Longest the longest time that it stood.
	Freezes int
	Longest time.Duration
	// DelayP50 and DelayP99 are from a frame's capture to its showing.
	DelayP50, DelayP99 time.Duration
	// Bitrate is what was shown, in bits per second, and KeyFrames how many key
	// frames the camera was asked for.
	Bitrate   float64
	KeyFrames int
}

// Share is how much of the video was shown, 0 to 1.
func (v Video) Share() float64 {
	if v.Sent == 0 {
		return 0
	}
	return float64(v.Shown) / float64(v.Sent)
}

// watched says how what a screen showed looked between two times.
func watched(s *Screen, cam *Camera, from, to time.Time) Video {
	frames, broken := s.all()
	v := Video{Broken: broken, First: -1, KeyFrames: cam.KeyFramesAsked()}
	if len(frames) == 0 {
		return v
	}
	v.First = frames[0].at.Sub(from)
	const underWay = 500 * time.Millisecond
	var delays []time.Duration
	bytes, last := 0, frames[0].at
	for _, f := range append(frames, shown{at: to}) {
		stood := f.at.Sub(last)
		if stood > freeze {
			v.Freezes++
		}
		v.Longest = max(v.Longest, stood)
		last = f.at
	}
	// What there was before comes at once, to have a picture: it is not counted.
	live := slices.IndexFunc(frames, func(f shown) bool { return !f.captured.Before(from) })
	if live < 0 {
		return v
	}
	frames = frames[live:]
	for _, f := range frames {
		if f.captured.Before(to.Add(-underWay)) {
			v.Shown++
		}
		bytes += f.bytes
		delays = append(delays, f.at.Sub(f.captured))
	}
	v.Sent = cam.framesBefore(to.Add(-underWay), frames[0].number)
	v.Bitrate = float64(8*bytes) / to.Sub(frames[0].at).Seconds()
	v.DelayP50, v.DelayP99 = quantile(delays, 0.5), quantile(delays, 0.99)
	return v
}

// bitrate is what was shown between two times, in bits per second.
func bitrate(frames []shown, from, to time.Time) float64 {
	bytes := 0
	for _, f := range frames {
		if !f.at.Before(from) && f.at.Before(to) {
			bytes += f.bytes
		}
	}
	return float64(8*bytes) / to.Sub(from).Seconds()
}

// quantile is the q-quantile (the nearest rank), or 0 of none. It sorts d.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}
