package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/mixer/jitter"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

// How tracks look on the wire.
const (
	audioPayloadType = 111
	videoPayloadType = 96
	// levelExtension is the identifier of the audio level header extension
	// (RFC 6464), the only one that the server passes on.
	levelExtension = 1
	// fixedHeader is how long a header is without CSRCs and extensions (RFC 3550
	// section 5.1).
	fixedHeader = 12

	// rtcpFlow carries RTCP about all tracks, in both directions.
	rtcpFlow = 63

	classAudio transport.Class = 0
	classRTCP  transport.Class = 1
	classVideo transport.Class = 2

	// A packet that could not leave the server in this time comes too late.
	audioLifetime = 200 * time.Millisecond
	videoLifetime = 500 * time.Millisecond

	// maxTracks is how many tracks a device may publish.
	maxTracks = 4
)

// A room is who hears whom: everybody hears everybody else, as packets that are
// passed on or as a mix. Membership is guarded by Server.mu; the media path
// reads only route.
type room struct {
	srv    *Server
	call   *call
	mode   hooks.RoomMode
	devs   []*device
	tracks []*track
	route  atomic.Pointer[routes]
	mix    *mixing     // nil while nobody receives it
	meter  mixer.Meter // how loud everybody is, if a plugin wants to know
	slot   int         // of the clock: when its ticks are
	window *window     // nil while it never was large
	voices voices
	// priorities of users, in dB: see SetPriorities.
	priorities map[string]float64
	hearing    map[pair]Hearing // other than everything: see SetHearing
	sounds     []*Sound         // that the server plays
	taps       []*tap
	labels     *roomLabels // see marked

	// What is told of connections, the rounds' own: see rounds.
	round                      uint64
	qualities                  map[*device]hooks.Quality
	allQualities, newQualities []byte
}

// routes says where each track's packets go. It is never changed, only
// replaced.
type routes struct {
	legs map[*track][]leg
	// Where voices wait for one another, what each receiver hears, by columns.
	window  *window
	columns []*track
	rows    []row
	// choose says that there are more voices than are heard at a time.
	choose bool
	// labels are those of what is done for the room, in profiles; nil: none.
	labels *roomLabels
}

// A leg is one track's way to one receiver.
type leg struct {
	to   *device
	flow uint64
	on   bool // subscribed
	// video is what a video track's way has besides.
	video *videoLeg
}

// passes reports whether a track's packets go this way.
func (l *leg) passes(t *track) bool {
	return l.on && (l.to.mixLeg == nil || t.kind != signal.KindAudio) && t.call.room.hears(l.to.userID, t)
}

// ticker makes one of the room's tickers: they have their ticks together.
func (r *room) ticker(every time.Duration, tick func(uint64, time.Time) bool) *ticker {
	t := r.srv.clock.add(every, r.slot, tick)
	r.slot = t.slot
	return t
}

func newRoom(s *Server) *room {
	r := &room{srv: s, slot: anySlot}
	r.route.Store(&routes{})
	return r
}

// join adds a device: it is told of everyone's tracks.
func (r *room) join(d *device) {
	r.devs = append(r.devs, d)
	for _, t := range r.tracks {
		d.addLeg(t)
	}
	if err := r.settle(d); err != nil {
		r.srv.log.Error("a room cannot mix; it forwards", "call", r.call.state.ID, "err", err)
	}
	r.listenFor(d)
	r.reroute()
}

// leave removes a device and the tracks it published.
func (r *room) leave(d *device) {
	r.devs = without(r.devs, d)
	for _, t := range d.published {
		r.drop(t)
	}
	for t := range d.legs {
		delete(d.legs, t)
	}
	r.unmix(d)
	d.dropEars(nil)
	d.receive, d.gains, d.pose = hooks.ModeDefault, nil, nil
	r.reroute()
	if len(r.devs) == 0 && r.window != nil {
		r.window.close()
		r.window = nil
	}
}

