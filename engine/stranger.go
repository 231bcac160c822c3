package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/earshotrtc/earshot/engine/callstate"
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

// admitsRoQ reports whether the host wants foreign endpoints.
func (c ServerConfig) admitsRoQ() bool {
	return slices.ContainsFunc(c.Plugins, func(p hooks.Plugin) bool { return p.AdmitRoQ != nil })
}

// serveStranger is the life of a foreign endpoint's connection.
func (s *Server) serveStranger(sess transport.RoQSession) {
	leave, err := s.gate.enter(sess)
	if err == nil {
		defer leave()
		var st *stranger
		if st, err = s.admitStranger(sess); err == nil {
			leave()
			s.log.Info("RoQ endpoint admitted", "remote", sess.RemoteAddr(), "user", st.answer.UserID, "call", st.answer.CallID)
			st.run()
			s.dismiss(st)
			return
		}
	}
	_, words := codeOf(err)
	s.log.Info("RoQ endpoint refused", "remote", sess.RemoteAddr(), "err", words)
	sess.CloseWithError(roq.GeneralError, words)
}

// admitStranger asks the host who the endpoint is, and puts it into its call.
func (s *Server) admitStranger(sess transport.RoQSession) (*stranger, error) {
	state := sess.ConnectionState()
	req := hooks.RoQRequest{RemoteAddr: sess.RemoteAddr().String(), ALPN: state.NegotiatedProtocol, ServerName: state.ServerName}
	for _, c := range state.PeerCertificates {
		req.Certificates = append(req.Certificates, c.Raw)
	}
	answer, err := s.decideRoQ(req)
	if err != nil {
		return nil, err
	}
	if err := sess.Err(); err != nil { // it did not wait
		return nil, err
	}
	st := newStranger(s, sess, answer)
	if err := s.seat(st); err != nil {
		return nil, err
	}
	if err := st.enter(); err != nil {
		s.dismiss(st)
		return nil, err
	}
	return st, nil
}

// decideRoQ asks the plugins who an endpoint is. The answer is the engine's own,
// and has been checked.
func (s *Server) decideRoQ(req hooks.RoQRequest) (hooks.RoQAnswer, error) {
	for _, p := range s.plugins {
		if p.AdmitRoQ == nil {
			continue
		}
		var answer hooks.RoQAnswer
		err := decide(context.Background(), func(ctx context.Context) (err error) {
			own := req
			own.Certificates = nil
			for _, c := range req.Certificates { // they belong to the plugin
				own.Certificates = append(own.Certificates, slices.Clone(c))
			}
			answer, err = p.AdmitRoQ(ctx, own)
			return err
		})
		if r := s.refusal(p.Name+": AdmitRoQ", err, "refused by the host"); r != nil {
			return hooks.RoQAnswer{}, r
		}
		if answer.UserID == "" {
			continue
		}
		if err := errors.Join(answer.Check(), signal.CheckUserID(answer.UserID)); err != nil {
			s.log.Error("the answer for a RoQ endpoint is wrong", "plugin", p.Name, "err", err)
			return hooks.RoQAnswer{}, refuse(hooks.CodeEnterRefused, "refused by the host")
		}
		return cloneRoQ(answer), nil
	}
	return hooks.RoQAnswer{}, refuse(hooks.CodeEnterRefused, "this endpoint is not known here")
}

