package transport

import (
	"context"
	"net"

	"github.com/earshotrtc/earshot/internal/probe"
)

// A probedLink tells a benchmark of its datagrams: see package probe.
type probedLink struct {
	backend
	probe *probe.Conn
}

// probed is the link of a listener's connection: itself, unless the socket is a
// benchmark's.
func probed(link backend, socket net.PacketConn) backend {
	if p, ok := socket.(*probe.Conn); ok {
		return &probedLink{link, p}
	}
	return link
}

func (l *probedLink) sendDatagram(b []byte) error {
	err := l.backend.sendDatagram(b)
	if err == nil {
		l.probe.Sent(b)
	}
	return err
}

func (l *probedLink) receiveDatagram(ctx context.Context) ([]byte, error) {
	b, err := l.backend.receiveDatagram(ctx)
	if err == nil {
		l.probe.Received(b)
	}
	return b, err
}
