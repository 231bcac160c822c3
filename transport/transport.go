// Package transport carries signalling and media between a client and a server.
//
// A [Session] is one client's connection: one control stream for signalling,
// RTP and RTCP packets on numbered flows, and statistics. Three
// implementations behave alike, which transport/transporttest proves for these
// and for any of your own:
//
//   - raw QUIC, for our native clients: [Listen] and [QUICDialer];
//   - WebTransport on the same UDP port, for browsers: [Listen] and [WebTransportDialer];
//   - a pipe inside the process, with no socket at all: [PipeListener].
//
// A fourth, plain RTP over QUIC, has no control stream and is for endpoints
// that share no code with us: ListenConfig.RoQ and [RoQDialer].
//
// Media is framed as RTP over QUIC (package transport/roq): one packet per
// QUIC datagram, or length-prefixed on unidirectional streams where a packet
// does not fit a datagram.
//
// The package knows nothing of audio or video. Each packet comes with a
// [Class] and a deadline from the caller; one writer goroutine per session
// sends lower classes first and drops what is late, counting every drop with
// its reason ([Stats]).
package transport

import (
	"context"
	"net"
	"time"
)

// MaxPacketSize is the largest RTP or RTCP packet, in bytes, that every path
// carries in one datagram on every implementation: the QUIC floor of 1200
// bytes less the headers of QUIC, of the DATAGRAM frame, of WebTransport and
// of the flow identifier (RFC 9000 section 14, RFC 9221). Larger packets, up
// to [MaxStreamPacketSize], travel on a stream of their own.
const MaxPacketSize = 1150

// MaxStreamPacketSize is the largest packet, in bytes, that a session takes
// or delivers at all. An RTP packet is never larger (RFC 3550 assumes UDP).
const MaxStreamPacketSize = 65535

// Class orders packets: lower classes are sent first, and when the queue is
// full the oldest packet of the highest class present is dropped. The engine
// uses class 0 for audio, 1 for RTCP and 2 for video. Packets of class 2 wait
// while bytes of the control stream are unsent.
type Class uint8

// NumClasses is the number of classes; valid classes are 0 to NumClasses-1.
const NumClasses = 3

// A Packet is one RTP or RTCP packet to be sent.
type Packet struct {
	// Flow is the flow identifier, 1 to 2^62-1 (0 only where there are no
	// bundles, in a RoQSession). Identifiers below 64 take one byte on the wire.
	Flow uint64
	// Class is the packet's class, 0 to NumClasses-1.
	Class Class
	// Deadline is the time after which the packet is worthless and is dropped
	// instead of sent. Zero means none.
	Deadline time.Time
	// Payload is the packet, 1 to MaxStreamPacketSize bytes.
	Payload []byte
}

// A PacketHandler takes one received RTP or RTCP packet of one flow. It is
// called from the session's reading goroutines, for one flow never two at
// once. The bytes are the session's: they are valid until the handler
// returns. arrival is the time the packet was read. A handler must not block,
// and must not call HandleFlow or RemoveFlow for its own flow.
type PacketHandler func(packet []byte, arrival time.Time)

// A ControlStream is the session's reliable, ordered byte stream for
// signalling. One goroutine may read while another writes. The dialer's side
// speaks first: until it has written, the listener's side waits in Read and
// Write.
type ControlStream interface {
	// Read reads what the peer wrote. It returns io.EOF when the peer closed
	// its side in order, and the session's error when the session ended.
	Read(p []byte) (int, error)
	// Write returns when the transport has taken all of p into packets, so a
	// peer that stops reading blocks it: write from a goroutine of your own.
	// Writes from several goroutines are serialised, each p whole.
	Write(p []byte) (int, error)
	// SetWriteDeadline makes a blocked Write fail with a timeout error
	// (os.ErrDeadlineExceeded) at t. The zero time removes the deadline.
	// After a write that timed out the stream is no longer usable for writing.
	SetWriteDeadline(t time.Time) error
}

// A FlowStream is an outgoing stream of packets of one flow, for what does not
// fit datagrams well, such as a video key frame. It is for use by one
// goroutine; Cancel may be called by any.
type FlowStream interface {
	// WritePacket appends one packet of at most MaxStreamPacketSize bytes. It
	// blocks while the peer or the network does not take more.
	WritePacket(packet []byte) error
	// Close ends the stream in order: the peer gets everything written.
	Close() error
	// Cancel abandons the stream; the peer stops waiting for the rest
	// (roq.FrameCancelled).
	Cancel()
}

