package engine

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/engine/audience"
	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
)

// WorldConfig configures a World.
type WorldConfig struct {
	// ID names the world; clients see it as the ID of the call that they are in.
	// 1 to 64 bytes. Default: one is made.
	ID string
	// Range is from how far players hear and are heard, unless their own Range
	// and Reach say otherwise, in metres. Default 30.
	Range float32
	// Voices is how many talkers a player hears at a time at most, 1 to 30.
	// Default 12.
	Voices int
	// Tick is how old what was worked out of who hears whom is at most when a packet
	// leaves: 10 to 200 ms. A change takes effect within it, and the server's
	// BundleWindow. Default 33 ms.
	Tick time.Duration
	// Linger is for how long a player still has the track of somebody who went
	// out of hearing; nothing is sent on it. Default 5 s.
	Linger time.Duration
	// Falloff is the gain, 0 to 1, at a distance as a share, 0 to 1, of how far a
	// voice carries; it is asked once. Default: full up to a tenth, then in
	// inverse proportion to the distance, fading out over the last tenth.
	Falloff func(share float32) float32
	// Duck is by how much a player of a higher priority makes the others
	// quieter while they talk, in dB. Default 12; negative is not at all.
	Duck float32
	// Score says how much a player would hear another, where more talk than
	// Voices; those who are heard already get 6 on top. It is asked on a goroutine
	// of its own, of all whom a tick had to choose from, and what it says counts
	// from the next tick on: the world never waits for it. It should be done with
	// all of them within a Tick. One that panics three times, or takes longer 25
	// times in a row, is taken off with a warning, and shows in
	// Snapshot.Hooks as "world", "Score"; the default counts then, and for whom it
	// has not been asked yet. Default: Level + Gain + 10 times Priority, in dB.
	Score func(c Candidate) float32
}

// A Candidate is a talker whom a player might hear; see WorldConfig.Score.
type Candidate struct {
	Receiver, Talker string // user IDs
	Reason           audience.Reason
	Distance         float32 // metres, if the reason is audience.Near
	Gain             float32 // dB, by distance
	Level            float32 // dBov: how loud the talker says they are
	Priority         int
}

// A Player is a user in a world, as they come in.
type Player struct {
	UserID string
	// Position is where they are, in metres, and Forward which way they look:
	// the part of it that is level counts. Defaults: the origin, forward.
	Position, Forward mixer.Vector
	// Range is from how far they hear, and Reach from how far they are heard, in
	// metres. Defaults WorldConfig.Range.
	Range, Reach float32
	// Team is whom they hear at any distance. Default none.
	Team string
	// Mode is whom they talk with besides their team. Default audience.World.
	Mode audience.Mode
	// Groups are those that they are in, at most 4: see SetGroupType. Default
	// none.
	Groups []string
	// Priority makes them heard rather than others, and others quieter while they
	// talk: 0 to 10. Default 0.
	Priority int
	// Broadcast makes everybody hear them, Spectator nobody. Defaults false.
	Broadcast, Spectator bool
	// Category is what kind of sound they are, for volumes. Default
	// audience.Players.
	Category audience.Category
}

// A Handle is a player in a world, for Move: it goes when they leave, and no
// other player ever gets the same. Zero is none.
type Handle uint64

// ErrBanned is wrapped by the error of Join for a user who is banned.
var ErrBanned = errors.New("banned from the world")

