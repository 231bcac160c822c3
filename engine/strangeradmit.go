package engine

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// admitsRoQ reports whether the host wants foreign endpoints.
func (c ServerConfig) admitsRoQ() bool {
	return slices.ContainsFunc(c.Plugins, func(p hooks.Plugin) bool { return p.AdmitRoQ != nil })
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
		err := p.meters[hookAdmitRoQ].decide(context.Background(), func(ctx context.Context) (err error) {
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
		answer = cloneRoQ(answer)
		if err := errors.Join(answer.Check(), signal.CheckUserID(answer.UserID)); err != nil {
			s.log.Error("the answer for a RoQ endpoint is wrong", "plugin", p.Name, "err", err)
			return hooks.RoQAnswer{}, refuse(hooks.CodeEnterRefused, "refused by the host")
		}
		return answer, nil
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
	d := s.newDevice(user)
	d.number, d.stranger = s.deviceNumber, st
	st.device, st.ssrc = d, s.newSSRC()
	var sess transport.Session = &strangerSession{st.sess, st}
	d.session.Store(&sess)
	s.devices[d] = struct{}{}
	s.users[user] = append(s.users[user], d)
	s.byID[d.id] = d
	s.observe(hooks.Event{Kind: hooks.EventSignedIn, UserID: user, Device: d.id})
	return nil
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
