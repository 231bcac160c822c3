package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/mixer"
	"github.com/earshotrtc/earshot/transport"
)

// maxPayload is the most that fits an RTP packet with our one extension.
const maxPayload = transport.MaxPacketSize - 12 - 8

// micTrack is the client's own audio track while it is in a call.
type micTrack struct {
	id    uint64
	muted atomic.Bool
	shift atomic.Int32 // samples by which the server wants frames to begin later
	vad   mixer.VoiceDetector
	rtp   rtp.Header
	buf   [transport.MaxPacketSize]byte
	flow  uint64
	quiet bool // nothing was sent for the last frame
}

// frameSource gives one payload at a time: encoded PCM or ready Opus.
type frameSource interface {
	// next returns the payload's length (0: nothing to send), its level in
	// dBov (not a number if unknown), and its length in samples at 48 kHz.
	next(ctx context.Context, buf []byte) (n int, level float64, samples int, err error)
	// skip leaves out some sound, so that frames begin later. It reports false
	// if the source cannot.
	skip(ctx context.Context, samples int) (bool, error)
	// pcm is the sound of the last frame, or nil.
	sound() []int16
	// follow changes the bit rate, if the source can.
	follow(bps int)
}

type pcmFrames struct {
	src  PCMSource
	hook *pcmHook
	enc  codec.Encoder
	pcm  []int16
	bps  int
}

func (f *pcmFrames) next(ctx context.Context, buf []byte) (int, float64, int, error) {
	if err := f.src.ReadPCM(ctx, f.pcm); err != nil {
		return 0, 0, 0, err
	}
	f.hook.process(f.pcm)
	n, err := f.enc.Encode(f.pcm, buf)
	return n, mixer.Level(f.pcm), len(f.pcm), err
}

// skip reads less than a frame, at most three times, and drops it.
func (f *pcmFrames) skip(ctx context.Context, samples int) (bool, error) {
	for samples > 0 {
		n := min(samples, len(f.pcm))
		if err := f.src.ReadPCM(ctx, f.pcm[:n]); err != nil {
			return false, err
		}
		samples -= n
	}
	return true, nil
}

func (f *pcmFrames) sound() []int16 { return f.pcm }

func (f *pcmFrames) follow(bps int) {
	if bps != f.bps && f.enc.SetBitrate(bps) == nil {
		f.bps = bps
	}
}

type opusFrames struct{ src OpusSource }

func (f opusFrames) next(ctx context.Context, buf []byte) (int, float64, int, error) {
	n, d, err := f.src.ReadOpus(ctx, buf)
	if err == nil && (n < 0 || n > len(buf)) {
		err = errors.New("ReadOpus returned a length outside its buffer")
	}
	return n, math.NaN(), int(d * codec.SampleRate / time.Second), err
}

// Packets that come ready are as they are.
func (f opusFrames) skip(context.Context, int) (bool, error) { return false, nil }
func (f opusFrames) sound() []int16                          { return nil }
func (f opusFrames) follow(int)                              {}

// On a line on which the camera has less than narrowLine, the voice takes
// narrowVoice.
const (
	narrowLine  = 150_000
	narrowVoice = 16_000
)

// voiceBitrate is what the microphone's encoder should take.
func (c *Client) voiceBitrate() int {
	configured := c.cfg.Encoder.Bitrate
	if target := c.target.Load(); target > 0 && target < narrowLine {
		return min(configured, narrowVoice)
	}
	return configured
}

// frames returns the client's microphone as frames, or nil if it has none.
func (c *Client) frames() (frameSource, error) {
	switch {
	case c.cfg.OpusMicrophone != nil:
		return opusFrames{c.cfg.OpusMicrophone}, nil
	case c.cfg.Microphone == nil:
		return nil, nil
	}
	cfg := c.cfg.Encoder
	enc, err := c.cfg.Codec.NewEncoder(cfg)
	if err != nil {
		return nil, err
	}
	src, err := resampled(c.cfg.Microphone, c.cfg.MicrophoneRate)
	if err != nil {
		return nil, err
	}
	return &pcmFrames{src, newPCMHook("Captured", c.cfg.Captured, c.log), enc, make([]int16, cfg.FrameSamples()), cfg.Bitrate}, nil
}

