package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// cameraTrack is the client's own video track while it is open.
type cameraTrack struct {
	id   uint64
	src  VideoSource
	stop context.CancelFunc
	done chan struct{}
	out  []*videoSender // of each size
	link cameraLink
}

// OpenCamera sends a source's video into the video call that the client is in,
// until CloseCamera, the source's end or the call's. Errors: ErrNoCall; an
// *Error in an audio call, and while a camera is open.
func (c *Client) OpenCamera(ctx context.Context, src VideoSource) error {
	if src == nil {
		return &Error{Code: hooks.CodeBadParam, Message: "no video source"}
	}
	id, err := c.callIn(callstate.In)
	if err != nil {
		return err
	}
	c.mu.Lock()
	open := c.camera != nil || c.opening
	c.opening = c.opening || !open
	c.mu.Unlock()
	if open {
		return errCameraOpen
	}
	defer func() {
		c.mu.Lock()
		c.opening = false
		c.mu.Unlock()
	}()
	pub := signal.Publish{CallID: id, Kind: signal.KindVideo}
	if l, ok := src.(LayeredSource); ok {
		if pub.Layers = l.Layers(); pub.Layers < 1 || pub.Layers > signal.MaxLayers {
			return &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("a source of %d sizes, not 1 to %d", pub.Layers, signal.MaxLayers)}
		}
	}
	res, err := c.request(ctx, signal.TypePublish, pub)
	if err != nil {
		return err
	}
	if res.Track == nil {
		return errors.New("earshot: the server published no track")
	}
	run, stop := context.WithCancel(c.ctx)
	cam := c.newCamera(src, res.Track, stop)
	c.mu.Lock()
	switch {
	case c.err != nil:
		err = c.err
	case c.seat.Phase != callstate.In || c.seat.Info.CallID != id:
		err = ErrNoCall
	case c.seat.Info.Media != hooks.MediaVideo:
		err = &Error{Code: hooks.CodeRefused, Message: "no video in an audio call"}
	default:
		c.camera = cam
		c.wg.Add(1)
	}
	c.mu.Unlock()
	if err != nil { // things changed while the server answered
		stop()
		c.request(ctx, signal.TypeUnpublish, signal.TrackRef{TrackID: cam.id})
		return err
	}
	cam.link.tell(firstTarget)
	go c.runCamera(run, cam)
	return nil
}

var errCameraOpen = &Error{Code: hooks.CodeRefused, Message: "a camera is open already"}

// CloseCamera ends OpenCamera. The source is read no longer when it returns
// without an error. Errors: one that says so if no camera is open.
func (c *Client) CloseCamera(ctx context.Context) error {
	cam := c.stopCamera()
	if cam == nil {
		return &Error{Code: hooks.CodeRefused, Message: "no camera is open"}
	}
	if _, err := c.request(ctx, signal.TypeUnpublish, signal.TrackRef{TrackID: cam.id}); err != nil {
		return err
	}
	select {
	case <-cam.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stopCamera stops sending, and returns the camera that was open.
func (c *Client) stopCamera() *cameraTrack {
	c.mu.Lock()
	cam := c.camera
	c.camera = nil
	c.mu.Unlock()
	if cam != nil {
		cam.stop()
	}
	return cam
}

// runCamera sends frames until the camera is closed.
func (c *Client) runCamera(ctx context.Context, cam *cameraTrack) {
	defer c.wg.Done()
	defer close(cam.done)
	defer c.target.Store(0)
	defer cam.stop()
	err := cam.film(ctx)
	if ctx.Err() != nil {
		return
	}
	c.mu.Lock()
	mine := c.camera == cam
	if mine {
		c.camera = nil
	}
	c.mu.Unlock()
	if mine {
		c.request(ctx, signal.TypeUnpublish, signal.TrackRef{TrackID: cam.id})
	}
	if errors.Is(err, io.EOF) {
		c.log.Info("the camera's source has ended")
		return
	}
	c.log.Warn("camera failed", "err", err)
	c.cb.post(func(l hooks.Listener) { l.OnError(hooks.CodeCameraStart, "camera: "+err.Error()) })
}

// newCamera makes the senders of a track's sizes.
func (c *Client) newCamera(src VideoSource, t *signal.Track, stop context.CancelFunc) *cameraTrack {
	cam := &cameraTrack{id: t.TrackID, src: src, stop: stop, done: make(chan struct{})}
	cam.link.init(c, cam)
	ssrcs := t.LayerSSRCs
	if len(ssrcs) == 0 {
		ssrcs = []uint32{t.SSRC}
	}
	for _, ssrc := range ssrcs {
		one := *t
		one.SSRC = ssrc
		out := newVideoSender(&one, func(p transport.Packet) { c.link.Load().sess.Send(p) })
		out.sent = cam.link.sent
		cam.out = append(cam.out, out)
	}
	return cam
}

// film sends frames until the source ends.
func (cam *cameraTrack) film(ctx context.Context) error {
	for {
		f, err := readFrame(ctx, cam.src)
		if err != nil {
			return err
		}
		if f.Layer < 0 || f.Layer >= len(cam.out) {
			return fmt.Errorf("a frame of size %d, of %d", f.Layer, len(cam.out))
		}
		if err := cam.out[f.Layer].frame(f, time.Now()); err != nil {
			return err
		}
	}
}

// readFrame turns a panic of the host's source into an error.
func readFrame(ctx context.Context, src VideoSource) (f VideoFrame, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the source panicked: %v", p)
		}
	}()
	return src.ReadFrame(ctx)
}

