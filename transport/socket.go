package transport

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
)

// A socket is what a dialled session gives quic-go as its net.PacketConn. It
// differs from the real one in two ways that a session which can migrate
// needs:
//
//   - A write that fails because the network is down, or the local address
//     gone, counts as a packet lost. quic-go would end the connection.
//   - retire closes the real socket without telling quic-go. A quic.Transport
//     whose socket fails ends every connection that ever used it, also one
//     that has moved to another (transport.go, Transport.listen).
type socket struct {
	net.PacketConn
	once    sync.Once
	retired chan struct{}
	over    chan struct{} // closed when quic-go may know
	muted   atomic.Bool   // what is written is lost: see paths.probe
}

func newSocket(conn net.PacketConn) *socket {
	return &socket{PacketConn: conn, retired: make(chan struct{}), over: make(chan struct{})}
}

// retire closes the real socket.
func (s *socket) retire() {
	s.once.Do(func() {
		close(s.retired)
		s.PacketConn.Close()
	})
}

// finish closes the socket for quic-go too. It is called once.
func (s *socket) finish() {
	s.retire()
	close(s.over)
}

// readError holds a reader of a retired socket back until the end.
func (s *socket) readError(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-s.retired:
		<-s.over
	default:
	}
	return err
}

func (s *socket) ReadFrom(p []byte) (int, net.Addr, error) {
	n, addr, err := s.PacketConn.ReadFrom(p)
	return n, addr, s.readError(err)
}

func (s *socket) WriteTo(p []byte, addr net.Addr) (int, error) {
	if s.muted.Load() {
		return len(p), nil
	}
	n, err := s.PacketConn.WriteTo(p, addr)
	if err != nil && !concernsQUIC(err) {
		return len(p), nil
	}
	return n, err
}

func (s *socket) SetReadDeadline(t time.Time) error {
	select {
	case <-s.retired:
		return nil
	default:
		return s.PacketConn.SetReadDeadline(t)
	}
}

// SetReadBuffer and SetWriteBuffer pass quic-go's wish on to a connection that
// is no UDP socket, if it has ears for it.
func (s *socket) SetReadBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetReadBuffer(int) error }); ok {
		return c.SetReadBuffer(n)
	}
	return nil
}

func (s *socket) SetWriteBuffer(n int) error {
	if c, ok := s.PacketConn.(interface{ SetWriteBuffer(int) error }); ok {
		return c.SetWriteBuffer(n)
	}
	return nil
}

// concernsQUIC reports whether quic-go has to know a write's error: the packet
// was larger than the path takes (MTU discovery), or the network card does not
// split packets (GSO).
func concernsQUIC(err error) bool {
	return errors.Is(err, syscall.EMSGSIZE) || errors.Is(err, syscall.EIO) || isMessageSize(err)
}

// isMessageSize recognises WSAEMSGSIZE of Windows.
func isMessageSize(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no) && no == 10040
}

// A udpSocket is a socket that keeps quic-go's ways to read and write many
// packets at once.
type udpSocket struct {
	*socket
	udp   *net.UDPConn
	batch *ipv4.PacketConn
}

// wrapSocket returns what to give to quic-go.
func wrapSocket(s *socket) net.PacketConn {
	if udp, ok := s.PacketConn.(*net.UDPConn); ok {
		return &udpSocket{s, udp, ipv4.NewPacketConn(udp)}
	}
	return s
}

func (s *udpSocket) SyscallConn() (syscall.RawConn, error) { return s.udp.SyscallConn() }
func (s *udpSocket) SetReadBuffer(n int) error             { return s.udp.SetReadBuffer(n) }
func (s *udpSocket) SetWriteBuffer(n int) error            { return s.udp.SetWriteBuffer(n) }

func (s *udpSocket) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error) {
	n, oobn, flags, addr, err = s.udp.ReadMsgUDP(b, oob)
	return n, oobn, flags, addr, s.readError(err)
}

func (s *udpSocket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if s.muted.Load() {
		return len(b), len(oob), nil
	}
	n, oobn, err = s.udp.WriteMsgUDP(b, oob, addr)
	if err != nil && !concernsQUIC(err) {
		return len(b), len(oob), nil
	}
	return n, oobn, err
}

// ReadBatch makes quic-go read through here (sys_conn_oob.go, batchConn).
func (s *udpSocket) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	n, err := s.batch.ReadBatch(ms, flags)
	return n, s.readError(err)
}