// runMicrophone publishes the microphone and sends it until ctx ends.
func (c *Client) runMicrophone(ctx context.Context, callID string) {
	defer c.wg.Done()
	src, err := c.frames()
	if src == nil && err == nil {
		return
	}
	var t *micTrack
	if err == nil {
		t, err = c.publishMicrophone(ctx, callID)
	}
	if err == nil {
		err = c.send(ctx, t, src)
	}
	if t != nil {
		c.mu.Lock()
		if c.mic == t {
			c.mic = nil
		}
		c.mu.Unlock()
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	if errors.Is(err, io.EOF) {
		c.log.Info("the microphone's source has ended")
		return
	}
	c.log.Warn("microphone failed", "err", err)
	code, message := hooks.CodeMicStart, "microphone: "+err.Error()
	if e := (*Error)(nil); errors.As(err, &e) && e.Code == hooks.CodePrivateMapKey {
		code = e.Code
	}
	c.cb.post(func(l hooks.Listener) { l.OnError(code, message) })
}

// publishMicrophone announces the client's audio track.
func (c *Client) publishMicrophone(ctx context.Context, callID string) (*micTrack, error) {
	c.mu.Lock()
	muted := c.micMuted
	c.mu.Unlock()
	res, err := c.request(ctx, signal.TypePublish, signal.Publish{CallID: callID, Kind: signal.KindAudio, Muted: muted})
	if err != nil {
		return nil, err
	}
	if res.Track == nil {
		return nil, errors.New("the server published no track")
	}
	var seed [6]byte
	rand.Read(seed[:])
	t := &micTrack{id: res.Track.TrackID, flow: res.Track.Flow, quiet: true}
	t.rtp = rtp.Header{
		Version: 2, PayloadType: res.Track.PayloadType, SSRC: res.Track.SSRC,
		SequenceNumber: binary.BigEndian.Uint16(seed[:2]), Timestamp: binary.BigEndian.Uint32(seed[2:]),
	}
	c.mu.Lock()
	c.mic = t
	now := c.micMuted
	t.muted.Store(now)
	c.mu.Unlock()
	if now != muted { // changed while the request was on its way
		_, err = c.request(ctx, signal.TypeMute, signal.Mute{TrackID: t.id, Muted: now})
	}
	return t, err
}

// send reads the source and sends it, a packet a frame.
func (c *Client) send(ctx context.Context, t *micTrack, src frameSource) (err error) {
	defer func() {
		if p := recover(); p != nil { // of the host's source
			err = fmt.Errorf("the source panicked: %v", p)
		}
	}()
	var payload [maxPayload]byte
	last := math.NaN()
	for ctx.Err() == nil {
		if skip := t.mayShift(last); skip > 0 {
			done, err := src.skip(ctx, skip)
			if err != nil {
				return err
			}
			if done {
				t.rtp.Timestamp += uint32(skip)
			}
		}
		src.follow(c.voiceBitrate())
		n, level, samples, err := src.next(ctx, payload[:])
		if err != nil {
			return err
		}
		last = level
		muted := t.muted.Load()
		voice := false
		if pcm := src.sound(); pcm != nil {
			voice = t.vad.Process(pcm)
		}
		if n > 0 && !muted {
			c.sendPacket(t, payload[:n], level, voice)
		}
		t.quiet = n == 0 || muted
		t.rtp.Timestamp += uint32(samples)
	}
	return ctx.Err()
}

// sendPacket makes the RTP packet and hands it to the connection in use.
func (c *Client) sendPacket(t *micTrack, payload []byte, level float64, voice bool) {
	h := &t.rtp
	h.Marker = t.quiet // the first packet of a talk spurt (RFC 7587 section 4.2)
	h.SequenceNumber++
	n, err := h.MarshalTo(t.buf[:])
	if err != nil {
		return
	}
	if !math.IsNaN(level) {
		c.play.meter.Add(c.cfg.UserID, level, voice)
		n += putLevel(t.buf[:], n, level, voice)
	}
	n += copy(t.buf[n:], payload)
	c.audioSent.Add(1)
	c.link.Load().sess.Send(transport.Packet{
		Flow: t.flow, Class: classAudio, Deadline: time.Now().Add(audioLifetime), Payload: t.buf[:n],
	})
}