// add adds a track of a device that is in the room.
func (r *room) add(t *track) {
	t.column = r.freeColumn()
	t.voice.Priority = r.priorities[t.owner.userID]
	r.tracks = append(r.tracks, t)
	r.tapTrack(t)
	for _, d := range r.devs {
		if d != t.owner {
			d.addLeg(t)
		}
	}
	if r.mix != nil {
		r.mix.add(t)
	}
	r.reroute()
}

// drop removes a track, without new routes yet.
func (r *room) drop(t *track) {
	r.tracks = without(r.tracks, t)
	r.voices.remove(t)
	if r.mix != nil {
		r.mix.remove(t)
	}
	for _, d := range r.devs {
		if _, ok := d.legs[t]; ok {
			delete(d.legs, t)
			d.tell(signal.TypeTrackEnded, signal.TrackRef{TrackID: t.id})
		}
	}
	t.close()
}

func (r *room) reroute() {
	next := &routes{legs: make(map[*track][]leg, len(r.tracks)), labels: r.marked()}
	for _, d := range r.devs {
		seen := make(map[uint32]*videoLeg)
		for t, l := range d.legs {
			if l.passes(t) {
				next.legs[t] = append(next.legs[t], *l)
				if l.video != nil {
					seen[t.ssrc] = l.video
				}
			}
		}
		d.seen.Store(&seen)
	}
	next.choose = r.voices.enough(r.tracks, r.srv.cfg.Voices)
	if length := r.srv.cfg.BundleWindow; length > 0 && len(r.devs) >= bundleFrom {
		if r.window == nil {
			r.window = newWindow(r, length)
		}
		next.window = r.window
		next.arrange(r.tracks, r.devs)
	}
	r.route.Store(next)
}

func without[T comparable](list []T, x T) []T {
	var out []T
	for _, y := range list {
		if y != x {
			out = append(out, y)
		}
	}
	return out
}

// isFor reports whether a user is to know of the track.
func (t *track) isFor(userID string) bool { return t.audience == nil || t.audience[userID] }

// addLeg gives the device a flow for a track and tells it so, if it is for its
// user.
func (d *device) addLeg(t *track) {
	if !t.isFor(d.userID) {
		return
	}
	if d.legs == nil {
		d.legs = make(map[*track]*leg)
	}
	l := &leg{to: d, flow: d.freeFlow(), on: t.kind == signal.KindAudio && d.may(usersig.ReceiveAudio)}
	if t.film != nil {
		l.video = newVideoLeg(t.film, d, l.flow)
	}
	d.legs[t] = l
	d.tell(signal.TypeTrackAdded, t.describe(l.flow))
}

// freeFlow is the lowest flow identifier not in use towards the device; below
// 64 it takes one byte on the wire.
func (d *device) freeFlow() uint64 {
	used := make(map[uint64]bool, len(d.legs)+1)
	if d.mixLeg != nil {
		used[d.mixLeg.flow] = true
	}
	for _, l := range d.legs {
		used[l.flow] = true
	}
	flow := uint64(1)
	for used[flow] || flow == rtcpFlow {
		flow++
	}
	return flow
}

// A track is one RTP stream that a device publishes.
type track struct {
	id    uint64
	owner *device
	call  *call
	kind  signal.Kind
	flow  uint64 // from its owner to the server
	ssrc  uint32
	pt    uint8
	muted atomic.Bool

	class    transport.Class
	lifetime time.Duration
	closed   atomic.Bool
	early    atomic.Bool // packets that come now are too early: see listen
	// What became of its packets: see Drop; turn counts those received.
	refused, hooked, unheard atomic.Uint64
	sampled                  trackMeter // meters.mu guards it

	hooks      packetHooks
	processors []*pcmHook
	// source is the track in the room's mix, while there is one.
	source  atomic.Pointer[mixedTrack]
	film    *film // nil for audio
	metered bool  // somebody wants to know how loud it is
	column  int   // in the room's table: see row; does not change
	// taps are told of its packets, nil if there are none.
	taps atomic.Pointer[[]*tap]
	// audience are the users that it is for, nil if it is for all.
	audience map[string]bool
	member   *member // whose microphone it is, in a world
	recode   *recoder

	// For the packet handler alone, which runs one packet at a time: it has
	// its turn.
	turn     turn
	header   rtp.Header
	payload  int // where it begins in buf
	level    trackLevel
	voice    forward.Voice
	numbers  forward.Sequence
	steer    steer   // where the room forwards
	regular  regular // guarded by the batch in which its packets wait
	arrivals arrivals
	buf      [transport.MaxPacketSize]byte
}