// A World is a place of a game in which players hear those near them, their
// team, their groups and whom else the game says. Nobody rings and nobody asks:
// the game puts users in, moves them and takes them out, and to their clients it
// is as a call that they are in, in which tracks come into hearing and go. A
// user is in one world or one call at a time; one who is not signed in is put in
// when they do.
//
// A talker's packets go to those who hear them and to nobody else, with how
// loud and from which side, and never with where. Its methods may be called
// from any goroutine, and are made for a game loop: they wait for nothing that
// has to do with media. A world always forwards, it does not mix.
//
// Server.Play plays sounds in it, and the server's taps tell what is said and heard
// there, by its ID. A plugin's Packet, Processor and PathProcessor hold there, too;
// its MixProcessor does not. Characters of the game's own are clients by
// Server.Pipe, whom the game lets join like all others.
type World struct {
	// What the game says and what the tick does are apart, so that neither waits
	// for the other. The game's methods hold mu, which the tick does not take:
	// they check, note what they change in book, and push the change. The tick is
	// one goroutine at a time and alone has to do with aud, byID and the slots of
	// seats. It begins with taking all changes in one atomic exchange and carrying
	// them out in their order; where players are after the last complete Move it
	// reads from their spots, which hold that until the next tick, too. What both
	// need at once is atomic in the member, or in the seat. A seat's lock is held
	// while its device is told of a track, so that nothing is told after the seat is
	// over; the device's own and the batch's, which packet handlers take, are all
	// else that a tick waits for.
	// Lock order: Server.mu, World.mu, seat.mu, device.mu.
	srv  *Server
	cfg  WorldConfig
	call *call // what the world is to the rest of the server
	tick *ticker
	wait time.Duration // for how long a packet waits for others at most
	aim  aim           // of talkers' frames
	// paths says that plugins may change the sound on the way from one to another.
	paths bool

	batch worldBatch
	stage stage

	changes   atomic.Pointer[change] // the newest first
	ended     atomic.Bool            // tracks have ended since the last tick
	announced atomic.Int64           // tracks that players have
	stats     worldCounters
	scores    *scores // nil without WorldConfig.Score

	// mu guards what follows.
	mu      sync.Mutex
	closed  bool
	book    *audience.Audience // what the game has said: for Hears, and never ticked
	members map[string]*member // sounds among them
	sounds  []*Sound
	ears    []*tap // on what players hear
	teams   names
	groups  names
	users   map[string]*standing // what is kept of users, here or not
	pairs   int                  // in all of users

	// The tick's own.
	aud     *audience.Audience
	byID    []*member // by audience.ID; nil where nobody is
	worked  time.Time // when who hears whom was last worked out
	active  int       // who talked then
	sending sending
}

// A member is a player in a world.
type member struct {
	w      *World
	id     audience.ID
	handle Handle
	userID string
	sound  *Sound // that it is, if it is no player

	spot  spot
	on    *member               // with whom a sound goes, or nil
	off   atomic.Uint64         // the Move that took it off them, or 0
	seat  atomic.Pointer[seat]  // on which they are in, or nil; World.mu to change it
	track atomic.Pointer[track] // their microphone, or nil; World.mu to change it

	// For the packet handler and the tick.
	talked atomic.Int64 // when, in Unix nanoseconds
	loud   atomic.Int32 // in 1/256 dBov
	hushed atomic.Bool  // nobody may hear them
	ears   atomic.Pointer[[]*tap]

	// The tick's own: what it has placed them by.
	from   *spot
	placed uint64
}

// device is that on which they are in, or nil.
func (m *member) device() *device {
	if st := m.seat.Load(); st != nil {
		return st.dev
	}
	return nil
}

