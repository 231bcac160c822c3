package jitter

import (
	"sync"
	"time"

	"github.com/earshotrtc/earshot/mixer"
)

// A Packet is what the buffer needs of an RTP packet.
type Packet struct {
	SequenceNumber uint16
	Timestamp      uint32
	// Marker is set on the first packet after silence (RFC 7587 section 4.2).
	Marker bool
	// Payload is copied; 1 to 1500 bytes, others are discarded.
	Payload []byte
	// Arrival is when the packet came, on the clock of Pull. The zero time is
	// allowed and loses the statistics of delay.
	Arrival time.Time
}

// A Result says what Pull has put into pcm. Samples are per channel.
type Result struct {
	// Active: there is sound from the sender in it, other than silence, comfort
	// noise or concealment.
	Active bool
	// HasLevel: 20 ms of decoded sound have come to their end in this pull, and
	// Level is the loudest such piece, in dBov (RFC 6465), from -127 to 0.
	HasLevel bool
	Level    float64
	// Decoded, Concealed and Silent add up to the length of the pull.
	Decoded, Concealed, Silent int
	// Timestamp is the RTP timestamp of the first sample; where sound was cut or
	// repeated in this pull, within that. It says nothing before the first packet
	// is played.
	Timestamp uint32
}

// A Buffer is the jitter buffer of one track. Push, Pull, Stats and Reset may
// be called from different goroutines at the same time; one goroutine pulls.
// Memory is bounded (64 packets of up to 1500 bytes and some 200 ms of PCM),
// and neither Push nor Pull allocates once a packet of each size has been seen.
type Buffer struct {
	cfg   Config
	rate  int
	ch    int
	tick  int64 // timestamp units per sample
	unit  int   // 2.5 ms, the grain of concealment
	seam  int   // 5 ms, the length of a cross-fade that hides a cut
	frame int   // 20 ms, over which levels are taken

	mu    sync.Mutex
	stats Stats
	queue
	est    estimator
	target int64 // delay wanted
	limit  int64 // the longest that the newest packet may wait

	// The place of play. A sample of timestamp t plays at output position
	// t+delay. out counts the samples pulled.
	out     int64
	delay   int64
	playing bool  // delay is valid
	pulled  bool  // Pull has been called
	end     int64 // timestamp after the last decoded sample
	hole    bool  // what is missing before the next packet was lost, not silence

	// pcm[r:w] is decoded and not yet pulled, interleaved.
	pcm  []int16
	r, w int
	kind soundKind
	loud bool // kind is real and it is no silence

	run      int64   // samples made up since the last real one
	last     int     // samples of the last decoded packet
	peak     float64 // dBov of the loudest recent packet, sinking slowly
	sinceCut int64   // samples decoded since the last cut in speech
	fadeIn   bool    // the next real sound follows silence

	sum  uint64 // squares of the piece of sound whose level is being taken
	sumN int

	lossRate float64 // share of packets that did not come, of the last hundred or so
	copies   float64 // share of packets with a copy of the one before, likewise
	noise    noise

	wait     float64 // mean nanoseconds from arrival to play
	longest  float64 // the longest of late, sinking slowly
	lastPull time.Time
	lastN    int64
}

type soundKind uint8

const (
	real soundKind = iota
	concealed
	comfort
)

// New returns an empty buffer. Its errors wrap [ErrConfig].
func New(cfg Config) (*Buffer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	b := &Buffer{
		cfg: cfg, rate: cfg.SampleRate, ch: cfg.Channels,
		tick: int64(cfg.ClockRate / cfg.SampleRate),
		unit: cfg.SampleRate / 400, seam: cfg.SampleRate / 200, frame: cfg.SampleRate / 50,
	}
	// The longest packet is 120 ms. Before one is decoded up to 20 ms wait, and
	// repeating adds at most 20 ms.
	b.pcm = make([]int16, (6*b.frame+4*b.frame)*b.ch)
	b.est.init(b.rate)
	b.clear()
	return b, nil
}

