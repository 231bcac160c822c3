package record

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/hooks"
)

type consent uint8

const (
	asking consent = iota
	agreed
	refused
)

const (
	// reorder is how long a packet waits for one before it.
	reorder = 150 * time.Millisecond
	// maxHeld is how many packets wait at most: for their order, and for an answer.
	maxHeld = 512
)

// A speaker is one user of a recording. Guarded by Recording.mu.
type speaker struct {
	rec   *Recording
	user  string
	state consent
	ended bool

	track   uint64 // of their sound
	clock   clock
	held    []heldPacket // in order, not written yet
	seq     int64        // the newest sequence number, unwrapped
	started bool         // next and after are known
	next    int64        // sequence number of the packet that is due
	after   int64        // timestamp after the last packet

	file   oggFile
	camera camera
	heard  *heard // what they hear, or nil
}

type heldPacket struct {
	seq, ts, length int64
	came            time.Duration
	data            []byte
}

// packet takes what the user sent. Before they agreed it is kept, and not
// written.
func (s *speaker) packet(p hooks.TapPacket) {
	if s.state == refused || s.ended {
		return
	}
	at := p.Arrival.Sub(s.rec.began)
	if p.Video {
		if s.state == agreed && !s.rec.cfg.NoVideo {
			s.camera.picture(s, p, at)
		}
		return
	}
	n, err := codec.PacketSamples(p.Data)
	if err != nil {
		return
	}
	if p.Track != s.track || !s.clock.known {
		s.release(true, at) // of the track before
		s.track, s.started = p.Track, false
		s.clock = clock{rate: codec.SampleRate}
		s.seq = int64(p.SequenceNumber)
		s.held = s.held[:0]
	}
	s.seq += int64(int16(p.SequenceNumber - uint16(s.seq)))
	h := heldPacket{seq: s.seq, ts: s.clock.note(p.Timestamp, int64(n), at), length: int64(n), came: at}
	if s.started && h.seq < s.next {
		return // too late
	}
	i, found := slices.BinarySearchFunc(s.held, h.seq, func(a heldPacket, seq int64) int { return int(a.seq - seq) })
	if found || len(s.held) >= maxHeld {
		return
	}
	h.data = append(h.data, p.Data...)
	s.held = slices.Insert(s.held, i, h)
	s.release(false, at)
}

// release writes what is in order, and what has waited long enough.
func (s *speaker) release(everything bool, now time.Duration) {
	if s.state != agreed || !everything && !s.clock.settled(now) {
		return
	}
	n := 0
	for ; n < len(s.held); n++ {
		h := s.held[n]
		if !everything && (!s.started || h.seq != s.next) && now-h.came < reorder {
			break
		}
		s.write(h)
	}
	s.held = slices.Delete(s.held, 0, min(n, len(s.held))) // it is nil if writing failed
}

func (s *speaker) write(h heldPacket) {
	follows := s.started && h.ts == s.after
	lost := s.started && h.seq != s.next && h.ts > s.after
	s.started, s.next, s.after = true, h.seq+1, h.ts+h.length
	at := s.clock.place(h.ts)
	if !s.rec.cfg.NoSpeakers {
		if s.file.rec == nil {
			s.file = oggFile{rec: s.rec, user: s.user, ext: ".ogg", channels: codec.ParseTOC(h.data[0]).Channels}
		}
		s.file.put(h.data, at, follows, lost)
	}
	s.camera.sound(s, h.data, at)
}

// tick writes what waits.
func (s *speaker) tick(now time.Time) {
	if s.state != agreed || s.ended {
		return
	}
	s.release(false, now.Sub(s.rec.began))
	s.file.tick()
	s.camera.tick(now)
	if s.heard != nil {
		s.heard.tick(now)
	}
}

// lostFile ends the recording of the user if there is no file left of them.
func (s *speaker) lostFile() {
	sound := !s.rec.cfg.NoSpeakers && !s.file.failed
	picture := !s.camera.failed && (s.camera.out != nil || s.rec.cfg.NoSpeakers && !s.rec.cfg.NoVideo)
	mixed := s.rec.all != nil && !s.rec.all.file.failed
	for _, ear := range s.rec.speakers {
		mixed = mixed || ear.heard != nil && !ear.ended && !ear.heard.file.failed
	}
	if s.ended || s.state != agreed || sound || picture || mixed {
		return
	}
	s.ended, s.held = true, nil
	s.rec.event(Event{Kind: Ended, UserID: s.user})
}

// end completes the user's files.
func (s *speaker) end(now time.Time) {
	if s.ended {
		return
	}
	at := now.Sub(s.rec.began)
	s.release(true, at)
	if s.ended { // writing failed
		return
	}
	s.ended, s.held = true, nil
	if s.state != agreed {
		return
	}
	if s.file.rec != nil {
		s.file.end(samplesAt(at, codec.SampleRate))
	}
	s.camera.end(s)
	if s.heard != nil {
		s.heard.end(now)
	}
	s.rec.event(Event{Kind: Ended, UserID: s.user})
}