// A Session is one connection between a client and a server, as either sees
// it. All methods may be called from any goroutine. A session may use more
// than one network connection and its addresses may change while it lives.
type Session interface {
	// Control returns the session's control stream; always the same one. A
	// RoQSession has none: its methods return ErrNoControl.
	Control() ControlStream

	// Send queues a packet for the session's writer and returns at once. It
	// copies the payload. A nil error means queued, not sent: a packet may
	// still be dropped and counted. Errors: ErrClosed, ErrPacketSize,
	// ErrClass, ErrFlowID.
	Send(p Packet) error
	// SendBatch is Send for packets that are due together: if the peer takes
	// bundles (SetBundles), those of one class leave in as few datagrams as
	// hold them. It queues those before the first that is wrong, and returns
	// what Send would for that one.
	SendBatch(packets []Packet) error
	// Waiting returns how many packets of a class wait to be sent, and the
	// deadline of the one that has waited longest.
	Waiting(c Class) (packets int, deadline time.Time)
	// SetBundles says whether the peer takes bundles (roq.BundleFlow), which
	// signalling must have found out. Then whatever waits to be sent leaves
	// with as much of its class as fits one datagram. Bundles that come are
	// always taken. The default is no.
	SetBundles(on bool)
	// OpenFlowStream opens a stream of packets of one flow. It blocks until
	// the peer grants a stream or ctx ends.
	OpenFlowStream(ctx context.Context, flow uint64) (FlowStream, error)

	// HandleFlow makes h receive the packets of a flow. Packets that came
	// before, and were kept (a bounded number, for flows that signalling has
	// not announced yet), are handed to h before HandleFlow returns. A flow
	// has one handler: a second call replaces it. Errors: ErrClosed, ErrFlowID.
	HandleFlow(flow uint64, h PacketHandler) error
	// RemoveFlow forgets a flow: its packets are dropped and counted from now
	// on, and never kept as unannounced ones. When it returns the handler is
	// not running and will not run again.
	RemoveFlow(flow uint64)

	// Stats returns a snapshot. It is cheap enough to be polled every 100 ms.
	Stats() Stats
	// Protocol names what carries the session: "quic", "webtransport", "pipe", or
	// "roq" for plain RTP over QUIC.
	Protocol() string
	// LocalAddr and RemoteAddr return the addresses in use now.
	LocalAddr() net.Addr
	RemoteAddr() net.Addr

	// CloseWithError ends the session at once and tells the peer the code and
	// the reason (at most 200 bytes are sent). It returns when every goroutine
	// of the session has ended, except one that is calling it. It is
	// idempotent: the first call decides.
	CloseWithError(code ErrorCode, reason string) error
	// Close is CloseWithError with no error.
	Close() error
	// Done is closed when the session has ended, for whatever reason.
	Done() <-chan struct{}
	// Err is nil until Done is closed, and says then why the session ended: an
	// *Error if either side closed it, ErrIdleTimeout if the peer vanished.
	Err() error
}

// A Migrator is a Session that can move to another local address while it
// lives (RFC 9000 section 9). Sessions of [QUICDialer] and [RoQDialer] implement
// it.
type Migrator interface {
	// Migrate validates a path from conn to the peer and moves the session to
	// it; packets in flight on the old path may be lost. It takes ownership of
	// conn, also when it fails. With a nil conn it opens a UDP socket of its
	// own, as the dialer would.
	Migrate(ctx context.Context, conn net.PacketConn) error
}

// A Listener accepts sessions.
type Listener interface {
	// Accept returns the next session, or ErrClosed after Close.
	Accept(ctx context.Context) (Session, error)
	// Addr is the address to dial.
	Addr() net.Addr
	// Close stops accepting, ends the sessions it accepted, and returns when
	// every goroutine has ended.
	Close() error
}

// A Dialer opens sessions. It is safe for concurrent use.
type Dialer interface {
	// Dial connects to a listener's address. What addr looks like is the
	// dialer's: host:port for QUICDialer, an https URL for WebTransportDialer.
	Dial(ctx context.Context, addr string) (Session, error)
}
