package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/quic-go/quic-go"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/transport"
)

// A person is one participant: a session and the protocol, without a decoder.
type person struct {
	name    string
	sess    transport.Session // nil in a bare loop
	bare    *quic.Conn
	results chan *signal.Result
	entered chan struct{}
	invited chan string
	nextID  uint64
	lost    atomic.Int64
	packets atomic.Int64 // of others' voices
	frames  atomic.Int64
	shift   atomic.Int32 // samples, as the server asks
	delays  *delayMeter  // nil: not measured
	mu      sync.Mutex
	tracks  []*signal.Track
}

// tooMany is the code with which a server closes connections that come faster
// than it lets an address sign in (PROTOCOL.md, 8), and tryAgain after how long one
// of a few that wait may try again, so that all of them stay below that.
const (
	tooMany  transport.ErrorCode = 0x104
	tryAgain                     = time.Second
)

// join connects and signs in. It tries again as long as the server says that it
// gets too many connections.
func join(ctx context.Context, at ready, name string, delays *delayMeter, socket func() (net.PacketConn, error)) (*person, error) {
	for {
		p, err := joinOnce(ctx, at, name, delays, socket)
		var closed *transport.Error
		if !errors.As(err, &closed) || closed.Code != tooMany {
			return p, err
		}
		if wait(ctx, tryAgain) != nil {
			return nil, fmt.Errorf("load: %s did not get in in time: %w", name, err)
		}
	}
}

func joinOnce(ctx context.Context, at ready, name string, delays *delayMeter, socket func() (net.PacketConn, error)) (*person, error) {
	sig, err := usersig.Sign(at.Key, usersig.Claims{SDKAppID: at.AppID, UserID: name})
	if err != nil {
		return nil, err
	}
	d := transport.QUICDialer{Pin: at.Pin, Conn: socket}
	sess, err := d.Dial(ctx, at.Addr)
	if err != nil {
		return nil, fmt.Errorf("load: cannot reach %s: %w", at.Addr, err)
	}
	stop := context.AfterFunc(ctx, func() { sess.Close() })
	p := &person{
		name: name, sess: sess, results: make(chan *signal.Result, 4), entered: make(chan struct{}, 1),
		invited: make(chan string, 1), delays: delays,
	}
	in := signal.NewReader(sess.Control())
	if err := p.signIn(in, at.AppID, sig); err != nil {
		sess.Close()
		return nil, err
	}
	if !stop() {
		return nil, ctx.Err()
	}
	go p.read(in)
	return p, nil
}

// signIn signs in, or says why the server does not want that.
func (p *person) signIn(in *signal.Reader, app uint32, sig string) error {
	err := p.write(signal.TypeSignIn, 0, signal.SignIn{Version: signal.Version, SDKAppID: app, UserID: p.name, UserSig: sig, Bundles: true})
	var m signal.Message
	if err == nil {
		m, err = in.Read()
	}
	if err != nil {
		select {
		case <-p.sess.Done(): // says more
			err = p.sess.Err()
		case <-time.After(time.Second):
		}
		return fmt.Errorf("load: %s cannot sign in: %w", p.name, err)
	}
	if m.Type == signal.TypeWelcome {
		return nil
	}
	if body, err := m.Body(); err == nil {
		if no, ok := body.(*signal.Goodbye); ok {
			return fmt.Errorf("load: %s cannot sign in: %w", p.name, &engine.Error{Code: no.Code, Message: no.Message})
		}
	}
	return fmt.Errorf("load: %s instead of a welcome", m.Type)
}

// loopback opens a socket.
func loopback() (net.PacketConn, error) { return listenLoopback() }

func listenLoopback() (*net.UDPConn, error) {
	return net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
}

func (p *person) write(typ signal.Type, id uint64, body any) error {
	frame, err := signal.Encode(signal.Message{Type: typ, ID: id}, body)
	if err != nil {
		return err
	}
	_, err = p.sess.Control().Write(frame)
	return err
}

