package engine

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/engine/callstate"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

// A VideoFrame is one encoded VP8 frame.
type VideoFrame struct {
	// Data is the frame as the encoder gave it (RFC 6386).
	Data []byte
	// Time is when it is shown, from any start.
	Time time.Duration
	// KeyFrame can be shown without any before it; Width and Height are set
	// with it, in pixels.
	KeyFrame      bool
	Width, Height int
}

// A VideoSource is a camera: a source of encoded frames.
type VideoSource interface {
	// ReadFrame returns the next frame when it was captured, so the source sets
	// the pace. Data may be reused after the next call. It must return soon
	// after ctx ends. io.EOF ends the source; any other error is told to the
	// listener as hooks.CodeCameraStart.
	ReadFrame(ctx context.Context) (VideoFrame, error)
}

// A KeyFramer is a VideoSource that can make a key frame when one is needed:
// somebody begins to watch, or lost a frame. It is called from any goroutine.
type KeyFramer interface {
	RequestKeyFrame()
}

// A VideoSink shows a user's video. WriteFrame is called with whole frames in
// order, beginning with a key frame, from the session's reading goroutine; it
// must not block, and the data is the engine's.
type VideoSink interface {
	WriteFrame(f VideoFrame)
}

const videoClock = 90000 // Hz, RFC 7741 section 4.1

// cameraTrack is the client's own video track while it is open.
type cameraTrack struct {
	id   uint64
	ssrc uint32
	src  VideoSource
	stop context.CancelFunc
	done chan struct{}
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
	open := c.camera != nil
	c.mu.Unlock()
	if open {
		return &Error{Code: hooks.CodeRefused, Message: "a camera is open already"}
	}
	res, err := c.request(ctx, signal.TypePublish, signal.Publish{CallID: id, Kind: signal.KindVideo})
	if err != nil {
		return err
	}
	if res.Track == nil {
		return errors.New("earshot: the server published no track")
	}
	run, stop := context.WithCancel(c.ctx)
	cam := &cameraTrack{id: res.Track.TrackID, ssrc: res.Track.SSRC, src: src, stop: stop, done: make(chan struct{})}
	c.mu.Lock()
	if c.camera != nil || c.err != nil || c.seat.Phase != callstate.In || c.seat.Info.CallID != id {
		c.mu.Unlock()
		stop()
		return ErrNoCall
	}
	c.camera = cam
	c.wg.Add(1)
	c.mu.Unlock()
	go c.runCamera(run, cam, res.Track)
	return nil
}

