package jitter

import (
	"time"

	"github.com/earshotrtc/earshot/mixer"
)

// fill decodes or makes up the next sound, for a pull that wants need samples
// more, done samples after its start. It returns how many samples of silence
// to play instead, or 0 when there is something to play.
func (b *Buffer) fill(need, done int, now time.Time) int {
	b.r, b.w = 0, 0
	for b.count > 0 {
		s := b.first()
		p := b.slot(s)
		if !b.playing {
			b.begin()
			continue
		}
		gap := p.ts - b.pos() // samples until it is due
		if p.jump {
			p.jump = false
			gap = 0
		}
		lost := b.hole || s > b.next
		if gap > 0 && (!lost || p.marker) {
			gap = b.pause(p)
		}
		if gap < int64(b.unit) {
			if due := b.playEnd() - p.ts; due != b.delay {
				b.delay = due // of a late one, longer by what was made up
				b.trim(b.limit)
				s = b.first()
				p = b.slot(s)
			}
			if b.play(s, p, done, now) {
				b.more(done, now)
				b.adjust()
				return 0
			}
			continue
		}
		if !lost {
			return b.makeUp(int(min(int64(need), gap)), comfort)
		}
		whole := b.last / b.unit * b.unit // what the copy in p covers
		if b.cfg.HasFEC(p.payload) {
			if gap <= int64(whole) {
				b.fromCopy(s, p, int(gap), whole)
				return 0
			}
			gap -= int64(whole)
		}
		return b.makeUp(int(min(int64(need), gap)), concealed)
	}
	return b.makeUp(need, concealed)
}

// begin starts to play with what waits. Of several packets only the newest are
// kept: they came before the sink pulled, or in a burst, and are old.
func (b *Buffer) begin() {
	b.playing, b.hole, b.fadeIn = true, false, true
	s := b.first()
	b.skipTo(s)
	b.delay = b.out - b.slot(s).ts
	if b.count == 1 && b.pulled && b.est.n > 0 {
		b.delay = max(b.delay, b.target)
		return
	}
	b.trim(int64(b.last))
	b.target = b.delay
	b.est.reset()
	b.est.add(b.lastTS, b.delay)
}

// more decodes what follows at once behind what is in pcm, up to 20 ms, when
// the delay is to change: short frames alone have no room for a seam.
func (b *Buffer) more(done int, now time.Time) {
	for b.w-b.r < b.frame*b.ch && b.count > 0 && max(b.delay-b.target, b.target-b.delay) >= int64(b.unit) {
		p := b.slot(b.next)
		if !p.full || p.jump || p.ts != b.pos() || !b.play(b.next, p, done, now) {
			return
		}
	}
}

// pause handles a packet that follows its forerunner in sequence but not in
// time: the sender was silent between. In silence the delay is free to take
// the value it should have. It returns the samples until the packet is due.
func (b *Buffer) pause(p *slot) int64 {
	b.delay = max(b.target, b.playEnd()-p.ts)
	return p.ts - b.pos()
}

// play decodes packet s behind what is in pcm, and reports whether there is
// sound from it.
func (b *Buffer) play(s int64, p *slot, done int, now time.Time) bool {
	lost := s > b.next || b.hole
	b.skipTo(s)
	room := b.pcm[b.w:min(len(b.pcm), b.w+6*b.frame*b.ch)]
	n, err := b.cfg.Decoder.Decode(p.payload, room)
	b.drop(s)
	if err != nil || n <= 0 || n*b.ch > len(room) {
		b.stats.DecodeErrors++
		b.hole = true
		return false
	}
	b.stats.Played++
	b.lossRate -= b.lossRate / lossMemory
	if b.run > 0 && !lost && b.kind == concealed {
		// It was a pause after all. What was made up for it is no loss.
		if quiet := min(b.run, b.muteRun(), p.ts-b.end); quiet > 0 {
			k := min(uint64(quiet), b.stats.ConcealedSamples)
			b.stats.ConcealedSamples -= k
			b.stats.SilentSamples += k
		}
	}
	if !p.arrival.IsZero() && !now.IsZero() {
		ahead := time.Duration(int64(done)+b.playEnd()-b.out) * time.Second / time.Duration(b.rate)
		wait := float64(now.Sub(p.arrival) + ahead)
		b.wait += (wait - b.wait) / 16
		b.longest = max(wait, b.longest-(b.longest-wait)/256)
	}
	b.hole, b.last, b.end = false, n, p.ts+int64(n)
	b.take(n, opusComfort(p.payload))
	return true
}

