package load

import (
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/internal/speech"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport"
)

// A voice is recorded speech as the packets of a client.
type voice struct {
	packets [][]byte
	levels  []byte // RFC 6464
}

// record encodes the recorded voices as a client does.
func record(frame time.Duration) ([]voice, error) {
	var out []voice
	for _, name := range speech.Voices() {
		cfg, err := codec.EncoderConfig{FrameDuration: frame}.WithDefaults()
		if err != nil {
			return nil, err
		}
		enc, err := libopus.Driver{}.NewEncoder(cfg)
		if err != nil {
			return nil, err
		}
		var v voice
		pcm, n := speech.PCM(name), cfg.FrameSamples()
		buf := make([]byte, codec.MaxPacketSize)
		for len(pcm) >= n {
			k, err := enc.Encode(pcm[:n], buf)
			if err != nil {
				return nil, err
			}
			level := mixer.Level(pcm[:n])
			v.packets = append(v.packets, append([]byte(nil), buf[:k]...))
			v.levels = append(v.levels, byte(min(127, -level))|1<<7)
			pcm = pcm[n:]
		}
		out = append(out, v)
	}
	return out, nil
}

// Voices are the recorded voices as the Opus packets that talkers send: one
// frame each, over and over. frame is 10 or 20 ms.
func Voices(frame time.Duration) ([][][]byte, error) {
	voices, err := record(frame)
	var out [][][]byte
	for _, v := range voices {
		out = append(out, v.packets)
	}
	return out, err
}

// A talker is a person who speaks, without a pause.
type talker struct {
	p     *person
	voice voice
	at    int
	flow  uint64
	h     rtp.Header
	buf   [transport.MaxPacketSize]byte
}

// publish announces a person's microphone.
func publish(ctx context.Context, p *person, callID string, v voice) (*talker, error) {
	t := &talker{p: p, voice: v}
	if p.bare != nil {
		return t, nil
	}
	res, err := p.request(ctx, signal.TypePublish, signal.Publish{CallID: callID, Kind: signal.KindAudio})
	if err != nil {
		return nil, err
	}
	var seed [6]byte
	crand.Read(seed[:])
	t.flow = res.Track.Flow
	t.h = rtp.Header{
		Version: 2, PayloadType: res.Track.PayloadType, SSRC: res.Track.SSRC, Marker: true,
		SequenceNumber: binary.BigEndian.Uint16(seed[:]), Timestamp: binary.BigEndian.Uint32(seed[2:]),
	}
	return t, nil
}

// shiftable is the level, in -dBov, from which a frame is as good as silence:
// there a client moves its frames when it is asked to.
const shiftable = 45

// speak sends one frame, and says how much later the next is due.
func (t *talker) speak(frame time.Duration, steered bool) time.Duration {
	i := t.at % len(t.voice.packets)
	t.at++
	payload, level := t.voice.packets[i], t.voice.levels[i]
	if t.p.bare != nil {
		t.p.bare.SendDatagram(t.stamped(bareHeader + copy(t.buf[bareHeader:], payload)))
		return frame
	}
	n, err := t.h.MarshalTo(t.buf[:])
	if err != nil {
		return frame
	}
	t.buf[0] |= 1 << 4
	n += copy(t.buf[n:], []byte{0xBE, 0xDE, 0, 1, 1 << 4, level, 0, 0})
	n += copy(t.buf[n:], payload)
	t.p.sess.Send(transport.Packet{Flow: t.flow, Deadline: time.Now().Add(200 * time.Millisecond), Payload: t.stamped(n)})
	t.h.Marker = false
	t.h.SequenceNumber++
	t.h.Timestamp += uint32(frame * codec.SampleRate / time.Second)
	if shift := t.p.shift.Load(); steered && shift > 0 && level&0x7f > shiftable {
		t.p.shift.Store(0)
		t.h.Timestamp += uint32(shift)
		return frame + time.Duration(shift)*time.Second/codec.SampleRate
	}
	return frame
}

// stamped is the packet of n bytes in t.buf, with the time in it if delays are
// measured. It is made longer if it has no room for that.
func (t *talker) stamped(n int) []byte {
	if t.p.delays == nil {
		return t.buf[:n]
	}
	packet := t.buf[:max(n, stampedLen)]
	t.p.delays.stamp(packet, sentAt)
	return packet
}

// Talk calls speak for each of n talkers, again and again until ctx ends, each
// at a phase of their own: evenly spread over the frame, and in no order. speak
// sends a frame and returns how much later the next is due, more than nothing.
func Talk(ctx context.Context, n int, frame time.Duration, speak func(talker int) time.Duration) {
	talkAt(ctx, spread(n, frame), frame, speak)
}

// spread is evenly spread phases of n talkers, the same each time.
func spread(n int, frame time.Duration) []time.Duration {
	phases := make([]time.Duration, n)
	for i, place := range rand.New(rand.NewPCG(1, 0)).Perm(n) {
		phases[i] = frame * time.Duration(place) / time.Duration(n)
	}
	return phases
}

// randomPhases draws the phases of n talkers.
func randomPhases(n int, frame time.Duration, seed uint64) []time.Duration {
	rng := rand.New(rand.NewPCG(seed, 0))
	phases := make([]time.Duration, n)
	for i := range phases {
		phases[i] = time.Duration(rng.Int64N(int64(frame)))
	}
	return phases
}

// talkAt is Talk with given phases.
func talkAt(ctx context.Context, phases []time.Duration, frame time.Duration, speak func(talker int) time.Duration) {
	due := make([]time.Time, len(phases))
	start := time.Now()
	for i := range due {
		due[i] = start.Add(phases[i])
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		next := now.Add(frame)
		for i := range due {
			for !due[i].After(now) {
				due[i] = due[i].Add(speak(i))
			}
			if due[i].Before(next) {
				next = due[i]
			}
		}
		timer.Reset(time.Until(next))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}