// CloseCamera ends OpenCamera. Errors: one that says so if no camera is open.
func (c *Client) CloseCamera(ctx context.Context) error {
	cam := c.stopCamera()
	if cam == nil {
		return &Error{Code: hooks.CodeRefused, Message: "no camera is open"}
	}
	_, err := c.request(ctx, signal.TypeUnpublish, signal.TrackRef{TrackID: cam.id})
	return err
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
func (c *Client) runCamera(ctx context.Context, cam *cameraTrack, t *signal.Track) {
	defer c.wg.Done()
	defer close(cam.done)
	defer cam.stop()
	err := c.sendVideo(ctx, cam.src, t)
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

func (c *Client) sendVideo(ctx context.Context, src VideoSource, t *signal.Track) error {
	var seed [8]byte
	rand.Read(seed[:])
	h := rtp.Header{
		Version: 2, PayloadType: t.PayloadType, SSRC: t.SSRC, SequenceNumber: binary.BigEndian.Uint16(seed[:2]),
	}
	base := binary.BigEndian.Uint32(seed[2:6])
	d := vp8.Descriptor{PictureIDBits: 15, PictureID: binary.BigEndian.Uint16(seed[6:]) & 0x7FFF}
	var cut vp8.Packetizer
	var buf [transport.MaxPacketSize]byte
	for {
		f, err := src.ReadFrame(ctx)
		if err != nil {
			return err
		}
		h.Timestamp = base + uint32(f.Time*videoClock/time.Second)
		deadline := time.Now().Add(videoLifetime)
		err = cut.Packetize(d, f.Data, func(payload []byte, last bool) error {
			h.SequenceNumber++
			h.Marker = last
			n, err := h.MarshalTo(buf[:])
			if err != nil || n+len(payload) > len(buf) {
				return fmt.Errorf("a video packet of %d bytes: %w", len(payload), err)
			}
			n += copy(buf[n:], payload)
			c.link.Load().sess.Send(transport.Packet{Flow: t.Flow, Class: classVideo, Deadline: deadline, Payload: buf[:n]})
			return nil
		})
		if err != nil {
			return err
		}
		d.PictureID = (d.PictureID + 1) & 0x7FFF
	}
}

// listenRTCP takes the server's RTCP: requests for key frames.
func (c *Client) listenRTCP(sess transport.Session) {
	sess.HandleFlow(rtcpFlow, func(packet []byte, _ time.Time) {
		packets, err := rtcp.Unmarshal(packet)
		if err != nil {
			return
		}
		for _, p := range packets {
			pli, ok := p.(*rtcp.PictureLossIndication)
			if !ok {
				continue
			}
			c.mu.Lock()
			cam := c.camera
			c.mu.Unlock()
			if cam != nil && cam.ssrc == pli.MediaSSRC {
				if k, ok := cam.src.(KeyFramer); ok {
					k.RequestKeyFrame()
				}
			}
		}
	})
}

// remoteVideos are the cameras of the others.
type remoteVideos struct {
	mu     sync.Mutex
	tracks map[uint64]*videoTrack
}

// videoTrack is one remote camera. What the packet handler alone uses comes
// last.
type videoTrack struct {
	id     uint64
	userID string
	flow   uint64
	ssrc   uint32
	pt     uint8
	client *Client
	sink   atomic.Pointer[VideoSink]
	muted  atomic.Bool

	header  rtp.Header
	frames  vp8.Assembler
	keyed   bool // a key frame was heard, and nothing lost since
	shown   bool // OnFirstVideoFrame was called
	dropped uint64
	asked   time.Time
	base    uint32
}

func (v *remoteVideos) add(c *Client, t *signal.Track, sess transport.Session) {
	vt := &videoTrack{id: t.TrackID, userID: t.UserID, flow: t.Flow, ssrc: t.SSRC, pt: t.PayloadType, client: c}
	v.mu.Lock()
	if v.tracks == nil {
		v.tracks = make(map[uint64]*videoTrack)
	}
	v.tracks[vt.id] = vt
	v.mu.Unlock()
	sess.HandleFlow(vt.flow, vt.receive)
}

func (v *remoteVideos) remove(id uint64, sess transport.Session) {
	v.mu.Lock()
	t := v.tracks[id]
	delete(v.tracks, id)
	v.mu.Unlock()
	if t != nil {
		sess.RemoveFlow(t.flow)
	}
}

func (v *remoteVideos) mute(id uint64, muted bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if t := v.tracks[id]; t != nil {
		t.muted.Store(muted)
	}
}

func (v *remoteVideos) clear(sess transport.Session) {
	v.mu.Lock()
	tracks := v.tracks
	v.tracks = nil
	v.mu.Unlock()
	for _, t := range tracks {
		sess.RemoveFlow(t.flow)
	}
}

func (v *remoteVideos) listen(sess transport.Session) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.tracks {
		sess.HandleFlow(t.flow, t.receive)
	}
}

// of finds a user's track.
func (v *remoteVideos) of(userID string) *videoTrack {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, t := range v.tracks {
		if t.userID == userID {
			return t
		}
	}
	return nil
}

// StartRemoteView shows a user's video in sink: from here on it is sent to this
// client, beginning with a key frame. Errors: one that says so if the user has
// no camera on.
func (c *Client) StartRemoteView(ctx context.Context, userID string, sink VideoSink) error {
	if sink == nil {
		return &Error{Code: hooks.CodeBadParam, Message: "no video sink"}
	}
	t, err := c.remoteVideo(userID)
	if err != nil {
		return err
	}
	t.sink.Store(&sink)
	_, err = c.request(ctx, signal.TypeSubscribe, signal.Subscribe{TrackID: t.id, On: true})
	return err
}

// StopRemoteView ends StartRemoteView: the video is sent here no longer.
func (c *Client) StopRemoteView(ctx context.Context, userID string) error {
	t, err := c.remoteVideo(userID)
	if err != nil {
		return err
	}
	t.sink.Store(nil)
	_, err = c.request(ctx, signal.TypeSubscribe, signal.Subscribe{TrackID: t.id, On: false})
	return err
}

func (c *Client) remoteVideo(userID string) (*videoTrack, error) {
	t := c.video.of(userID)
	if t == nil {
		return nil, &Error{Code: hooks.CodeBadParam, Message: fmt.Sprintf("%.32q has no camera on", userID)}
	}
	return t, nil
}

// receive takes one packet of the track.
func (t *videoTrack) receive(packet []byte, now time.Time) {
	if roq.IsRTCP(packet) {
		return
	}
	h := &t.header
	n, err := h.Unmarshal(packet)
	if err != nil || h.SSRC != t.ssrc || h.PayloadType != t.pt {
		return
	}
	f, whole, err := t.frames.Push(h.SequenceNumber, h.Timestamp, h.Marker, packet[n:])
	if lost := t.frames.Dropped(); err != nil || lost != t.dropped {
		t.dropped, t.keyed = lost, false
		t.askKeyFrame(now)
	}
	if !whole {
		return
	}
	out := VideoFrame{Data: f.Data}
	if head, ok := vp8.ParseFrameHeader(f.Data); ok && head.KeyFrame {
		out.KeyFrame, out.Width, out.Height = true, head.Width, head.Height
		if !t.keyed && !t.shown {
			t.base = f.Timestamp
		}
		t.keyed = true
	}
	if !t.keyed {
		t.askKeyFrame(now)
		return
	}
	out.Time = time.Duration(f.Timestamp-t.base) * time.Second / videoClock
	if !t.shown {
		t.shown = true
		userID, w, h := t.userID, out.Width, out.Height
		t.client.cb.post(func(l hooks.Listener) { l.OnFirstVideoFrame(userID, w, h) })
	}
	if s := t.sink.Load(); s != nil && !t.muted.Load() {
		(*s).WriteFrame(out)
	}
}

// askKeyFrame asks for a key frame, now and then, as long as there is none.
func (t *videoTrack) askKeyFrame(now time.Time) {
	if now.Sub(t.asked) < keyFrameEvery || t.sink.Load() == nil {
		return
	}
	t.asked = now
	pli, err := (&rtcp.PictureLossIndication{MediaSSRC: t.ssrc}).Marshal()
	if err == nil {
		t.client.link.Load().sess.Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: pli})
	}
}
