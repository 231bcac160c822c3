package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"

	"github.com/earshotrtc/earshot/codec/vp8"
	"github.com/earshotrtc/earshot/engine/forward"
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

// remoteVideos are the cameras of the others.
type remoteVideos struct {
	uplink // of reports on what comes
	mu     sync.Mutex
	tracks map[uint64]*videoTrack
}

// report notes a packet, and tells the server what came when it is time.
func (v *remoteVideos) report(c *Client, ssrc uint32, seq uint16, now time.Time) {
	if b := v.note(ssrc, seq, now); b != nil {
		c.link.Load().sess.Send(transport.Packet{Flow: rtcpFlow, Class: classRTCP, Payload: b})
	}
}

// videoTrack is one remote camera.
type videoTrack struct {
	id     uint64
	userID string
	flow   uint64
	ssrc   uint32
	pt     uint8
	client *Client
	view   atomic.Pointer[videoView] // nil: not shown
	muted  atomic.Bool

	mu      sync.Mutex // guards what follows; held while the sink shows a frame
	header  rtp.Header
	order   *forward.Order
	gaps    forward.Gaps
	looking bool // a timer looks at the gaps
	gone    bool // the track has ended
	frames  vp8.Assembler
	shown   *videoView // the view of the last packet
	keyed   bool       // it was shown a key frame, and nothing lost since
	told    bool       // OnFirstVideoFrame was called for it
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
		t.end(sess)
	}
}

// end forgets the track; its sink is shown nothing more.
func (t *videoTrack) end(sess transport.Session) {
	sess.RemoveFlow(t.flow)
	t.mu.Lock()
	t.gone = true
	t.mu.Unlock()
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
		t.end(sess)
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
// client, beginning with a key frame, the last that there was if it is new enough
// or until there is another; OnFirstVideoFrame tells of it. A view
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
	t.mu.Lock()
	defer t.mu.Unlock()
	h := &t.header
	if _, err := h.Unmarshal(packet); err != nil || h.SSRC != t.ssrc || h.PayloadType != t.pt {
		return
	}
	t.client.video.report(t.client, t.ssrc, h.SequenceNumber, now)
	view := t.view.Load()
	if view != t.shown { // the server was asked for a picture with it
		t.shown, t.keyed, t.told, t.asked = view, false, false, now
	}
	if t.order == nil {
		t.order = forward.NewOrder(videoOrder)
	}
	if t.gaps.Received(h.SequenceNumber, now) {
		t.order.Restart()
		t.frames.Reset()
		t.keyed = false
	}
	t.order.Push(h.SequenceNumber, packet)
	t.drain(now)
	t.look(now)
}

const (
	// videoOrder is how many packets may wait for one that is missing, and
	// videoWait for how long.
	videoOrder = 512
	videoWait  = 450 * time.Millisecond
)

// drain shows what is complete and in order.
func (t *videoTrack) drain(now time.Time) {
	for packet, ok := t.order.Pop(); ok; packet, ok = t.order.Pop() {
		h := &t.header
		n, err := h.Unmarshal(packet)
		if err != nil {
			continue
		}
		if h.Padding { // it carries nothing: the server tries what gets through
			t.frames.Skip(h.SequenceNumber)
			continue
		}
		f, whole, err := t.frames.Push(h.SequenceNumber, h.Timestamp, h.Marker, packet[n:])
		if dropped := t.frames.Dropped(); err != nil || dropped != t.dropped {
			t.dropped, t.keyed = dropped, false // what follows refers to what is lost
		}
		if whole {
			t.frame(f)
		}
		if !t.keyed {
			t.askKeyFrame(now)
		}
	}
}

// look asks for what is missing, and gives up what has been for too long: then
// only a key frame helps.
func (t *videoTrack) look(now time.Time) {
	if !t.gaps.Missing() && t.order.Waiting() == 0 {
		return
	}
	sess := t.client.link.Load().sess
	var due [32]uint16
	t.gaps.Wait = videoWait
	missing := t.gaps.Due(due[:0], t.client.video.recentRTT(sess, now), now)
	if t.shown != nil {
		sendNACK(sess, t.ssrc, missing)
	}
	for t.order.Waiting() > 0 && !t.gaps.Waits(t.order.Next()) {
		t.order.Skip()
		t.keyed = false
		t.drain(now)
	}
	if !t.keyed {
		t.askKeyFrame(now)
	}
	if t.gaps.Missing() && !t.looking {
		t.looking = true
		time.AfterFunc(gapCheck, func() {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.looking = false
			if !t.gone && t.view.Load() == t.shown && t.client.ctx.Err() == nil {
				t.look(time.Now())
			}
		})
	}
}

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
