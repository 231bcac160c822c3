package engine

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

const (
	defaultVolumeInterval = 300 * time.Millisecond
	minVolumeInterval     = 100 * time.Millisecond
	// warnEvery is how often a listener is told that a track does not decode.
	warnEvery = time.Second
)

// EnableAudioVolumeEvaluation sets how often OnUserVoiceVolume comes during a
// call: every interval, at least 100 ms; zero or less turns it off. It is on
// at 300 ms from the start, and a change takes effect with the next call or,
// in a call, with the next tick.
func (c *Client) EnableAudioVolumeEvaluation(interval time.Duration) {
	if interval > 0 {
		interval = max(interval, minVolumeInterval)
	}
	c.mu.Lock()
	c.interval = interval
	c.mu.Unlock()
}

// runVolumes tells the listener how loud everybody is until ctx ends.
func (c *Client) runVolumes(ctx context.Context) {
	defer c.wg.Done()
	var floor mixer.DominantSpeaker
	last := time.Now()
	for {
		c.mu.Lock()
		interval := c.interval
		c.mu.Unlock()
		wait := interval
		if wait <= 0 {
			wait = warnEvery
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		c.warnUndecodable()
		volumes, total := c.play.meter.Take(nil, c.cfg.UserID)
		now := time.Now()
		elapsed := now.Sub(last)
		last = now
		if interval <= 0 {
			continue
		}
		if user, changed := floor.Update(elapsed, volumes); changed {
			c.cb.post(func(l hooks.Listener) { l.OnDominantSpeaker(user) })
		}
		out := make([]hooks.UserVolume, len(volumes))
		for i, v := range volumes {
			out[i] = hooks.UserVolume(v)
		}
		c.cb.postLatest(latestVolumes, func(l hooks.Listener) { l.OnUserVoiceVolume(slices.Clone(out), total) })
	}
}

// warnUndecodable tells of tracks whose packets do not decode.
func (c *Client) warnUndecodable() {
	now := time.Now()
	for _, t := range *c.play.list.Load() {
		bad := t.refused.Load()
		if buf := t.buf.Load(); buf != nil {
			bad += buf.Stats().DecodeErrors
		}
		if bad > t.badPackets && now.Sub(t.warned) >= warnEvery {
			t.badPackets, t.warned = bad, now
			c.cb.post(func(l hooks.Listener) {
				l.OnWarning(hooks.CodeAudioDecode, "the sound of "+cmp.Or(t.userID, "the mix")+" does not decode")
			})
		}
	}
}
