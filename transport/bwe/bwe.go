// Package bwe estimates how much video a path carries: a [Sender] is told
// what leaves and what the other side reports, and says how many bits per
// second may be sent; a [Receiver] writes those reports, congestion control
// feedback of RFC 8888 in RTCP. Both do no I/O, start no goroutine and have no
// clock: each call brings the time. Neither allocates per packet.
//
// The sending side:
//
//	s, err := bwe.NewSender(bwe.Config{})
//	s.Sent(ssrc, seq, len(packet), now)        // per packet, as it leaves
//	s.Feedback(report, now)                    // per CCFB packet that comes back
//	s.Path(stats.CongestionWindow, stats.RTT)  // now and then, if the path is QUIC
//	encoder.SetBitrate(s.Target())
//
// The receiving side:
//
//	r := bwe.NewReceiver(ownSSRC)
//	r.Received(ssrc, seq, now)                 // per packet
//	b = r.AppendReport(b[:0], now, 0)          // every 25 ms; empty if nothing came
//
// # How it estimates
//
// It is Google congestion control (draft-ietf-rmcat-gcc-02) with the trendline
// that took the place of its Kalman filter: when the one-way delay grows, the
// target falls to 85 % of what arrives; while it does not, the target grows, by
// 25 % per second until the path's limit is met, by 12 % after, and slowly near
// where it last was too much. It differs in four points.
//
//   - Growth is bounded by what is sent, by the sender's own clock: to 1.5
//     times that and 50 kbit/s. A target above the bound stays where it is. So
//     a sender that has little to send neither sees its target run away nor
//     loses it, and no report can talk it up.
//   - Loss counts by how far it is above what the path loses anyway, the least
//     of the last five seconds, since a radio path loses 5 % however little is
//     sent. Where it is 5 % above, and more than chance would have it, the
//     target does not grow; where it stays so for 2 s, or is 10 % above, the
//     target falls. Loss that does not go away with less sent becomes what the
//     path loses anyway. Beyond 30 % the target falls in any case.
//   - While packets leave and nothing is reported the target falls by 30 % each
//     second; what was lost then counts no further.
//   - There is no probing: it takes some seconds to find that a path has become
//     wider.
//
// On a path whose buffer is too short for a queue to show, loss is the only
// sign, and some per cent of it remain.
//
// # Beside pion's
//
// It was measured beside the gcc of pion/interceptor v0.1.51 on the paths of
// this package's tests, from 500 kbit/s with a report each 25 ms. That one got
// each packet reported once: it counts twice what overlapping reports (RFC
// 8888 allows them) tell twice, and then fills any queue.
//
//	path                                  this package         pion's
//	1.5 M: 90 % reached after             4.1 s                12.3 s
//	1.5 M, a camera's frames: rate, queue 1.23 M, p95 32 ms    1.36 M, p95 61 ms
//	2 M to 500 k: below 600 k after       0.7 s                0.6 s
//	  at 500 k, frames: queue             p95 54 ms            p95 143 ms
//	  and back: above 1.2 M after         8.6 s                10.8 s
//	2 M, 5 % loss: target, least          1.74 M, 1.57 M       1.31 M, 0.70 M
//	2 M, 10 % loss: target                1.70 M               0.13 M
//	300 k sent on 50 M: target            526 k                20 M, its Max
//	allocations to send a packet          0                    2
//
// So it uses less of a narrow path than pion's does, and keeps the queue, in
// which audio waits too, shorter.
//
// # What to tell it
//
// Only video should be told to a Sender. Audio is a few per cent of it and goes
// first in any case. Sizes may be those of RTP packets or of all that is on the
// line; the target is in the same measure. Packets should be spread over time,
// 10 in a burst at most: the delay of a key frame sent at once looks like a
// queue, and is one.
package bwe

import (
	"errors"
	"fmt"
)

// ErrConfig is what errors for a Config that makes no sense wrap.
var ErrConfig = errors.New("bwe: bad config")

// Config holds a Sender's limits, all in bits per second. The zero value is
// good for one camera.
type Config struct {
	// Initial is the target until the path is known. Default 500,000, or the
	// nearest that Min and Max allow.
	Initial int
	// Min is the least target, whatever happens: what a picture of any use
	// needs. Default 60,000, or Max if that is less.
	Min int
	// Max is the greatest target. Default 4,000,000, or the greater of Initial
	// and Min if that is more.
	Max int
}

// withDefaults returns c with its defaults in place.
func (c Config) withDefaults() (Config, error) {
	if c.Initial < 0 || c.Min < 0 || c.Max < 0 {
		return c, fmt.Errorf("%w: a bitrate is negative", ErrConfig)
	}
	if c.Max == 0 {
		c.Max = max(4_000_000, c.Initial, c.Min)
	}
	if c.Min == 0 {
		c.Min = min(60_000, c.Max)
		if c.Initial > 0 {
			c.Min = min(c.Min, c.Initial)
		}
	}
	if c.Initial == 0 {
		c.Initial = min(max(500_000, c.Min), c.Max)
	}
	if c.Min > c.Initial || c.Initial > c.Max {
		return c, fmt.Errorf("%w: want Min %d <= Initial %d <= Max %d", ErrConfig, c.Min, c.Initial, c.Max)
	}
	return c, nil
}
