package transport

import (
	"errors"
	"fmt"
	"net"

	"github.com/earshotrtc/earshot/transport/roq"
)

// ErrorCode is the code with which a session is closed: those of RTP over
// QUIC (package roq) and, from 0x100 up, the application's own.
type ErrorCode = roq.ErrorCode

// Errors of this package. They work with errors.Is.
var (
	// ErrClosed: the session, listener or dialer was closed on this side. It
	// wraps net.ErrClosed.
	ErrClosed = fmt.Errorf("transport: closed: %w", net.ErrClosed)
	// ErrIdleTimeout: the peer was silent for longer than the idle timeout.
	ErrIdleTimeout = errors.New("transport: peer silent for longer than the idle timeout")
	// ErrPacketSize: a packet is empty or larger than MaxStreamPacketSize.
	ErrPacketSize = errors.New("transport: packet is empty or too large")
	// ErrClass: a packet's class is NumClasses or more.
	ErrClass = errors.New("transport: no such class")
	// ErrFlowID: a flow identifier is that of bundles (roq.BundleFlow) or above 2^62-1.
	ErrFlowID = errors.New("transport: flow identifier out of range")
	// ErrNoControl: the session speaks plain RTP over QUIC, which has no control
	// stream.
	ErrNoControl = errors.New("transport: plain RTP over QUIC has no control stream")
	// ErrPin: the server's certificate does not match the pinned hash.
	ErrPin = errors.New("transport: the server's certificate does not match the pin")
)

// An Error is why a session ended when one side closed it on purpose.
type Error struct {
	Code ErrorCode
	// Reason is the closing side's words, at most 200 bytes. From a peer it is
	// hostile input: quote it.
	Reason string
	// Remote is true if the peer closed the session.
	Remote bool
}

func (e *Error) Error() string {
	side := "here"
	if e.Remote {
		side = "by the peer"
	}
	return fmt.Sprintf("transport: session closed %s: %v: %q", side, e.Code, e.Reason)
}

// Is reports whether target is ErrClosed, for a session closed on this side.
func (e *Error) Is(target error) bool { return !e.Remote && target == ErrClosed }

// Unwrap gives net.ErrClosed for a session closed on this side.
func (e *Error) Unwrap() error {
	if e.Remote {
		return nil
	}
	return net.ErrClosed
}

// A StreamError is why a FlowStream, or the control stream, ended before its
// time while the session goes on.
type StreamError struct {
	// Code is UnknownFlowID if the peer does not know the flow, FrameCancelled
	// if it does not want the rest.
	Code ErrorCode
	// Remote is true if the peer ended the stream.
	Remote bool
}

func (e *StreamError) Error() string {
	side := "here"
	if e.Remote {
		side = "by the peer"
	}
	return fmt.Sprintf("transport: stream cancelled %s: %v", side, e.Code)
}
