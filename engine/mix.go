package engine

import (
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/bridge"
	"github.com/earshotrtc/earshot/transport"
)

// MixConfig configures how rooms mix. The zero value is good for talk.
type MixConfig struct {
	// FrameDuration is 10 or 20 ms: 10 ms costs more and delays less. Default
	// 20 ms.
	FrameDuration time.Duration
	// Talkers is how many voices are heard at a time, the loudest, 1 to 15.
	// Default 8.
	Talkers int
	// Bitrate of a mix, 6000 to 256000; one in stereo has half as much again.
	// Default 32000 bit/s.
	Bitrate int
	// Complexity of the encoders, 1 to 10. Default 4.
	Complexity int
	// FramesPerPacket is how many frames of 20 ms a packet holds, 1 to 3, for
	// those in rooms of 16 and more who have said nothing for 10 s. Each
	// further one costs them 20 ms of delay, and saves the server a packet. A
	// server that runs late uses 3 by itself, until it has caught up. Default 1.
	FramesPerPacket int
	// AutoGain evens out how loud the talkers are; volumes do not show it.
	// Default off.
	AutoGain bool
	// NoiseGate silences talkers between their words. Default off.
	NoiseGate bool
	// Spatial is how distance and direction sound to those with a pose: see
	// Server.SetPoses. Default: full loudness up to 10 m, then in inverse
	// proportion, and nothing from 100 m on.
	Spatial mixer.Spatial
	// ClientPoses lets clients say where they are. Default off: positions are
	// the host's to tell, so that nobody listens from where they are not.
	ClientPoses bool
}

func (c MixConfig) bridge(s *Server) bridge.Config {
	return bridge.Config{
		Driver: s.cfg.Codec, FrameDuration: c.FrameDuration, Talkers: c.Talkers, Bitrate: c.Bitrate,
		Complexity: c.Complexity, FramesPerPacket: c.FramesPerPacket, AutoGain: c.AutoGain, NoiseGate: c.NoiseGate,
		Spatial: c.Spatial, PayloadType: audioPayloadType, LevelExtension: mixLevelExtension,
	}
}

// mixLevelExtension is the identifier of the header extension of a mix: who is
// in it, and how loud (RFC 6465).
const mixLevelExtension = 2

// checkMixing finds out whether the server can mix, and refuses a
// configuration that says it does when it cannot. Server.mu is not needed yet.
func (s *Server) checkMixing() error {
	if s.cfg.Codec == nil {
		if s.cfg.Mode == hooks.ModeMix {
			return ErrNoCodec
		}
		return nil
	}
	_, err := bridge.New(s.cfg.Mix.bridge(s))
	if err != nil && s.cfg.Mode == hooks.ModeMix {
		return err
	}
	s.mixes = err == nil
	return nil
}

// A mixing is a room's mix, there while somebody receives it. Guarded by
// Server.mu, but for what the clock's worker calls.
type mixing struct {
	room *room
	br   *bridge.Bridge
	tick *ticker
	ssrc uint32
	legs int

	relieved bool // see relief
	loss     int  // percent: what its encoders are prepared for

	deadline time.Time // of this tick's packets; the worker's own
	stopped  atomic.Bool
}

// A mixedTrack is a track in a mix. steer belongs to its packet handler.
type mixedTrack struct {
	*bridge.Source
	steer steer
}

// A mixLeg is the mix's way to one receiver.
type mixLeg struct {
	m     *mixing
	to    *device
	id    uint64 // as a track
	flow  uint64
	heard *bridge.Receiver
}

// mixed returns the room's mix, and makes it if there is none.
func (r *room) mixed() (*mixing, error) {
	if r.mix != nil {
		return r.mix, nil
	}
	s := r.srv
	m := &mixing{room: r, ssrc: s.newSSRC()}
	cfg := s.cfg.Mix.bridge(s)
	cfg.SSRC = m.ssrc
	cfg.Wake = func() { m.tick.start() }
	br, err := bridge.New(cfg)
	if err != nil {
		delete(s.ssrcs, m.ssrc)
		return nil, err
	}
	m.br = br
	m.tick = r.ticker(br.FrameDuration(), m.run)
	m.tick.labels = r.marked().mix
	r.mix = m
	for _, t := range r.tracks {
		m.add(t)
	}
	return m, nil
}

