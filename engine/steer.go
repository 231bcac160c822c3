package engine

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/signal"
)

// Packets of a talker arrive whenever their frames happen to end, and would
// wait up to a frame for the room's tick. A steer learns when that is, and says
// by how much the talker should begin their frames later, so that packets come
// just before the tick.
type steer struct {
	aim aim

	n     int
	waits [steerPackets]time.Duration // from arrival until the tick
	amiss bool                        // the last judgement was that they come amiss
	asked time.Time
	tries int
}

// An aim is where a steer wants packets to come.
type aim struct {
	grid grid
	// most says that most of them should come there, rather than all, and not so
	// exactly: what waits for them is no tick, but a window that begins with them.
	most bool
}

// late is by how much later than steerLead they may come.
func (a aim) late() time.Duration {
	if a.most {
		return steerLoose
	}
	return steerLate
}

const (
	steerPackets = 16
	steerMost    = steerPackets * 3 / 4
	// steerLead is how long before the tick the last of the packets should come, or
	// the one in the middle where most count.
	steerLead = 2500 * time.Microsecond
	// Where there is a tick they may be steerLate later, where there is a window
	// steerLoose: when all talkers come at once each is later than by itself.
	steerLate  = steerLead / 2
	steerLoose = 2750 * time.Microsecond
	// steerWorth is the least that is worth asking for.
	steerWorth = 2 * time.Millisecond
	// A talker who does not do as asked is asked steerTries times, steerAgain
	// apart, and then seldom.
	steerTries = 3
	steerAgain = 3 * time.Second
	steerRest  = time.Minute
)

// note takes the arrival of a packet, and returns by how much the frames should
// begin later: 0 for as they are.
func (s *steer) note(arrival time.Time) time.Duration {
	every := s.aim.grid.every
	s.waits[s.n] = s.aim.grid.after(arrival).Sub(arrival)
	if s.n++; s.n < steerPackets {
		return 0
	}
	s.n = 0
	count := steerPackets
	if s.aim.most {
		count = steerMost
	}
	last, middle, spread := placesOf(s.waits[:], count, every)
	if spread > every/2 {
		return 0 // the network shakes them more than steering would gain
	}
	shift := last - steerLead
	if s.aim.most {
		shift = middle - steerLead
	}
	if shift < 0 {
		shift += every
	}
	pause := steerAgain
	if s.tries >= steerTries {
		pause = steerRest
	}
	switch {
	case shift < steerWorth || shift > every-s.aim.late():
		s.amiss, s.tries = false, 0 // they are where they should be
		return 0
	case s.aim.most && !s.amiss: // once is chance
		s.amiss = true
		return 0
	case arrival.Sub(s.asked) < pause:
		return 0
	}
	s.asked = arrival
	s.amiss = false
	s.tries++
	return shift
}

// placesOf returns where in the frame most packets come: the wait of the last of
// those most that come closest together, that of the one in their middle, and
// over how long they are spread. Waits are places on a circle as long as the
// frame. waits is sorted.
func placesOf(waits []time.Duration, most int, every time.Duration) (last, middle, spread time.Duration) {
	slices.Sort(waits)
	n := len(waits)
	spread = every
	for i := range waits {
		arc := waits[(i+most-1)%n] - waits[i]
		if arc < 0 {
			arc += every
		}
		if arc < spread {
			last, middle, spread = waits[i], waits[(i+most/2)%n], arc
		}
	}
	return last, middle, spread
}

// watch looks at when a track's packets arrive, and asks for a shift.
func (t *track) watch(s *steer, arrival time.Time) {
	shift := s.note(arrival)
	if shift == 0 {
		return
	}
	samples := int(shift * codec.SampleRate / time.Second)
	if samples%(codec.SampleRate/400) == 0 {
		samples++ // off the grid of 2.5 ms, the jitter buffer sees that it moved
	}
	frame, err := signal.Encode(signal.Message{Type: signal.TypeShift}, signal.Shift{TrackID: t.id, Samples: samples})
	if err != nil {
		return
	}
	d := t.owner
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn != nil {
		d.conn.out.enqueue(frame)
	}
}
