package audio

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/earshotrtc/earshot/codec"
)

// A PacketSource is a microphone that gives ready Opus packets, such as those
// of speech.Packets. It implements engine.OpusSource. One goroutine reads.
type PacketSource struct {
	packets [][]byte
	loop    bool
	pace    *pacer
	next    int
	pos     int64
}

// NewPacketSource makes a source of packets, which it does not write to. With
// loop it begins again at the end.
func NewPacketSource(packets [][]byte, loop bool) *PacketSource {
	return &PacketSource{packets: packets, loop: loop, pace: newPacer(false)}
}

// ReadOpus copies the next packet into buf when the last of its sound has been
// captured. Errors: io.EOF after the last, io.ErrShortBuffer, and what is
// wrong with a corrupt packet. A reader that comes more than 200 ms late goes
// on from now.
func (s *PacketSource) ReadOpus(ctx context.Context, buf []byte) (int, time.Duration, error) {
	for {
		if s.next == len(s.packets) {
			if !s.loop || s.next == 0 {
				return 0, 0, io.EOF
			}
			s.next = 0
		}
		p := s.packets[s.next]
		n, err := codec.PacketSamples(p)
		if err != nil {
			return 0, 0, fmt.Errorf("packet %d: %w", s.next, err)
		}
		if len(p) > len(buf) {
			return 0, 0, fmt.Errorf("packet %d of %d bytes: %w", s.next, len(p), io.ErrShortBuffer)
		}
		late, err := s.pace.wait(ctx, s.pos+int64(n))
		if err != nil {
			return 0, 0, err
		}
		s.pos += int64(n)
		s.next++
		if late == 0 {
			return copy(buf, p), duration(int64(n)), nil
		}
	}
}
