package bridge

import (
	"encoding/binary"

	"github.com/earshotrtc/earshot/codec"
)

// RTP headers, written once for all receivers of a packet but for the sequence
// number and the marker.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	|                           timestamp                           |
//	|                             SSRC                              |
//	|                   CSRC of each talker, if told                |
//	|       0xBE    |    0xDE       |           length              |
//	|  ID   | len   |v|  level      |v|  level …                    |
//
// (RFC 3550 section 5.1, RFC 8285 section 4.2, RFC 6465 section 3; the bit that
// RFC 6465 leaves at 0 says voice, as in RFC 6464.)

const maxPacket = 1150 // bytes: what a datagram carries everywhere

// maxHeader is the longest header: 15 contributing sources and their levels.
const maxHeader = 12 + 4*MaxTalkers + 4 + 16 + 4

// noLevel is the level byte of who has no sound.
const noLevel = 127

func levelByte(dBov float64, voice bool) byte {
	v := byte(min(127, max(0, -dBov)))
	if voice {
		v |= 1 << 7
	}
	return v
}

// A packet is one RTP packet, ready but for what differs between receivers.
type packet struct {
	buf    [maxHeader + codec.MaxPacketSize]byte
	n      int    // 0: nothing is to be sent
	levels uint64 // the tick in which levels were last told
}

// write makes the packet. payload may not overlap it.
func (p *packet) write(s *stream, timestamp uint32, payload []byte) {
	b := s.br
	h := p.buf[:]
	h[0], h[1] = 2<<6, b.cfg.PayloadType
	binary.BigEndian.PutUint32(h[4:], timestamp)
	binary.BigEndian.PutUint32(h[8:], b.cfg.SSRC)
	n := 12
	if ticks := b.tick - p.levels; ticks >= uint64(b.ticksOf(levelTime)) {
		n = p.writeLevels(s, int(min(ticks, levelTicks)))
		p.levels = b.tick
	}
	p.n = n + copy(h[n:], payload)
}

// writeLevels writes who is in the mix, and how loud they were at most over the
// last ticks. It returns the header's length.
func (p *packet) writeLevels(s *stream, ticks int) int {
	b := s.br
	h := p.buf[:]
	var levels [MaxTalkers]byte
	count, n := 0, 12
	for i, t := range b.talkers {
		if t == nil || s.key.gains[i] == (gain{}) {
			continue
		}
		loudest, voice := byte(noLevel), byte(0)
		for k := range ticks {
			v := t.levels[(b.tick-uint64(k))%levelTicks]
			loudest, voice = min(loudest, v&0x7f), voice|v&0x80
		}
		binary.BigEndian.PutUint32(h[n:], t.cfg.SSRC)
		n += 4
		levels[count] = loudest | voice
		count++
	}
	if count == 0 {
		return n
	}
	h[0] |= 1<<4 | byte(count)
	words := (1 + count + 3) / 4
	binary.BigEndian.PutUint16(h[n:], 0xBEDE)
	binary.BigEndian.PutUint16(h[n+2:], uint16(words))
	ext := h[n+4 : n+4+4*words]
	clear(ext)
	ext[0] = b.cfg.LevelExtension<<4 | byte(count-1)
	copy(ext[1:], levels[:count])
	return n + 4 + 4*words
}

// sendTo gives the packet to a receiver.
func (p *packet) sendTo(r *Receiver) {
	p.buf[1] = p.buf[1]&0x7f | marker(!r.going)
	binary.BigEndian.PutUint16(p.buf[2:], r.seq)
	r.seq++
	r.going = true
	r.br.stats.Packets.Add(1)
	r.cfg.Send(p.buf[:p.n])
}

func marker(on bool) byte {
	if on {
		return 1 << 7
	}
	return 0
}

// send gives every receiver their packet.
func (b *Bridge) send() {
	timestamp := uint32(b.tick * uint64(b.samples))
	many := b.frames > 1 && len(b.receivers) >= packedFrom
	for _, s := range b.streams {
		s.pack.begins, s.pack.early, s.pack.full = false, false, false
		if s.silent {
			s.pack.finish(s)
			continue
		}
		s.single.write(s, timestamp, s.frame)
		if many || s.pack.count > 0 {
			s.pack.gather(s, timestamp)
		}
	}
	for _, r := range b.receivers {
		if r.stream != nil {
			r.send(many)
		}
	}
}

// send gives the receiver what its stream has for it in this tick.
func (r *Receiver) send(many bool) {
	s := r.stream
	if s.pack.early && r.packed {
		s.pack.sendTo(r)
	}
	if s.silent {
		r.going, r.packed = false, false
		return
	}
	if s.pack.begins { // only here may it change, lest a frame come twice or never
		r.packed = many && r.listens()
	}
	switch {
	case !r.packed:
		s.single.sendTo(r)
	case s.pack.full:
		s.pack.sendTo(r)
	}
}