// run is one tick. What panics in it ends this room's call, and no other.
func (m *mixing) run(n uint64, due time.Time) (more bool) {
	defer func() {
		if p := recover(); p != nil {
			more = false
			m.fail(p)
		}
	}()
	if m.stopped.Load() {
		return false
	}
	m.deadline = due.Add(audioLifetime)
	return m.br.Tick(n, due)
}

func (m *mixing) fail(p any) {
	s, c := m.room.srv, m.room.call
	s.log.Error("mixing panicked; its call is ended", "call", c.state.ID, "panic", p, "stack", string(debug.Stack()))
	m.stopped.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apply(c, callstate.End{})
}

// close ends the mix.
func (m *mixing) close() {
	m.stopped.Store(true)
	m.tick.remove()
	for _, t := range m.room.tracks {
		m.room.srv.meters.endSource(t)
	}
	delete(m.room.srv.ssrcs, m.ssrc)
	m.room.srv.mixedBefore.add(m.br.Stats())
	m.room.mix = nil
}

// add lets a track be heard in the mix.
func (m *mixing) add(t *track) {
	if t.kind != signal.KindAudio {
		return
	}
	src := m.br.AddSource(bridge.SourceConfig{
		Owner: t.owner.number, SSRC: t.ssrc, Process: t.processor(), Level: t.levelObserver(), Tag: t,
	})
	if pose := t.owner.pose; pose != nil {
		src.SetPosition(pose.Position)
	}
	t.source.Store(&mixedTrack{src, steer{aim: aim{grid: m.tick.grid(m.tick.every)}}})
	for _, d := range m.room.devs {
		d.setMixGain(t)
		if d.mixLeg != nil {
			m.room.srv.bindPaths(m.room, d.mixLeg, t)
		}
	}
}

// remove is the end of a track.
func (m *mixing) remove(t *track) {
	if src := m.room.srv.meters.endSource(t); src != nil {
		src.Remove()
	}
}

// settle brings the way in which a device gets the others' voices in line with
// what it, the room or the server wants. New routes are the caller's.
func (r *room) settle(d *device) error {
	mode := d.receive.Or(r.mode).Or(r.srv.cfg.Mode).Or(hooks.ModeForward)
	switch {
	case mode != hooks.ModeMix || !d.mayReceiveAudio():
		r.unmix(d)
		return nil
	case d.mixLeg != nil:
		return nil
	}
	m, err := r.mixed()
	if err != nil {
		return err
	}
	s := r.srv
	s.trackID++
	l := &mixLeg{m: m, to: d, id: s.trackID, flow: d.freeFlow()}
	l.heard = m.br.AddReceiver(bridge.ReceiverConfig{Owner: d.number, Send: l.send})
	m.legs++
	d.mixLeg = l
	s.bindMix(r, l)
	if d.pose != nil {
		l.heard.SetPose(*d.pose)
	}
	for t := range d.legs {
		d.setMixGain(t)
	}
	d.tell(signal.TypeTrackAdded, signal.Track{
		TrackID: l.id, CallID: r.call.state.ID, Kind: signal.KindAudio, Flow: l.flow, SSRC: m.ssrc,
		PayloadType: audioPayloadType, LevelExtension: mixLevelExtension, Mix: true,
	})
	return nil
}

// unmix ends a device's mix; the last one's end is the mix's.
func (r *room) unmix(d *device) {
	l := d.mixLeg
	if l == nil {
		return
	}
	d.mixLeg = nil
	l.heard.Remove()
	d.tell(signal.TypeTrackEnded, signal.TrackRef{TrackID: l.id})
	if l.m.legs--; l.m.legs == 0 {
		l.m.close()
	}
}

// send gives a packet of the mix to the receiver's session. It is called by
// the tick.
func (l *mixLeg) send(packet []byte) {
	if sess := l.to.session.Load(); sess != nil {
		(*sess).Send(transport.Packet{Flow: l.flow, Class: classAudio, Deadline: l.m.deadline, Payload: packet})
	}
}

// setMixGain makes a track as loud in the device's mix, and for taps on what its
// user hears, as it wants it.
func (d *device) setMixGain(t *track) {
	src := t.source.Load()
	if d.mixLeg == nil && len(d.ears) == 0 || src == nil || t.owner == d {
		return
	}
	gain, has := d.gains[t.owner.userID]
	if !has {
		gain = 1
	}
	if l := d.legs[t]; l != nil && !l.on || !t.call.room.hears(d.userID, t) {
		gain = 0
	}
	if d.mixLeg != nil {
		d.mixLeg.heard.SetGain(src.Source, gain)
	}
	for _, e := range d.ears {
		e.heard.SetGain(src.Source, gain)
	}
}

