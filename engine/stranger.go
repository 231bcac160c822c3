package engine

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

// A stranger is a foreign endpoint of plain RTP over QUIC in a call. To the
// room it is a device like all others: its session (strangerSession) translates
// flows, SSRCs and payload types, and what devices are told by signalling ends
// in told.
type stranger struct {
	srv    *Server
	sess   transport.RoQSession // the endpoint's own
	answer hooks.RoQAnswer
	alpn   string
	device *device
	ssrc   uint32 // ours, in RTCP to it
	cname  string

	// flows are those of the endpoint's that it may use, and never change.
	flows map[uint64]*strangerFlow
	ins   []*inStream
	// outs are the room's tracks by the device's flows.
	outs atomic.Pointer[map[uint64]*outTrack]

	feedback *rate.Limiter // of its RTCP
	wake     chan struct{} // something is to be done: see catchUp

	mu       sync.Mutex // after Server.mu
	handlers map[uint64]transport.PacketHandler
	tracks   map[uint64]*outTrack // by ID
	todo     []signal.Subscribe
	ending   *transport.Error // why the connection is to be closed
	onRTCP   transport.PacketHandler

	counters strangerCounters
}

// A strangerFlow is a flow of the endpoint's and what it sends there.
type strangerFlow struct{ ins []*inStream }

// strangerReport is how often RTCP reports go to a stranger. They also keep the
// connection alive: an endpoint that only listens may send nothing.
const strangerReport = 2 * time.Second

// serveStranger is the life of a foreign endpoint's connection.
func (s *Server) serveStranger(sess transport.RoQSession, meter *sessionMeter) {
	leave, no := s.gate.enter(sess)
	if no != nil {
		s.refuseStranger(sess, no.reason, no.words)
		return
	}
	defer leave()
	st, err := s.admitStranger(sess)
	if err != nil {
		code, words := codeOf(err)
		s.refuseStranger(sess, refusalOf(code), words)
		return
	}
	leave()
	s.meters.signIns.Add(1)
	s.meters.seat(meter, st)
	s.log.Info("RoQ endpoint admitted", "remote", sess.RemoteAddr(), "user", st.answer.UserID, "call", st.answer.CallID)
	st.run()
	s.dismiss(st)
}

func (s *Server) refuseStranger(sess transport.RoQSession, reason refusalReason, words string) {
	s.meters.refused(reason)
	s.log.Info("RoQ endpoint refused", "remote", sess.RemoteAddr(), "err", words)
	sess.CloseWithError(roq.GeneralError, words)
}

func newStranger(s *Server, sess transport.RoQSession, answer hooks.RoQAnswer) *stranger {
	st := &stranger{
		srv: s, sess: sess, answer: answer, alpn: sess.ConnectionState().NegotiatedProtocol,
		cname: newToken().String(), flows: make(map[uint64]*strangerFlow),
		feedback: rate.NewLimiter(feedbackRate, feedbackBurst), wake: make(chan struct{}, 1),
		handlers: make(map[uint64]transport.PacketHandler), tracks: make(map[uint64]*outTrack),
	}
	st.outs.Store(new(map[uint64]*outTrack))
	for _, sends := range answer.Sends {
		in := &inStream{st: st, RoQStream: sends, pt: sends.RTPType()}
		st.ins = append(st.ins, in)
		f := st.flow(sends.Flow)
		f.ins = append(f.ins, in)
	}
	for _, r := range []*hooks.RoQReceive{answer.Audio, answer.Video} {
		if r == nil {
			continue
		}
		for i := range max(1, r.Flows) {
			st.flow(r.Flow + uint64(i))
		}
		for _, id := range r.Users {
			st.flow(id)
		}
	}
	return st
}

func (st *stranger) flow(id uint64) *strangerFlow {
	f := st.flows[id]
	if f == nil {
		f = new(strangerFlow)
		st.flows[id] = f
	}
	return f
}

// dismiss is the end of an endpoint: its user leaves the call at once.
func (s *Server) dismiss(st *stranger) {
	why := hooks.LeftTimeout
	var e *transport.Error
	if errors.As(st.sess.Err(), &e) && e.Code == roq.NoError {
		why = hooks.LeftVoluntarily
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(st.device, why)
	st.device.session.Store(nil)
	delete(s.ssrcs, st.ssrc)
}

// run serves the endpoint until its session ends.
func (st *stranger) run() {
	tick := time.NewTicker(strangerReport)
	defer tick.Stop()
	for {
		select {
		case <-st.sess.Done():
			return
		case <-st.wake:
			st.catchUp()
		case <-tick.C:
			st.report()
		}
	}
}

// end closes the endpoint's connection, from a goroutine of its own; the first
// call decides. Server.mu may be held.
func (st *stranger) end(code transport.ErrorCode, why string) {
	st.mu.Lock()
	if st.ending == nil {
		st.ending = &transport.Error{Code: code, Reason: why}
	}
	st.mu.Unlock()
	st.signal()
}

func (st *stranger) signal() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// catchUp does what could not be done with Server.mu held.
func (st *stranger) catchUp() {
	st.mu.Lock()
	ending, todo := st.ending, st.todo
	st.todo = nil
	st.mu.Unlock()
	if ending != nil {
		st.sess.CloseWithError(ending.Code, ending.Reason)
		return
	}
	for _, in := range st.ins {
		if !in.published() {
			st.publish(in)
		}
	}
	for _, sub := range todo {
		if err := st.srv.subscribe(st.device, &sub); err != nil {
			st.srv.log.Debug("a track is not sent to a RoQ endpoint", "user", st.device.userID, "err", err)
		}
	}
}

// publish gives a stream of the endpoint's to the room as a track. In an audio
// call there is no video; it is tried again when the call changes.
func (st *stranger) publish(in *inStream) {
	kind := signal.KindAudio
	if in.Video {
		kind = signal.KindVideo
	}
	t, err := st.srv.publish(st.device, &signal.Publish{CallID: st.answer.CallID, Kind: kind})
	if err != nil {
		st.srv.log.Debug("a RoQ endpoint's stream is not taken", "user", st.device.userID, "flow", in.Flow, "err", err)
		return
	}
	st.mu.Lock()
	handler := st.handlers[t.Flow] // nil if the track has ended meanwhile
	st.mu.Unlock()
	if handler != nil {
		in.bind(&inTarget{flow: t.Flow, handler: handler, ssrc: t.SSRC, pt: t.PayloadType})
	}
}

// told takes what a device is told by signalling.
func (st *stranger) told(body any) {
	switch b := body.(type) {
	case *signal.Track:
		st.addTrack(b)
	case signal.Track:
		st.addTrack(&b)
	case signal.TrackRef:
		st.endTrack(b.TrackID)
	case signal.Switched: // there may be video now
		st.signal()
	case signal.CallEnd:
		if b.Reason == hooks.EndByServer {
			st.forgotten()
		} else {
			st.end(roq.NoError, "the call has ended")
		}
	}
}

// forgotten is called when the server ends the device's call, or forgets it.
// Server.mu is held.
func (st *stranger) forgotten() {
	if st.srv.closed {
		st.end(roq.NoError, "the server is shutting down")
	} else {
		st.end(roq.GeneralError, "removed by the server")
	}
}
