package engine

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/earshotrtc/earshot/transport"
)

// ErrCannotMigrate: the client's session is of a kind that cannot move: inside
// the process, over WebTransport, or of a Dialer of the host's that returns no
// transport.Migrator. It wraps errors.ErrUnsupported.
var ErrCannotMigrate = fmt.Errorf("earshot: this session cannot move to another network: %w", errors.ErrUnsupported)

// Migrate moves the client to another local address while it goes on talking,
// as when a phone leaves Wi-Fi for mobile data (RFC 9000 section 9). conn is a
// socket on the new network, any net.PacketConn that reaches the server; it is
// the client's from then on, also after an error. With nil the client opens a
// UDP socket on whatever way the system offers now. The old socket is closed a
// second later. Nobody else in the call is told.
//
// It returns when the new way has been tried and is in use: about one round trip
// later, whether or not the old one still works. From a quick way to one that is
// slower by more than the quick one's round trip it takes a second more, in
// which the others miss some 0.3 s. Give ctx a deadline. After an error the client
// stays where it was; if that way is dead, it dials again by itself after 3 s
// of silence. Such a dial takes its socket from ClientConfig.Dialer, not from
// here.
//
// A client whose Dialer is a transport.QUICDialer without a Conn of its own
// does this by itself when the system's address towards the server changes;
// call Migrate to be quicker, or to choose.
//
// Errors: ErrCannotMigrate, that of ctx if the server did not answer on the new
// way in time, transport.ErrClosed if the connection is lost (the client is
// dialling again then), and why the client ended.
func (c *Client) Migrate(ctx context.Context, conn net.PacketConn) error {
	if err := c.Err(); err != nil {
		discard(conn)
		return err
	}
	m, ok := c.link.Load().sess.(transport.Migrator)
	if !ok {
		discard(conn)
		return ErrCannotMigrate
	}
	return m.Migrate(ctx, conn)
}

func discard(conn net.PacketConn) {
	if conn != nil {
		conn.Close()
	}
}
