package load

import (
	"context"
	"crypto/tls"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// bareALPN keeps the bare loop apart from the protocol.
const bareALPN = "earshot-load-bare"

// bareBytes is about what a mixed packet takes with its headers.
const bareBytes = 100

func bareQUIC() *quic.Config {
	return &quic.Config{EnableDatagrams: true, MaxIdleTimeout: 8 * time.Second}
}

// A bareConn is one connection. Who talks gets a datagram for each frame, and
// who only listens for as many frames as a packet holds, as in a mix.
type bareConn struct {
	*quic.Conn
	talks atomic.Bool
}

// serveBare sends every connection ready datagrams, and forgets what it
// receives: no engine can do with less over quic-go. Or, if there is no window
// to collect voices in, it sends what it receives to everybody else.
func serveBare(cfg Config) (addr string, pin []byte, stop func(), err error) {
	cert, err := transport.NewDevCertificate(transport.DevCertificateConfig{Hosts: []string{"127.0.0.1"}})
	if err != nil {
		return "", nil, nil, err
	}
	l, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{GetCertificate: cert.GetCertificate, NextProtos: []string{bareALPN}}, bareQUIC())
	if err != nil {
		return "", nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	var conns []*bareConn
	go func() {
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			c := &bareConn{Conn: conn}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			go func() {
				var all []*bareConn
				for {
					d, err := c.ReceiveDatagram(ctx)
					if err != nil {
						return
					}
					c.talks.Store(true)
					if !cfg.bareForwards() {
						continue
					}
					mu.Lock()
					all = append(all[:0], conns...)
					mu.Unlock()
					for _, to := range all {
						if to != c {
							to.SendDatagram(d)
						}
					}
				}
			}()
		}
	}()
	go func() {
		if cfg.bareForwards() {
			return
		}
		packet := make([]byte, bareBytes*cfg.Talkers)
		if cfg.Mode == hooks.ModeMix {
			packet = packet[:bareBytes]
		}
		tick := time.NewTicker(cfg.Frame)
		defer tick.Stop()
		var all []*bareConn
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			mu.Lock()
			all = append(all[:0], conns...)
			mu.Unlock()
			for _, c := range all {
				switch {
				case c.talks.Load() && len(packet) > bareBytes:
					c.SendDatagram(packet[bareBytes:])
				case c.talks.Load() || n%cfg.FramesPerPacket == 0:
					c.SendDatagram(packet)
				}
			}
		}
	}()
	hash := cert.Hashes()[0]
	return l.Addr().String(), hash[:], func() { cancel(); l.Close() }, nil
}

// bareForwards says that a bare loop forwards what it receives.
func (c Config) bareForwards() bool { return c.Mode == hooks.ModeForward && c.Window < 0 }
