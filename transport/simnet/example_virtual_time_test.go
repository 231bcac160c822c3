package simnet_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// TestPlayerOnATrain, in your own code: ten seconds of voice, 50 packets a
// second, over a train's Wi-Fi. Inside synctest.Test the clock jumps when all
// wait, so that this takes some milliseconds.
func testPlayerOnATrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Config{Seed: 1})
		defer n.Close()
		server, _ := n.Endpoint("10.0.0.1:4433")
		player, _ := n.Endpoint("10.0.0.2:5000")
		n.SetBoth(player, server, simnet.Link{
			Delay:     60 * time.Millisecond,
			Jitter:    40 * time.Millisecond,
			Burst:     simnet.Bursts(0.05, 4),
			Rate:      100_000, // bits per second
			QueueTime: 300 * time.Millisecond,
		})

		go func() {
			for range 500 {
				player.WriteTo(make([]byte, 120), server.LocalAddr())
				time.Sleep(20 * time.Millisecond)
			}
		}()

		heard, buf, start := 0, make([]byte, 1500), time.Now()
		server.SetReadDeadline(start.Add(11 * time.Second))
		for {
			if _, _, err := server.ReadFrom(buf); err != nil {
				break // the deadline
			}
			if heard++; heard == 1 && time.Since(start) < 60*time.Millisecond {
				t.Error("sound was faster than the network")
			}
		}
		if heard < 450 {
			t.Errorf("heard %d of 500 packets", heard)
		}
	})
}

// A test in virtual time: run it with go test.
func Example_virtualTime() {}
