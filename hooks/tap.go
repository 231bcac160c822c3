package hooks

import "time"

// A TapPacket is a piece of what a user sends, as the server got it: an Opus
// packet, or a whole VP8 frame.
type TapPacket struct {
	UserID string
	// Track names the stream: one with another number has another clock.
	Track uint64
	// Video is true for a frame of a camera.
	Video bool
	// SequenceNumber, Timestamp and Marker are those of RTP: in an order that
	// the network may have changed, at 48 kHz for sound, and for it Marker is the
	// first packet after silence. A frame has the Timestamp alone, at 90 kHz, and
	// comes in order.
	SequenceNumber uint16
	Timestamp      uint32
	Marker         bool
	// Data is valid until the function that is told returns.
	Data []byte
	// Arrival is when it came.
	Arrival time.Time
	// KeyFrame, and then Width and Height in pixels, are those of a frame. The
	// first frame of a track is one, and so is the first after one that was lost.
	KeyFrame      bool
	Width, Height int
}

// A TapSound is a block of sound: 20 ms, or 10 ms of a mix of 10 ms; 48 kHz,
// signed 16-bit.
type TapSound struct {
	// UserID is who says it, or who hears it.
	UserID string
	// PCM is interleaved where there are two channels. It may be changed, and is
	// valid until the function that is told returns.
	PCM      []int16
	Channels int
	// Time is when its first sample is due: the blocks of one tap follow each
	// other in it without gaps or overlaps, but for the time in which nothing is
	// said. Those of several users that belong together have the same Time.
	Time time.Time
	// Track and Timestamp are those of the packets (TapPacket) that the first sample
	// is of, where it is one user's voice by itself (TapTalker, TapVoices): what was
	// said at a time has the same Timestamp, however long a jitter buffer held it.
	Track     uint64
	Timestamp uint32
}

// A Tap tells a function of the host's what a user says or hears. The function
// is called on one goroutine of the tap's own, one call at a time, and may block:
// it holds up nothing but its tap, which drops and counts what it cannot keep
// then. It is taken off when it panics for the third time. A tap ends with
// Close, with its call or world, and with the server.
type Tap interface {
	// Close ends it; it may be called from any goroutine, also from its function.
	// One call of the function may still be under way: see Done.
	Close() error
	// Done is closed when it has ended, and its function is called no more.
	Done() <-chan struct{}
	// Dropped is how many packets, or blocks, it has dropped so far.
	Dropped() uint64
}
