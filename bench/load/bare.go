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

// bareBytes is about what a packet takes with its headers, of which bareHeader
// are those: RTP and a level.
const (
	bareBytes  = 100
	bareHeader = 20
)

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
// receives, or relays that and nothing else: no engine can do with less over
// quic-go.
// With a meter it says how long a datagram takes from the return of
// ReceiveDatagram to those of SendDatagram.
func serveBare(cfg Config, meter *delayMeter) (addr string, pin []byte, stop func(), err error) {
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
					packet, err := c.ReceiveDatagram(ctx)
					if err != nil {
						return
					}
					if !cfg.Relay {
						c.talks.Store(true)
						continue
					}
					if meter != nil {
						meter.stamp(packet, receivedAt)
					}
					mu.Lock()
					all = append(all[:0], conns...)
					mu.Unlock()
					for _, to := range all {
						if to != c && to.SendDatagram(packet) == nil && meter != nil {
							meter.note(packet, receivedAt)
						}
					}
				}
			}()
		}
	}()
	hash := cert.Hashes()[0]
	stop = func() { cancel(); l.Close() }
	if cfg.Relay {
		return l.Addr().String(), hash[:], stop, nil
	}
	go func() {
		voices, own := 1, 0
		if cfg.Mode == hooks.ModeForward {
			voices, own = cfg.Talkers, 1
		}
		packet := make([]byte, bareBytes*voices)
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
				case c.talks.Load():
					if voices > own {
						c.SendDatagram(packet[:bareBytes*(voices-own)])
					}
				case n%cfg.FramesPerPacket == 0:
					c.SendDatagram(packet)
				}
			}
		}
	}()
	return l.Addr().String(), hash[:], stop, nil
}
