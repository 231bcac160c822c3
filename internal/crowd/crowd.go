// Package crowd is many players of a game at once: clients that speak the bare
// protocol in a few kilobytes each, for tests and benchmarks of worlds.
package crowd

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// A Config says who a Person is.
type Config struct {
	Dialer transport.Dialer
	Addr   string
	UserID string
	// UserSig signs them in. Default "-".
	UserSig string
	// Heard is called for each packet that comes, by the session's reader. The
	// header and the packet are its own until it returns. Default none.
	Heard func(p *Person, t *Track, h *rtp.Header, payload []byte, arrival time.Time)
	// Told is called for each event, by the person's own goroutine. Default
	// none.
	Told func(p *Person, typ signal.Type, body any)
}

// A Track is one that a person has.
type Track struct {
	signal.Track
	header rtp.Header
	// Own is for Heard to keep something in.
	Own any
}

// Space is the gain in dB and the pan that a packet says, if it does.
func (t *Track) Space(h *rtp.Header) (gain, pan int, ok bool) {
	e := h.GetExtension(t.SpaceExtension)
	if t.SpaceExtension == 0 || len(e) != 2 {
		return 0, 0, false
	}
	return int(int8(e[0])), int(int8(e[1])), true
}

// A Person is one player.
type Person struct {
	cfg   Config
	sess  transport.Session
	done  chan struct{}
	shift atomic.Int32 // samples by which frames should begin later

	// World is closed when the person has been put into a world.
	World   chan struct{}
	worldID atomic.Pointer[string] // of the world

	mu      sync.Mutex
	id      uint64
	results map[uint64]chan *signal.Result
	tracks  map[uint64]*Track

	speech sync.Mutex // guards what follows
	flow   uint64
	h      rtp.Header
	buf    [transport.MaxPacketSize]byte
}

// Dial signs a person in. They take bundles.
func Dial(ctx context.Context, cfg Config) (*Person, error) {
	if cfg.UserSig == "" {
		cfg.UserSig = "-"
	}
	sess, err := cfg.Dialer.Dial(ctx, cfg.Addr)
	if err != nil {
		return nil, err
	}
	p := &Person{
		cfg: cfg, sess: sess, done: make(chan struct{}), World: make(chan struct{}),
		results: make(map[uint64]chan *signal.Result), tracks: make(map[uint64]*Track),
	}
	sess.SetBundles(true)
	if err := p.write(signal.Message{Type: signal.TypeSignIn}, signal.SignIn{Version: signal.Version, UserID: cfg.UserID, UserSig: cfg.UserSig, SDKAppID: 1400000000, Bundles: true}); err != nil {
		return nil, err
	}
	r := signal.NewReader(sess.Control())
	m, err := r.Read()
	if err == nil && m.Type != signal.TypeWelcome {
		err = fmt.Errorf("%s: %s instead of a welcome", cfg.UserID, m.Type)
	}
	if err != nil {
		sess.Close()
		return nil, err
	}
	go p.read(r)
	return p, nil
}

// Close ends the connection without a word.
func (p *Person) Close() {
	p.sess.Close()
	<-p.done
}

// UserID is who they are.
func (p *Person) UserID() string { return p.cfg.UserID }

func (p *Person) write(m signal.Message, body any) error {
	frame, err := signal.Encode(m, body)
	if err == nil {
		_, err = p.sess.Control().Write(frame)
	}
	return err
}

func (p *Person) read(r *signal.Reader) {
	defer close(p.done)
	for {
		m, err := r.Read()
		if err != nil {
			return
		}
		body, err := m.Body()
		if err == nil {
			p.handle(m.Type, body)
		}
		if m.N != 0 && m.N%16 == 0 {
			p.write(signal.Message{Type: signal.TypeAck, Ack: m.N}, nil)
		}
	}
}

