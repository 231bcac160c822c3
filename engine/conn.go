package engine

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A client may send requestRate requests a second, in bursts of requestBurst.
const (
	requestRate  = 50
	requestBurst = 200
)

// serveSession is the life of one connection, from its first byte to its end.
func (s *Server) serveSession(sess transport.Session) {
	meter := s.meters.open(sess)
	defer s.meters.close(meter)
	if foreign, ok := sess.(transport.RoQSession); ok {
		s.serveStranger(foreign, meter)
		return
	}
	leave, no := s.gate.enter(sess)
	if no != nil {
		s.meters.refused(no.reason)
		s.log.Warn("connection refused", "remote", sess.RemoteAddr(), "err", no)
		sess.CloseWithError(codeTooMany, no.words)
		return
	}
	defer leave()

	c := &conn{srv: s, out: newControlWriter(sess)}
	c.out.sent = &s.meters.controlOut
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		sess.CloseWithError(codeShutdown, "the server closed")
		return
	}
	s.conns[c] = struct{}{}
	s.mu.Unlock()
	defer c.out.close()

	var tooLate atomic.Bool
	late := time.AfterFunc(s.cfg.SignInTimeout, func() {
		tooLate.Store(true)
		sess.CloseWithError(codeSignInLate, fmt.Sprintf("no sign-in within %v", s.cfg.SignInTimeout))
	})
	r := signal.NewReader(countedReader{sess.Control(), &s.meters.controlIn})
	refusal := c.open(r)
	late.Stop()
	leave()
	if refusal != nil {
		reason := refusalOf(refusal.Code)
		if tooLate.Load() {
			reason = refusedLate
		}
		s.meters.refused(reason)
		s.log.Info("sign-in refused", "remote", sess.RemoteAddr(), "code", int(refusal.Code), "why", refusal.Message)
		c.goodbye(refusal.Code, refusal.Message, codeRefused)
	} else {
		c.requests(r)
	}

	<-sess.Done()
	heard := sess.Stats().LastHeard
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
	if d := c.device; d != nil && d.detach(c) {
		s.lost(d, heard, s.windowAfter(sess.Err()))
	}
}

// open reads the first message and lets the client in, or says why not.
func (c *conn) open(r *signal.Reader) *hooks.Refusal {
	bad := func(err error) *hooks.Refusal {
		return &hooks.Refusal{Code: hooks.CodeBadParam, Message: err.Error()}
	}
	m, err := r.Read()
	if err != nil {
		return bad(err)
	}
	c.srv.meters.controlIn.packets.Add(1)
	body, err := m.Body()
	if err != nil {
		return bad(err)
	}
	switch b := body.(type) {
	case *signal.SignIn:
		if b.Version != signal.Version {
			return wrongVersion(b.Version)
		}
		sess := c.out.sess
		sess.SetBundles(b.Bundles)
		ok, no := c.srv.decideSignIn(hooks.SignInRequest{
			UserID: b.UserID, UserSig: b.UserSig, SDKAppID: b.SDKAppID, Agent: b.Agent,
			RemoteAddr: sess.RemoteAddr().String(), Protocol: sess.Protocol(),
		})
		if no != nil {
			return no
		}
		return c.srv.signIn(c, b.UserID, ok.ExpiresAt)
	case *signal.Resume:
		if b.Version != signal.Version {
			return wrongVersion(b.Version)
		}
		c.out.sess.SetBundles(b.Bundles)
		return c.srv.resume(c, b)
	}
	return bad(fmt.Errorf("the first message must be signIn or resume, not %s", m.Type))
}

func wrongVersion(v int) *hooks.Refusal {
	return &hooks.Refusal{Code: hooks.CodeUnsupported,
		Message: fmt.Sprintf("protocol version %d is not spoken here, only %d", v, signal.Version)}
}

