package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// voice is the calling server, and the matches that have a room on it.
type voice struct {
	cfg    config
	srv    *engine.Server
	log    runtime.Logger
	served chan struct{}

	mu    sync.Mutex
	rooms map[string]*room // by match
	where map[string]*room // by player
}

func newVoice(cfg config, log runtime.Logger) (*voice, error) {
	v := &voice{cfg: cfg, log: log, served: make(chan struct{}), rooms: make(map[string]*room), where: make(map[string]*room)}
	srv, err := engine.NewServer(engine.ServerConfig{
		Addr: cfg.addr, SDKAppID: cfg.app, Key: cfg.key,
		Plugins: []hooks.Plugin{{Name: "nakama", MayCall: v.mayCall, Admit: v.admit, Observe: v.observe}},
	})
	if err != nil {
		return nil, err
	}
	if err := srv.Listen(); err != nil {
		return nil, err
	}
	v.srv = srv
	go func() { srv.Serve(); close(v.served) }()
	return v, nil
}

func (v *voice) close(context.Context) {
	v.mu.Lock()
	rooms := v.rooms
	v.rooms = make(map[string]*room)
	v.mu.Unlock()
	for _, r := range rooms {
		r.close()
	}
	v.srv.Close()
	<-v.served
}

// mayCall: players ring nobody; a match's room does.
func (v *voice) mayCall(_ context.Context, req hooks.CallRequest) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.rooms[req.Caller] == nil {
		return &hooks.Refusal{Code: hooks.CodeRefused, Message: "voice is the matches'"}
	}
	return nil
}

// admit: into a match's room comes who is in the match.
func (v *voice) admit(_ context.Context, req hooks.AdmitRequest) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r := v.where[req.UserID]; v.rooms[req.UserID] != nil || r != nil && (req.GroupID == "" || req.GroupID == r.id) {
		return nil
	}
	return &hooks.Refusal{Code: hooks.CodeEnterRefused, Message: "not in this match"}
}

// observe rings players who sign in after they have joined their match.
func (v *voice) observe(e hooks.Event) {
	if e.Kind != hooks.EventSignedIn {
		return
	}
	v.mu.Lock()
	r := v.where[e.UserID]
	v.mu.Unlock()
	if r != nil {
		r.ring(e.UserID)
	}
}

// A room is the voice of one match: a group call, which the server holds through
// a client of its own that neither speaks nor listens.
type room struct {
	hooks.NopListener
	v    *voice
	id   string // of the match, as a user ID
	host *engine.Client

	mu     sync.Mutex
	callID string
	apart  map[pair]bool // who does not hear whom
}

type pair struct{ receiver, talker string }

// ringTime is how long a player's client has to answer; it is rung again when it
// signs in.
const ringTime = time.Minute

func (v *voice) newRoom(ctx context.Context, matchID string) (*room, error) {
	r := &room{v: v, id: voiceID(matchID), apart: make(map[pair]bool)}
	sig, err := v.sign(r.id)
	if err != nil {
		return nil, err
	}
	r.host, err = engine.Dial(ctx, engine.ClientConfig{
		Dialer: v.srv.Pipe(), SDKAppID: v.cfg.app, UserID: r.id, UserSig: sig, Listener: r, Receive: hooks.ModeForward,
	})
	if err != nil {
		return nil, fmt.Errorf("voice: %w", err)
	}
	v.mu.Lock()
	v.rooms[r.id] = r
	v.mu.Unlock()
	return r, nil
}

// OnCallBegin is told when the first player is in.
func (r *room) OnCallBegin(c hooks.CallInfo) {
	r.mu.Lock()
	r.callID = c.CallID
	clear(r.apart)
	r.mu.Unlock()
}

// OnCallEnd is told when the last player has left.
func (r *room) OnCallEnd(hooks.CallInfo, hooks.EndReason, time.Duration) {
	r.mu.Lock()
	r.callID = ""
	r.mu.Unlock()
}

// join lets players in, who are rung; their clients accept what the match rings.
func (r *room) join(players ...string) {
	r.v.mu.Lock()
	for _, p := range players {
		r.v.where[p] = r
	}
	r.v.mu.Unlock()
	r.ring(players...)
}

// ring is called by one goroutine of the match and by the observer.
func (r *room) ring(players ...string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	options := engine.CallOptions{Timeout: ringTime}
	err := r.host.InviteUser(ctx, players, options)
	if err != nil { // there is no call yet, or no more
		err = r.host.GroupCall(ctx, players, hooks.MediaAudio, "", options)
	}
	if err != nil {
		r.v.log.Warn("voice: match %s: %v", r.id, err)
	}
}

// leave ends the voice of players who are no longer in the match: they are signed
// out, and get not a packet more. Their clients sign in again for the next.
func (r *room) leave(players ...string) {
	for _, p := range players {
		r.v.mu.Lock()
		here := r.v.where[p] == r
		if here {
			delete(r.v.where, p)
		}
		r.v.mu.Unlock()
		if here {
			r.v.srv.Kick(p, "left the match") // an error says that they are not signed in
		}
	}
}

// place says where players stand: who is further than hearing from somebody is
// not sent a packet of theirs. It may be called with each tick.
func (r *room) place(at map[string]position, hearing float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.callID == "" {
		return
	}
	var changes []engine.Hearing
	for p, here := range at {
		for q, there := range at {
			if k := (pair{p, q}); p != q && r.apart[k] != here.beyond(there, hearing) {
				r.apart[k] = !r.apart[k]
				changes = append(changes, engine.Hearing{Receiver: p, Talker: q, Audio: !r.apart[k]})
			}
		}
	}
	if len(changes) == 0 {
		return
	}
	if err := r.v.srv.SetHearing(r.callID, changes); err != nil {
		r.v.log.Warn("voice: match %s: %v", r.id, err)
	}
}

// close is the end of the match.
func (r *room) close() {
	r.v.mu.Lock()
	delete(r.v.rooms, r.id)
	var players []string
	for p, in := range r.v.where {
		if in == r {
			players = append(players, p)
		}
	}
	r.v.mu.Unlock()
	r.leave(players...)
	r.host.Destroy()
}

// position is in metres.
type position struct{ X, Y float64 }

func (p position) beyond(q position, distance float64) bool {
	dx, dy := p.X-q.X, p.Y-q.Y
	return dx*dx+dy*dy > distance*distance
}
