package load

import (
	"context"
	"crypto/tls"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/earshotrtc/earshot/transport"
)

// bareALPN keeps the bare loop apart from the protocol.
const bareALPN = "earshot-load-bare"

// bareBytes is about what a mixed packet takes with its headers.
const bareBytes = 100

func bareQUIC() *quic.Config {
	return &quic.Config{EnableDatagrams: true, MaxIdleTimeout: 8 * time.Second}
}

// serveBare sends every connection a ready datagram for each frame, and
// forgets what it receives: no engine can do with less over quic-go.
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
	var conns []*quic.Conn
	go func() {
		for {
			c, err := l.Accept(ctx)
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			mu.Unlock()
			go func() {
				for {
					if _, err := c.ReceiveDatagram(ctx); err != nil {
						return
					}
				}
			}()
		}
	}()
	go func() {
		packet := make([]byte, bareBytes)
		tick := time.NewTicker(cfg.Frame * time.Duration(cfg.FramesPerPacket))
		defer tick.Stop()
		var all []*quic.Conn
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			mu.Lock()
			all = append(all[:0], conns...)
			mu.Unlock()
			for _, c := range all {
				c.SendDatagram(packet)
			}
		}
	}()
	hash := cert.Hashes()[0]
	return l.Addr().String(), hash[:], func() { cancel(); l.Close() }, nil
}
