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

// playout is what a client hears: a jitter buffer for each remote track, mixed
// when somebody pulls.
type playout struct {
	log  *slog.Logger
	hook func(userID string) hooks.PCMHook // of the configuration, may be nil

	mu     sync.Mutex // guards tracks
	tracks map[uint64]*playTrack
	list   atomic.Pointer[[]*playTrack] // the same, for the puller

	pulling sync.Mutex // one puller at a time; guards tmp, sum and limiter
	tmp     []int16
	sum     []int32
	limiter mixer.Limiter

	meter mixer.Meter
}

// playTrack is one remote audio track.
type playTrack struct {
	id      uint64
	userID  string
	flow    uint64
	ssrc    uint32
	pt      uint8
	muted   atomic.Bool
	refused atomic.Uint64
	buf     *jitter.Buffer
	hook    *pcmHook
	header  rtp.Header // for the packet handler alone

	warned     time.Time // when the listener was last told of bad packets
	badPackets uint64    // how many it knows of
}

func (p *playout) init(log *slog.Logger, hook func(string) hooks.PCMHook) {
	p.log, p.hook = log, hook
	p.tracks = make(map[uint64]*playTrack)
	p.list.Store(new([]*playTrack))
}

// add starts playing a track.
func (p *playout) add(t *signal.Track, driver codec.Driver, sess transport.Session) error {
	dec, err := driver.NewDecoder(codec.DecoderConfig{})
	if err != nil {
		return err
	}
	buf, err := jitter.New(jitter.Config{Decoder: dec})
	if err != nil {
		return err
	}
	pt := &playTrack{id: t.TrackID, userID: t.UserID, flow: t.Flow, ssrc: t.SSRC, pt: t.PayloadType, buf: buf}
	pt.muted.Store(t.Muted)
	pt.hook = remotePCMHook(p.hook, t.UserID, p.log)
	p.mu.Lock()
	p.tracks[pt.id] = pt
	p.publish()
	p.mu.Unlock()
	return sess.HandleFlow(pt.flow, pt.receive)
}

// publish makes the tracks known to the puller. mu is held.
func (p *playout) publish() {
	list := slices.SortedFunc(maps.Values(p.tracks), func(a, b *playTrack) int { return int(a.id) - int(b.id) })
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
	p.tracks = make(map[uint64]*playTrack)
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
	t.buf.Push(jitter.Packet{
		SequenceNumber: h.SequenceNumber, Timestamp: h.Timestamp, Marker: h.Marker,
		Payload: packet[n:], Arrival: arrival,
	})
}

// ReadPCM fills pcm with what the client hears next: 48 kHz, mono, signed
// 16-bit. It never blocks: the caller, a sound device or a clock, sets the
// pace, and 10 ms (480 samples) at a time gives the least delay. What nobody
// says is silence. One goroutine reads at a time. Volumes and the dropping of
// old sound go by these reads, so read in every call, even if only to discard.
func (c *Client) ReadPCM(pcm []int16) {
	p := &c.play
	now := time.Now()
	p.pulling.Lock()
	defer p.pulling.Unlock()
	if cap(p.tmp) < len(pcm) {
		p.tmp, p.sum = make([]int16, len(pcm)), make([]int32, len(pcm))
	}
	tmp, sum := p.tmp[:len(pcm)], p.sum[:len(pcm)]
	clear(sum)
	for _, t := range *p.list.Load() {
		res := t.buf.Pull(tmp, now)
		if t.muted.Load() {
			continue
		}
		t.hook.process(tmp)
		mixer.Add(sum, tmp)
		if res.HasLevel {
			p.meter.Add(t.userID, res.Level)
		}
	}
	p.limiter.Process(pcm, sum)
}
