package transport_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/simnet"
)

// narrow is what came of ten seconds of speech under a flood of video on a
// line of 64 kbit/s.
type narrow struct {
	sent, heard       int
	p50, p95, longest time.Duration // of speech, from Send to handler
	control           []time.Duration
	video             int
	stats             transport.Stats
}

func (n narrow) String() string {
	return fmt.Sprintf("speech %d of %d heard, p50 %v p95 %v max %v; control %v; video %d; dropped %v by class %v",
		n.heard, n.sent, n.p50, n.p95, n.longest, n.control, n.video, n.stats.Dropped, n.stats.DroppedByClass)
}

// runNarrow sends 50 packets of speech a second (43 kbit/s with headers) and
// 100 of video (a megabit) into 64 kbit/s, and every two seconds a control
// message.
func runNarrow(t *testing.T, cfg transport.SessionConfig, loss float64) (n narrow) {
	synctest.Test(t, func(t *testing.T) {
		const ms = time.Millisecond
		s := simulate(t, simnet.Link{Rate: 64_000, Delay: 20 * ms, QueueTime: 200 * ms, Loss: loss}, cfg)
		defer s.close()
		start := time.Now()
		var mu sync.Mutex
		var delays []time.Duration
		s.server.HandleFlow(1, func(p []byte, arrival time.Time) {
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, arrival.Sub(start)-time.Duration(binary.BigEndian.Uint64(p[12:])))
		})
		s.server.HandleFlow(2, func([]byte, time.Time) { n.video++ })

		const length, warmUp = 15 * time.Second, 4 * time.Second
		var wg sync.WaitGroup
		wg.Go(func() {
			for i := uint16(0); time.Since(start) < length; i++ {
				s.client.Send(transport.Packet{Flow: 2, Class: 2, Payload: rtpPacket(1128, i), Deadline: time.Now().Add(300 * ms)})
				time.Sleep(10 * ms)
			}
		})
		wg.Go(func() {
			for i := uint16(0); time.Since(start) < length; i++ {
				if time.Since(start) == warmUp {
					mu.Lock()
					delays = nil
					mu.Unlock()
					n.sent = 0
				}
				p := rtpPacket(52, i)
				binary.BigEndian.PutUint64(p[12:], uint64(time.Since(start)))
				s.client.Send(transport.Packet{Flow: 1, Payload: p, Deadline: time.Now().Add(200 * ms)})
				n.sent++
				time.Sleep(20 * ms)
			}
		})
		wg.Go(func() {
			time.Sleep(warmUp)
			for time.Since(start) < length-2*time.Second {
				sent := time.Now()
				go s.client.Control().Write(make([]byte, 300))
				if _, err := io.ReadFull(s.server.Control(), make([]byte, 300)); err != nil {
					t.Error(err)
				}
				n.control = append(n.control, time.Since(sent))
				time.Sleep(2*time.Second - time.Since(sent)%(2*time.Second))
			}
		})
		wg.Wait()
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(delays)
		n.heard = len(delays)
		if n.heard > 0 {
			n.p50, n.p95, n.longest = delays[n.heard/2], delays[n.heard*95/100], delays[n.heard-1]
		}
		n.stats = s.client.Stats()
	})
	return n
}

// TestNarrowLine shows what the gate is for. Typical figures, of 550 packets of
// speech: gated 450 heard, half of them within 130 ms, control messages within
// 0.5 s; without the gate 165 heard, half of them later than 1.2 s, control up
// to 2 s. What speech is still lost is lost in the line's own queue, until
// video has yielded.
func TestNarrowLine(t *testing.T) {
	for _, loss := range []float64{0, 0.03} {
		gated := runNarrow(t, transport.SessionConfig{}, loss)
		ungated := runNarrow(t, transport.Ungated(transport.SessionConfig{}), loss)
		t.Logf("loss %v, gated:   %v", loss, gated)
		t.Logf("loss %v, ungated: %v", loss, ungated)
		limit := time.Second
		if loss > 0 { // what sends it again may be lost as well
			limit = 2 * time.Second
		}
		slices.Sort(gated.control)
		if m := gated.control[len(gated.control)-1]; m >= limit {
			t.Errorf("a control message took %v", m)
		}
		if m := gated.control[len(gated.control)/2]; m >= 500*time.Millisecond {
			t.Errorf("half of the control messages took %v or more", m)
		}
		if gated.heard < gated.sent*65/100 || gated.p50 > 250*time.Millisecond {
			t.Errorf("%d of %d packets of speech heard, half of them later than %v", gated.heard, gated.sent, gated.p50)
		}
		if gated.video == 0 {
			t.Error("no video at all came through")
		}
		if ungated.heard > gated.heard || ungated.p50 < 2*gated.p50 {
			t.Error("without the gate it is no worse: is it there at all?")
		}
	}
}