func (t *track) describe(flow uint64) *signal.Track {
	out := &signal.Track{
		TrackID: t.id, CallID: t.call.state.ID, UserID: t.owner.userID, Kind: t.kind, Muted: t.muted.Load(),
		Flow: flow, SSRC: t.ssrc, PayloadType: t.pt,
	}
	if t.kind == signal.KindAudio {
		out.LevelExtension = levelExtension
	}
	return out
}

// publish lets a device send a track into the room it is in.
func (s *Server) publish(d *device, req *signal.Publish) (*signal.Track, error) {
	s.mu.Lock()
	_, err := s.mayPublish(d, req)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	info := hooks.TrackInfo{CallID: req.CallID, UserID: d.userID, Video: req.Kind == signal.KindVideo}
	bound, processors := s.bindPacketHooks(info), s.bindProcessors(info)

	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.mayPublish(d, req)
	if err != nil {
		return nil, err
	}
	var m *member
	if c.world != nil {
		if m, err = c.world.memberFor(d); err != nil {
			return nil, err
		}
	}
	s.trackID++
	t := &track{
		id: s.trackID, owner: d, call: c, kind: req.Kind, hooks: bound, processors: processors,
		metered: req.Kind == signal.KindAudio && s.wantsVolumes(), member: m,
		flow: d.freeUpFlow(), ssrc: s.newSSRC(), pt: audioPayloadType,
		class: classAudio, lifetime: audioLifetime,
	}
	if req.Kind == signal.KindVideo {
		t.pt, t.class, t.lifetime = videoPayloadType, classVideo, videoLifetime
		ssrcs := []uint32{t.ssrc}
		for len(ssrcs) < req.Layers {
			ssrcs = append(ssrcs, s.newSSRC())
		}
		t.film = newFilm(t, ssrcs)
	}
	if m != nil {
		t.recode = newRecoder(s, d.userID, t.processor())
	}
	t.muted.Store(req.Muted)
	d.published = append(d.published, t)
	s.meters.addTrack(t)
	if sess := d.session.Load(); sess != nil {
		t.listen(*sess)
	}
	if m != nil {
		c.world.publish(m, t)
	} else {
		c.room.add(t)
	}
	out := t.describe(t.flow)
	if t.film != nil && len(t.film.layers) > 1 {
		for _, l := range t.film.layers {
			out.LayerSSRCs = append(out.LayerSSRCs, l.ssrc)
		}
	}
	return out, nil
}

// mayPublish finds the call that a device may publish into. Server.mu is held.
func (s *Server) mayPublish(d *device, req *signal.Publish) (*call, error) {
	c, err := s.inCall(d, req.CallID)
	switch {
	case err != nil:
		return nil, err
	case req.Kind == signal.KindVideo && c.world != nil:
		return nil, errWorldVideo
	case len(d.published) >= maxTracks:
		return nil, refuse(hooks.CodeRefused, "more than %d tracks", maxTracks)
	case req.Kind == signal.KindVideo && c.state.Media != hooks.MediaVideo:
		return nil, refuse(hooks.CodeRefused, "no video in an audio call")
	}
	return c, d.maySend(req.Kind)
}

