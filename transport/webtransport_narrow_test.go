package transport

import (
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// Control bytes do not wait behind a flood of video on a line of 64 kbit/s.
func TestWebTransportControlBeforeVideo(t *testing.T) {
	const ms = time.Millisecond
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Rate: 64_000, Delay: 20 * ms, QueueTime: 200 * ms})
		defer w.close()
		client, server := w.dial(w.dialer(), wtURL)
		client.Control().Write([]byte("hello"))
		start := time.Now()
		var flood sync.WaitGroup
		for class, size := range []int{52, 0, MaxPacketSize} {
			if size == 0 {
				continue
			}
			client.HandleFlow(uint64(class), func([]byte, time.Time) {})
			flood.Go(func() {
				for time.Since(start) < 14*time.Second {
					server.Send(Packet{Flow: uint64(class), Class: Class(class), Payload: rtpPacket(size, 1), Deadline: time.Now().Add(300 * ms)})
					time.Sleep(20 * ms)
				}
			})
		}
		time.Sleep(4 * time.Second)
		var took []time.Duration
		for range 5 {
			sent := time.Now()
			go server.Control().Write(make([]byte, 80))
			if _, err := io.ReadFull(client.Control(), make([]byte, 80)); err != nil {
				t.Fatal(err)
			}
			took = append(took, time.Since(sent))
			time.Sleep(2 * time.Second)
		}
		t.Logf("control messages took %v; %+v", took, server.Stats().DroppedByClass)
		for _, d := range took {
			if d > 1500*ms { // 1 s when it is lost, and sent again
				t.Errorf("a control message took %v", d)
			}
		}
		flood.Wait()
	})
}
