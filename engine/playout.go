package engine

import (
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/jitter"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

// playout is what a client hears: a jitter buffer for each remote track, or one
// for the mix, added up when somebody pulls.
type playout struct {
	log    *slog.Logger
	hook   func(userID string) hooks.PCMHook // of the configuration, may be nil
	driver codec.Driver
	stereo bool
	failed func(userID string, err error) // a track cannot be played

	mu     sync.Mutex // guards tracks and gains
	tracks map[uint64]*playTrack
	gains  map[string]float32           // of users, other than 1
	list   atomic.Pointer[[]*playTrack] // the same as tracks, for the puller
	mixed  atomic.Bool                  // there is a mix, so the others are not played

	pulling sync.Mutex // one puller at a time; guards what follows
	tmp     []int16
	sum     []int32
	limiter mixer.Limiter

	meter mixer.Meter
}

// playTrack is one remote audio track.
type playTrack struct {
	p       *playout
	id      uint64
	userID  string // empty for the mix
	mix     bool
	flow    uint64
	ssrc    uint32
	pt      uint8
	level   uint8 // identifier of the header extension with the level
	space   space
	muted   atomic.Bool
	gain    atomic.Uint32 // in 1/256
	refused atomic.Uint64
	buf     atomic.Pointer[jitter.Buffer] // made with the first packet
	hook    *pcmHook
	vad     mixer.VoiceDetector // the puller's own
	header  rtp.Header          // for the packet handler alone
	broken  bool                // likewise: there is no decoder for it

	warned     time.Time // when the listener was last told of bad packets
	badPackets uint64    // how many it knows of
}

func (p *playout) init(cfg ClientConfig, failed func(string, error)) {
	p.log, p.hook, p.driver, p.stereo, p.failed = cfg.Logger, cfg.Remote, cfg.Codec, cfg.Stereo, failed
	p.tracks = make(map[uint64]*playTrack)
	p.list.Store(new([]*playTrack))
}

// add starts playing a track, from its first packet on.
func (p *playout) add(t *signal.Track, sess transport.Session) error {
	pt := &playTrack{
		p: p, id: t.TrackID, userID: t.UserID, mix: t.Mix, flow: t.Flow, ssrc: t.SSRC, pt: t.PayloadType, level: t.LevelExtension,
	}
	pt.space.ext = t.SpaceExtension
	pt.muted.Store(t.Muted)
	if !t.Mix {
		pt.hook = remotePCMHook(p.hook, t.UserID, p.log)
	}
	p.mu.Lock()
	pt.setGain(p.gains)
	p.tracks[pt.id] = pt
	p.publish()
	p.mu.Unlock()
	return sess.HandleFlow(pt.flow, pt.receive)
}

func (t *playTrack) setGain(gains map[string]float32) {
	g, has := gains[t.userID]
	if !has || t.mix { // the server has seen to it in the mix
		g = 1
	}
	t.gain.Store(uint32(g*256 + 0.5))
}

// amplify makes a user louder or quieter, for as long as the call lasts.
func (p *playout) amplify(userID string, gain float32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gains == nil {
		p.gains = make(map[string]float32)
	}
	p.gains[userID] = gain
	for _, t := range p.tracks {
		t.setGain(p.gains)
	}
}

// publish makes the tracks known to the puller. mu is held.
func (p *playout) publish() {
	list := slices.SortedFunc(maps.Values(p.tracks), func(a, b *playTrack) int { return int(a.id) - int(b.id) })
	mixed := slices.ContainsFunc(list, func(t *playTrack) bool { return t.mix })
	if mixed && !p.mixed.Load() { // what the others have left is old
		for _, t := range list {
			if !t.mix {
				t.buf.Store(nil)
			}
		}
	}
	p.mixed.Store(mixed)
	p.list.Store(&list)
}

func (p *playout) remove(id uint64, sess transport.Session) {
	p.mu.Lock()
	t := p.tracks[id]
	delete(p.tracks, id)
	p.publish()
	p.mu.Unlock()
	if t != nil {
		sess.RemoveFlow(t.flow)
	}
}

// of is the track of a user, or nil.
func (p *playout) of(userID string) *playTrack {
	for _, t := range *p.list.Load() {
		if t.userID == userID {
			return t
		}
	}
	return nil
}

func (p *playout) mute(id uint64, muted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t := p.tracks[id]; t != nil {
		t.muted.Store(muted)
	}
}

// clear ends all tracks.
func (p *playout) clear(sess transport.Session) {
	p.mu.Lock()
	tracks := p.tracks
	p.tracks, p.gains = make(map[uint64]*playTrack), nil
	p.publish()
	p.mu.Unlock()
	for _, t := range tracks {
		sess.RemoveFlow(t.flow)
	}
}

// listen makes all tracks take their packets from another session.
func (p *playout) listen(sess transport.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tracks {
		sess.HandleFlow(t.flow, t.receive)
	}
}

// receive takes one packet of the track.
func (t *playTrack) receive(packet []byte, arrival time.Time) {
	if roq.IsRTCP(packet) {
		return
	}
	h := &t.header
	n, err := h.Unmarshal(packet)
	if err != nil || h.SSRC != t.ssrc || h.PayloadType != t.pt {
		t.refused.Add(1)
		return
	}
	if t.mix {
		t.tellLevels(h)
	} else if t.p.mixed.Load() {
		return // sent before the mix was asked for
	}
	t.space.note(h)
	buf := t.buffer()
	if buf == nil {
		return
	}
	buf.Push(jitter.Packet{
		SequenceNumber: h.SequenceNumber, Timestamp: h.Timestamp, Marker: h.Marker,
		Payload: packet[n:], Arrival: arrival,
	})
}

// buffer is the track's jitter buffer; nil if there is no decoder for it.
func (t *playTrack) buffer() *jitter.Buffer {
	if buf := t.buf.Load(); buf != nil || t.broken {
		return buf
	}
	channels := 1
	if t.mix && t.p.stereo {
		channels = 2
	}
	dec, err := t.p.driver.NewDecoder(codec.DecoderConfig{Channels: channels})
	if err == nil {
		var buf *jitter.Buffer
		if buf, err = jitter.New(jitter.Config{Decoder: dec, Channels: channels}); err == nil {
			t.buf.Store(buf)
			return buf
		}
	}
	t.broken = true
	t.p.failed(t.userID, err)
	return nil
}

// tellLevels notes how loud those in the mix are, which their packet says now
// and then (RFC 6465 section 3).
func (t *playTrack) tellLevels(h *rtp.Header) {
	if len(h.CSRC) == 0 {
		return
	}
	levels := h.GetExtension(t.level)
	list := *t.p.list.Load()
	for i, ssrc := range h.CSRC[:min(len(h.CSRC), len(levels))] {
		level := levels[i] & 0x7f
		if level == 127 {
			continue
		}
		for _, u := range list {
			if u.ssrc == ssrc && !u.mix {
				t.p.meter.Add(u.userID, -float64(level), levels[i]>>7 != 0)
				break
			}
		}
	}
}

// ReadPCM fills pcm with what the client hears next: 48 kHz, mono, or with
// ClientConfig.Stereo interleaved stereo, signed 16-bit. It never blocks: the
// caller, a sound device or a clock, sets the pace, and 10 ms (480 samples per
// channel) at a time gives the least delay. What nobody says is silence. One
// goroutine reads at a time. Volumes and the dropping of old sound go by these
// reads, so read in every call, even if only to discard.
func (c *Client) ReadPCM(pcm []int16) {
	p := &c.play
	now := time.Now()
	p.pulling.Lock()
	defer p.pulling.Unlock()
	if cap(p.tmp) < len(pcm) {
		p.tmp, p.sum = make([]int16, len(pcm)), make([]int32, len(pcm))
	}
	sum := p.sum[:len(pcm)]
	clear(sum)
	for _, t := range *p.list.Load() {
		t.play(sum, now)
	}
	p.limiter.Process(pcm, sum)
}

// play adds a track's next sound to sum. Without a packet yet it is silence,
// which only a hook is told of.
func (t *playTrack) play(sum []int32, now time.Time) {
	p, buf := t.p, t.buf.Load()
	if buf == nil && (t.hook == nil || p.mixed.Load()) {
		return
	}
	tmp := p.tmp[:len(sum)]
	if p.stereo && !t.mix {
		tmp = tmp[:len(sum)/2]
	}
	if buf == nil {
		clear(tmp)
	} else if res := buf.Pull(tmp, now); t.mix {
	} else if res.Decoded == 0 {
		t.vad.Silence(len(tmp))
	} else if voice := t.vad.Process(tmp); res.HasLevel && !t.muted.Load() {
		p.meter.Add(t.userID, res.Level, voice)
	}
	if t.muted.Load() {
		return
	}
	t.hook.process(tmp)
	gain := float32(t.gain.Load()) / 256
	switch {
	case gain == 0:
	case t.space.ext != 0:
		t.space.add(sum, tmp, gain, p.stereo)
	case p.stereo && !t.mix:
		mixer.AddStereo(sum, tmp, gain, gain)
	case gain != 1:
		mixer.AddGain(sum, tmp, gain)
	default:
		mixer.Add(sum, tmp)
	}
}
