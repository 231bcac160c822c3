package vp8

import "fmt"

// A Packetizer cuts frames into RTP payloads. Its zero value is ready. It is
// for one goroutine at a time, and allocates only when its buffer grows.
type Packetizer struct {
	// MaxPayload is the most bytes of an RTP payload, descriptor and all.
	// Default 1100 bytes: with RTP's header it stays below the 1150 that fit a
	// QUIC datagram.
	MaxPayload int

	buf []byte
}

// DefaultMaxPayload is Packetizer's MaxPayload where it is 0.
const DefaultMaxPayload = 1100

// Packetize cuts frame into payloads of about the same size and gives each to
// emit, in order; last marks the one whose RTP packet gets the marker bit. d is
// the frame's descriptor; its Start and Partition are set here. The payload is
// valid until emit returns. An error of emit ends it and is returned.
//
// All of a frame is sent as partition 0, which RFC 7741 section 4.4 allows.
func (p *Packetizer) Packetize(d Descriptor, frame []byte, emit func(payload []byte, last bool) error) error {
	limit := p.MaxPayload
	if limit == 0 {
		limit = DefaultMaxPayload
	}
	if len(frame) == 0 {
		return fmt.Errorf("%w: empty frame", ErrPayload)
	}
	d.Start, d.Partition = true, 0
	room := limit - d.MarshalSize()
	if room < 1 {
		return fmt.Errorf("%w: payloads of %d bytes with descriptors of %d", ErrBuffer, limit, d.MarshalSize())
	}
	if len(p.buf) < limit {
		p.buf = make([]byte, limit)
	}
	for left := (len(frame) + room - 1) / room; left > 0; left-- {
		n, err := d.MarshalTo(p.buf)
		if err != nil {
			return err
		}
		part := (len(frame) + left - 1) / left
		n += copy(p.buf[n:], frame[:part])
		if err := emit(p.buf[:n], left == 1); err != nil {
			return err
		}
		frame = frame[part:]
		d.Start = false
	}
	return nil
}
