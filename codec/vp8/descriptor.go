// Package vp8 reads and writes the RTP payload of VP8 (RFC 7741). It does not
// decode pictures: VP8 is forwarded as it is.
//
//	var d vp8.Descriptor
//	n, err := d.Unmarshal(packet.Payload)
//	...
//	if h, ok := d.Header(packet.Payload[n:]); ok && h.KeyFrame {
//		// the first packet of a picture of h.Width × h.Height
//	}
//
// A Packetizer cuts frames into payloads and an Assembler puts them together
// again.
package vp8

import (
	"errors"
	"fmt"

	"github.com/pion/rtp/codecs"
)

// Errors of this package.
var (
	// ErrPayload: a payload is too short for what its first bytes announce.
	ErrPayload = errors.New("vp8: corrupt payload")
	// ErrDescriptor: a Descriptor holds a value that does not fit its field.
	ErrDescriptor = errors.New("vp8: field out of range")
	// ErrBuffer: a buffer is too small.
	ErrBuffer = errors.New("vp8: buffer too small")
)

// A Descriptor is what stands before the VP8 bytes in each RTP payload (RFC
// 7741 section 4.2):
//
//	      0 1 2 3 4 5 6 7
//	     +-+-+-+-+-+-+-+-+
//	     |X|R|N|S|R| PID | (REQUIRED)
//	     +-+-+-+-+-+-+-+-+
//	X:   |I|L|T|K| RSV   | (OPTIONAL)
//	     +-+-+-+-+-+-+-+-+
//	I:   |M| PictureID   | (OPTIONAL)
//	     +-+-+-+-+-+-+-+-+
//	     |   PictureID   | (M)
//	     +-+-+-+-+-+-+-+-+
//	L:   |   TL0PICIDX   | (OPTIONAL)
//	     +-+-+-+-+-+-+-+-+
//	T/K: |TID|Y| KEYIDX  | (OPTIONAL)
//	     +-+-+-+-+-+-+-+-+
//
// The zero value is the descriptor of one byte that every receiver takes.
type Descriptor struct {
	// NonReference (N): the frame may be dropped without harm to others.
	NonReference bool
	// Start (S): the payload begins a partition.
	Start bool
	// Partition (PID) is the partition's index, 0 to 7. The first packet of a
	// frame has Start and Partition 0.
	Partition uint8

	// PictureIDBits (I, M) is the length of PictureID: 0 for none, 7 or 15.
	PictureIDBits uint8
	// PictureID counts frames, up to 7 or 15 bits.
	PictureID uint16

	// HasTL0PICIDX (L): TL0PICIDX is there.
	HasTL0PICIDX bool
	// TL0PICIDX counts the frames of temporal layer 0.
	TL0PICIDX uint8

	// HasTID (T): TID and Sync are there.
	HasTID bool
	// TID is the temporal layer, 0 to 3.
	TID uint8
	// Sync (Y): the frame depends on layer 0 only: a receiver may go up to
	// this layer here.
	Sync bool

	// HasKEYIDX (K): KEYIDX is there.
	HasKEYIDX bool
	// KEYIDX counts key frames, 0 to 31.
	KEYIDX uint8
}

// FirstOfFrame reports whether a frame begins with this payload.
func (d *Descriptor) FirstOfFrame() bool { return d.Start && d.Partition == 0 }

// Unmarshal reads a descriptor and returns its length: the VP8 bytes follow.
// A payload without any is ErrPayload. It does not allocate.
func (d *Descriptor) Unmarshal(payload []byte) (int, error) {
	var p codecs.VP8Packet
	rest, err := p.Unmarshal(payload)
	if err != nil {
		*d = Descriptor{}
		return 0, errShort
	}
	*d = Descriptor{
		NonReference: p.N == 1,
		Start:        p.S == 1,
		Partition:    p.PID,
		PictureID:    p.PictureID,
		HasTL0PICIDX: p.L == 1,
		TL0PICIDX:    p.TL0PICIDX,
		HasTID:       p.T == 1,
		TID:          p.TID,
		Sync:         p.Y == 1,
		HasKEYIDX:    p.K == 1,
		KEYIDX:       p.KEYIDX,
	}
	if p.I == 1 {
		// The one thing that pion does not tell: which form the id has, which
		// a forwarder must keep.
		d.PictureIDBits = 7
		if payload[2]&0x80 != 0 {
			d.PictureIDBits = 15
		}
	}
	if len(rest) == 0 {
		return 0, errNoData
	}
	return len(payload) - len(rest), nil
}

