package engine_test

import (
	"context"
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// Frames that do not decode are told of once a second at most, and not again
// when they do.
func TestFramesThatDoNotDecode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		r, track, b := talker(t, srv, "mallory", "bob")
		listen(t, b.client)
		seq := uint16(0)
		say := func(d time.Duration, payload ...byte) {
			for range d / (20 * time.Millisecond) {
				seq++
				p := rtpPacket(track, seq)[:12]
				binary.BigEndian.PutUint32(p[4:], uint32(seq)*960)
				r.sess.Send(transport.Packet{Flow: track.Flow, Payload: append(p, payload...)})
				time.Sleep(20 * time.Millisecond) // virtual
			}
		}
		silence := []byte{0xF8, 0xFF, 0xFE}
		say(2*time.Second, silence...)
		if n := count(b, "warning"); n != 0 {
			t.Errorf("bob was warned of good frames: %q", b.all())
		}
		say(5*time.Second, 0xFF, 0x00) // RFC 6716 section 3.2.5: no frames at all
		if n := count(b, "warning 2102"); n < 4 || n > 6 || count(b, "warning") != n {
			t.Errorf("%d warnings in 5 s, want one a second: %q", n, b.all())
		}
		say(2*time.Second, silence...)
		n := count(b, "warning 2102")
		say(3*time.Second, silence...)
		if more := count(b, "warning 2102") - n; more != 0 {
			t.Errorf("%d warnings of good frames", more)
		}
		must(t, b.client.Err())
	})
}

type panickingMic struct{}

func (panickingMic) ReadOpus(context.Context, []byte) (int, time.Duration, error) {
	panic("a microphone's fault")
}

// A microphone that panics costs its sound, and not the process.
func TestMicrophonePanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := serve(t, nil)
		alice, a := dial(t, srv, "alice", func(c *engine.ClientConfig) { c.OpusMicrophone = panickingMic{} })
		bob, b := dial(t, srv, "bob", nil)
		connect(t, alice, bob, b, hooks.MediaAudio)
		a.wait(t, "error -1302")
		must(t, bob.Hangup(t.Context()))
		a.wait(t, "end hangup")
	})
}