// NewWorld makes a world that nobody is in. Errors: one that says what is wrong
// with the configuration, or that there is a world or call of that ID; ErrClosed
// after the server's Close.
func (s *Server) NewWorld(cfg WorldConfig) (*World, error) {
	setDefault(&cfg.ID, newCallID())
	setDefault(&cfg.Range, 30)
	setDefault(&cfg.Voices, 12)
	setDefault(&cfg.Tick, 33*time.Millisecond)
	setDefault(&cfg.Linger, 5*time.Second)
	switch {
	case len(cfg.ID) > 64:
		return nil, fmt.Errorf("earshot: the world's ID is longer than 64 bytes")
	case !(cfg.Range > 0 && cfg.Range <= maxMetres):
		return nil, fmt.Errorf("earshot: Range %v is not within 0 to 1,000 km", cfg.Range)
	case cfg.Voices < 1 || cfg.Voices > 30:
		return nil, fmt.Errorf("earshot: Voices %d is not within 1 to 30", cfg.Voices)
	case cfg.Tick < 10*time.Millisecond || cfg.Tick > 200*time.Millisecond:
		return nil, fmt.Errorf("earshot: Tick %v is not within 10 to 200 ms", cfg.Tick)
	case cfg.Linger < 0:
		return nil, fmt.Errorf("earshot: Linger %v is negative", cfg.Linger)
	}
	w := &World{
		srv: s, cfg: cfg, members: make(map[string]*member), users: make(map[string]*standing),
		teams:  names{what: "teams", of: make(map[string]uint16), used: (*audience.Audience).Teams},
		groups: names{what: "groups", of: make(map[string]uint16), used: (*audience.Audience).Groups},
	}
	rules := audience.Config{Range: cfg.Range, Voices: cfg.Voices, Falloff: cfg.Falloff, Duck: cfg.Duck}
	if cfg.Score != nil {
		w.scores = newScores(w)
		rules.Score = w.scores.of
	}
	w.aud, w.book = audience.New(rules), audience.New(rules)
	w.call = &call{state: callstate.Call{ID: cfg.ID, Group: true, Media: hooks.MediaAudio}, room: newRoom(s), world: w}
	w.call.room.call = w.call
	w.stage.users = make(map[string]*member)
	w.stage.done.Store(1)

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed || s.draining:
		return nil, ErrClosed
	case s.worlds[cfg.ID] != nil || s.calls[cfg.ID] != nil:
		return nil, fmt.Errorf("earshot: there is a world or call %q already", cfg.ID)
	}
	w.wait = max(s.cfg.BundleWindow, time.Millisecond)
	w.tick = w.call.room.ticker(cfg.Tick, w.run)
	w.tick.free = w.wait
	w.measure()
	w.aim = aim{w.tick.grid(frameTime), true}
	w.sending.init()
	w.paths = s.hasPaths()
	w.warn()
	if s.worlds == nil {
		s.worlds = make(map[string]*World)
	}
	s.worlds[cfg.ID] = w
	return w, nil
}

// ID is the world's.
func (w *World) ID() string { return w.cfg.ID }

// Join puts users into the world, and returns their handles, in the same order.
// Those who are not signed in are put in when they do, and stay in when they
// lose their connection or sign out, until Leave. Errors: ErrBusy if a user
// rings, is in a call, in another world or in this one, or a sound of that name
// plays here; ErrBanned; an *Error for a user ID that is none or a setting out of
// range. Nobody is put in then.
func (w *World) Join(players ...Player) ([]Handle, error) {
	s := w.srv
	s.mu.Lock()
	defer s.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil, ErrClosed
	}
	now := time.Now()
	seen := make(map[string]bool, len(players))
	var teams, groups []string
	for i := range players {
		p := &players[i]
		if err := p.check(); err != nil {
			return nil, err
		}
		u := w.users[p.UserID]
		switch {
		case s.busy[p.UserID] != nil || seen[p.UserID] || w.members[p.UserID] != nil:
			return nil, fmt.Errorf("%s: %w", p.UserID, ErrBusy)
		case u != nil && u.banned.After(now):
			return nil, fmt.Errorf("%s: %w", p.UserID, ErrBanned)
		}
		seen[p.UserID] = true
		teams, groups = append(teams, p.Team), append(groups, p.Groups...)
	}
	if err := errors.Join(w.room(&w.teams, teams...), w.room(&w.groups, groups...)); err != nil {
		return nil, err
	}
	list := make([]*member, len(players))
	handles := make([]Handle, len(players))
	rules := make([]playerRules, len(players))
	for i := range players {
		p := &players[i]
		m := &member{w: w, id: w.book.Add(), userID: p.UserID}
		s.busy[m.userID] = w.call
		list[i] = m
		rules[i] = playerRules{Player: *p, id: m.id, team: w.teams.number(p.Team), groups: w.groups.numbers(p.Groups)}
	}
	w.add(list, rules)
	for i, m := range list {
		handles[i] = m.handle
		w.admit(m)
		w.prick(m)
		for _, d := range s.users[m.userID] {
			if d.stranger == nil && d.call == nil {
				w.enter(m, d)
				break
			}
		}
	}
	return handles, nil
}

