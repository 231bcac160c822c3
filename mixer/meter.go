package mixer

import (
	"cmp"
	"math"
	"slices"
	"sync"
)

// UserVolume is how loud one user was over an interval.
type UserVolume struct {
	UserID string
	// Volume is 1 to 100, of the interval's loudest frame.
	Volume int
	// Voice: some of it was speech.
	Voice bool
}

// A Meter gathers the levels of users' frames and says, once an interval, how
// loud each was. The zero value is ready. It may be used from several
// goroutines at the same time.
type Meter struct {
	mu    sync.Mutex
	users map[string]*metered
}

type metered struct {
	level float64
	fresh bool // a frame came in this interval
	voice bool
	idle  int // intervals without a frame
}

// forgetAfter is how many intervals without a frame a user is remembered for.
const forgetAfter = 100

// Add tells of one frame of about 20 ms: its level in dBov, and whether it is
// speech. A muted track and one that is only comfort noise tell nothing.
func (m *Meter) Add(userID string, dBov float64, voice bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := m.users[userID]
	if u == nil {
		if m.users == nil {
			m.users = make(map[string]*metered)
		}
		u = new(metered)
		m.users[userID] = u
	}
	if !u.fresh || dBov > u.level {
		u.level = dBov
	}
	u.voice = u.voice || voice
	u.fresh, u.idle = true, 0
}

// Remove forgets a user, as when they leave.
func (m *Meter) Remove(userID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.users, userID)
}

// Take ends the interval. It appends to dst those with a volume above 0,
// loudest first, ties by user ID, and returns the total: the volume of the
// power sum of all of them but local, the user who is asking ("" for none).
func (m *Meter) Take(dst []UserVolume, local string) (volumes []UserVolume, total int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var power float64
	first := len(dst)
	for id, u := range m.users {
		if !u.fresh {
			if u.idle++; u.idle > forgetAfter {
				delete(m.users, id)
			}
			continue
		}
		if v := Volume(u.level); v > 0 {
			dst = append(dst, UserVolume{UserID: id, Volume: v, Voice: u.voice})
			if id != local {
				power += math.Pow(10, u.level/10)
			}
		}
		u.fresh, u.voice = false, false
	}
	slices.SortFunc(dst[first:], func(a, b UserVolume) int {
		if a.Volume != b.Volume {
			return cmp.Compare(b.Volume, a.Volume)
		}
		return cmp.Compare(a.UserID, b.UserID)
	})
	if power > 0 {
		total = Volume(10 * math.Log10(power))
	}
	return dst, total
}