// requests reads what the client asks until its stream ends.
func (c *conn) requests(r *signal.Reader) {
	d, s := c.device, c.srv
	limit := rate.NewLimiter(requestRate, requestBurst)
	confirmed := false
	for {
		m, err := r.Read()
		if err != nil {
			if errors.Is(err, signal.ErrMalformed) || errors.Is(err, signal.ErrTooLarge) || errors.Is(err, io.ErrUnexpectedEOF) {
				c.goodbye(hooks.CodeBadParam, err.Error(), codeProtocol)
			} else if err == io.EOF {
				c.out.sess.Close()
			}
			return
		}
		s.meters.controlIn.packets.Add(1)
		if !confirmed {
			confirmed = true
			s.confirm(d)
		}
		if m.Ack > 0 {
			d.acked(m.Ack)
		}
		if !limit.Allow() {
			s.log.Warn("client floods; closing it", "user", d.userID)
			s.dropDevice(d, hooks.CodeRefused, "too many messages")
			return
		}
		switch {
		case m.Type == signal.TypeAck:
		case m.Type == signal.TypePing:
			if frame, err := signal.Encode(signal.Message{Type: signal.TypePong, Raw: m.Raw}, nil); err == nil {
				c.out.enqueue(frame)
			}
		case m.ID == 0:
			c.goodbye(hooks.CodeBadParam, fmt.Sprintf("request %.40q has no id", string(m.Type)), codeProtocol)
			return
		default:
			d.mu.Lock()
			next := d.received + 1
			if m.ID == next {
				d.received = next
			}
			d.mu.Unlock()
			if m.ID < next {
				continue // sent again after a resume, and carried out before
			}
			if m.ID > next {
				c.goodbye(hooks.CodeBadParam, fmt.Sprintf("request %d follows %d", m.ID, next-1), codeProtocol)
				return
			}
			if c.request(&m) {
				return
			}
		}
	}
}

// request carries out one request and answers it. It reports whether it was
// the last.
func (c *conn) request(m *signal.Message) (last bool) {
	d, s := c.device, c.srv
	res := signal.Result{Re: m.ID}
	body, err := m.Body()
	if err == nil {
		switch b := body.(type) {
		case *signal.Call:
			res.CallID, err = s.startCall(d, b)
		case *signal.Publish:
			res.Track, err = s.publish(d, b)
		case *signal.TrackRef:
			err = s.unpublish(d, b.TrackID)
		case *signal.Mute:
			err = s.mute(d, b)
		case *signal.Invite:
			err = s.inviteUsers(d, b)
		case *signal.Switch:
			err = s.switchMedia(d, b)
		case *signal.Subscribe:
			err = s.subscribe(d, b)
		case *signal.Receive:
			err = s.setReceive(d, b)
		case *signal.Gain:
			err = s.setGain(d, b)
		case *signal.Pose:
			err = s.setOwnPose(d, b)
		case *signal.UserInfo:
			s.setInfo(d, b)
		case *signal.UserRef:
			res.Info = s.getInfo(b.UserID)
		case *signal.Recent:
			res.Records, res.Next, err = s.recentCalls(d, b)
		case *signal.Enter:
			err = s.enterCall(d, b, m.Type == signal.TypeJoin)
		case *signal.CallRef:
			switch m.Type {
			case signal.TypeReject, signal.TypeIgnore, signal.TypeHangup:
				err = s.aboutCall(d, m.Type, b.CallID)
			default:
				err = signal.ErrUnknownType
			}
		case *signal.Empty:
			if m.Type == signal.TypeSignOut {
				s.mu.Lock()
				s.remove(d, hooks.LeftVoluntarily)
				s.mu.Unlock()
				d.tell(signal.TypeResult, res)
				c.out.finish(codeSignedOut, "signed out")
				return true
			}
			err = signal.ErrUnknownType
		default:
			err = fmt.Errorf("%w: %s is a server's message", signal.ErrUnknownType, m.Type)
		}
	}
	if err != nil {
		res.Code, res.Message = codeOf(err)
	}
	d.tell(signal.TypeResult, res)
	return false
}

// codeOf turns an error into what a client is told.
func codeOf(err error) (hooks.Code, string) {
	var e *Error
	var r *hooks.Refusal
	switch {
	case errors.As(err, &e):
		return e.Code, e.Message
	case errors.As(err, &r):
		return r.Code, r.Message
	case errors.Is(err, signal.ErrUnknownType):
		return hooks.CodeUnsupported, err.Error()
	case errors.Is(err, signal.ErrMalformed):
		return hooks.CodeBadParam, err.Error()
	}
	return hooks.CodeFailed, err.Error()
}