func (p *Person) handle(typ signal.Type, body any) {
	switch b := body.(type) {
	case *signal.Entered:
		p.worldID.Store(&b.CallID)
		select {
		case <-p.World:
		default:
			close(p.World)
		}
	case *signal.Shift:
		p.shift.Store(int32(b.Samples))
	case *signal.Track:
		t := &Track{Track: *b}
		p.mu.Lock()
		p.tracks[b.TrackID] = t
		p.mu.Unlock()
		p.sess.HandleFlow(b.Flow, func(packet []byte, arrival time.Time) {
			n, err := t.header.Unmarshal(packet)
			if err == nil && t.header.SSRC == t.SSRC && p.cfg.Heard != nil {
				p.cfg.Heard(p, t, &t.header, packet[n:], arrival)
			}
		})
	case *signal.TrackRef:
		p.mu.Lock()
		t := p.tracks[b.TrackID]
		delete(p.tracks, b.TrackID)
		p.mu.Unlock()
		if t != nil {
			p.sess.RemoveFlow(t.Flow)
		}
	case *signal.Result:
		p.mu.Lock()
		res := p.results[b.Re]
		delete(p.results, b.Re)
		p.mu.Unlock()
		if res != nil {
			res <- b
		}
	}
	if p.cfg.Told != nil {
		p.cfg.Told(p, typ, body)
	}
}

// Tracks are whose tracks they have, sorted.
func (p *Person) Tracks() (users []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tracks {
		users = append(users, t.UserID)
	}
	slices.Sort(users)
	return users
}

// TrackIDs are those of a user's tracks that they have.
func (p *Person) TrackIDs(userID string) (ids []uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, t := range p.tracks {
		if t.UserID == userID {
			ids = append(ids, id)
		}
	}
	return ids
}

// Request asks the server for something.
func (p *Person) Request(ctx context.Context, typ signal.Type, body any) (*signal.Result, error) {
	got := make(chan *signal.Result, 1)
	p.mu.Lock()
	p.id++
	p.results[p.id] = got
	err := p.write(signal.Message{Type: typ, ID: p.id}, body)
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	select {
	case res := <-got:
		if res.Code != hooks.CodeOK {
			return res, fmt.Errorf("%s: %s: code %d: %s", p.cfg.UserID, typ, res.Code, res.Message)
		}
		return res, nil
	case <-p.done:
		return nil, fmt.Errorf("%s: %s: the connection has ended", p.cfg.UserID, typ)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Publish turns their microphone on, in the world that they are in.
func (p *Person) Publish(ctx context.Context) error {
	select {
	case <-p.World:
	case <-ctx.Done():
		return ctx.Err()
	}
	res, err := p.Request(ctx, signal.TypePublish, signal.Publish{CallID: *p.worldID.Load(), Kind: signal.KindAudio})
	if err != nil {
		return err
	}
	p.speech.Lock()
	defer p.speech.Unlock()
	p.flow = res.Track.Flow
	p.h = rtp.Header{Version: 2, PayloadType: res.Track.PayloadType, SSRC: res.Track.SSRC, Marker: true}
	return nil
}

// SSRC is that of their microphone.
func (p *Person) SSRC() uint32 {
	p.speech.Lock()
	defer p.speech.Unlock()
	return p.h.SSRC
}

// Timestamp is that of the next frame.
func (p *Person) Timestamp() uint32 {
	p.speech.Lock()
	defer p.speech.Unlock()
	return p.h.Timestamp
}

// Speak sends one frame of 20 ms, whose level is in -dBov. It returns how much
// later than 20 ms the next is due: the server steers when frames begin.
func (p *Person) Speak(payload []byte, level byte) (later time.Duration) {
	p.speech.Lock()
	defer p.speech.Unlock()
	n, err := p.h.MarshalTo(p.buf[:])
	if err != nil {
		return 0
	}
	p.buf[0] |= 1 << 4
	n += copy(p.buf[n:], []byte{0xBE, 0xDE, 0, 1, 1 << 4, level&0x7f | 1<<7, 0, 0})
	n += copy(p.buf[n:], payload)
	p.sess.Send(transport.Packet{Flow: p.flow, Deadline: time.Now().Add(200 * time.Millisecond), Payload: p.buf[:n]})
	p.h.Marker = false
	p.h.SequenceNumber++
	p.h.Timestamp += 960
	if shift := p.shift.Swap(0); shift > 0 {
		p.h.Timestamp += uint32(shift)
		return time.Duration(shift) * time.Second / 48000
	}
	return 0
}
