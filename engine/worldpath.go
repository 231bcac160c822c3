package engine

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A path is the way from a talker to a player of a world on which plugins change the
// sound (PathProcessor). It has a goroutine of its own, which recodes each packet
// and sends it by itself: the tick only copies.
type path struct {
	w     *World
	m     *member // who hears
	t     *track
	queue chan *pathItem
	free  chan *pathItem
	quit  chan struct{}
	// active says that there are hooks: until they are known the talker is heard as
	// they are.
	active atomic.Bool
}

// A pathItem is a packet as the player would be sent it.
type pathItem struct {
	sess     transport.Session
	s        spoken
	voice    audience.Voice
	flow     uint64
	deadline time.Time
	n        int
	buf      [transport.MaxPacketSize]byte
}

// maxPathQueue is how many packets wait on a path.
const maxPathQueue = 16

// hasPaths reports whether a plugin may want to change the sound on paths.
func (s *Server) hasPaths() bool {
	return s.mixes && slices.ContainsFunc(s.plugins, func(p *plugin) bool { return p.PathProcessor != nil })
}

// newPath asks the plugins for their hooks on a path, and does not wait for them; nil
// if there is no such plugin. The seat's lock is held, and it is not over: so the
// server has not been closed.
func (st *seat) newPath(t *track) *path {
	w := st.m.w
	if !w.paths {
		return nil
	}
	p := &path{
		w: w, m: st.m, t: t, queue: make(chan *pathItem, maxPathQueue), free: make(chan *pathItem, maxPathQueue),
		quit: make(chan struct{}),
	}
	w.srv.wg.Add(1)
	go p.run()
	return p
}

// end ends a path; nil is none.
func (p *path) end() {
	if p != nil {
		close(p.quit)
	}
}

func (p *path) run() {
	s := p.w.srv
	defer s.wg.Done()
	info := hooks.PathInfo{CallID: p.w.cfg.ID, Talker: p.t.owner.userID, Receiver: p.m.userID}
	var hs pcmHooks
	for _, pl := range s.plugins {
		if pl.PathProcessor == nil || p.over() {
			continue
		}
		hs.add(s.bindMixHook(pl, hookPathProcessor, hooks.TrackInfo{CallID: info.CallID, UserID: info.Talker}, func(hooks.TrackInfo) hooks.PCMHook {
			return pl.PathProcessor(info)
		}))
	}
	if len(hs) == 0 {
		return
	}
	r := newRecoder(s, info.Talker, hs.process)
	p.active.Store(true)
	for {
		select {
		case <-p.quit:
			return
		case it := <-p.queue:
			p.send(r, it)
			select {
			case p.free <- it:
			default:
			}
		}
	}
}

func (p *path) over() bool {
	select {
	case <-p.quit:
		return true
	default:
		return false
	}
}

// take takes a packet that the player is to be sent. It is a worker's of the tick.
func (p *path) take(sess transport.Session, s *spoken, v *audience.Voice, out transport.Packet) {
	var it *pathItem
	select {
	case it = <-p.free:
	default:
		it = new(pathItem)
	}
	it.sess, it.s, it.voice, it.flow, it.deadline = sess, *s, *v, out.Flow, out.Deadline
	it.n = copy(it.buf[:], out.Payload)
	select {
	case p.queue <- it:
	default: // the hooks are too slow
		p.w.stats.behind.Add(1)
	}
}

func (p *path) send(r *recoder, it *pathItem) {
	at := payloadOf(it.buf[:])
	n := r.recode(binary.BigEndian.Uint16(it.buf[2:]), it.buf[at:it.n], it.buf[at:])
	if n == 0 {
		p.w.stats.unchanged.Add(1)
		return
	}
	if p.over() {
		return
	}
	packet := it.buf[:at+n]
	if ears := p.m.ears.Load(); ears != nil {
		overhear(*ears, &it.s, packet, &it.voice)
	}
	p.w.stats.packets.Add(1)
	p.w.stats.batches.Add(1)
	it.sess.Send(transport.Packet{Flow: it.flow, Class: classAudio, Deadline: it.deadline, Payload: packet})
}

// payloadOf is where the payload of a world's packet begins: after the fixed header
// and extensions, which it always has. See World.hold.
func payloadOf(packet []byte) int {
	return fixedHeader + 4 + 4*int(binary.BigEndian.Uint16(packet[fixedHeader+2:]))
}