// videoSender cuts frames into RTP packets.
type videoSender struct {
	send   func(transport.Packet)
	sent   func(s *videoSender, packet []byte, now time.Time) // may be nil
	emit   func(payload []byte, last bool) error              // s.packet, made once
	cut    vp8.Packetizer
	header rtp.Header
	desc   vp8.Descriptor
	base   uint32
	flow   uint64
	now    time.Time
	buf    [transport.MaxPacketSize]byte

	mu    sync.Mutex // guards cache
	cache *forward.Cache
}

func newVideoSender(t *signal.Track, send func(transport.Packet)) *videoSender {
	var seed [8]byte
	rand.Read(seed[:])
	s := &videoSender{send: send, flow: t.Flow, base: binary.BigEndian.Uint32(seed[2:6]), cache: forward.NewCache(filmCache)}
	s.emit = s.packet
	s.header = rtp.Header{
		Version: 2, PayloadType: t.PayloadType, SSRC: t.SSRC, SequenceNumber: binary.BigEndian.Uint16(seed[:2]),
	}
	s.desc = vp8.Descriptor{PictureIDBits: 15, PictureID: binary.BigEndian.Uint16(seed[6:]) & 0x7FFF}
	return s
}

func (s *videoSender) frame(f VideoFrame, now time.Time) error {
	s.header.Timestamp = s.base + ticks(f.Time)
	s.now = now
	if err := s.cut.Packetize(s.desc, f.Data, s.emit); err != nil {
		return err
	}
	s.desc.PictureID = (s.desc.PictureID + 1) & 0x7FFF
	return nil
}

func (s *videoSender) packet(payload []byte, last bool) error {
	s.header.SequenceNumber++
	s.header.Marker = last
	n, err := s.header.MarshalTo(s.buf[:])
	if err != nil {
		return err
	}
	if n+len(payload) > len(s.buf) {
		return fmt.Errorf("a video packet of %d bytes", n+len(payload))
	}
	n += copy(s.buf[n:], payload)
	s.mu.Lock()
	s.cache.Put(forward.Meta{Seq: s.header.SequenceNumber}, s.buf[:n], s.now)
	s.mu.Unlock()
	if s.sent != nil {
		s.sent(s, s.buf[:n], s.now)
	}
	s.send(transport.Packet{Flow: s.flow, Class: classVideo, Deadline: s.now.Add(videoLifetime), Payload: s.buf[:n]})
	return nil
}

// ticks is a time on the clock of RTP, which wraps around every 13 hours.
func ticks(d time.Duration) uint32 {
	s, ns := d/time.Second, d%time.Second
	return uint32(int64(s)*videoClock + (int64(ns)*videoClock+int64(time.Second)/2)/int64(time.Second))
}

// ticksTime is the reverse, for ticks counted without wrapping.
func ticksTime(n int64) time.Duration {
	return time.Duration(n/videoClock)*time.Second + time.Duration(n%videoClock)*time.Second/videoClock
}

// listenRTCP takes the server's RTCP: requests for key frames and for lost
// packets, what came, and how much receivers can take.
func (c *Client) listenRTCP(sess transport.Session) {
	sess.HandleFlow(rtcpFlow, func(packet []byte, arrival time.Time) {
		packets, err := rtcp.Unmarshal(packet)
		if err != nil {
			return
		}
		c.mu.Lock()
		cam := c.camera
		c.mu.Unlock()
		if cam == nil {
			return
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication:
				if k, ok := cam.src.(KeyFramer); ok && cam.sender(p.MediaSSRC) != nil {
					c.cb.contain(k, k.RequestKeyFrame)
				}
			case *rtcp.TransportLayerNack:
				if out := cam.sender(p.MediaSSRC); out != nil {
					cam.link.again(out, p, sess, arrival)
				}
			case *rtcp.CCFeedbackReport:
				cam.link.report(p, sess, arrival)
			case *rtcp.ReceiverEstimatedMaximumBitrate:
				cam.link.limit(int(min(p.Bitrate, 1e9)))
			}
		}
	})
}

// sender is that of the size with an SSRC, or nil.
func (cam *cameraTrack) sender(ssrc uint32) *videoSender {
	for _, s := range cam.out {
		if s.header.SSRC == ssrc {
			return s
		}
	}
	return nil
}