// Reset drops what waits and forgets the stream, as after a change of SSRC.
// The counters go on. It returns the decoder's error, if any.
func (b *Buffer) Reset() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stats.Discarded += uint64(b.flush())
	b.clear()
	return b.cfg.Decoder.Reset()
}

func (b *Buffer) clear() {
	b.queue.restart()
	b.est.reset()
	b.playing, b.hole = false, false
	b.r, b.w, b.last = 0, 0, b.frame
	b.run = b.muteRun()
	b.peak = mixer.Silence
	b.fadeIn = false
	b.sum, b.sumN = 0, 0
	b.lossRate, b.copies = 0, 0
	b.noise = noise{seed: 1}
}

// Concealment plays as it is for 60 ms, then fades out until 120 ms.
func (b *Buffer) fadeRun() int64 { return int64(3 * b.frame) }
func (b *Buffer) muteRun() int64 { return int64(6 * b.frame) }

// Pull fills all of pcm with the next len(pcm)/Channels samples, whatever that
// number is. now is the time at which the first of them is due.
func (b *Buffer) Pull(pcm []int16, now time.Time) Result {
	n := len(pcm) / b.ch
	clear(pcm[n*b.ch:])
	b.mu.Lock()
	defer b.mu.Unlock()
	b.beforePull(int64(n), now)
	var res Result
	for i := 0; i < n; {
		if b.r == b.w {
			if silent := b.fill(n-i, i, now); silent > 0 {
				b.noise.fill(pcm[i*b.ch:(i+silent)*b.ch], b.ch)
				b.out += int64(silent)
				b.endLevel(&res)
				res.Silent += silent
				i += silent
				continue
			}
		}
		got := min(n-i, (b.w-b.r)/b.ch)
		dst := pcm[i*b.ch : (i+got)*b.ch]
		copy(dst, b.pcm[b.r:b.w])
		b.r += len(dst)
		b.out += int64(got)
		i += got
		if b.kind == real {
			b.noise.stop()
			res.Decoded += got
			res.Active = res.Active || b.loud
			b.addLevel(dst, &res)
			continue
		}
		b.endLevel(&res)
		if b.kind == concealed {
			res.Concealed += got
		} else {
			res.Silent += got
		}
	}
	b.pulled = true
	res.Timestamp = uint32((b.out - b.delay - int64(n)) * b.tick)
	b.stats.DecodedSamples += uint64(res.Decoded)
	b.stats.ConcealedSamples += uint64(res.Concealed)
	b.stats.SilentSamples += uint64(res.Silent)
	return res
}

// beforePull brings the delay up to date.
func (b *Buffer) beforePull(n int64, now time.Time) {
	longest := samplesOf(b.cfg.MaxDelay, b.rate)
	b.limit = max(longest, int64(b.last)+n)
	if !b.lastPull.IsZero() && !now.IsZero() {
		due := b.lastPull.Add(time.Duration(b.lastN) * time.Second / time.Duration(b.rate))
		if now.Sub(due) > stallTime && b.resting() {
			b.rest(now)
		} else if now.Sub(due) > stallTime {
			// The sink stood still: what its device played meanwhile is gone,
			// so there is nothing to join on to. Go on with the newest.
			b.stats.Stalls++
			b.est.reset()
			b.trim(int64(b.last))
		}
	}
	b.lastPull, b.lastN = now, n
	b.notePull(n, now)
	if b.est.n == 0 { // nothing is known: leave it as it is
		b.target = b.delay
		b.trim(b.limit)
		return
	}
	least := b.est.least()
	target := b.est.target()
	if b.lossRate > fecLoss && b.copies > fecCopies {
		// What is missing can be recovered from the packet after it, if there is
		// time to wait for that.
		target += int64(b.last)
	}
	b.target = max(target, least+samplesOf(b.cfg.MinDelay, b.rate))
	b.target = min(b.target, b.est.now()+max(longest, n))
	b.trim(b.limit)
}

// resting tells whether there has been nothing to hear for so long that a sink
// need not pull.
func (b *Buffer) resting() bool { return b.count == 0 && b.r == b.w && b.run >= b.muteRun() }

