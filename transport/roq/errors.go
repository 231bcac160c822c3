package roq

import "fmt"

// ErrorCode is an application error code of RTP over QUIC, used to close
// connections, reset streams and stop sending
// (draft-ietf-avtcore-rtp-over-quic-14, "Error Handling" and its registry).
type ErrorCode uint64

// The error codes of draft 14.
const (
	NoError          ErrorCode = 0x00 // no error: a graceful end
	GeneralError     ErrorCode = 0x01 // an error that fits no other code
	InternalError    ErrorCode = 0x02 // an error inside the RoQ implementation
	PacketError      ErrorCode = 0x03 // a malformed packet, length or flow identifier
	StreamCreation   ErrorCode = 0x04 // a stream that the protocol does not allow
	FrameCancelled   ErrorCode = 0x05 // the frame on this stream is no longer wanted or sent
	UnknownFlowID    ErrorCode = 0x06 // a flow identifier that nobody announced
	ExpectationUnmet ErrorCode = 0x07 // something promised in signalling was not negotiated
)

var codeNames = [...]string{
	"no error", "general error", "internal error", "packet error",
	"stream creation error", "frame cancelled", "unknown flow", "expectation unmet",
}

func (c ErrorCode) String() string {
	if c < ErrorCode(len(codeNames)) {
		return codeNames[c]
	}
	return fmt.Sprintf("error %#x", uint64(c))
}

// A FormatError says that bytes from a peer are not RTP over QUIC.
type FormatError struct {
	// Code is the error code that the draft gives for it.
	Code ErrorCode
	// Problem is what is wrong.
	Problem string
}

func (e *FormatError) Error() string { return "roq: " + e.Problem }

// The format errors of this package; compare them with errors.Is, or take the
// code out with errors.As and a *FormatError.
var (
	// ErrFlowID: a datagram ends before its flow identifier does.
	ErrFlowID error = &FormatError{PacketError, "the flow identifier is cut short"}
	// ErrPacketSize: a length on a stream is zero, or above the receiver's limit.
	ErrPacketSize error = &FormatError{PacketError, "a packet's length is zero or above the limit"}
	// ErrNotRTP: a packet is neither RTP nor RTCP.
	ErrNotRTP error = &FormatError{PacketError, "the packet is neither RTP nor RTCP"}
	// ErrBundle: an item of a bundle is not one.
	ErrBundle error = &FormatError{PacketError, "an item of the bundle is empty or cut short"}
)
