package engine

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

// maxOutbox is how many events may wait for a device that does not acknowledge
// them, before it is closed. Events are never dropped.
const maxOutbox = 1024

// A device may invite inviteRate users a second, in bursts of inviteBurst or of
// two full calls: a request can ring as many as a call may have.
const (
	inviteRate  = 50
	inviteBurst = 200
)

// mayInvite counts users that are about to be invited.
func (d *device) mayInvite(n int) error {
	if !d.invites.AllowN(time.Now(), n) {
		return refuse(hooks.CodeRefused, "too many invitations in a short time, at most %d users a second", inviteRate)
	}
	return nil
}

// token resumes a device's connection.
type token [16]byte

func newToken() (t token) {
	rand.Read(t[:])
	return t
}

func (t token) String() string { return hex.EncodeToString(t[:]) }

func parseToken(s string) (t token, ok bool) {
	if len(s) != 2*len(t) {
		return t, false
	}
	_, err := hex.Decode(t[:], []byte(s))
	return t, err == nil
}

// A device is one signed-in client as the server sees it. It outlives its
// connection by the reconnect window.
type device struct {
	srv    *Server
	id     string // names it on this server
	number uint64 // the same, for the mix
	userID string
	// stranger is the foreign endpoint that the device is, if it is one; it has
	// no conn then.
	stranger *stranger

	invites *rate.Limiter
	rated   transport.Stats // when its connection was last rated; see quality
	loss    float64         // share of packets to it that get lost
	ranked  ranked          // in a world, how good connections were last said to be

	// session is the way for media, nil while disconnected. The media path
	// reads it without a lock.
	session atomic.Pointer[transport.Session]

	// What it has of video: the estimates of what gets through in both
	// directions, the ways to it by SSRC, and the limits of what it may ask for.
	uplink   uplink
	downlink downlink
	seen     atomic.Pointer[map[uint32]*videoLeg]
	resends  *rate.Limiter
	feedback *rate.Limiter

	// Guarded by Server.mu.
	call      *call              // the call whose room it is in
	published []*track           // what it sends
	closing   map[uint64]bool    // flows on which a hook may still be at work
	legs      map[*track]*leg    // what it is sent, and on which flows
	rights    usersig.Privileges // in the room that it is in; see may
	receive   hooks.RoomMode     // how it wants to get the others' voices there
	mixLeg    *mixLeg            // the mix that it is sent, if any
	ears      []*ear             // taps on what its user hears
	gains     map[string]float32 // of other users in it, other than 1
	pose      *mixer.Pose        // where its user is, if that is known
	gone      *time.Timer        // forgets it when the reconnect window is over
	sigTimer  *time.Timer        // tells it that its UserSig expired
	removed   bool
	// token resumes the device; before, its predecessor, stands until the
	// client is known to have the new one.
	token, before token

	mu       sync.Mutex // after Server.mu
	conn     *conn      // nil while disconnected
	n        uint64     // number of the last event
	outbox   []event    // not yet acknowledged
	received uint64     // ID of the last request carried out
	told     toldQuality
}

type event struct {
	n     uint64
	frame []byte
}

// newDevice makes a device that nobody knows yet.
func (s *Server) newDevice(userID string) *device {
	return &device{
		srv: s, id: newToken().String(), userID: userID,
		invites:  rate.NewLimiter(inviteRate, max(inviteBurst, 2*s.cfg.MaxCallUsers)),
		resends:  rate.NewLimiter(againRate, againBurst),
		feedback: rate.NewLimiter(rtcpRate, rtcpBurst),
	}
}