// cloneRoQ makes an answer the engine's own.
func cloneRoQ(a hooks.RoQAnswer) hooks.RoQAnswer {
	a.Sends = slices.Clone(a.Sends)
	for _, r := range []**hooks.RoQReceive{&a.Audio, &a.Video} {
		if *r != nil {
			own := **r
			own.Users = maps.Clone(own.Users)
			*r = &own
		}
	}
	return a
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

// seat makes a device of the endpoint.
func (s *Server) seat(st *stranger) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	user := st.answer.UserID
	switch {
	case s.closed || s.draining:
		return refuse(hooks.CodeServerFailed, "the server is shutting down")
	case len(s.users[user]) > 0 && !s.cfg.MultiDevice:
		return refuse(hooks.CodeBusy, "%s is signed in already", user)
	case len(s.devices) >= s.cfg.MaxUsers:
		return refuse(hooks.CodeServerFailed, "the server is full")
	}
	s.deviceNumber++
	d := &device{
		srv: s, id: newToken().String(), number: s.deviceNumber, userID: user, stranger: st,
		invites: rate.NewLimiter(inviteRate, inviteBurst),
	}
	st.device, st.ssrc = d, s.newSSRC()
	var sess transport.Session = &strangerSession{st.sess, st}
	d.session.Store(&sess)
	s.devices[d] = struct{}{}
	s.users[user] = append(s.users[user], d)
	s.byID[d.id] = d
	s.observe(hooks.Event{Kind: hooks.EventSignedIn, UserID: user, Device: d.id})
	return nil
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

// enter puts the endpoint into its call.
func (st *stranger) enter() error {
	s, d := st.srv, st.device
	s.mu.Lock()
	c := s.calls[st.answer.CallID]
	rings := false
	if c != nil {
		m := c.state.Member(d.userID)
		rings = m != nil && m.Phase == callstate.Ringing
	}
	s.mu.Unlock()
	mode := st.answer.Mode
	if st.answer.Audio == nil {
		mode = hooks.ModeForward // a mix would be made for nobody
	}
	req := &signal.Enter{CallID: st.answer.CallID, PrivateMapKey: st.answer.PrivateMapKey, Receive: mode}
	if err := s.enterCall(d, req, !rings); err != nil {
		return err
	}
	st.catchUp()
	s.listenRTCP(d, *d.session.Load())
	for id, f := range st.flows {
		st.sess.HandleFlow(id, st.receiver(f))
	}
	return nil
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

// RoQStats is a foreign endpoint in a call, and what became of its packets.
type RoQStats struct {
	UserID, CallID   string
	RemoteAddr, ALPN string
	// Received are RTP packets of its that went to the room, Sent those of the
	// room's to it; Unsent are of tracks for which it has no flow.
	Received, Sent, Unsent uint64
	// Feedback are RTCP packets from it, and FeedbackDropped those above 100 a
	// second.
	Feedback, FeedbackDropped uint64
	// What was dropped of its RTP packets, and why: a payload type that its flow
	// does not have, a second SSRC within 2 s, no RTP or an empty packet, above
	// 1,150 bytes, kept for too long before it was admitted, or of a stream that
	// the call does not take now.
	WrongPayloadType, OtherSSRC, Malformed, TooLarge, Late, Unwanted uint64
	// Transport are its session's statistics, with packets on unknown flows.
	Transport transport.Stats
}

// RoQEndpoints lists the foreign endpoints that are in calls now.
func (s *Server) RoQEndpoints() (list []RoQStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.devices {
		if d.stranger != nil {
			list = append(list, d.stranger.stats())
		}
	}
	slices.SortFunc(list, func(a, b RoQStats) int { return strings.Compare(a.UserID, b.UserID) })
	return list
}

func (st *stranger) stats() RoQStats {
	c := &st.counters
	return RoQStats{
		UserID: st.answer.UserID, CallID: st.answer.CallID, RemoteAddr: fmt.Sprint(st.sess.RemoteAddr()), ALPN: st.alpn,
		Received: c.received.Load(), Sent: c.sent.Load(), Unsent: c.unsent.Load(),
		Feedback: c.feedback.Load(), FeedbackDropped: c.feedbackDropped.Load(),
		WrongPayloadType: c.wrongType.Load(), OtherSSRC: c.otherSSRC.Load(), Malformed: c.malformed.Load(),
		TooLarge: c.tooLarge.Load(), Late: c.late.Load(), Unwanted: c.unwanted.Load(),
		Transport: st.sess.Stats(),
	}
}

type strangerCounters struct {
	received, sent, unsent, feedback, feedbackDropped         atomic.Uint64
	wrongType, otherSSRC, malformed, tooLarge, late, unwanted atomic.Uint64
}
