package bridge

import (
	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/mixer/jitter"
)

// A guard keeps out tracks whose packets are no Opus: a decoder makes noise of
// almost any bytes, and everybody would hear it. What gives them away is the
// length that a packet says it has (RFC 6716 section 3.1): it must be a legal
// one, and be over before the next packet begins. One bad packet costs ten good
// ones of trust, so that a track may have some and goes on, and one of nothing
// else is shut out after a handful.
type guard struct {
	trust int
	known bool
	seq   uint16
	ts    uint32
	size  uint32
}

const (
	guardMost  = 50
	guardLeast = -100
	guardCosts = 10
)

// pass takes a packet, and reports whether it may be heard.
func (g *guard) pass(p jitter.Packet) bool {
	samples, err := codec.PacketSamples(p.Payload)
	good := err == nil
	if good {
		if frames, err := codec.PacketFrames(p.Payload); err == nil && frames > 1 {
			_, err = codec.SplitPacket(nil, p.Payload)
			good = err == nil
		}
	}
	if good && g.known && p.SequenceNumber == g.seq+1 && int32(p.Timestamp-g.ts) > 0 && p.Timestamp-g.ts < g.size {
		good = false // the one before would still be playing
	}
	g.known, g.seq, g.ts, g.size = err == nil, p.SequenceNumber, p.Timestamp, uint32(samples)
	if good {
		g.trust = min(guardMost, g.trust+1)
	} else {
		g.trust = max(guardLeast, g.trust-guardCosts)
	}
	return g.trust >= 0 && good
}