// setReceive carries out a device's wish for a mode.
func (s *Server) setReceive(d *device, req *signal.Receive) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.inCall(d, req.CallID)
	if err != nil {
		return err
	}
	if err := s.mayMix(req.Mode); err != nil {
		return err
	}
	if c.world != nil {
		if req.Mode == hooks.ModeMix {
			return refuse(hooks.CodeUnsupported, "a world forwards voices, it does not mix them")
		}
		return nil
	}
	before := d.receive
	d.receive = req.Mode
	if err := c.room.settle(d); err != nil {
		d.receive = before
		return err
	}
	c.room.reroute()
	return nil
}

// mayMix refuses a mode that the server cannot do.
func (s *Server) mayMix(m hooks.RoomMode) error {
	if m == hooks.ModeMix && !s.mixes {
		return refuse(hooks.CodeUnsupported, "this server has no codec to mix with")
	}
	return nil
}

// setGain makes another user louder or quieter in the device's mix, for as
// long as it is in the room.
func (s *Server) setGain(d *device, req *signal.Gain) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.inCall(d, req.CallID)
	if err != nil {
		return err
	}
	if c.world != nil { // it forwards: the client sees to it
		return nil
	}
	if c.state.Member(req.UserID) == nil && c.room.sound(req.UserID) == nil {
		return refuse(hooks.CodeBadParam, "%s is not in the call", req.UserID)
	}
	if d.gains == nil {
		d.gains = make(map[string]float32)
	}
	d.gains[req.UserID] = req.Gain
	for t := range d.legs {
		if t.owner.userID == req.UserID {
			d.setMixGain(t)
		}
	}
	return nil
}

// SetRoomMode changes how the voices of a call reach those who have no wish of
// their own (ClientConfig.Receive). ModeDefault is what ServerConfig.Mode says.
// Errors: an *Error if there is no such call, or the server cannot mix.
func (s *Server) SetRoomMode(callID string, mode hooks.RoomMode) error {
	if !mode.Valid() {
		return &Error{Code: hooks.CodeBadParam, Message: "no mode " + string(mode)}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.calls[callID]
	if c == nil {
		return s.noCall(callID)
	}
	if err := s.mayMix(mode); err != nil {
		return err
	}
	c.room.mode = mode
	for _, d := range c.room.devs {
		if err := c.room.settle(d); err != nil {
			return err
		}
	}
	c.room.reroute()
	return nil
}

// MixStats counts what all rooms that mix, or have mixed, took.
type MixStats struct {
	// Ticks is how many were done, Late how many of those were done more than
	// 10 ms after they were due, and Skipped how many were left out to catch up.
	Ticks, Late, Skipped uint64
	// Decoded, Encoded and Packets are frames of talkers, frames of mixes, and
	// packets to receivers.
	Decoded, Encoded, Packets uint64
	// Rooms is how many mix now.
	Rooms int
}

// Since is what has come since an earlier snapshot.
func (s MixStats) Since(t MixStats) MixStats {
	s.Ticks -= t.Ticks
	s.Late -= t.Late
	s.Skipped -= t.Skipped
	s.Decoded -= t.Decoded
	s.Encoded -= t.Encoded
	s.Packets -= t.Packets
	return s
}

// MixStats returns a snapshot.
func (s *Server) MixStats() MixStats {
	out := MixStats{Ticks: s.clock.ticks.Load(), Late: s.clock.late.Load(), Skipped: s.clock.skipped.Load()}
	s.mu.Lock()
	defer s.mu.Unlock()
	out.Decoded, out.Encoded, out.Packets = s.mixedBefore.Decoded, s.mixedBefore.Encoded, s.mixedBefore.Packets
	for _, c := range s.calls {
		if m := c.room.mix; m != nil {
			out.add(m.br.Stats())
			out.Rooms++
		}
	}
	return out
}

func (s *MixStats) add(b bridge.Stats) {
	s.Decoded += b.Decoded
	s.Encoded += b.Encoded
	s.Packets += b.Packets
}
