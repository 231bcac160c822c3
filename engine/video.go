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
	// after ctx ends. io.EOF ends the source; any other error, or a panic, is
	// told to the listener as hooks.CodeCameraStart.
	ReadFrame(ctx context.Context) (VideoFrame, error)
}

// A KeyFramer is a VideoSource that can make a key frame when one is needed:
// somebody begins to watch, or lost a frame. It is called from any goroutine.
type KeyFramer interface {
	RequestKeyFrame()
}

// A VideoSink shows a user's video. WriteFrame is called with whole frames in
// order, beginning with a key frame, from the session's reading goroutine; it
// must not block, and the data is the engine's. A sink that panics is shown
// nothing more.
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
	go c.runCamera(run, cam, res.Track)
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
	out := newVideoSender(t, func(p transport.Packet) { c.link.Load().sess.Send(p) })
	for {
		f, err := readFrame(ctx, src)
		if err != nil {
			return err
		}
		if err := out.frame(f, time.Now()); err != nil {
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
	send     func(transport.Packet)
	emit     func(payload []byte, last bool) error // s.packet, made once
	cut      vp8.Packetizer
	header   rtp.Header
	desc     vp8.Descriptor
	base     uint32
	flow     uint64
	deadline time.Time
	buf      [transport.MaxPacketSize]byte
}

func newVideoSender(t *signal.Track, send func(transport.Packet)) *videoSender {
	var seed [8]byte
	rand.Read(seed[:])
	s := &videoSender{send: send, flow: t.Flow, base: binary.BigEndian.Uint32(seed[2:6])}
	s.emit = s.packet
	s.header = rtp.Header{
		Version: 2, PayloadType: t.PayloadType, SSRC: t.SSRC, SequenceNumber: binary.BigEndian.Uint16(seed[:2]),
	}
	s.desc = vp8.Descriptor{PictureIDBits: 15, PictureID: binary.BigEndian.Uint16(seed[6:]) & 0x7FFF}
	return s
}

func (s *videoSender) frame(f VideoFrame, now time.Time) error {
	s.header.Timestamp = s.base + ticks(f.Time)
	s.deadline = now.Add(videoLifetime)
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
	s.send(transport.Packet{Flow: s.flow, Class: classVideo, Deadline: s.deadline, Payload: s.buf[:n]})
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
					c.cb.contain(k, k.RequestKeyFrame)
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
	view   atomic.Pointer[videoView] // nil: not shown
	muted  atomic.Bool

	header  rtp.Header
	frames  vp8.Assembler
	shown   *videoView // the view of the last packet
	keyed   bool       // it was shown a key frame, and nothing lost since
	told    bool       // OnFirstVideoFrame was called for it
	heard   bool       // next is known
	next    uint16     // the sequence number that follows
	dropped uint64     // frames that the assembler gave up
	asked   time.Time  // when a key frame was last asked for
	timed   bool       // last and elapsed are known
	last    uint32     // timestamp of the last frame
	elapsed int64      // ticks since the first
}

// videoView is one StartRemoteView.
type videoView struct{ sink VideoSink }

// show reports whether the host's sink took the frame without a panic.
func (v *videoView) show(f VideoFrame) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	v.sink.WriteFrame(f)
	return true
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
// client, beginning with a key frame, of which OnFirstVideoFrame tells. A view
// that was started before is replaced. It ends with the user's camera: one that
// is opened again wants another StartRemoteView. Errors: one that says so if
// the user has no camera on.
func (c *Client) StartRemoteView(ctx context.Context, userID string, sink VideoSink) error {
	if sink == nil {
		return &Error{Code: hooks.CodeBadParam, Message: "no video sink"}
	}
	t, err := c.remoteVideo(userID)
	if err != nil {
		return err
	}
	before, now := t.view.Load(), &videoView{sink}
	t.view.Store(now)
	if _, err = c.request(ctx, signal.TypeSubscribe, signal.Subscribe{TrackID: t.id, On: true}); err != nil {
		t.view.CompareAndSwap(now, before)
	}
	return err
}

// StopRemoteView ends StartRemoteView: the video is sent here no longer. Errors:
// one that says so if the user's video is not shown.
func (c *Client) StopRemoteView(ctx context.Context, userID string) error {
	t, err := c.remoteVideo(userID)
	if err != nil {
		return err
	}
	if t.view.Swap(nil) == nil {
		return &Error{Code: hooks.CodeRefused, Message: fmt.Sprintf("%.32q is not shown", userID)}
	}
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
	view := t.view.Load()
	if view != t.shown { // the server was asked for a key frame with it
		t.shown, t.keyed, t.told, t.asked = view, false, false, now
	}
	f, whole, err := t.frames.Push(h.SequenceNumber, h.Timestamp, h.Marker, packet[n:])
	if dropped := t.frames.Dropped(); t.gap(h.SequenceNumber) || err != nil || dropped != t.dropped {
		t.dropped, t.keyed = dropped, false // what follows refers to what is lost
	}
	if whole {
		t.frame(f)
	}
	if !t.keyed {
		t.askKeyFrame(now)
	}
}

// gap reports whether packets are missing before this one. One that comes late
// was missed before.
func (t *videoTrack) gap(seq uint16) bool {
	ahead := int16(seq - t.next)
	if t.heard && ahead < 0 && ahead >= -maxVideoLate {
		return false
	}
	lost := t.heard && ahead != 0
	t.heard, t.next = true, seq+1
	return lost
}

// maxVideoLate is how far back a packet is a late one and not that of a sender
// who began anew, as the assembler has it.
const maxVideoLate = 1000

// frame shows a whole frame, unless it refers to one that was not heard.
func (t *videoTrack) frame(f vp8.Frame) {
	if t.timed {
		t.elapsed += int64(int32(f.Timestamp - t.last))
	}
	t.timed, t.last = true, f.Timestamp
	out := VideoFrame{Data: f.Data, Time: ticksTime(t.elapsed)}
	if head, ok := vp8.ParseFrameHeader(f.Data); ok && head.KeyFrame {
		out.KeyFrame, out.Width, out.Height = true, head.Width, head.Height
		t.keyed = true
	}
	if !t.keyed || t.shown == nil || t.muted.Load() {
		return
	}
	if !t.told {
		t.told = true
		userID, width, height := t.userID, out.Width, out.Height
		t.client.cb.post(func(l hooks.Listener) { l.OnFirstVideoFrame(userID, width, height) })
	}
	if !t.shown.show(out) {
		t.client.log.Error("a sink panicked and is shown nothing more", "user", t.userID)
		t.view.CompareAndSwap(t.shown, nil)
	}
}

// askKeyFrame asks for a key frame, now and then, as long as there is none.
func (t *videoTrack) askKeyFrame(now time.Time) {
	if now.Sub(t.asked) < keyFrameEvery || t.shown == nil {
		return
	}
	t.asked = now
	pli, err := (&rtcp.PictureLossIndication{MediaSSRC: t.ssrc}).Marshal()
	if err == nil {
		t.client.link.Load().sess.Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: pli})
	}
}
