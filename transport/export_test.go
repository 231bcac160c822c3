package transport

import (
	"net"
	"net/netip"
)

// Ungated returns c with the gate before quic-go's queue switched off.
func Ungated(c SessionConfig) SessionConfig {
	c.ungated = true
	return c
}

// SetSource makes d's sessions believe that this is the machine's address.
func SetSource(d *QUICDialer, source func() netip.Addr) {
	d.source = func(*net.UDPAddr) (netip.Addr, error) { return source(), nil }
}