// request asks the server and waits for the result. One goroutine asks.
func (p *person) request(ctx context.Context, typ signal.Type, body any) (*signal.Result, error) {
	p.nextID++
	if err := p.write(typ, p.nextID, body); err != nil {
		return nil, err
	}
	select {
	case res := <-p.results:
		if res.Code != 0 {
			return nil, fmt.Errorf("load: %s of %s: %w", typ, p.name, &engine.Error{Code: res.Code, Message: res.Message})
		}
		return res, nil
	case <-p.sess.Done():
		return nil, fmt.Errorf("load: %s was disconnected: %w", p.name, p.sess.Err())
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// read takes the server's messages.
func (p *person) read(in *signal.Reader) {
	seen := uint64(0)
	for {
		m, err := in.Read()
		if err != nil {
			return
		}
		body, err := m.Body()
		if err != nil {
			continue
		}
		if m.N > 0 && m.N-seen >= 16 {
			seen = m.N
			if frame, err := signal.Encode(signal.Message{Type: signal.TypeAck, Ack: seen}, nil); err == nil {
				p.sess.Control().Write(frame)
			}
		}
		switch b := body.(type) {
		case *signal.Result:
			p.results <- b
		case *signal.Invited:
			p.invited <- b.CallID
		case *signal.Entered:
			p.entered <- struct{}{}
		case *signal.Track:
			p.mu.Lock()
			p.tracks = append(p.tracks, b)
			p.mu.Unlock()
			if b.Kind == signal.KindAudio {
				p.sess.HandleFlow(b.Flow, p.counter())
			}
		case *signal.Shift:
			p.shift.Store(int32(b.Samples))
		}
	}
}

// counter counts the packets of a track, its frames and its gaps.
func (p *person) counter() transport.PacketHandler {
	var h rtp.Header
	var next uint16
	known := false
	return func(packet []byte, _ time.Time) {
		n, err := h.Unmarshal(packet)
		if err != nil {
			return
		}
		if known && h.SequenceNumber != next {
			p.lost.Add(int64(int16(h.SequenceNumber - next)))
		}
		if p.delays != nil {
			p.delays.note(packet, sentAt)
		}
		known, next = true, h.SequenceNumber+1
		p.packets.Add(1)
		if frames, err := codec.PacketFrames(packet[n:]); err == nil {
			p.frames.Add(int64(frames))
		}
	}
}

// joinBare connects to a bare loop. A datagram that is no relayed one holds a
// packet for each bareBytes.
func joinBare(ctx context.Context, at ready, relayed bool, delays *delayMeter) (*person, error) {
	conf := &tls.Config{
		NextProtos: []string{bareALPN}, InsecureSkipVerify: true, // the pin decides
		VerifyPeerCertificate: func(raw [][]byte, _ [][]*x509.Certificate) error {
			if len(raw) == 1 {
				if cert, err := x509.ParseCertificate(raw[0]); err == nil && bytes.Equal(transport.CertificatePin(cert), at.Pin) {
					return nil
				}
			}
			return errors.New("load: another certificate")
		},
	}
	c, err := quic.DialAddr(ctx, at.Addr, conf, bareQUIC())
	if err != nil {
		return nil, err
	}
	p := &person{bare: c, delays: delays}
	go func() {
		for {
			d, err := c.ReceiveDatagram(context.Background())
			if err != nil {
				return
			}
			if delays != nil {
				delays.note(d, sentAt)
			}
			n := int64(1)
			if !relayed {
				n = int64(len(d) / bareBytes)
			}
			p.packets.Add(n)
			p.frames.Add(n)
		}
	}()
	return p, nil
}

// gone is closed when the person's connection has ended.
func (p *person) gone() <-chan struct{} {
	if p.bare != nil {
		return p.bare.Context().Done()
	}
	return p.sess.Done()
}

// why is why it has.
func (p *person) why() error {
	if p.bare != nil {
		return context.Cause(p.bare.Context())
	}
	return p.sess.Err()
}

// isGone reports whether it has.
func (p *person) isGone() bool {
	select {
	case <-p.gone():
		return true
	default:
		return false
	}
}

// close signs out, so that nobody is kept waiting for who will not come back.
func (p *person) close() {
	if p.bare != nil {
		p.bare.CloseWithError(0, "")
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	p.request(ctx, signal.TypeSignOut, nil)
	p.sess.Close()
}
