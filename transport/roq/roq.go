// Package roq is the framing of RTP over QUIC (RoQ),
// draft-ietf-avtcore-rtp-over-quic-14: what the bytes in a QUIC datagram or on
// a QUIC stream are, and nothing else. It does no I/O but to read from an
// io.Reader, keeps no state but a [StreamReader]'s, and allocates nothing per
// packet.
//
// A datagram is a flow identifier and one RTP or RTCP packet:
//
//	b = roq.AppendFlowID(b[:0], flow)
//	b = append(b, packet...)          // send b as one QUIC datagram
//
//	flow, n, err := roq.ParseFlowID(datagram)
//	packet := datagram[n:]
//
// A stream, always a unidirectional one, is a flow identifier and any number
// of packets, each behind its length:
//
//	b = roq.AppendFlowID(b[:0], flow)
//	b = roq.AppendStreamPacket(b, packet)  // as often as needed
//
//	r := roq.NewStreamReader(stream, maxPacket)
//	flow, err := r.ReadFlowID()
//	packet, err := r.ReadPacket(buf)       // until io.EOF
//
// [CheckPacket] tells whether the bytes can be RTP or RTCP at all, [IsRTCP]
// which of the two. Sessions that use this framing are in package transport.
package roq

// The application protocols (TLS ALPN) of RTP over QUIC. A draft must be
// offered as "roq-" and its number (draft 14, "Draft version identification"); 10 to 14 share one
// wire format and one set of error codes. The bare "roq" belongs to the RFC
// that does not exist yet.
const (
	ALPN14 = "roq-14"
	ALPN13 = "roq-13"
	ALPN12 = "roq-12"
	ALPN11 = "roq-11"
	ALPN10 = "roq-10"

	// ALPNEarshot is draft 14 as Earshot's own clients speak it: the first
	// bidirectional stream that the client opens carries signalling, which
	// plain RoQ has no place for. All else is as in draft 14. The draft asks
	// for such a suffix where endpoints differ from it.
	ALPNEarshot = "roq-14-earshot"
)

// PlainALPNs returns the protocols of plain RoQ, newest first, as a new slice
// for tls.Config.NextProtos.
func PlainALPNs() []string { return []string{ALPN14, ALPN13, ALPN12, ALPN11, ALPN10} }

// AppendStreamPacket appends one RTP or RTCP packet as it stands on a stream:
// its length as a QUIC variable-length integer, then its bytes (draft 14,
// "Stream Encapsulation"). The packet must not be empty: a receiver takes a length of
// zero for a protocol error.
func AppendStreamPacket(b, packet []byte) []byte {
	b = appendVarint(b, uint64(len(packet)))
	return append(b, packet...)
}

// StreamPacketLen returns how many bytes AppendStreamPacket appends for a
// packet of n bytes.
func StreamPacketLen(n int) int { return varintLen(uint64(n)) + n }