// add puts members in. Server.mu and mu are held.
func (w *World) add(list []*member, rules []playerRules) {
	for i, m := range list {
		m.spot.write(1, 1, rules[i].Position, rules[i].Forward)
		w.stage.add(m)
		w.members[m.userID] = m
		rules[i].set(w.book)
	}
	w.push(func(a *audience.Audience) { // which numbers them as the book has
		for i := range rules {
			a.Add()
			rules[i].set(a)
		}
	}, func() {
		for _, m := range list {
			for int(m.id) >= len(w.byID) {
				w.byID = append(w.byID, nil)
			}
			w.byID[m.id] = m
		}
	})
	w.recall(list)
}

// maxMetres is the longest range, and the farthest place.
const maxMetres = 1e6

func (p *Player) check() error {
	if err := signal.CheckUserID(p.UserID); err != nil {
		return &Error{Code: hooks.CodeBadParam, Message: err.Error()}
	}
	if err := checkPlace(p.Position, p.Forward); err != nil {
		return err
	}
	return errors.Join(checkMetres(p.Range), checkMetres(p.Reach), checkGroups(p.Groups), checkPriority(p.Priority), checkCategory(p.Category), checkMode(p.Mode))
}

// playerRules are what an audience has of a Player who comes.
type playerRules struct {
	Player
	id     audience.ID
	team   uint16
	groups [audience.MaxGroups]uint16

	sound bool
	kept  []audience.ID // who alone hears the sound; nil is everybody
}

func (p *playerRules) set(a *audience.Audience) {
	a.Place(p.id, audience.Vector(p.Position), audience.Vector(p.Forward))
	if p.Range != 0 {
		a.SetRange(p.id, p.Range)
	}
	if p.Reach != 0 {
		a.SetReach(p.id, p.Reach)
	}
	a.SetTeam(p.id, p.team)
	a.SetMode(p.id, p.Mode)
	a.SetGroups(p.id, p.groups)
	a.SetPriority(p.id, p.Priority)
	a.SetBroadcast(p.id, p.Broadcast)
	a.SetSpectator(p.id, p.Spectator)
	a.SetCategory(p.id, p.Category)
	a.SetCarries(p.id, p.sound)
	a.Keep(p.id, p.kept)
}

// Leave takes users out of the world; their clients are told that the server
// ended the call. Errors: an *Error if one is not in it, and then nobody is
// taken out.
func (w *World) Leave(userIDs ...string) error {
	_, err := w.leave(userIDs)
	return err
}

// leave is Leave, and returns who they were.
func (w *World) leave(userIDs []string) ([]*member, error) {
	w.srv.mu.Lock()
	defer w.srv.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	list, err := w.find(userIDs)
	if err == nil {
		w.drop(list)
	}
	return list, err
}

// Kick is Leave, and signs those users out (Server.Kick), with words for the log.
// A sound is no user: it ends, and whoever has its name stays signed in.
func (w *World) Kick(why string, userIDs ...string) error {
	list, err := w.leave(userIDs)
	if err != nil {
		return err
	}
	for _, m := range list {
		if m.sound == nil {
			w.srv.Kick(m.userID, why) // or they are not signed in
		}
	}
	return nil
}

// find are the members of these users. mu is held.
func (w *World) find(userIDs []string) ([]*member, error) {
	if w.closed {
		return nil, ErrClosed
	}
	list := make([]*member, 0, len(userIDs))
	for _, u := range userIDs {
		m := w.members[u]
		if m == nil {
			return nil, refuse(hooks.CodeBadParam, "%.32q is not in the world", u)
		}
		list = append(list, m)
	}
	return list, nil
}