// tell sends an event to the device, or keeps it until the device is back.
func (d *device) tell(typ signal.Type, body any) {
	if d.stranger != nil {
		d.stranger.told(body)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	frame, err := signal.Encode(signal.Message{Type: typ, N: d.n + 1}, body)
	if err != nil {
		d.srv.log.Error("cannot encode an event", "type", typ, "err", err)
		return
	}
	d.n++
	d.outbox = append(d.outbox, event{d.n, frame})
	if len(d.outbox) > maxOutbox {
		d.srv.log.Warn("device does not acknowledge its events; closing it", "user", d.userID)
		d.outbox = nil
		go d.srv.dropDevice(d, hooks.CodeServerTimeout, "events were not acknowledged")
		return
	}
	if d.conn != nil {
		d.conn.out.enqueue(frame)
	}
}

// acked forgets events that the client has seen.
func (d *device) acked(n uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := 0
	for i < len(d.outbox) && d.outbox[i].n <= n {
		i++
	}
	if i == len(d.outbox) {
		d.outbox = nil
	} else {
		d.outbox = append([]event(nil), d.outbox[i:]...)
	}
}

// attach makes c the device's connection: the welcome goes out, then what the
// client has not seen. The old connection, if any, is returned.
func (d *device) attach(c *conn, w signal.Welcome, last uint64) (old *conn, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Received = d.received
	frame, err := signal.Encode(signal.Message{Type: signal.TypeWelcome}, w)
	if err != nil {
		return nil, err
	}
	old, d.conn = d.conn, c
	d.session.Store(&c.out.sess)
	c.out.enqueue(frame)
	for _, e := range d.outbox {
		if e.n > last {
			c.out.enqueue(e.frame)
		}
	}
	return old, nil
}

// mayHaveSeen says what is wrong with the number of an event that a client
// claims to have seen.
func (d *device) mayHaveSeen(last uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if last > d.n {
		return fmt.Errorf("the client has seen event %d, but there were only %d", last, d.n)
	}
	return nil
}

// detach is attach's end: c is no longer the device's connection.
func (d *device) detach(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != c {
		return false
	}
	d.conn = nil
	d.session.Store(nil)
	return true
}

// A conn is one connection of a client.
type conn struct {
	srv    *Server
	out    *controlWriter
	device *device // set once, when it signs in
}

// goodbye says why, lets it arrive, and closes.
func (c *conn) goodbye(code hooks.Code, message string, close transport.ErrorCode) {
	if frame, err := signal.Encode(signal.Message{Type: signal.TypeGoodbye}, signal.Goodbye{Code: code, Message: message}); err == nil {
		c.out.enqueue(frame)
	}
	c.out.finish(close, message)
}

// signIn adds a device for a user. Unless users may have several, one that is
// signed in already is kicked.
func (s *Server) signIn(c *conn, userID string, expires time.Time) *hooks.Refusal {
	s.mu.Lock()
	if s.closed || s.draining {
		s.mu.Unlock()
		return &hooks.Refusal{Code: hooks.CodeServerFailed, Message: "the server is shutting down"}
	}
	kicked := slices.Clone(s.users[userID])
	if s.cfg.MultiDevice {
		kicked = nil
	}
	if len(kicked) == 0 && len(s.devices) >= s.cfg.MaxUsers {
		s.mu.Unlock()
		return &hooks.Refusal{Code: hooks.CodeServerFailed, Message: "the server is full"}
	}
	d := s.newDevice(userID)
	d.token = newToken()
	for _, old := range kicked {
		s.remove(old, hooks.LeftKicked)
	}
	s.deviceNumber++
	d.number = s.deviceNumber
	s.devices[d] = struct{}{}
	s.users[userID] = append(s.users[userID], d)
	s.byID[d.id] = d
	s.tokens[d.token] = d
	if !expires.IsZero() {
		d.sigTimer = time.AfterFunc(time.Until(expires), func() { d.tell(signal.TypeSigExpired, nil) })
	}
	c.device = d
	s.meters.signIns.Add(1)
	s.observe(hooks.Event{Kind: hooks.EventSignedIn, UserID: userID, Device: d.id})
	s.ringOn(d) // before the client knows, and acts on it
	_, err := d.attach(c, s.welcome(d, false), 0)
	s.mu.Unlock()
	s.listenRTCP(d, c.out.sess)
	for _, old := range kicked {
		old.kick(signal.Goodbye{Code: hooks.CodeRefused, Message: "signed in elsewhere"})
	}
	if err != nil {
		return &hooks.Refusal{Code: hooks.CodeServerFailed, Message: err.Error()}
	}
	return nil
}

func (s *Server) welcome(d *device, resumed bool) signal.Welcome {
	return signal.Welcome{
		Version: signal.Version, Token: d.token.String(), Resumed: resumed, Bundles: true,
		WindowMS: int(s.cfg.ReconnectWindow / time.Millisecond),
	}
}

// kick tells a removed device why it is out, and closes its connection.
func (d *device) kick(why signal.Goodbye) {
	d.tell(signal.TypeKicked, why)
	d.mu.Lock()
	c := d.conn
	d.mu.Unlock()
	if c != nil {
		c.goodbye(why.Code, why.Message, codeRefused)
	}
}

// resume puts a device on a new connection. The token is used up; its
// successor is in the welcome.
func (s *Server) resume(c *conn, req *signal.Resume) *hooks.Refusal {
	no := &hooks.Refusal{Code: hooks.CodeDisconnected, Message: "this connection cannot be resumed any more; sign in again"}
	t, ok := parseToken(req.Token)
	if !ok {
		return no
	}
	s.mu.Lock()
	d := s.tokens[t]
	if d == nil || s.closed {
		s.mu.Unlock()
		return no
	}
	if err := d.mayHaveSeen(req.Last); err != nil { // and all stays as it is
		s.mu.Unlock()
		return &hooks.Refusal{Code: hooks.CodeBadParam, Message: err.Error()}
	}
	if d.gone != nil {
		d.gone.Stop()
		d.gone = nil
	}
	// Whichever of the two tokens came, the other is void from here, and the
	// used one as soon as the client is known to hold the new one.
	delete(s.tokens, d.token)
	delete(s.tokens, d.before)
	d.before, d.token = t, newToken()
	s.tokens[d.before], s.tokens[d.token] = d, d
	c.device = d
	for _, t := range d.published {
		t.listen(c.out.sess)
	}
	old, err := d.attach(c, s.welcome(d, true), req.Last)
	if err == nil {
		s.meters.resumes.Add(1)
		s.observe(hooks.Event{Kind: hooks.EventResumed, UserID: d.userID, Device: d.id})
	}
	s.mu.Unlock()
	if err != nil {
		return &hooks.Refusal{Code: hooks.CodeBadParam, Message: err.Error()}
	}
	s.listenRTCP(d, c.out.sess)
	if old != nil {
		old.out.sess.CloseWithError(codeReplaced, "resumed on another connection")
	}
	s.log.Info("resumed", "user", d.userID, "remote", c.out.sess.RemoteAddr())
	return nil
}

// confirm is called when the client has shown that it got its welcome.
func (s *Server) confirm(d *device) {
	s.mu.Lock()
	if d.before != (token{}) {
		delete(s.tokens, d.before)
		d.before = token{}
	}
	s.mu.Unlock()
}

// closedWindow is for how long a client may come back that has closed its
// connection itself, with code 0 and without a sign-out: a page that is loaded
// again does, one that was closed does not, and the others should not wait for it.
const closedWindow = 5 * time.Second

// windowAfter is for how long a device whose connection ended so may come back.
func (s *Server) windowAfter(end error) time.Duration {
	var e *transport.Error
	if errors.As(end, &e) && e.Remote && e.Code == roq.NoError {
		return min(closedWindow, s.cfg.ReconnectWindow)
	}
	return s.cfg.ReconnectWindow
}

// lost is called when a device's connection has ended without a sign-out: the
// device may come back until the window, counted from the last packet heard,
// is over.
func (s *Server) lost(d *device, heard time.Time, window time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.removed || d.gone != nil {
		return
	}
	s.observe(hooks.Event{Kind: hooks.EventLost, UserID: d.userID, Device: d.id})
	wait := max(0, window-time.Since(heard))
	var t *time.Timer
	t = time.AfterFunc(wait, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if d.gone == t && !d.removed {
			s.log.Info("reconnect window is over", "user", d.userID)
			s.remove(d, hooks.LeftTimeout)
		}
	})
	d.gone = t
}

