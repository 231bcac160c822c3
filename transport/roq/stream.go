package roq

import (
	"fmt"
	"io"
	"slices"
)

// A StreamReader reads the packets of one RoQ stream (draft 14, "Stream Encapsulation").
// It is for use by one goroutine. Its first error is its last: where the next
// packet starts is then unknown, so every later call returns it again.
type StreamReader struct {
	r       io.Reader
	max     int
	flow    uint64
	hasFlow bool
	err     error
	scratch [MaxFlowIDLen]byte // here, because what is handed to an io.Reader escapes
}

// NewStreamReader returns a reader of packets of at most maxPacket bytes; zero
// or less means 65535, the largest RTP packet that UDP could carry.
func NewStreamReader(r io.Reader, maxPacket int) *StreamReader {
	s := new(StreamReader)
	s.Reset(r, maxPacket)
	return s
}

// Reset makes s read another stream, as NewStreamReader would.
func (s *StreamReader) Reset(r io.Reader, maxPacket int) {
	if maxPacket <= 0 {
		maxPacket = 65535
	}
	*s = StreamReader{r: r, max: maxPacket}
}

// ReadFlowID returns the flow that all packets of the stream belong to. It
// reads it from the stream the first time. Errors: io.EOF if the stream has no
// byte at all, io.ErrUnexpectedEOF (wrapped) if it ends within the identifier,
// or the underlying reader's error.
func (s *StreamReader) ReadFlowID() (uint64, error) {
	if s.hasFlow || s.err != nil {
		return s.flow, s.err
	}
	flow, err := s.readVarint()
	if err != nil {
		return 0, s.fail("flow identifier", err)
	}
	s.flow, s.hasFlow = flow, true
	return flow, nil
}

// ReadPacket reads the next packet into buf's capacity, and returns it. If the
// packet is larger than that, the result is a new, larger array, made as the
// bytes come in and not on the word of the length; buf with a capacity of
// maxPacket never grows. The bytes are the caller's.
//
// Errors: io.EOF if the stream ended after a packet (or after the flow
// identifier); io.ErrUnexpectedEOF, wrapped, if it ended within one;
// ErrPacketSize, whose code is PacketError, if the length is zero or above
// maxPacket; or the underlying reader's error.
func (s *StreamReader) ReadPacket(buf []byte) ([]byte, error) {
	if _, err := s.ReadFlowID(); err != nil {
		return nil, err
	}
	if s.err != nil {
		return nil, s.err
	}
	length, err := s.readVarint()
	if err != nil {
		return nil, s.fail("packet length", err)
	}
	if length == 0 || length > uint64(s.max) {
		s.err = ErrPacketSize
		return nil, s.err
	}
	left := int(length)
	buf = buf[:0]
	for left > 0 {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, min(left, max(1500, len(buf))))
		}
		n := min(left, cap(buf)-len(buf))
		m, err := io.ReadFull(s.r, buf[len(buf):len(buf)+n])
		buf = buf[:len(buf)+m]
		if err != nil {
			if err == io.EOF { // between two parts of the packet
				err = io.ErrUnexpectedEOF
			}
			return nil, s.fail("packet", err)
		}
		left -= n
	}
	return buf, nil
}

// readVarint reads an integer of any form. The error is io.EOF only if there
// was no byte.
func (s *StreamReader) readVarint() (uint64, error) {
	if _, err := io.ReadFull(s.r, s.scratch[:1]); err != nil {
		return 0, err
	}
	n := 1 << (s.scratch[0] >> 6)
	if n > 1 {
		if _, err := io.ReadFull(s.r, s.scratch[1:n]); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
	}
	return decodeVarint(s.scratch[:n]), nil
}

func (s *StreamReader) fail(what string, err error) error {
	if err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("roq: the stream ended within a %s: %w", what, err)
	}
	s.err = err
	return err
}
