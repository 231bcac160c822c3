package engine_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/codec/libopus"
	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/audio"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// The MTU of alice's path shrinks in the middle of a video call of nine, who
// all talk: from Ethernet's to an IPv6 packet of 1280 bytes, then to the least
// that QUIC works over. Neither her picture nor anybody's voice stops, in
// bundles of up to 1151 bytes or alone, and signalling goes on, in messages
// longer than a packet, too. Below 1200 bytes of UDP payload there is no QUIC
// (RFC 9000 section 14).
func TestMTUShrinksInACall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		voice := encodeTone(128000) // of which three fill a bundle
		speaks := func(c *engine.ClientConfig) {
			c.Codec, c.OpusMicrophone = libopus.Driver{}, audio.NewPacketSource(voice, true)
		}
		var came sizes
		alice, a := w.dial(t, "alice", func(c *engine.ClientConfig) {
			speaks(c)
			d := c.Dialer.(*transport.QUICDialer)
			dial := d.Conn
			d.Conn = func() (net.PacketConn, error) {
				conn, err := dial()
				return &sizeConn{conn, &came}, err
			}
		})
		var names []string
		for i := range 8 {
			names = append(names, fmt.Sprintf("user%d", i))
		}
		others := make([]*engine.Client, len(names))
		recs := make([]*recorder, len(names))
		for i, n := range names {
			others[i], recs[i] = w.dial(t, n, speaks)
		}
		must(t, alice.GroupCall(t.Context(), names, hooks.MediaVideo, ""))
		for i, c := range others {
			recs[i].wait(t, "invited")
			must(t, c.Accept(t.Context()))
		}
		must(t, alice.OpenCamera(t.Context(), newCamera(t)))
		must(t, others[0].OpenCamera(t.Context(), newCamera(t)))
		a.wait(t, "video user0 true")
		recs[0].wait(t, "video alice true")
		var hers, his video.Sink // what she and he see
		must(t, alice.StartRemoteView(t.Context(), "user0", &hers))
		must(t, others[0].StartRemoteView(t.Context(), "alice", &his))
		listen(t, alice)
		listen(t, others[0])

		time.Sleep(time.Second) // virtual
		told := len(a.all())
		for _, mtu := range []int{1232, 1200} {
			narrow := simnet.Link{Delay: path.Delay, MTU: mtu}
			w.setLine("alice", line{narrow, narrow})
			start := time.Now()
			before := [2]uint64{made(alice), made(others[0])}
			came.reset()
			long := strings.Repeat("<", 500) // six bytes each in JSON
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			for i, c := range []*engine.Client{alice, others[0]} {
				must(t, c.SetSelfInfo(ctx, long, fmt.Sprint(mtu, i)))
				info, err := alice.UserInfo(ctx, c.UserID())
				must(t, err)
				if info.Nick != long || info.Avatar != fmt.Sprint(mtu, i) {
					t.Errorf("MTU %d: %s is %.40q %q", mtu, c.UserID(), info.Nick, info.Avatar)
				}
			}
			cancel()
			if took := time.Since(start); took > 500*time.Millisecond {
				t.Errorf("MTU %d: four requests took %v", mtu, took)
			}
			time.Sleep(1500 * time.Millisecond) // virtual
			for i, c := range []*engine.Client{alice, others[0]} {
				if n := made(c) - before[i]; n > 0 {
					t.Errorf("MTU %d: %d samples made up for %s", mtu, n, c.UserID())
				}
			}
			for who, sink := range map[string]*video.Sink{"alice": &hers, "user0": &his} {
				shown := sink.Frames()
				wantClip(t, shown)
				if f := freeze(shown, start); f > 200*time.Millisecond {
					t.Errorf("MTU %d: %s's picture stood still for %v", mtu, who, f)
				}
			}
			bundles, largest := came.read()
			t.Logf("MTU %d: %d packets of 1000 bytes and more for alice, the largest of %d", mtu, bundles, largest)
			if bundles < 60 || largest < 1170 {
				t.Errorf("MTU %d: %d packets of 1000 bytes and more, the largest of %d: were there no bundles?", mtu, bundles, largest)
			}
			c := w.conns["alice"][0]
			for _, s := range []simnet.Stats{w.net.Stats(c, w.at), w.net.Stats(w.at, c)} {
				if n := s.Dropped[simnet.DropMTU]; n > 0 {
					t.Errorf("MTU %d: %d packets were larger", mtu, n)
				}
			}
		}
		if more := a.all()[told:]; len(more) > 0 {
			t.Errorf("alice was told %q", more)
		}
	})
}

// made is how many samples have been made up for a client so far.
func made(c *engine.Client) (n uint64) {
	for _, t := range c.Stats().Tracks {
		n += t.Jitter.ConcealedSamples + t.Jitter.SilentSamples
	}
	return n
}

// freeze is the longest time between two frames, or since the last, from a time
// on.
func freeze(shown []video.Shown, from time.Time) (longest time.Duration) {
	last := from
	for _, f := range shown {
		if f.At.After(last) {
			longest = max(longest, f.At.Sub(last))
			last = f.At
		}
	}
	return max(longest, time.Since(last))
}

// sizes counts what a socket reads.
type sizes struct {
	mu      sync.Mutex
	large   int // of 1000 bytes and more
	largest int
}

func (s *sizes) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.large, s.largest = 0, 0
}

func (s *sizes) read() (large, largest int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.large, s.largest
}

type sizeConn struct {
	net.PacketConn
	read *sizes
}

func (c *sizeConn) ReadFrom(p []byte) (int, net.Addr, error) {
	n, from, err := c.PacketConn.ReadFrom(p)
	c.read.mu.Lock()
	defer c.read.mu.Unlock()
	if n >= 1000 {
		c.read.large++
	}
	c.read.largest = max(c.read.largest, n)
	return n, from, err
}
