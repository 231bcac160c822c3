package roq

const (
	minRTP  = 12 // the fixed header, RFC 3550 section 5.1
	minRTCP = 4  // the common header, RFC 3550 section 6.4
)

// IsRTCP reports whether a packet is RTCP rather than RTP, where both share a
// flow: its second byte, RTCP's packet type or RTP's marker and payload type,
// is 192 to 223 (RFC 5761, section 4).
func IsRTCP(packet []byte) bool {
	return len(packet) >= 2 && packet[1] >= 192 && packet[1] <= 223
}

// CheckPacket returns ErrNotRTP if a packet cannot be RTP or RTCP: it has to
// be version 2 and at least as long as its fixed header, 12 bytes for RTP and
// 4 for RTCP (RFC 3550, sections 5.1 and 6.4.1). It checks nothing else, so
// that a packet that passes may still be malformed.
func CheckPacket(packet []byte) error {
	if len(packet) < minRTCP || packet[0]>>6 != 2 {
		return ErrNotRTP
	}
	if len(packet) < minRTP && !IsRTCP(packet) {
		return ErrNotRTP
	}
	return nil
}
