package load

import (
	"errors"
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/hooks"
)

// Config says what load there is. The zero value is a room of 100 in mix mode,
// five of them talking, for ten seconds.
type Config struct {
	// Server is one that runs elsewhere, which is not touched otherwise. Then Bare,
	// InServer, Aside, Window, FramesPerPacket and profiles cannot be. Default nil:
	// Run starts one.
	Server *Server
	// Bare measures a bare loop over quic-go instead of a server: a ready
	// datagram to each receiver for each frame, in forward mode with the voices
	// of all others who talk in it, of whom there are then at most ten. Default
	// false.
	Bare bool
	// Relay makes the bare loop send each datagram that comes in to everybody
	// else at once instead: it needs Bare, forward mode and one room. Default
	// false.
	Relay bool
	// Mode of the rooms. Default hooks.ModeMix.
	Mode hooks.RoomMode
	// Rooms is how many there are, Users how many are in each, and Talkers how
	// many of those talk. Defaults 1, 100 and 5.
	Rooms, Users, Talkers int
	// Every makes only one room in so many talk. Default 1: all.
	Every int
	// Duration is how long is measured. Default 10 s.
	Duration time.Duration
	// Frame is how much sound a packet holds: 10 or 20 ms. Default 20 ms.
	Frame time.Duration
	// FramesPerPacket is that of those who only listen, in a mix: 1 to 3.
	// Default 1.
	FramesPerPacket int
	// Window is engine.ServerConfig.BundleWindow. Default 0: the engine's.
	Window time.Duration
	// Unsteered makes talkers ignore the server's wish that their frames begin
	// at another moment. Default false.
	Unsteered bool
	// Delays measures how long packets take from one who talks to one who listens:
	// it needs forward mode. Default false.
	Delays bool
	// InServer measures besides how long they are in the server, which costs that
	// some percent: it needs Delays. Default false.
	InServer bool
	// Phases, if it is not 0, is a seed from which talkers' phases are drawn, each
	// anywhere in the frame. Default 0: they are spread evenly over it.
	Phases uint64
	// Aside is how many of those who only listen are not counted, and look at a
	// camera that the first talker opens: it needs forward mode and one room.
	// Default 0, and no camera.
	Aside int
	// Bad makes the first three of those aside misbehave while it is measured:
	// one neither reads nor acknowledges, one gets 64 kbit/s, one floods requests
	// for key frames and lost packets, 2,000 packets a second. Default false.
	Bad bool
	// Profile is a file that the server's CPU profile is written to,
	// MutexProfile and BlockProfile those for its profiles of who holds locks
	// that others wait for and of what goroutines wait for, 10 µs or longer. All
	// are of what is measured, without the beginning. Default none.
	Profile, MutexProfile, BlockProfile string
}

// A Server is where one runs, and how to sign in there.
type Server struct {
	// Addr is its UDP address, host:port.
	Addr string
	// Pin is its certificate's (transport.ParsePin). Default nil: its certificate
	// is one that this machine trusts.
	Pin []byte
	// AppID and Key are what it checks UserSigs with. People sign in as users
	// whose names begin with "load-".
	AppID uint32
	Key   string `json:"-"` // not in what is printed
	// Metrics is the URL at which it gives what engine/prom and Prometheus's
	// process collector count, as "earshot serve -metrics" does. Default none: its
	// costs are not known.
	Metrics string
}

// Check says what is wrong with c.
func (c Config) Check() error {
	_, err := c.WithDefaults()
	return err
}

