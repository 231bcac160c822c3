package bridge

import "github.com/earshotrtc/earshot/codec"

// A pack gathers frames of a stream into one packet (RFC 6716 section 3.2) for
// those who only listen.
type pack struct {
	packet
	count     int
	timestamp uint32
	frames    [MaxFramesPerPacket][codec.MaxPacketSize]byte
	sizes     [MaxFramesPerPacket]int
	joined    [MaxFramesPerPacket*codec.MaxPacketSize + 16]byte

	begins bool // this tick's frame is the first of a packet
	early  bool // the packet is one that had to be sent before this tick's frame
	full   bool // the packet ends with this tick's frame
}

func (p *pack) reset() { p.count, p.n, p.begins, p.early, p.full = 0, 0, false, false, false }

// gather adds this tick's frame.
func (p *pack) gather(s *stream, timestamp uint32) {
	if p.count > 0 && !p.fits(s.frame) {
		p.build(s)
		p.count, p.early = 0, true
	}
	p.begins = p.count == 0
	if p.begins {
		p.timestamp = timestamp
	}
	p.sizes[p.count] = copy(p.frames[p.count][:], s.frame)
	p.count++
	if p.count >= s.br.frames && !p.early {
		p.build(s)
		p.count, p.full = 0, true
	}
}

// fits tells whether a frame can go into the packet that is being gathered.
func (p *pack) fits(frame []byte) bool {
	size := maxHeader + 16 + len(frame)
	for _, n := range p.sizes[:p.count] {
		size += n
	}
	return p.count < MaxFramesPerPacket && size <= maxPacket && codec.Joinable(p.frames[0][:p.sizes[0]], frame)
}

// finish ends the packet that is being gathered: the stream falls silent.
func (p *pack) finish(s *stream) {
	if p.early = p.count > 0; p.early {
		p.build(s)
		p.count = 0
	}
}

// build makes the packet of what was gathered.
func (p *pack) build(s *stream) {
	var frames [MaxFramesPerPacket][]byte
	for i := range p.count {
		frames[i] = p.frames[i][:p.sizes[i]]
	}
	payload, err := codec.JoinPackets(p.joined[:0], frames[:p.count]...)
	if err != nil { // fits has seen to it that there is none
		payload = frames[p.count-1]
	}
	p.write(s, p.timestamp, payload)
}

// flushTo sends one receiver, who leaves, what was gathered, and gathers on for
// the others.
func (p *pack) flushTo(r *Receiver) {
	if p.count > 0 {
		p.build(r.stream)
		p.sendTo(r)
	}
}
