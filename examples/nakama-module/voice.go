package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/heroiclabs/nakama-common/runtime"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
)

// voice is the voice server, and where each of Nakama's users is heard. It is
// used by all matches, each on a goroutine of its own, and by RPCs.
type voice struct {
	srv    *engine.Server
	log    runtime.Logger
	nk     runtime.NakamaModule
	public string // what clients dial
	key    string // signs tickets; nobody else knows it
	done   chan struct{}
	ended  sync.WaitGroup

	mu      sync.Mutex
	seats   map[string]*seat // by user ID of the voice server
	parties map[stream]*room
}

// A seat is where a user is at Nakama, and the room in which they are heard: the
// match's before the party's.
type seat struct {
	match, party, in *room
	sessions         int           // with which they are in the match
	player           engine.Player // as which
}

func newVoice(cfg config, log runtime.Logger, nk runtime.NakamaModule) (*voice, error) {
	v := &voice{
		log: log, nk: nk, public: cfg.public, key: rand.Text(), done: make(chan struct{}),
		seats: make(map[string]*seat), parties: make(map[stream]*room),
	}
	var err error
	if v.srv, err = engine.NewServer(engine.ServerConfig{
		Addr: cfg.addr, AllowedOrigins: cfg.origins, SDKAppID: appID, Key: v.key,
		Plugins: []hooks.Plugin{{Name: "nakama", MayCall: mayCall}},
	}); err != nil {
		return nil, err
	}
	if err := v.srv.Listen(); err != nil {
		return nil, err
	}
	if v.public == "" {
		_, port, _ := net.SplitHostPort(v.srv.Addr().String())
		v.public = net.JoinHostPort("127.0.0.1", port)
	}
	v.ended.Go(func() {
		if err := v.srv.Serve(); !errors.Is(err, engine.ErrClosed) {
			log.Error("voice: %v", err)
		}
	})
	v.ended.Go(v.watchParties)
	return v, nil
}

func (v *voice) close() {
	close(v.done)
	v.srv.Close() // and with it its worlds
	v.ended.Wait()
}

// mayCall: nobody rings anybody; matches and parties say who hears whom.
func mayCall(context.Context, hooks.CallRequest) error {
	return &hooks.Refusal{Code: hooks.CodeRefused, Message: "voice is the matches' and parties'"}
}

// A room is the voice of one match or party. Its world's methods may be called
// at will, but for Join, Leave and Close, which are the room's.
type room struct {
	v     *voice
	world *engine.World
}

// newRoom makes a room for a match. cfg.ID is the match's.
func (v *voice) newRoom(cfg engine.WorldConfig) (*room, error) {
	cfg.ID, _, _ = strings.Cut(cfg.ID, ".") // without the node
	w, err := v.srv.NewWorld(cfg)
	if err != nil {
		return nil, fmt.Errorf("voice: %w", err)
	}
	return &room{v, w}, nil
}

// join puts players into the match's room, and out of another's. Who has not
// signed in to voice yet, or never does, is in all the same.
func (r *room) join(players ...engine.Player) {
	r.v.mu.Lock()
	defer r.v.mu.Unlock()
	for _, p := range players {
		s := r.v.seatOf(p.UserID)
		if s.match != r {
			s.match, s.sessions, s.player = r, 0, p
		}
		s.sessions++
		r.v.settle(p.UserID)
	}
}

// leave takes users out of the match's room: one who is in the match twice when
// they have left twice.
func (r *room) leave(userIDs ...string) {
	r.v.mu.Lock()
	defer r.v.mu.Unlock()
	for _, user := range userIDs {
		if s := r.v.seats[user]; s != nil && s.match == r {
			if s.sessions--; s.sessions == 0 {
				s.match = nil
				r.v.settle(user)
			}
		}
	}
}

// close ends the match's room. Whoever is in it is out.
func (r *room) close() {
	r.v.mu.Lock()
	defer r.v.mu.Unlock()
	for user, s := range r.v.seats {
		if s.match == r {
			s.match = nil
			r.v.settle(user)
		}
	}
	r.world.Close()
}

// seatOf is a user's seat. mu is held.
func (v *voice) seatOf(user string) *seat {
	if v.seats[user] == nil {
		v.seats[user] = new(seat)
	}
	return v.seats[user]
}

// settle puts a user into the room that they belong to now, and forgets who
// belongs nowhere. mu is held.
func (v *voice) settle(user string) {
	s := v.seats[user]
	want, player := s.match, s.player
	if want == nil {
		want, player = s.party, engine.Player{UserID: user, Team: "party"}
	}
	if s.in != want {
		if s.in != nil {
			s.in.world.Leave(user) // no error but that they are out already
		}
		if s.in = want; want != nil {
			if _, err := want.world.Join(player); err != nil {
				v.log.Warn("voice: %v", err)
				s.in = nil
			}
		}
	}
	if s.match == nil && s.party == nil {
		delete(v.seats, user)
	}
}
