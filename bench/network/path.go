package network

import (
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/transport/simnet"
)

// queueTime is how much waits before a slow line at most; then the newest is
// dropped.
const queueTime = 150 * time.Millisecond

// A Path is what lies between a user and the server, the same in both
// directions. The zero value is perfect.
type Path struct {
	// RTT is the round-trip time with nothing waiting.
	RTT time.Duration
	// Loss is the share of packets lost, each by itself, 0 to 1.
	Loss float64
	// Rate is the line's speed in bits per second, of IP packets. Before it is a
	// drop-tail queue of 150 ms. Default 0: without limit.
	Rate int64
}

// good is the path of whoever is not on the bad one.
var good = Path{RTT: 10 * time.Millisecond}

func (p Path) link() simnet.Link {
	return simnet.Link{Delay: p.RTT / 2, Loss: p.Loss, Rate: p.Rate, QueueTime: queueTime}
}

// String is the path in a few words, without spaces: "100ms-2%-2M".
func (p Path) String() string {
	return fmt.Sprintf("%v-%g%%-%s", p.RTT, 100*p.Loss, rateName(p.Rate))
}

func rateName(bps int64) string {
	switch {
	case bps == 0:
		return "unlimited"
	case bps%1e6 == 0:
		return fmt.Sprintf("%dM", bps/1e6)
	}
	return fmt.Sprintf("%dk", bps/1e3)
}
