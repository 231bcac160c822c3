package peers

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/earshotrtc/earshot/bench/load"
)

// A person is one participant, without a decoder.
type person struct {
	pc        *webrtc.PeerConnection
	mouth     *webrtc.TrackLocalStaticRTP // nil: only listens
	connected chan struct{}
	packets   atomic.Int64 // of others' voices
	lost      atomic.Int64
	voice     [][]byte
	at        int
	p         rtp.Packet
}

// join connects a user; the first of all talk.
func join(server *load.Process, api *webrtc.API, user, talkers int) (*person, error) {
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, err
	}
	p := &person{pc: pc, connected: make(chan struct{})}
	if err := p.negotiate(server, user, talkers); err != nil {
		pc.Close()
		return nil, err
	}
	return p, nil
}

func (p *person) negotiate(server *load.Process, user, talkers int) error {
	p.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(p.connected)
		}
	})
	p.pc.OnTrack(p.listen)
	others := talkers
	if user < talkers {
		others--
		var err error
		if p.mouth, err = webrtc.NewTrackLocalStaticRTP(opus, "audio", fmt.Sprintf("user%d", user)); err != nil {
			return err
		}
		t, err := p.pc.AddTransceiverFromTrack(p.mouth, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
		if err != nil {
			return err
		}
		go drain(t.Sender().Read)
	}
	for range others {
		if _, err := p.pc.AddTransceiverFromKind(webrtc.RTPCodecTypeAudio, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return err
		}
	}
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		return err
	}
	local, err := localDescription(p.pc, offer)
	if err != nil {
		return err
	}
	r, err := ask(server, query{User: user, Talkers: talkers, Offer: local})
	if err != nil {
		return err
	}
	return p.pc.SetRemoteDescription(*r.Answer)
}

// ask asks the server.
func ask(server *load.Process, q query) (r reply, err error) {
	line, err := json.Marshal(q)
	if err != nil {
		return r, err
	}
	if err := server.Ask(string(line), &r); err != nil {
		return r, err
	}
	if r.Err != "" {
		return r, errors.New("peers: the forwarder: " + r.Err)
	}
	return r, nil
}

// wait waits until the user is connected.
func (p *person) wait(ctx context.Context) error {
	select {
	case <-p.connected:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// listen counts the packets of a track, and its gaps.
func (p *person) listen(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	go drain(r.Read)
	buf := make([]byte, 1500)
	var next uint16
	known := false
	for {
		n, _, err := t.Read(buf)
		if err != nil {
			return
		}
		if n < 12 {
			continue
		}
		seq := binary.BigEndian.Uint16(buf[2:])
		if known && seq != next {
			p.lost.Add(int64(int16(seq - next)))
		}
		known, next = true, seq+1
		p.packets.Add(1)
	}
}

// begin makes the first packet ready.
func (p *person) begin(voice [][]byte) {
	p.voice = voice
	p.p.Header = rtp.Header{Version: 2, Marker: true, SequenceNumber: uint16(rand.Uint32()), Timestamp: rand.Uint32()}
}

// speak sends one frame.
func (p *person) speak(frame time.Duration) time.Duration {
	p.p.Payload = p.voice[p.at%len(p.voice)]
	p.at++
	p.mouth.WriteRTP(&p.p)
	p.p.Marker = false
	p.p.SequenceNumber++
	p.p.Timestamp += uint32(frame * 48000 / time.Second)
	return frame
}

// drain reads RTCP, which the interceptors need.
func drain(read func([]byte) (int, interceptor.Attributes, error)) {
	buf := make([]byte, 1500)
	for {
		if _, _, err := read(buf); err != nil {
			return
		}
	}
}
