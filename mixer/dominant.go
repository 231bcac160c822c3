package mixer

import "time"

// A DominantSpeaker says who has the floor: who a view should show large. It
// does not jump at a cough or a "yes": the floor goes to somebody else only when
// they have been speaking, and been louder than who has it, for a while; it
// stays through pauses; and it is nobody's after a long silence. The zero value
// is ready; one goroutine at a time.
type DominantSpeaker struct {
	user   string
	silent time.Duration // since the user last spoke

	challenger string
	ahead      time.Duration
}

const (
	// dominantTakes is how long a challenger must be ahead of one who speaks,
	// and dominantSteps in a pause of that one's.
	dominantTakes = 900 * time.Millisecond
	dominantSteps = 300 * time.Millisecond
	// dominantPause is how long one who has the floor may be silent without it
	// being open, and dominantForgets how long until it is nobody's.
	dominantPause   = 600 * time.Millisecond
	dominantForgets = 5 * time.Second
	// dominantLouder is by how much a challenger must be louder than one who
	// speaks, on the scale of volumes.
	dominantLouder = 4
)

// Update takes the volumes of an interval that has lasted for elapsed, as from
// [Meter.Take], and returns who has the floor, "" for nobody, and whether that
// has changed.
func (d *DominantSpeaker) Update(elapsed time.Duration, volumes []UserVolume) (userID string, changed bool) {
	var mine int
	best, bestID := 0, ""
	for _, v := range volumes {
		switch {
		case !v.Voice:
		case v.UserID == d.user:
			mine = v.Volume
		case v.Volume > best:
			best, bestID = v.Volume, v.UserID
		}
	}
	if mine > 0 {
		d.silent = 0
	} else {
		d.silent += elapsed
	}
	paused := d.user == "" || d.silent >= dominantPause
	switch {
	case bestID == "" || !paused && best < mine+dominantLouder:
		d.challenger, d.ahead = "", 0
	case bestID != d.challenger:
		d.challenger, d.ahead = bestID, elapsed
	default:
		d.ahead += elapsed
	}
	need := dominantTakes
	if paused {
		need = dominantSteps
	}
	switch {
	case d.challenger != "" && d.ahead >= need:
		d.user, d.silent, changed = d.challenger, 0, true
		d.challenger, d.ahead = "", 0
	case d.user != "" && d.silent >= dominantForgets:
		d.user, changed = "", true
	}
	return d.user, changed
}

// Remove takes the floor from a user, as when they leave, and reports whether
// they had it.
func (d *DominantSpeaker) Remove(userID string) bool {
	if d.challenger == userID {
		d.challenger, d.ahead = "", 0
	}
	if d.user != userID || userID == "" {
		return false
	}
	d.user = ""
	return true
}