// remove takes a device out of its call and forgets it. Server.mu is held.
func (s *Server) remove(d *device, why hooks.LeaveReason) {
	if d.removed {
		return
	}
	s.leaveCall(d, why)
	s.forget(d)
	s.observe(hooks.Event{Kind: hooks.EventSignedOut, UserID: d.userID, Device: d.id, Text: leaveWords[why]})
}

var leaveWords = map[hooks.LeaveReason]string{
	hooks.LeftVoluntarily: "by will", hooks.LeftTimeout: "lost", hooks.LeftKicked: "kicked",
}

// forget makes a device unknown: nobody can resume it. Server.mu is held.
func (s *Server) forget(d *device) {
	d.removed = true
	delete(s.devices, d)
	delete(s.byID, d.id)
	delete(s.tokens, d.token)
	delete(s.tokens, d.before)
	if s.users[d.userID] = without(s.users[d.userID], d); len(s.users[d.userID]) == 0 {
		delete(s.users, d.userID)
		delete(s.infos, d.userID)
	}
	for _, t := range []*time.Timer{d.gone, d.sigTimer} {
		if t != nil {
			t.Stop()
		}
	}
	if d.stranger != nil {
		d.stranger.forgotten()
	}
}

// Kick signs a user out on all devices, with words for the log: they are told by
// OnKickedOffline, and cannot resume. They may sign in again; a sign-in decider
// that says no makes it a ban. Errors: one that says so if the user is not
// signed in.
func (s *Server) Kick(userID, why string) error {
	s.mu.Lock()
	devices := slices.Clone(s.users[userID])
	for _, d := range devices {
		s.remove(d, hooks.LeftKicked)
	}
	s.mu.Unlock()
	if len(devices) == 0 {
		return refuse(hooks.CodeBadParam, "%.32q is not signed in", userID)
	}
	for _, d := range devices {
		d.kick(signal.Goodbye{Code: hooks.CodeRefused, Message: why})
	}
	return nil
}

// dropDevice removes a device and closes its connection with words.
func (s *Server) dropDevice(d *device, code hooks.Code, why string) {
	s.mu.Lock()
	s.remove(d, hooks.LeftKicked)
	s.mu.Unlock()
	d.mu.Lock()
	c := d.conn
	d.mu.Unlock()
	if c != nil {
		c.goodbye(code, why, codeRefused)
	}
}
