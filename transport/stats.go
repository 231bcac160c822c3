package transport

import "time"

// DropReason says why a packet was dropped.
type DropReason uint8

// The reasons for drops. The first four concern sending, the others receiving.
const (
	// DropQueueFull: the sending queue was full and this was the oldest packet
	// of the highest class in it.
	DropQueueFull DropReason = iota
	// DropExpired: the packet's deadline passed before it could be sent.
	DropExpired
	// DropTooLarge: the path's datagrams are too small for the packet, and it
	// could not be sent on a stream either.
	DropTooLarge
	// DropClosed: the session ended with the packet in its queue.
	DropClosed
	// DropMalformed: a datagram or stream from the peer was not RTP over QUIC.
	DropMalformed
	// DropUnknownFlow: a packet came on a flow that nobody handles, and there
	// was no room to keep it until the flow is announced.
	DropUnknownFlow
	// NumDropReasons is the number of reasons.
	NumDropReasons
)

var dropNames = [NumDropReasons]string{"queue full", "expired", "too large", "closed", "malformed", "unknown flow"}

func (r DropReason) String() string {
	if r < NumDropReasons {
		return dropNames[r]
	}
	return "unknown"
}

// Traffic is packets of RTP or RTCP and their bytes, headers included, without
// what carries them.
type Traffic struct{ Packets, Bytes uint64 }

// Stats is a snapshot of a session's statistics, counted from its start.
type Stats struct {
	// RTT is the smoothed round-trip time, MinRTT the least seen; zero where
	// the transport does not know (a pipe).
	RTT, MinRTT time.Duration
	// CongestionWindow is how many bytes may be in flight; zero if unknown.
	CongestionWindow uint64
	// BulkWindow is what of it packets of the highest class may fill where some
	// get lost: the rest is left to the others.
	BulkWindow uint64

	// PacketsSent, PacketsReceived and PacketsLost count the transport's own
	// packets (QUIC packets), and BytesSent and BytesReceived their bytes
	// without UDP and IP headers.
	PacketsSent, PacketsReceived, PacketsLost uint64
	BytesSent, BytesReceived                  uint64

	// MediaSent and MediaReceived count RTP and RTCP packets handed to the
	// network and to flow handlers.
	MediaSent, MediaReceived uint64
	// SentRTP and SentRTCP are what MediaSent is made of: RTP by its class, and
	// RTCP of all classes. What was written to a FlowStream, which has no class,
	// is in the highest.
	SentRTP  [NumClasses]Traffic
	SentRTCP Traffic

	// QueueDepth is how many packets wait to be sent, by class.
	QueueDepth [NumClasses]int
	// Dropped counts dropped packets by reason; DroppedByClass those dropped
	// while sending, by class.
	Dropped        [NumDropReasons]uint64
	DroppedByClass [NumClasses]uint64
	// SendDrops are those dropped while sending, by class and reason.
	SendDrops [NumClasses][NumDropReasons]uint64

	// LastHeard is when a packet of the peer was last seen. Its precision is
	// that of the calls to Stats: poll every 250 ms to know it to 250 ms.
	LastHeard time.Time
}
