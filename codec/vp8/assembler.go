package vp8

import "fmt"

// DefaultMaxFrame is Assembler's MaxFrame where it is 0.
const DefaultMaxFrame = 1 << 20

// maxLate is how far back a packet is taken for a late one; from further back,
// it is a sender that started anew.
const maxLate = 1000

// An Assembler puts frames together from RTP payloads. Its zero value is
// ready. It is for one goroutine at a time, and allocates only when its buffer
// grows.
//
// Packets are taken in the order of their sequence numbers, as a jitter buffer
// gives them. A gap drops the frame it falls into; a late or repeated packet
// is dropped.
type Assembler struct {
	// MaxFrame is the largest frame in bytes; larger ones are dropped.
	// Default 1 MiB.
	MaxFrame int

	frame     []byte
	desc      Descriptor
	timestamp uint32
	next      uint16
	started   bool // next is known
	open      bool // frame is the beginning of one
	dropped   uint64
}

// A Frame is a VP8 frame and the descriptor of its first packet.
type Frame struct {
	// Data is valid until the next call of Push.
	Data []byte
	// Descriptor of the first packet.
	Descriptor Descriptor
	// Timestamp is that of RTP, at 90 kHz.
	Timestamp uint32
}

// Push takes the payload of an RTP packet with its header's sequence number,
// timestamp and marker bit. It returns true and the frame that the packet
// completes. After ErrPayload it goes on with the next frame.
func (a *Assembler) Push(sequence uint16, timestamp uint32, marker bool, payload []byte) (Frame, bool, error) {
	if a.started {
		switch gap := int16(sequence - a.next); {
		case gap < 0 && gap >= -maxLate: // late, or a second time
			return Frame{}, false, nil
		case gap != 0:
			a.drop()
		}
	}
	a.started, a.next = true, sequence+1
	if a.open && timestamp != a.timestamp {
		a.drop() // its end had no marker
	}
	var d Descriptor
	n, err := d.Unmarshal(payload)
	if err != nil {
		a.drop()
		return Frame{}, false, err
	}
	if d.FirstOfFrame() {
		a.drop() // two beginnings
		a.open, a.desc, a.timestamp = true, d, timestamp
		a.frame = a.frame[:0]
	}
	if !a.open {
		return Frame{}, false, nil // the rest of a frame whose beginning is lost
	}
	limit := a.MaxFrame
	if limit == 0 {
		limit = DefaultMaxFrame
	}
	if len(a.frame)+len(payload)-n > limit {
		a.drop()
		return Frame{}, false, fmt.Errorf("%w: frame of more than %d bytes", ErrPayload, limit)
	}
	a.frame = append(a.frame, payload[n:]...)
	if !marker {
		return Frame{}, false, nil
	}
	a.open = false
	return Frame{Data: a.frame, Descriptor: a.desc, Timestamp: timestamp}, true, nil
}

// Skip takes the sequence number of a packet that carries nothing.
func (a *Assembler) Skip(sequence uint16) {
	if !a.started || sequence == a.next {
		a.started, a.next = true, sequence+1
	}
}

// Dropped is the number of frames whose beginning was heard but not all of
// the rest.
func (a *Assembler) Dropped() uint64 { return a.dropped }

// Reset forgets what was heard, for a new stream. Dropped goes on.
func (a *Assembler) Reset() {
	a.drop()
	a.started = false
}

func (a *Assembler) drop() {
	if a.open {
		a.open = false
		a.dropped++
	}
}
