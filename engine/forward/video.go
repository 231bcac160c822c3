package forward

import (
	"encoding/binary"
	"time"

	"github.com/earshotrtc/earshot/codec/vp8"
)

// Meta is what a forwarder needs to know of a packet of VP8.
type Meta struct {
	// Layer is the size that it is of, of a source that sends several: 0 is the
	// smallest.
	Layer     int
	Seq       uint16
	Timestamp uint32 // at 90 kHz
	// First and Last: a frame begins, or ends, with it.
	First, Last bool
	// Key: its frame is a key frame. Only the first packet tells.
	Key bool
	// Desc is its payload descriptor, and At where in the packet that begins.
	Desc vp8.Descriptor
	At   int
}

// ReadMeta reads a payload of VP8 (RFC 7741), which begins at packet[at].
func ReadMeta(packet []byte, at int, seq uint16, timestamp uint32, last bool) (m Meta, err error) {
	n, err := m.Desc.Unmarshal(packet[at:])
	if err != nil {
		return m, err
	}
	m.Seq, m.Timestamp, m.Last, m.At = seq, timestamp, last, at
	m.First = m.Desc.FirstOfFrame()
	m.Key = m.First && packet[at+n]&1 == 0
	return m, nil
}

// A Video is a video track's way to one receiver. It passes whole frames or
// none, begins and changes the size with key frames only, and numbers what it
// passes so that it looks like one stream.
type Video struct {
	layer, want  int   // the size that is sent, or -1, and that which should be
	tid, wantTID uint8 // the highest temporal layers, likewise
	waiting      bool  // nothing is sent until a key frame

	// The frame at hand.
	frame   uint32 // its timestamp
	inFrame bool
	pass    bool
	ended   bool // its last packet was sent

	// What is taken off numbers, and the newest that came and was sent.
	seqOff, pidOff uint16
	tsOff          uint32
	tl0Off         uint8
	in             uint16
	cut            uint16 // what came up to here has no number any more
	outSeq, outPID uint16
	outTS          uint32
	outTL0         uint8
	outAt          time.Time
	began          bool

	sent [history]sent
}

// history is how many of the packets sent are remembered for retransmission.
const history = 512

type sent struct {
	out, in        uint16
	layer          int8
	known          bool
	seqOff, pidOff uint16
	tsOff          uint32
	tl0Off         uint8
	again          time.Time // when it was last sent again
}

// MaxTID is the highest temporal layer (RFC 7741 section 4.2).
const MaxTID = 3

// NewVideo returns a way that waits for a key frame of the smallest size.
func NewVideo() *Video { return &Video{layer: -1, wantTID: MaxTID, waiting: true} }

// Want sets the size to send, and the highest temporal layer. A size changes
// with its next key frame, of which Wants tells; until then a smaller one is sent
// on, but a larger one is not: it is what does not get through.
func (v *Video) Want(layer int, tid uint8) {
	v.want, v.wantTID = layer, min(tid, MaxTID)
	if v.layer > layer {
		v.waiting = true
	}
}

// Restart makes it wait for a key frame: the receiver has lost what others refer
// to, or what follows was dropped.
func (v *Video) Restart() { v.waiting = true }

// Wants reports whether it waits for a key frame, and of which size.
func (v *Video) Wants() (layer int, waits bool) {
	return v.want, v.waiting || v.layer != v.want
}

// Layer is the size that is sent, or -1.
func (v *Video) Layer() int { return v.layer }

// Packet takes the next packet of any size, and reports whether it is to be sent:
// Rewrite then makes it what the receiver gets. congested says that the receiver
// does not keep up: a frame that begins now is left out, and if others refer to
// it they are too, until a key frame.
func (v *Video) Packet(m *Meta, congested bool, now time.Time) bool {
	if m.First && m.Key && m.Layer == v.want && (v.waiting || v.layer != v.want) && (!congested || v.layer > v.want) {
		congested = false
		v.change(m, now)
	} else if m.Layer != v.layer || v.waiting && !v.late(m) {
		return false
	}
	if v.late(m) {
		if int16(m.Seq-v.cut) <= 0 {
			return false
		}
		v.remember(m)
		return true
	}
	if !v.inFrame || m.Timestamp != v.frame {
		v.inFrame, v.frame = true, m.Timestamp
		v.pass = v.passes(m, congested)
	}
	v.in = m.Seq
	if !v.pass {
		if m.First {
			v.pidOff++
		}
		v.seqOff++
		v.cut = m.Seq
		return false
	}
	v.ended = m.Last
	v.outSeq, v.outTS = m.Seq-v.seqOff, m.Timestamp-v.tsOff
	v.outPID, v.outTL0, v.outAt = m.Desc.PictureID-v.pidOff, m.Desc.TL0PICIDX-v.tl0Off, now
	v.remember(m)
	return true
}