func (d *device) freeUpFlow() uint64 {
	flow := uint64(1)
	for flow == rtcpFlow || d.closing[flow] || slices.ContainsFunc(d.published, func(t *track) bool { return t.flow == flow }) {
		flow++
	}
	return flow
}

func (s *Server) newSSRC() uint32 {
	for {
		var b [4]byte
		rand.Read(b[:])
		ssrc := binary.BigEndian.Uint32(b[:])
		if _, taken := s.ssrcs[ssrc]; ssrc != 0 && !taken {
			s.ssrcs[ssrc] = struct{}{}
			return ssrc
		}
	}
}

func (s *Server) unpublish(d *device, id uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := d.track(id)
	if err != nil {
		return err
	}
	if t.member != nil {
		t.member.w.unpublish(t)
		return nil
	}
	t.call.room.drop(t)
	t.call.room.reroute()
	return nil
}

func (s *Server) mute(d *device, req *signal.Mute) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, err := d.track(req.TrackID)
	if err != nil {
		return err
	}
	if t.muted.Swap(req.Muted) == req.Muted {
		return nil
	}
	if t.member != nil {
		t.member.w.muted(t, req)
	}
	for _, to := range t.call.room.devs {
		if _, ok := to.legs[t]; ok {
			to.tell(signal.TypeTrackMuted, req)
		}
	}
	return nil
}

func (d *device) track(id uint64) (*track, error) {
	for _, t := range d.published {
		if t.id == id {
			return t, nil
		}
	}
	return nil, refuse(hooks.CodeBadParam, "%s has no track %d", d.userID, id)
}

// listen makes the track take its packets from a session. Those that came
// before their track was known are dropped: Server.mu is held, and the host's
// hooks must not be called now.
func (t *track) listen(sess transport.Session) {
	t.early.Store(true)
	sess.HandleFlow(t.flow, t.forward)
	t.early.Store(false)
}

// close stops the track. Server.mu is held.
func (t *track) close() {
	t.closed.Store(true)
	t.owner.srv.meters.endTrack(t)
	t.owner.published = without(t.owner.published, t)
	delete(t.owner.srv.ssrcs, t.ssrc)
	if t.film != nil {
		t.film.close()
		for _, l := range t.film.layers {
			delete(t.owner.srv.ssrcs, l.ssrc)
		}
	}
	sess := t.owner.session.Load()
	switch {
	case sess == nil:
	case len(t.hooks) == 0:
		// RemoveFlow waits for the handler, which waits for nobody.
		(*sess).RemoveFlow(t.flow)
	default: // the handler may be in a hook, which may do anything
		d := t.owner
		if d.closing == nil {
			d.closing = make(map[uint64]bool)
		}
		d.closing[t.flow] = true
		go func() {
			(*sess).RemoveFlow(t.flow)
			d.srv.mu.Lock()
			delete(d.closing, t.flow)
			d.srv.mu.Unlock()
		}()
	}
}

// forward takes one packet of the track and hands it to every receiver's
// session. It is the hot path: no lock, no allocation.
func (t *track) forward(packet []byte, arrival time.Time) {
	if t.closed.Load() || t.early.Load() || t.muted.Load() || roq.IsRTCP(packet) {
		return
	}
	// Two sessions may deliver at the moment of a resume: it never waits.
	if !t.turn.begin() {
		return
	}
	received := 0
	defer func() { t.turn.end(received) }() // also if a hook ends the goroutine
	received = t.pass(packet, arrival)
}

