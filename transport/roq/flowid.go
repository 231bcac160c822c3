package roq

import "fmt"

// MaxFlowID is the largest flow identifier, 2^62-1: what a QUIC
// variable-length integer holds (RFC 9000, section 16).
const MaxFlowID = 1<<62 - 1

// MaxFlowIDLen is the most bytes a flow identifier takes.
const MaxFlowIDLen = 8

// FlowIDLen returns how many bytes AppendFlowID appends: 1 for a flow below
// 64, 2 below 16384, 4 below 2^30, else 8.
func FlowIDLen(flow uint64) int { return varintLen(flow) }

// AppendFlowID appends a flow identifier in its shortest form. It panics if
// the flow is above MaxFlowID: that is a mistake of the caller, who must check
// what comes from outside.
func AppendFlowID(b []byte, flow uint64) []byte {
	if flow > MaxFlowID {
		panic(fmt.Sprintf("roq: flow identifier %d is above MaxFlowID", flow))
	}
	return appendVarint(b, flow)
}

// ParseFlowID reads the flow identifier at the start of a datagram, and says
// how many bytes it took: the packet is the rest, b[n:]. Every form is
// accepted, also one longer than it need be. If b ends before the identifier
// does the error is ErrFlowID, and the code to close with PacketError.
func ParseFlowID(b []byte) (flow uint64, n int, err error) {
	if len(b) == 0 {
		return 0, 0, ErrFlowID
	}
	n = 1 << (b[0] >> 6)
	if len(b) < n {
		return 0, 0, ErrFlowID
	}
	return decodeVarint(b[:n]), n, nil
}

// The variable-length integers of RFC 9000, section 16: the first two bits
// are the base-two logarithm of the length, the other bits the number in
// network byte order.

func varintLen(v uint64) int {
	switch {
	case v < 1<<6:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<30:
		return 4
	default:
		return 8
	}
}

func appendVarint(b []byte, v uint64) []byte {
	switch varintLen(v) {
	case 1:
		return append(b, byte(v))
	case 2:
		return append(b, 0x40|byte(v>>8), byte(v))
	case 4:
		return append(b, 0x80|byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	default:
		return append(b, 0xc0|byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32),
			byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
}

// decodeVarint reads an integer of len(b) bytes: 1, 2, 4 or 8.
func decodeVarint(b []byte) uint64 {
	v := uint64(b[0] & 0x3f)
	for _, c := range b[1:] {
		v = v<<8 | uint64(c)
	}
	return v
}
