package engine_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/internal/video"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// premiere puts alice, who films, and viewers into a group call over real QUIC
// and a simulated network in virtual time.
func premiere(t *testing.T, cam engine.VideoSource, viewers []string, test func(t *testing.T, w *world, clients map[string]*engine.Client, recs map[string]*recorder)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		clients, recs := make(map[string]*engine.Client), make(map[string]*recorder)
		for _, user := range append([]string{"alice"}, viewers...) {
			clients[user], recs[user] = w.dial(t, user, func(c *engine.ClientConfig) { c.OpusMicrophone = nil })
		}
		must(t, clients["alice"].GroupCall(t.Context(), viewers, hooks.MediaVideo, ""))
		for _, v := range viewers {
			recs[v].wait(t, "invited")
			must(t, clients[v].Accept(t.Context()))
		}
		must(t, clients["alice"].OpenCamera(t.Context(), cam))
		for _, v := range viewers {
			recs[v].wait(t, "video alice true")
		}
		test(t, w, clients, recs)
	})
}

// access sets what a user's line is like, in both directions.
func (w *world) access(user string, down, up simnet.Link) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns[user] {
		w.net.SetLink(w.at, c, down)
		w.net.SetLink(c, w.at, up)
	}
}

// bySize counts frames by their size, after a time.
func bySize(shown []video.Shown, after time.Time) (n [3]int) {
	for _, f := range shown {
		if f.At.After(after) {
			_, layer := video.Number(f.Data)
			n[layer]++
		}
	}
	return n
}

var clear20 = simnet.Link{Delay: 20 * time.Millisecond}

func narrow(bps int64) simnet.Link {
	return simnet.Link{Delay: 20 * time.Millisecond, Rate: bps, QueueTime: 150 * time.Millisecond}
}

// TestVideoFollowsTheReceiver: the camera is told what the only viewer's line
// carries, keeps to it, and comes back when the line does.
func TestVideoFollowsTheReceiver(t *testing.T) {
	cam := &video.Synthetic{Bitrate: 1_500_000}
	premiere(t, cam, []string{"bob"}, func(t *testing.T, w *world, clients map[string]*engine.Client, recs map[string]*recorder) {
		var screen video.Sink
		must(t, clients["bob"].StartRemoteView(t.Context(), "alice", &screen))
		time.Sleep(10 * time.Second) // virtual
		if bps, _ := cam.Target(); bps < 1_300_000 {
			t.Errorf("%d bit/s on a line without limit", bps)
		}
		w.access("bob", narrow(600_000), clear20)
		time.Sleep(18 * time.Second) // virtual
		if bps, _ := cam.Target(); bps > 750_000 || bps < 150_000 {
			t.Errorf("%d bit/s on a line of 600,000", bps)
		}
		before, sent := len(screen.Frames()), cam.Sent()
		time.Sleep(10 * time.Second) // virtual
		shown, made := len(screen.Frames())-before, cam.Sent()-sent
		if shown < made*9/10 {
			t.Errorf("on the narrow line %d of %d frames were shown", shown, made)
		}
		w.access("bob", clear20, clear20)
		time.Sleep(20 * time.Second) // virtual
		if bps, _ := cam.Target(); bps < 1_200_000 {
			t.Errorf("%d bit/s 20 s after the line was free again", bps)
		}
		recs["alice"].mu.Lock()
		defer recs["alice"].mu.Unlock()
		if len(recs["alice"].targets) == 0 {
			t.Error("OnTargetBitrate was not called")
		}
	})
}

