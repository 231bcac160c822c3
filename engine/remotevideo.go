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
	"github.com/earshotrtc/earshot/engine/signal"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

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
