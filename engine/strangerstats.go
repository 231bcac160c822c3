package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/earshotrtc/earshot/transport"
)

// RoQStats is a foreign endpoint in a call, and what became of its packets.
type RoQStats struct {
	UserID, CallID   string
	RemoteAddr, ALPN string
	// Received are RTP packets of its that went to the room, Sent those of the
	// room's to it; Unsent are of tracks for which it has no flow.
	Received, Sent, Unsent uint64
	// Feedback are RTCP packets from it, and FeedbackDropped those above 100 a
	// second.
	Feedback, FeedbackDropped uint64
	// What was dropped of its RTP packets, and why: a payload type that its flow
	// does not have, a second SSRC within 2 s, no RTP or an empty packet, above
	// 1,150 bytes, kept for too long before it was admitted, or of a stream that
	// the call does not take now.
	WrongPayloadType, OtherSSRC, Malformed, TooLarge, Late, Unwanted uint64
	// Transport are its session's statistics, with packets on unknown flows.
	Transport transport.Stats
}

// RoQEndpoints lists the foreign endpoints that are in calls now.
func (s *Server) RoQEndpoints() (list []RoQStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.devices {
		if d.stranger != nil {
			list = append(list, d.stranger.stats())
		}
	}
	slices.SortFunc(list, func(a, b RoQStats) int { return strings.Compare(a.UserID, b.UserID) })
	return list
}

func (st *stranger) stats() RoQStats {
	c := &st.counters
	return RoQStats{
		UserID: st.answer.UserID, CallID: st.answer.CallID, RemoteAddr: fmt.Sprint(st.sess.RemoteAddr()), ALPN: st.alpn,
		Received: c.received.Load(), Sent: c.sent.Load(), Unsent: c.unsent.Load(),
		Feedback: c.feedback.Load(), FeedbackDropped: c.feedbackDropped.Load(),
		WrongPayloadType: c.wrongType.Load(), OtherSSRC: c.otherSSRC.Load(), Malformed: c.malformed.Load(),
		TooLarge: c.tooLarge.Load(), Late: c.late.Load(), Unwanted: c.unwanted.Load(),
		Transport: st.sess.Stats(),
	}
}

type strangerCounters struct {
	received, sent, unsent, feedback, feedbackDropped         atomic.Uint64
	wrongType, otherSSRC, malformed, tooLarge, late, unwanted atomic.Uint64
}

// strangerCounts are those counters that Server.Snapshot adds up.
type strangerCounts struct {
	unsent, feedbackDropped, wrongType, otherSSRC, malformed, tooLarge, late, unwanted uint64
}

func (c *strangerCounters) load() strangerCounts {
	return strangerCounts{
		c.unsent.Load(), c.feedbackDropped.Load(), c.wrongType.Load(), c.otherSSRC.Load(),
		c.malformed.Load(), c.tooLarge.Load(), c.late.Load(), c.unwanted.Load(),
	}
}

func (c *strangerCounts) add(o strangerCounts) {
	c.unsent += o.unsent
	c.feedbackDropped += o.feedbackDropped
	c.wrongType += o.wrongType
	c.otherSSRC += o.otherSSRC
	c.malformed += o.malformed
	c.tooLarge += o.tooLarge
	c.late += o.late
	c.unwanted += o.unwanted
}