// pass is forward in the track's turn. It returns how long the packet is that
// was received, 0 if it was refused.
func (t *track) pass(packet []byte, arrival time.Time) int {
	labels := t.labels()
	mark(labels) // the session's reader keeps them until it has a packet for another room
	n, layer := t.rewrite(packet)
	if n == 0 {
		t.refused.Add(1)
		return 0
	}
	if t.film == nil {
		t.arrivals.note(t.header.SequenceNumber, t.header.Timestamp, arrival)
	}
	if len(t.hooks) > 0 {
		pass := t.hooks.pass(t.buf[:n], arrival)
		mark(labels)
		if !pass {
			t.hooked.Add(1)
			return n
		}
	}
	if taps := t.taps.Load(); taps != nil && (t.member == nil || !t.member.hushed.Load()) {
		t.tapped(*taps, layer, n, arrival)
	}
	if layer != nil {
		layer.forward(n, arrival)
		return n
	}
	if t.member != nil {
		if m := t.recoded(n); m > 0 {
			t.member.w.hold(t, m, arrival)
		}
		return n
	}
	if src := t.source.Load(); src != nil {
		t.watch(&src.steer, arrival)
		src.Push(jitter.Packet{
			SequenceNumber: t.header.SequenceNumber, Timestamp: t.header.Timestamp, Marker: t.header.Marker,
			Payload: t.buf[t.payload:n], Arrival: arrival,
		})
	} else if t.metered {
		t.level.note(t, t.buf[t.payload:n])
	}
	p := transport.Packet{Class: t.class, Deadline: arrival.Add(t.lifetime), Payload: t.buf[:n]}
	table := t.call.room.route.Load()
	if t.kind == signal.KindAudio {
		if !t.renumber(table, arrival) {
			return n
		}
		if w := table.window; w != nil && len(table.legs[t]) > 0 {
			if t.source.Load() == nil {
				t.steer.aim = w.aim
				t.watch(&t.steer, arrival)
			}
			if w.hold(t, p.Payload, p.Deadline, arrival) {
				return n
			}
		}
	}
	for _, l := range table.legs[t] {
		if sess := l.to.session.Load(); sess != nil {
			p.Flow = l.flow
			(*sess).Send(p)
		}
	}
	return n
}

// labels are those of the goroutine that has a packet of the track, or nil.
func (t *track) labels() context.Context {
	l := t.call.room.route.Load().labels
	switch {
	case l == nil:
		return nil
	case t.source.Load() != nil:
		return l.mix
	}
	return l.forward
}

// rewrite checks a packet and copies what may pass into t.buf: the fixed
// header, the audio level, the payload. It returns the length, or 0 for a
// packet that is not one of this track's, and of which size a video's is.
func (t *track) rewrite(packet []byte) (int, *filmLayer) {
	h := &t.header
	n, err := h.Unmarshal(packet)
	if err != nil || h.PayloadType != t.pt {
		return 0, nil
	}
	var layer *filmLayer
	if t.film != nil {
		if layer = t.film.layer(h.SSRC); layer == nil {
			return 0, nil
		}
		h.SSRC = t.ssrc
	} else if h.SSRC != t.ssrc {
		return 0, nil
	}
	payload := packet[n:]
	if h.Padding {
		pad := 0
		if len(payload) > 0 {
			pad = int(payload[len(payload)-1])
		}
		if pad == 0 || pad > len(payload) {
			return 0, nil
		}
		payload = payload[:len(payload)-pad]
	}
	if len(payload) == 0 {
		return 0, nil
	}
	level, hasLevel := byte(0), false
	if t.kind == signal.KindAudio {
		if ext := h.GetExtension(levelExtension); len(ext) == 1 {
			level, hasLevel = ext[0], true
		}
	}
	t.level.told, t.level.tells = level, hasLevel
	at := copy(t.buf[:fixedHeader], packet)
	t.buf[0] &= 3 << 6 // the version
	binary.BigEndian.PutUint32(t.buf[8:], h.SSRC)
	if hasLevel { // RFC 8285 section 4.2: one word of one-byte extensions
		t.buf[0] |= 1 << 4
		at += copy(t.buf[at:], []byte{0xBE, 0xDE, 0, 1, levelExtension << 4, level, 0, 0})
	}
	if at+len(payload) > len(t.buf) {
		return 0, nil
	}
	t.payload = at
	return at + copy(t.buf[at:], payload), layer
}