// TestSimulcast: each viewer gets the size that fits their line, and changes with
// it; what is shown is whole.
func TestSimulcast(t *testing.T) {
	cam := &video.Synthetic{Bitrate: 1_200_000, Sizes: 3, Fixed: true}
	premiere(t, cam, []string{"bob", "carol"}, func(t *testing.T, w *world, clients map[string]*engine.Client, recs map[string]*recorder) {
		var wide, thin video.Sink
		must(t, clients["bob"].StartRemoteView(t.Context(), "alice", &wide))
		must(t, clients["carol"].StartRemoteView(t.Context(), "alice", &thin))
		w.access("carol", narrow(500_000), clear20)
		time.Sleep(20 * time.Second) // virtual
		since := time.Now()
		time.Sleep(10 * time.Second) // virtual
		if n := bySize(wide.Frames(), since); n[2] < 290 || n[0]+n[1] > 0 {
			t.Errorf("on a wide line %v frames of each size in 10 s", n)
		}
		if n := bySize(thin.Frames(), since); n[0]+n[1] < 250 || n[1] < 50 || n[2] > 0 {
			t.Errorf("on a line of 500 kbit/s %v frames of each size in 10 s", n)
		}
		w.access("carol", narrow(150_000), clear20)
		time.Sleep(10 * time.Second) // virtual
		since = time.Now()
		time.Sleep(10 * time.Second) // virtual
		if n := bySize(thin.Frames(), since); n[0] < 150 || n[2] > 0 {
			t.Errorf("on a line of 150 kbit/s %v frames of each size in 10 s", n)
		}
		w.access("carol", clear20, clear20)
		time.Sleep(45 * time.Second) // virtual
		since = time.Now()
		time.Sleep(5 * time.Second) // virtual
		if n := bySize(thin.Frames(), since); n[2] < 140 {
			t.Errorf("on a line that became wide %v frames of each size in 5 s", n)
		}
		for name, s := range map[string]*video.Sink{"bob": &wide, "carol": &thin} {
			last, was := -1, -1
			for i, f := range s.Frames() {
				n, layer := video.Number(f.Data)
				if n < last {
					t.Fatalf("%s: picture %d after %d", name, n, last)
				}
				if layer != was && !f.KeyFrame {
					t.Fatalf("%s: frame %d changes the size without a key frame", name, i)
				}
				last, was = n, layer
			}
		}
	})
}

// TestSlowViewerHurtsNobody: one behind a line of 64 kbit/s sees little, and the
// others see no change: no frame less, and hardly a key frame more.
func TestSlowViewerHurtsNobody(t *testing.T) {
	cam := &video.Synthetic{Bitrate: 1_000_000}
	premiere(t, cam, []string{"bob", "carol"}, func(t *testing.T, w *world, clients map[string]*engine.Client, recs map[string]*recorder) {
		var good, slow video.Sink
		must(t, clients["bob"].StartRemoteView(t.Context(), "alice", &good))
		time.Sleep(5 * time.Second) // virtual
		w.access("carol", narrow(64_000), clear20)
		asked, sent, before := cam.Asked(), cam.Sent(), len(good.Frames())
		must(t, clients["carol"].StartRemoteView(t.Context(), "alice", &slow))
		time.Sleep(20 * time.Second) // virtual
		shown, made := len(good.Frames())-before, cam.Sent()-sent
		if shown < made-3 {
			t.Errorf("the viewer on a good line was shown %d of %d frames", shown, made)
		}
		if n := cam.Asked() - asked; n > 20 {
			t.Errorf("%d key frames were asked for in 20 s", n)
		}
		if bps, _ := cam.Target(); bps < 900_000 {
			t.Errorf("the camera is at %d bit/s for the sake of one", bps)
		}
	})
}

// TestLateJoinerSeesAtOnce: whoever begins to look is shown a picture within a
// round trip and 100 ms, whenever that is.
func TestLateJoinerSeesAtOnce(t *testing.T) {
	cam := &video.Synthetic{Bitrate: 800_000}
	premiere(t, cam, []string{"bob", "carol"}, func(t *testing.T, w *world, clients map[string]*engine.Client, recs map[string]*recorder) {
		var first video.Sink
		must(t, clients["bob"].StartRemoteView(t.Context(), "alice", &first))
		for i := range 6 {
			time.Sleep(time.Duration(700+900*i) * time.Millisecond) // virtual
			var screen video.Sink
			began := time.Now()
			must(t, clients["carol"].StartRemoteView(t.Context(), "alice", &screen))
			time.Sleep(time.Second) // virtual
			shown := screen.Frames()
			if len(shown) == 0 || !shown[0].KeyFrame || shown[0].At.Sub(began) > 40*time.Millisecond+100*time.Millisecond {
				t.Fatalf("view %d: %d frames, the first after %v", i, len(shown), shown[0].At.Sub(began))
			}
			must(t, clients["carol"].StopRemoteView(t.Context(), "alice"))
		}
	})
}