// WithDefaults is c with the defaults in place of zeros; an error says what is
// wrong with it.
func (c Config) WithDefaults() (Config, error) {
	def(&c.Mode, hooks.ModeMix)
	def(&c.Rooms, 1)
	def(&c.Users, 100)
	def(&c.Talkers, 5)
	def(&c.Every, 1)
	def(&c.Duration, 10*time.Second)
	def(&c.Frame, 20*time.Millisecond)
	def(&c.FramesPerPacket, 1)
	switch {
	case c.Server != nil && (c.Bare || c.InServer || c.Aside > 0 || c.Window != 0 || c.FramesPerPacket != 1 || c.Profile != "" || c.MutexProfile != "" || c.BlockProfile != ""):
		return c, errors.New("load: bare loops, profiles, a window, several frames a packet and users aside are for a server that the load starts itself")
	case !c.Mode.Valid():
		return c, fmt.Errorf("load: mode %q is neither forward nor mix", c.Mode)
	case c.Rooms < 1 || c.Users < 2 || c.Rooms*c.Users > 5000:
		return c, fmt.Errorf("load: %d rooms of %d users: at least one room, two users in it, and 5000 users in all", c.Rooms, c.Users)
	case c.Talkers < 1 || c.Talkers > c.Users:
		return c, fmt.Errorf("load: %d of %d users cannot talk", c.Talkers, c.Users)
	case c.Every < 1 || c.Every > c.Rooms:
		return c, fmt.Errorf("load: one in %d of %d rooms cannot talk", c.Every, c.Rooms)
	case c.Duration < time.Second || c.Duration > 10*time.Minute:
		return c, fmt.Errorf("load: duration %v is not within 1 s to 10 min", c.Duration)
	case c.Frame != 10*time.Millisecond && c.Frame != 20*time.Millisecond:
		return c, fmt.Errorf("load: frame %v is neither 10 nor 20 ms", c.Frame)
	case c.FramesPerPacket < 1 || c.FramesPerPacket > 3:
		return c, fmt.Errorf("load: %d frames a packet are not 1 to 3", c.FramesPerPacket)
	case c.FramesPerPacket > 1 && (c.Frame != 20*time.Millisecond || c.Mode != hooks.ModeMix):
		return c, errors.New("load: several frames a packet need a mix with frames of 20 ms")
	case c.Relay && (!c.Bare || c.Mode != hooks.ModeForward || c.Rooms > 1):
		return c, errors.New("load: a relay needs a bare loop, forward mode and one room")
	case c.Aside < 0 || c.Aside > c.Users-c.Talkers:
		return c, fmt.Errorf("load: %d aside of %d who only listen", c.Aside, c.Users-c.Talkers)
	case c.Aside > 0 && (c.Mode != hooks.ModeForward || c.Bare || c.Rooms > 1):
		return c, errors.New("load: users aside need forward mode and one room")
	case c.Bad && c.Aside < numBad:
		return c, fmt.Errorf("load: %d who misbehave need as many aside", numBad)
	case c.Delays && (c.Mode != hooks.ModeForward || c.Bare && !c.Relay):
		return c, errors.New("load: delays are measured where packets are passed on, in forward mode or by a relay")
	case c.InServer && !c.Delays:
		return c, errors.New("load: delays in the server are measured with those from client to client")
	case c.Bare && !c.Relay && c.Mode == hooks.ModeForward && c.Talkers > 10:
		return c, fmt.Errorf("load: %d voices do not fit one datagram of a bare loop: at most 10", c.Talkers)
	}
	return c, nil
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// aside reports whether a user is not counted: those who sit next to the talkers.
func (c Config) aside(user int) bool { return user >= c.Talkers && user < c.Talkers+c.Aside }

// talking is how many rooms talk.
func (c Config) talking() int { return (c.Rooms + c.Every - 1) / c.Every }

// hears is how many packets a second a user should get.
func (c Config) hears(room, user int) float64 {
	if room%c.Every != 0 {
		return 0
	}
	others := c.Talkers
	if user < c.Talkers {
		others--
	}
	perSecond := float64(time.Second / c.Frame)
	switch {
	case others == 0:
		return 0
	case c.Mode == hooks.ModeForward:
		return float64(others) * perSecond
	}
	return perSecond
}