// fromCopy decodes the frame before p, whose last gap samples are still to
// play, from the copy in p.
func (b *Buffer) fromCopy(s int64, p *slot, gap, whole int) {
	skip := whole - gap
	var bridge []int16
	if skip > 0 && b.run < b.muteRun() {
		// Half of it was made up: lead from that into the real one.
		bridge = b.pcm[6*b.frame*b.ch:][:b.unit*b.ch]
		if b.cfg.Decoder.Conceal(bridge) != nil {
			bridge = nil
		}
	}
	out := b.pcm[:whole*b.ch]
	b.skipTo(s)
	if b.cfg.Decoder.DecodeFEC(p.payload, out) != nil {
		b.hole = true
		// The packet itself is played when it is due; until then p conceals.
		clear(out)
		b.kind, b.loud, b.r, b.w = concealed, false, skip*b.ch, whole*b.ch
		b.run += int64(gap)
		return
	}
	b.stats.FECRecovered++
	b.r, b.w = skip*b.ch, skip*b.ch
	if k := len(bridge); k > 0 && k <= gap*b.ch {
		crossfade(out[b.w:b.w+k], bridge, out[b.w:b.w+k], b.ch)
	}
	b.end = p.ts
	b.hole = false
	b.take(gap, false)
}

// take accepts n samples just decoded at pcm[w:].
func (b *Buffer) take(n int, noise bool) {
	fresh := b.pcm[b.w : b.w+n*b.ch]
	level := mixer.PowerLevel(energy(fresh), len(fresh))
	b.peak = max(level, b.peak-float64(n)*3/float64(b.rate)) // 3 dB a second
	b.noise.hear(level, float64(n)/float64(b.rate))
	b.kind, b.run = real, 0
	b.loud = b.w > b.r && b.loud || !noise && level > inaudible
	if b.fadeIn {
		b.fadeIn = false
		ramp(fresh[:min(len(fresh), b.unit*b.ch)], b.ch)
	}
	b.w += len(fresh)
}

const (
	quiet     = -55 // dBov below which sound may be dropped freely
	inaudible = -75 // dBov at which a track is silent
)

// makeUp conceals up to need samples, or returns how many to leave silent when
// concealment has faded out. kind is concealed for want of a packet, and
// comfort where the sender is known to pause.
func (b *Buffer) makeUp(need int, kind soundKind) int {
	if b.run >= b.muteRun() || !b.playing {
		b.fadeIn = true
		return need
	}
	if b.run == 0 && kind == concealed {
		b.stats.ConcealmentEvents++
	}
	n := (min(need, b.frame) + b.unit - 1) / b.unit * b.unit
	out := b.pcm[:n*b.ch]
	if b.cfg.Decoder.Conceal(out) != nil {
		b.run = b.muteRun()
		return b.makeUp(need, kind)
	}
	from, over := b.run-b.fadeRun(), b.muteRun()-b.fadeRun()
	for i := range n {
		if at := from + int64(i); at > 0 {
			w := int32(max(0, over-at) * 32768 / over)
			for c := range b.ch {
				out[i*b.ch+c] = int16(int32(out[i*b.ch+c]) * w >> 15)
			}
		}
	}
	b.run += int64(n)
	b.kind, b.loud = kind, false
	b.r, b.w = 0, len(out)
	return 0
}

// adjust cuts or repeats some of pcm[r:w], real sound just decoded, when the
// delay is not the target.
func (b *Buffer) adjust() {
	x := b.pcm[b.r:b.w]
	n := len(x) / b.ch
	b.sinceCut += int64(n)
	most := n - b.seam
	off := b.delay - b.target
	if b.est.n == 0 || most < b.unit || off == 0 {
		return
	}
	size := int(min(max(off, -off), int64(most)))
	level := mixer.PowerLevel(energy(x), len(x))
	pause := level < quiet || level < b.peak-28
	if !pause {
		if off < 0 && off > -int64(b.unit) || off > 0 && !b.mayCut(off) {
			return
		}
		if off < 0 { // a little too much does no harm, a little too little does
			size = most
		}
		lo := b.unit
		if size < lo {
			return
		}
		lag, alike := bestLag(x, b.ch, b.seam, lo, min(size, 3*b.frame/4))
		if alike < 0.5 && max(off, -off) < int64(2*b.frame) {
			return
		}
		size, b.sinceCut = lag, 0
	}
	if off > 0 {
		b.w = b.r + len(cut(x, b.ch, b.seam, size))
		b.delay -= int64(size)
		b.stats.CutSamples += uint64(size)
		return
	}
	size = min(size, (len(b.pcm)-b.w)/b.ch)
	b.w = b.r + len(repeat(x, b.ch, b.seam, size))
	b.delay += int64(size)
	b.stats.StretchedSamples += uint64(size)
}

// mayCut says whether speech may be cut to lose off samples of delay: the more
// there is to lose, the more often.
func (b *Buffer) mayCut(off int64) bool {
	switch {
	case off < int64(b.unit):
		return false
	case off <= int64(b.frame): // 20 ms: hardly heard, no hurry
		return b.sinceCut >= int64(b.rate)/3
	case off <= int64(3*b.frame):
		return b.sinceCut >= int64(3*b.frame)
	}
	return true
}

func ramp(x []int16, channels int) {
	n := len(x) / channels
	for i := range n {
		for c := range channels {
			x[i*channels+c] = int16(int(x[i*channels+c]) * (i + 1) / (n + 1))
		}
	}
}