// rest lets the pulls that a sink has left out while there was nothing to hear
// go by, all at once: time has passed, and nothing is late for it.
func (b *Buffer) rest(now time.Time) {
	if !b.resting() || !b.pulled || b.lastPull.IsZero() || now.IsZero() || b.lastN == 0 {
		return
	}
	pull := time.Duration(b.lastN) * time.Second / time.Duration(b.rate)
	if gone := now.Sub(b.lastPull); gone >= restTime+pull {
		left := int64(gone / pull)
		b.out += left * b.lastN
		b.lastPull = b.lastPull.Add(time.Duration(left) * pull)
	}
}

// restTime is from when on a pull has been left out, and is not just late.
const restTime = 100 * time.Millisecond

// stallTime is how late a pull must be for the sink to have stood still.
const stallTime = 200 * time.Millisecond

// notePull counts a packet that came only just before the pull as one that
// missed it, so that the delay grows before the sound breaks.
func (b *Buffer) notePull(n int64, now time.Time) {
	p := b.newest
	b.newest.fresh = false
	if p.fresh && !p.arrival.IsZero() && !now.IsZero() && now.Sub(p.arrival) < closeCall {
		b.est.want(p.late + n)
	}
}

const closeCall = 300 * time.Microsecond

// trim drops the oldest packets while the newest has more than limit to wait.
func (b *Buffer) trim(limit int64) {
	if !b.playing || b.count == 0 || b.lastTS-b.pos() <= limit {
		return
	}
	for b.count > 1 && b.lastTS-b.pos() > limit {
		s := b.first()
		b.skipTo(s)
		b.drop(s)
		b.stats.Discarded++
		p := b.slot(b.first())
		b.delay = b.playEnd() - p.ts
		b.hole, b.fadeIn = false, true
	}
	if b.count == 1 {
		p := b.slot(b.first())
		if p.ts-b.pos() > limit { // a lone packet from the future
			b.delay = b.playEnd() - p.ts
		}
	}
}

// playEnd is the output position after all that is decoded; pos is the
// timestamp that is due there.
func (b *Buffer) playEnd() int64 { return b.out + int64((b.w-b.r)/b.ch) }
func (b *Buffer) pos() int64     { return b.playEnd() - b.delay }

// skipTo counts the sequence numbers before s that never came as lost.
func (b *Buffer) skipTo(s int64) {
	if s > b.next {
		b.stats.Lost += uint64(s - b.next)
		for range min(s-b.next, 100) {
			b.lossRate += (1 - b.lossRate) / lossMemory
		}
		b.pass(s)
	}
}

const (
	lossMemory = 100  // packets over which the share of lost ones is taken
	copyMemory = 25   // and that of those with a copy
	fecLoss    = 0.01 // share of lost packets from which a frame of delay is spent on recovering them
	fecCopies  = 0.2  // if so many have a copy
)

// addLevel adds real sound to the piece whose level is being taken.
func (b *Buffer) addLevel(pcm []int16, res *Result) {
	if !b.loud && b.sumN == 0 {
		return // silence begins no piece
	}
	for len(pcm) > 0 {
		k := min(len(pcm), (b.frame-b.sumN)*b.ch)
		b.sum += energy(pcm[:k])
		b.sumN += k / b.ch
		pcm = pcm[k:]
		if b.sumN == b.frame {
			b.endLevel(res)
		}
	}
}

// endLevel ends the piece. One shorter than 5 ms says too little.
func (b *Buffer) endLevel(res *Result) {
	if b.sumN >= b.seam {
		l := mixer.PowerLevel(b.sum, b.sumN*b.ch)
		if !res.HasLevel || l > res.Level {
			res.HasLevel, res.Level = true, l
		}
	}
	b.sum, b.sumN = 0, 0
}

func energy(pcm []int16) uint64 {
	var sum uint64
	for _, v := range pcm {
		sum += uint64(int64(v) * int64(v))
	}
	return sum
}