// drop takes members out, and the sounds that are on them. Server.mu and mu are
// held.
func (w *World) drop(list []*member) {
	list = w.carried(list)
	ids := make([]audience.ID, 0, len(list))
	for _, m := range list {
		if w.members[m.userID] != m { // named twice
			continue
		}
		w.exit(m, hooks.EndByServer)
		w.hush(m)
		delete(w.members, m.userID)
		w.stage.remove(m)
		if m.sound == nil && w.srv.busy[m.userID] == w.call {
			delete(w.srv.busy, m.userID)
		}
		ids = append(ids, m.id)
	}
	if len(ids) == 0 {
		return
	}
	w.change(func(a *audience.Audience) { a.Remove(ids...) }, func() {
		for _, id := range ids {
			w.byID[id] = nil
		}
	})
}

// enter puts a member on a device. Server.mu and mu are held.
func (w *World) enter(m *member, d *device) {
	d.call, d.rights = w.call, usersig.AllPrivileges
	d.tell(signal.TypeEntered, signal.Entered{CallID: w.cfg.ID, IsFromGroup: true, Media: hooks.MediaAudio})
	m.seat.Store(&seat{m: m, dev: d})
	w.srv.observe(hooks.Event{Kind: hooks.EventUserEntered, UserID: m.userID, CallID: w.cfg.ID, Device: d.id})
}

// exit takes a member off their device, if they are on one; it is told why
// unless that is EndUnknown. Server.mu and mu are held.
func (w *World) exit(m *member, why hooks.EndReason) {
	st := m.seat.Swap(nil)
	if st == nil {
		return
	}
	d := st.dev
	for _, t := range append([]*track(nil), d.published...) {
		w.dropTrack(t)
	}
	st.end()
	d.call = nil
	if why != hooks.EndUnknown {
		d.tell(signal.TypeCallEnd, signal.CallEnd{CallID: w.cfg.ID, Reason: why})
	}
	w.srv.observe(hooks.Event{Kind: hooks.EventUserLeft, UserID: m.userID, CallID: w.cfg.ID, Device: d.id})
}

// signedIn puts a device into the world that its user is in. It takes the place
// of another. Server.mu is held.
func (w *World) signedIn(d *device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[d.userID]
	if m == nil || d.stranger != nil {
		return
	}
	w.exit(m, hooks.EndOtherDeviceAccepted)
	w.enter(m, d)
}

// signedOut takes a device that is about to be forgotten out; its user stays,
// and another device of theirs takes its place. Server.mu is held.
func (w *World) signedOut(d *device) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[d.userID]
	if m == nil || m.device() != d {
		return
	}
	w.exit(m, hooks.EndUnknown)
	for _, other := range w.srv.users[d.userID] {
		if other != d && other.stranger == nil {
			w.enter(m, other)
			break
		}
	}
}

// Close takes everybody out and ends the world. It is idempotent.
func (w *World) Close() error {
	w.srv.mu.Lock()
	defer w.srv.mu.Unlock()
	w.close()
	return nil
}

// close is Close with Server.mu held.
func (w *World) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return
	}
	w.drop(slices.Collect(maps.Values(w.members)))
	w.closed = true
	w.call.room.endTaps()
	w.tick.remove()
	w.srv.meters.endWorld(w)
	delete(w.srv.worlds, w.cfg.ID)
}

// Handle is a player's. It reports false if they are not in the world.
func (w *World) Handle(userID string) (Handle, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := w.members[userID]
	if m == nil {
		return 0, false
	}
	return m.handle, true
}

// Hears is why one player would hear another if they talked now, by all that the
// game has said so far: audience.Nothing if not at all, or one of them is not in
// the world or not connected.
func (w *World) Hears(receiver, talker string) audience.Reason {
	w.mu.Lock()
	defer w.mu.Unlock()
	r, t := w.members[receiver], w.members[talker]
	if r == nil || t == nil || !r.connected() || t.sound == nil && !t.connected() {
		return audience.Nothing
	}
	for _, m := range []*member{r, t} {
		at, forward := w.stage.where(m)
		w.book.Place(m.id, at, forward)
	}
	w.book.SetListening(r.id, true)
	return w.book.Hears(r.id, t.id)
}

// connected reports whether a member is signed in and can be sent something.
func (m *member) connected() bool {
	d := m.device()
	return d != nil && d.session.Load() != nil
}
