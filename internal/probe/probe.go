// Package probe lets a benchmark see when datagrams pass a server's sessions.
//
// A listener of package transport looks once, when it begins, whether its socket
// is a [Conn]. If it is none, as in any program but the benchmarks, nothing of
// this is in a packet's way, not even a comparison.
package probe

import "net"

// A Conn is a socket whose listener tells of its datagrams: those of sessions
// over raw QUIC. The functions are called from the sessions' own goroutines,
// several at once, and delay the datagrams by as long as they take. Both are
// required. A datagram is valid until the function returns.
type Conn struct {
	*net.UDPConn
	// Received is called when ReceiveDatagram has returned. It may write into
	// the datagram.
	Received func(datagram []byte)
	// Sent is called when SendDatagram has returned without an error.
	Sent func(datagram []byte)
}
