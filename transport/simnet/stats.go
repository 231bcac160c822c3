package simnet

import (
	"sync/atomic"
	"time"
)

// DropReason says why a packet did not arrive.
type DropReason uint8

// The reasons.
const (
	DropLoss     DropReason = iota // Link.Loss
	DropBurst                      // Link.Burst
	DropQueue                      // the queue before the line was full, or a Relay's memory
	DropMTU                        // larger than Link.MTU
	DropDown                       // Link.Down, or Cut
	DropReceiver                   // the receiver did not read, and its buffer was full
	DropClosed                     // the receiver was closed meanwhile
	DropSend                       // the system would not send it; of a Relay
	NumDropReasons
)

var dropNames = [NumDropReasons]string{"loss", "burst loss", "queue full", "MTU", "down", "receive buffer full", "closed", "not sent"}

func (r DropReason) String() string {
	if r < NumDropReasons {
		return dropNames[r]
	}
	return "unknown"
}

// Stats is what happened in one direction. Once nothing is under way, Sent and
// Duplicated together are Delivered and Dropped together.
type Stats struct {
	// Sent counts packets that went in, Delivered those that came out into the
	// receiver's buffer; their bytes are UDP payloads.
	Sent, Delivered           uint64
	SentBytes, DeliveredBytes uint64
	// Duplicated and Reordered count the packets that Link.Duplicate and
	// Link.Reorder hit; those that jitter put out of order are not counted.
	Duplicated, Reordered uint64
	// Dropped counts packets by reason.
	Dropped [NumDropReasons]uint64
	// UnderWay is how many packets are between sender and receiver now.
	UnderWay int
	// QueueBytes is how much waits for the line now, headers counted, and
	// QueueTime how long a new packet would wait.
	QueueBytes int
	QueueTime  time.Duration
}

// DroppedTotal returns the packets dropped for any reason.
func (s Stats) DroppedTotal() (n uint64) {
	for _, d := range s.Dropped {
		n += d
	}
	return n
}

// counters are one direction's, counted by sender and receiver.
type counters struct {
	sent, sentBytes, delivered, deliveredBytes, duplicated, reordered atomic.Uint64
	dropped                                                           [NumDropReasons]atomic.Uint64
	underWay                                                          atomic.Int64
}

func (k *link) snapshot(now time.Duration) Stats {
	s := Stats{
		Sent: k.sent.Load(), SentBytes: k.sentBytes.Load(),
		Delivered: k.delivered.Load(), DeliveredBytes: k.deliveredBytes.Load(),
		Duplicated: k.duplicated.Load(), Reordered: k.reordered.Load(),
		UnderWay:   int(k.underWay.Load()),
		QueueBytes: k.backlog(now),
	}
	if s.QueueBytes > 0 {
		s.QueueTime = k.free - now
	}
	for r := range k.dropped {
		s.Dropped[r] = k.dropped[r].Load()
	}
	return s
}
