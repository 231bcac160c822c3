package jitter

import "time"

// Stats counts what happened to a track since [New]. Samples are per channel.
//
// Every packet is in one place: Received = Played + Late + Duplicate +
// Discarded + DecodeErrors + Buffered.
type Stats struct {
	Received     uint64 // packets pushed
	Played       uint64 // packets decoded
	Late         uint64 // packets that came after their place was played
	Duplicate    uint64 // packets that had come before
	Discarded    uint64 // packets dropped: overflow, garbage lengths, resynchronisation, Reset
	DecodeErrors uint64 // packets that the decoder refused, concealed instead
	Buffered     int    // packets that wait now

	Lost         uint64 // sequence numbers that never came
	Reordered    uint64 // packets that came after a later one
	FECRecovered uint64 // lost packets recovered from the copy in the next
	Resyncs      uint64 // restarts after a jump of sequence number or timestamp
	Stalls       uint64 // times that the sink did not pull for long

	// ConcealmentEvents is how often the sound broke: runs of concealment, of
	// whatever length. The end of a spurt without a word is one, too.
	ConcealmentEvents uint64

	DecodedSamples   uint64 // samples of real sound played
	ConcealedSamples uint64 // samples made up for what was lost or late
	SilentSamples    uint64 // samples of silence: pauses of the sender, and no sound at all
	CutSamples       uint64 // samples of sound dropped to shorten the delay (NetEQ: accelerate)
	StretchedSamples uint64 // samples inserted to lengthen the delay (NetEQ: preemptive expand)

	// Delay is the mean time from a packet's arrival to its first sample's
	// turn, over about the last 16 packets.
	Delay time.Duration
	// LongestDelay is the longest such time of late; it sinks slowly.
	LongestDelay time.Duration
	// TargetDelay is how much longer than the fastest packet a packet is made
	// to wait.
	TargetDelay time.Duration
}

// Stats returns the counters. It may be called from any goroutine.
func (b *Buffer) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.stats
	s.Buffered = b.count
	s.Delay, s.LongestDelay = time.Duration(b.wait), time.Duration(b.longest)
	if b.est.n > 0 {
		s.TargetDelay = time.Duration(b.target-b.est.least()) * time.Second / time.Duration(b.rate)
	}
	return s
}
