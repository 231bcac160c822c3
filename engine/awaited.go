package engine

import (
	"slices"
	"time"
)

const (
	// Who is expected is waited for until lateShare of a window after they were due,
	// and nobody in particular for quietShare of it after the last who came.
	lateShare  = 2
	quietShare = 4
	// tickSlack is by how much a tick may come early for what waits.
	tickSlack = 100 * time.Microsecond
)

// awaited says how long a batch waits, which is as long as a window at most. It is
// complete when everybody is in it who is expected in a window from its first packet
// on, since they sent one a frame before. So a talker alone does not wait, and many
// wait for the last of them and no longer, also where the machine or the network
// stutters. What comes out of step waits until it is quiet.
type awaited struct {
	talkers []*regular // of late

	window      time.Duration
	began, last time.Time // the batch, with its first packet; and its last packet
	from, to    int64     // whose last packet came within is expected,
	missing     int       // and so many of them have not come
	some        bool      // somebody has come who is in time
}

// A regular is what awaited has of a talker.
type regular struct {
	last  int64 // when their last packet came, in Unix ns
	next  bool  // another is expected a frame later
	noted bool  // among awaited.talkers
}

// come notes a packet, which may be the first of a batch. It returns when to look
// whether the batch is complete, if that is known now and was not before.
func (a *awaited) come(t *regular, at time.Time, window time.Duration, first bool) (look time.Time) {
	if !t.noted {
		t.noted = true
		a.talkers = append(a.talkers, t)
	}
	was, since := *t, time.Duration(at.UnixNano()-t.last)
	// One whom a hook holds up here is nobody's to wait for.
	prompt := time.Since(at) < window/quietShare
	inTime := prompt && since >= frameTime-window && since <= frameTime+window
	t.last, t.next = at.UnixNano(), inTime || prompt && since > talkTime
	a.last = at
	if first {
		a.begin(at, window)
		look = at.Add(window / quietShare)
	} else if a.expects(&was) {
		a.missing--
	}
	if a.some = a.some || inTime; a.some && a.missing == 0 {
		look = at
	}
	return look
}

// begin is a batch's.
func (a *awaited) begin(at time.Time, window time.Duration) {
	due := at.UnixNano() - int64(frameTime)
	a.began, a.window, a.some = at, window, false
	a.from, a.to = due-int64(window/lateShare), due+int64(window)
	a.talkers = slices.DeleteFunc(a.talkers, func(t *regular) bool {
		t.noted = t.last >= a.from
		return !t.noted
	})
	a.missing = 0
	for _, t := range a.talkers {
		if a.expects(t) {
			a.missing++
		}
	}
}

// expects reports whether a talker is expected in the batch, and has not come.
func (a *awaited) expects(t *regular) bool { return t.next && t.last >= a.from && t.last <= a.to }

// until is how long the batch waits, if nothing more comes.
func (a *awaited) until() time.Time {
	var at time.Time
	switch {
	case a.missing > 0:
		var latest int64
		for _, t := range a.talkers {
			if a.expects(t) {
				latest = max(latest, t.last)
			}
		}
		at = time.Unix(0, latest).Add(frameTime + a.window/lateShare)
	case a.some:
		return a.last
	default:
		at = a.last.Add(a.window / quietShare)
	}
	if end := a.began.Add(a.window); at.After(end) {
		return end
	}
	return at
}
