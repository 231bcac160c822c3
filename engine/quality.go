package engine

import (
	"slices"
	"time"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// qualityEvery is how often those in a call are told how good everyone's
// connection is, as the original does.
const qualityEvery = 2 * time.Second

// qualityOf says how good a connection is, from its round trip and the share of the
// server's packets that got lost since the last time.
func qualityOf(s, last transport.Stats, now time.Time) hooks.Quality {
	if now.Sub(s.LastHeard) >= maxSilence {
		return hooks.QualityDown
	}
	loss := lossOf(s, last)
	for _, step := range [...]struct {
		q    hooks.Quality
		rtt  time.Duration
		loss float64
	}{
		{hooks.QualityExcellent, 100 * time.Millisecond, 0.01},
		{hooks.QualityGood, 200 * time.Millisecond, 0.03},
		{hooks.QualityPoor, 350 * time.Millisecond, 0.06},
		{hooks.QualityBad, 600 * time.Millisecond, 0.12},
	} {
		if s.RTT <= step.rtt && loss <= step.loss {
			return step.q
		}
	}
	return hooks.QualityVeryBad
}

// lossOf is the share of the server's packets that got lost since the last time.
func lossOf(s, last transport.Stats) float64 {
	sent := s.PacketsSent - last.PacketsSent
	if s.PacketsSent < last.PacketsSent || sent == 0 || s.PacketsLost <= last.PacketsLost {
		return 0 // another connection, or nothing
	}
	return min(1, float64(s.PacketsLost-last.PacketsLost)/float64(sent))
}

// qualitySlices is over how many parts of qualityEvery the telling is spread,
// lest a server with a thousand in calls have a thousand messages to write at
// once, and a room's tick come late for it.
const qualitySlices = 20

// rounds is the goroutine that rates connections, a round every qualityEvery,
// and tells those who are in calls, some in each part of it.
type rounds struct {
	srv   *Server
	slice int
	calls []talking
	// players are those in worlds; see worldinfo_quality.go.
	players []player
	users   []signal.UserQuality // for them
	near    []*device
}

// talking is a call and the devices in its room at one moment.
type talking struct {
	callID string
	room   *room
	devs   []*device
}

// inCalls lists the calls. A room's list of devices is only ever appended to or
// replaced, so what is returned may be read without the lock.
func (s *Server) inCalls(into []talking) []talking {
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, c := range s.calls {
		into = append(into, talking{id, c.room, c.room.devs})
	}
	return into
}

// next does one part. With the first everybody is rated. Those who have not
// been told anything yet are told all of it, others what has changed, since in a
// room of a hundred all of it for all would be more to send than the sound.
func (r *rounds) next(now time.Time) {
	if r.slice == 0 {
		r.calls = r.srv.inCalls(r.calls[:0])
		for _, c := range r.calls {
			c.room.rate(c, now)
		}
		r.srv.relieve(r.calls, now)
		r.players = r.srv.inWorlds(r.players[:0])
	}
	r.worlds(now)
	for k, c := range r.calls {
		for i := (r.slice + k) % qualitySlices; i < len(c.devs); i += qualitySlices {
			c.devs[i].tellQuality(c.room)
		}
	}
	r.slice = (r.slice + 1) % qualitySlices
}

// rate rates the devices of a room and puts that into messages. It is for the
// goroutine of the rounds alone, as the room's qualities are.
func (r *room) rate(c talking, now time.Time) {
	last := r.qualities
	r.qualities = make(map[*device]hooks.Quality, len(c.devs))
	all, changed := signal.Quality{CallID: c.callID, All: true}, signal.Quality{CallID: c.callID}
	losses := make([]float64, 0, len(c.devs))
	for _, d := range c.devs {
		q, loss := d.quality(now)
		losses = append(losses, loss)
		r.qualities[d] = q
		u := signal.UserQuality{UserID: d.userID, Quality: q}
		all.Users = append(all.Users, u)
		if was, told := last[d]; !told || was != q {
			changed.Users = append(changed.Users, u)
		}
	}
	r.setLoss(losses)
	r.round++
	r.allQualities, r.newQualities = r.encode(all), nil
	if len(changed.Users) > 0 {
		r.newQualities = r.encode(changed)
	}
}

// setLoss prepares the room's mixes for the packets that get lost: as many as
// nine in ten of those in it can bear. What a single one in a large room loses is
// not worth making all mixes dearer for.
func (r *room) setLoss(losses []float64) {
	if len(losses) == 0 {
		return
	}
	slices.Sort(losses)
	percent := int(100*losses[len(losses)-1-len(losses)/10] + 0.5)
	r.srv.mu.Lock()
	defer r.srv.mu.Unlock()
	if r.mix != nil && r.mix.loss != percent {
		r.mix.loss = percent
		r.mix.br.SetLoss(percent)
	}
}

func (r *room) encode(q signal.Quality) []byte {
	frame, err := signal.Encode(signal.Message{Type: signal.TypeQuality}, q)
	if err != nil {
		r.srv.log.Debug("cannot tell qualities", "err", err)
	}
	return frame
}

// tellQuality tells the device how good everyone's connection is, or what has
// changed since it was told in the round before, if anything has.
func (d *device) tellQuality(r *room) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.conn == nil {
		return
	}
	frame := r.newQualities
	if t := d.told; t.conn != d.conn || t.room != r || t.round != r.round-1 {
		frame = r.allQualities
	}
	d.told = toldQuality{d.conn, r, r.round}
	if frame != nil {
		d.conn.out.enqueue(frame)
	}
}

// toldQuality is on which connection, of which room and in which round a device
// was last told.
type toldQuality struct {
	conn  *conn
	room  *room
	round uint64
}

// quality rates the device's connection since it was last asked, and says what
// share of the packets to it got lost, on an average over several times. Only
// the goroutine of the rounds may ask.
func (d *device) quality(now time.Time) (q hooks.Quality, loss float64) {
	sess := d.session.Load()
	if sess == nil {
		return hooks.QualityDown, 0
	}
	s := (*sess).Stats()
	q = qualityOf(s, d.rated, now)
	d.loss += (lossOf(s, d.rated) - d.loss) / 3
	d.rated = s
	return q, d.loss
}
