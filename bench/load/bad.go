package load

import (
	"context"
	"crypto/rand"
	"net"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// Three who misbehave (Config.Bad): the first of those aside stalls, the second
// is behind a narrow line, the third floods.
const (
	badStalled = iota
	badNarrow
	badFlood
	numBad

	narrowRate = 64_000
	// floodEvery and floodBurst make 2,000 packets a second of requests.
	floodEvery = 5 * time.Millisecond
	floodBurst = 10

	// rtcpFlow carries RTCP about all tracks (PROTOCOL.md, 6).
	rtcpFlow = 63

	filmEvery = time.Second / 30
	filmBytes = 1000
)

// bad is what makes people misbehave.
type bad struct {
	conn  atomic.Pointer[stallable]
	relay *simnet.Relay
}

// begin makes them misbehave until ctx ends.
func (b *bad) begin(ctx context.Context, flooder *person) error {
	b.conn.Load().stalled.Store(true)
	if err := b.relay.SetLinks(simnet.Link{}, simnet.Link{Rate: narrowRate}); err != nil {
		return err
	}
	go flooder.flood(ctx)
	return nil
}

func (b *bad) close() {
	if b.relay != nil {
		b.relay.Close()
	}
}

// A stallable is a socket whose program can be stopped: then nothing is read and
// nothing is answered.
type stallable struct {
	*udpSocket
	stalled atomic.Bool
}

// udpSocket keeps those methods of a *net.UDPConn out of the way by which
// quic-go would go round a stallable.
type udpSocket struct{ conn *net.UDPConn }

func (u *udpSocket) Close() error                       { return u.conn.Close() }
func (u *udpSocket) LocalAddr() net.Addr                { return u.conn.LocalAddr() }
func (u *udpSocket) SetDeadline(t time.Time) error      { return u.conn.SetDeadline(t) }
func (u *udpSocket) SetReadDeadline(t time.Time) error  { return u.conn.SetReadDeadline(t) }
func (u *udpSocket) SetWriteDeadline(t time.Time) error { return u.conn.SetWriteDeadline(t) }
func (u *udpSocket) SetReadBuffer(n int) error          { return u.conn.SetReadBuffer(n) }
func (u *udpSocket) SetWriteBuffer(n int) error         { return u.conn.SetWriteBuffer(n) }

func (s *stallable) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, addr, err := s.conn.ReadFrom(p)
		if err != nil || !s.stalled.Load() {
			return n, addr, err
		}
	}
}

func (s *stallable) WriteTo(p []byte, addr net.Addr) (int, error) {
	if s.stalled.Load() {
		return len(p), nil
	}
	return s.conn.WriteTo(p, addr)
}

// flood asks for pictures and packets of all tracks again and again.
func (p *person) flood(ctx context.Context) {
	var all []rtcp.Packet
	p.mu.Lock()
	for _, t := range p.tracks {
		all = append(all, &rtcp.PictureLossIndication{MediaSSRC: t.SSRC},
			&rtcp.TransportLayerNack{MediaSSRC: t.SSRC, Nacks: []rtcp.NackPair{{PacketID: 1, LostPackets: 0xffff}, {PacketID: 60000, LostPackets: 0xffff}}})
	}
	p.mu.Unlock()
	packet, err := rtcp.Marshal(all)
	if err != nil {
		return
	}
	tick := time.NewTicker(floodEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for range floodBurst {
				p.sess.Send(transport.Packet{Flow: rtcpFlow, Class: 1, Payload: packet})
			}
		case <-ctx.Done():
			return
		}
	}
}

// film publishes a camera and sends what looks like its pictures until ctx ends,
// a packet each (RFC 7741). Those aside look at it.
func film(ctx context.Context, p *person, callID string, aside []*person) error {
	res, err := p.request(ctx, signal.TypePublish, signal.Publish{CallID: callID, Kind: signal.KindVideo})
	if err != nil {
		return err
	}
	for _, to := range aside {
		if _, err := to.request(ctx, signal.TypeSubscribe, signal.Subscribe{TrackID: res.Track.TrackID, On: true}); err != nil {
			return err
		}
	}
	go func() {
		payload := make([]byte, filmBytes)
		rand.Read(payload)
		payload[0] = 0x10 // the start of a partition
		packet := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: res.Track.PayloadType, SSRC: res.Track.SSRC, Marker: true}, Payload: payload}
		tick := time.NewTicker(filmEvery)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				if b, err := packet.Marshal(); err == nil {
					p.sess.Send(transport.Packet{Flow: res.Track.Flow, Class: 2, Deadline: now.Add(500 * time.Millisecond), Payload: b})
				}
				packet.SequenceNumber++
				packet.Timestamp += 3000
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}