// late reports whether a packet of the size at hand comes after its successors.
func (v *Video) late(m *Meta) bool {
	return v.began && m.Layer == v.layer && int16(m.Seq-v.in) <= 0
}

// change goes over to a key frame's size, with numbers that go on.
func (v *Video) change(m *Meta, now time.Time) {
	if v.began {
		// The clock of the new one has another beginning: time that has passed is
		// told by our own.
		ticks := uint32(max(1, now.Sub(v.outAt)*90000/time.Second))
		v.seqOff = m.Seq - (v.outSeq + 1)
		v.tsOff = m.Timestamp - (v.outTS + ticks)
		v.pidOff = m.Desc.PictureID - (v.outPID + 1)
		v.tl0Off = m.Desc.TL0PICIDX - (v.outTL0 + 1)
	}
	v.layer, v.tid = m.Layer, v.wantTID
	v.waiting, v.began, v.inFrame = false, true, false
	v.in, v.cut = m.Seq-1, m.Seq-1
}

// passes decides about a frame.
func (v *Video) passes(m *Meta, congested bool) bool {
	if m.Key {
		v.tid = v.wantTID
		if congested {
			v.waiting = true
		}
		return !congested
	}
	d := &m.Desc
	if v.wantTID < v.tid {
		v.tid = v.wantTID
	} else if v.wantTID > v.tid && d.HasTID && d.TID <= v.wantTID && d.TID > v.tid && d.Sync {
		v.tid = d.TID // RFC 7741 section 4.2: it refers to layer 0 alone
	}
	if d.HasTID && d.TID > v.tid {
		return false
	}
	if congested {
		if !(d.NonReference || d.HasTID && d.TID > 0) {
			v.waiting = true
		}
		return false
	}
	return true
}

// Pad takes a number and a time for a packet that carries nothing, between two
// frames. It reports false within a frame, and while nothing is sent.
func (v *Video) Pad() (seq uint16, timestamp uint32, ok bool) {
	if !v.began || v.waiting || !v.ended {
		return 0, 0, false
	}
	v.seqOff--
	v.cut = v.in
	v.outSeq++
	return v.outSeq, v.outTS, true
}

func (v *Video) remember(m *Meta) {
	out := m.Seq - v.seqOff
	v.sent[out%history] = sent{
		out: out, in: m.Seq, layer: int8(m.Layer), known: true,
		seqOff: v.seqOff, pidOff: v.pidOff, tsOff: v.tsOff, tl0Off: v.tl0Off,
	}
}

// Rewrite makes a packet that passed last what the receiver gets: it changes the
// numbers in the RTP header and the payload descriptor, in place.
func (v *Video) Rewrite(m *Meta, packet []byte) {
	v.sent[(m.Seq-v.seqOff)%history].rewrite(m, packet)
}

func (s *sent) rewrite(m *Meta, packet []byte) {
	binary.BigEndian.PutUint16(packet[2:], m.Seq-s.seqOff)
	binary.BigEndian.PutUint32(packet[4:], m.Timestamp-s.tsOff)
	d := m.Desc
	if d.PictureIDBits == 0 && !d.HasTL0PICIDX {
		return
	}
	if d.PictureIDBits != 0 {
		d.PictureID = (d.PictureID - s.pidOff) & (1<<d.PictureIDBits - 1)
	}
	d.TL0PICIDX -= s.tl0Off
	d.MarshalTo(packet[m.At:]) // as long as it was
}

// Again finds a packet that the receiver lost, by the number that it was sent
// with: of which size it is, and its number there. It reports false if it is
// not known, or was sent again within pause.
func (v *Video) Again(out uint16, pause time.Duration, now time.Time) (layer int, in uint16, ok bool) {
	s := &v.sent[out%history]
	if !s.known || s.out != out || now.Sub(s.again) < pause {
		return 0, 0, false
	}
	s.again = now
	return int(s.layer), s.in, true
}

// RewriteAgain is Rewrite for a packet that Again found.
func (v *Video) RewriteAgain(out uint16, m *Meta, packet []byte) {
	v.sent[out%history].rewrite(m, packet)
}