var (
	errShort  = fmt.Errorf("%w: it ends within the descriptor", ErrPayload)
	errNoData = fmt.Errorf("%w: nothing follows the descriptor", ErrPayload)
)

// extended reports whether the second byte is there.
func (d *Descriptor) extended() bool {
	return d.PictureIDBits != 0 || d.HasTL0PICIDX || d.HasTID || d.HasKEYIDX
}

// MarshalSize is the length of the descriptor in bytes, 1 to 6.
func (d *Descriptor) MarshalSize() int {
	n := 1
	if d.extended() {
		n++
	}
	switch d.PictureIDBits {
	case 7:
		n++
	case 15:
		n += 2
	}
	if d.HasTL0PICIDX {
		n++
	}
	if d.HasTID || d.HasKEYIDX {
		n++
	}
	return n
}

// MarshalTo writes the descriptor to the beginning of buf and returns its
// length. Fields whose Has or Bits is not set are not looked at.
func (d *Descriptor) MarshalTo(buf []byte) (int, error) {
	switch {
	case d.Partition > 7:
		return 0, fmt.Errorf("%w: partition %d", ErrDescriptor, d.Partition)
	case d.PictureIDBits != 0 && d.PictureIDBits != 7 && d.PictureIDBits != 15:
		return 0, fmt.Errorf("%w: picture id of %d bits", ErrDescriptor, d.PictureIDBits)
	case d.PictureIDBits != 0 && d.PictureID>>d.PictureIDBits != 0:
		return 0, fmt.Errorf("%w: picture id %d in %d bits", ErrDescriptor, d.PictureID, d.PictureIDBits)
	case d.HasTID && d.TID > 3:
		return 0, fmt.Errorf("%w: temporal layer %d", ErrDescriptor, d.TID)
	case d.HasKEYIDX && d.KEYIDX > 31:
		return 0, fmt.Errorf("%w: KEYIDX %d", ErrDescriptor, d.KEYIDX)
	case len(buf) < d.MarshalSize():
		return 0, fmt.Errorf("%w: %d bytes for a descriptor of %d", ErrBuffer, len(buf), d.MarshalSize())
	}
	buf[0] = d.Partition | bit(d.NonReference, 5) | bit(d.Start, 4) | bit(d.extended(), 7)
	n := 1
	if !d.extended() {
		return n, nil
	}
	buf[n] = bit(d.PictureIDBits != 0, 7) | bit(d.HasTL0PICIDX, 6) | bit(d.HasTID, 5) | bit(d.HasKEYIDX, 4)
	n++
	switch d.PictureIDBits {
	case 7:
		buf[n] = byte(d.PictureID)
		n++
	case 15:
		buf[n], buf[n+1] = 0x80|byte(d.PictureID>>8), byte(d.PictureID)
		n += 2
	}
	if d.HasTL0PICIDX {
		buf[n] = d.TL0PICIDX
		n++
	}
	if d.HasTID || d.HasKEYIDX {
		buf[n] = 0
		if d.HasTID {
			buf[n] = d.TID<<6 | bit(d.Sync, 5)
		}
		if d.HasKEYIDX {
			buf[n] |= d.KEYIDX
		}
		n++
	}
	return n, nil
}

// Marshal returns the descriptor in a new slice.
func (d *Descriptor) Marshal() ([]byte, error) {
	buf := make([]byte, d.MarshalSize())
	n, err := d.MarshalTo(buf)
	return buf[:n], err
}

func bit(set bool, shift uint) byte {
	if set {
		return 1 << shift
	}
	return 0
}
