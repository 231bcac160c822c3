package transport

import (
	"testing"
	"time"

	"github.com/quic-go/quic-go"
)

// wire imitates quic-go's counters.
type wire struct {
	g   *gate
	now time.Time
	s   linkStats
}

func newWire() *wire {
	return &wire{g: &gate{share: 1}, now: time.Unix(1000, 0), s: linkStats{cwnd: 40960, rtt: 50 * time.Millisecond, minRTT: 50 * time.Millisecond}}
}

func (w *wire) hand(size int, c Class) { w.g.handed(w.now, size, c) }

func (w *wire) sent(sizes ...int) {
	for _, n := range sizes {
		w.s.packetsSent++
		w.s.bytesSent += uint64(n)
	}
	w.look()
}

func (w *wire) look() { w.g.look(w.now, w.s) }

func TestGateStrikesOffWhatWasSent(t *testing.T) {
	w := newWire()
	w.look()
	w.hand(1100, 2)
	w.hand(60, 0)
	w.hand(1100, 2)
	if w.g.n != 3 || w.g.video != 2 || w.g.bytes != 2200 {
		t.Fatalf("%+v", w.g)
	}
	w.sent(45) // an acknowledgement
	if w.g.n != 3 {
		t.Errorf("an acknowledgement strikes off a datagram: %d left", w.g.n)
	}
	w.sent(1100+26, 60+26)
	if w.g.n != 1 || w.g.video != 1 || w.g.bytes != 1100 {
		t.Errorf("two sent: %+v", w.g)
	}
	w.sent(40, 1126)
	if w.g.n != 0 || w.g.video != 0 || w.g.bytes != 0 {
		t.Errorf("all sent: %+v", w.g)
	}
	w.sent(1200, 1200) // stream data
	w.hand(100, 0)
	w.look()
	if w.g.n != 1 {
		t.Error("what was sent before strikes off what was handed over after")
	}
}

// TestGateReadsTornCounters: the bytes of a packet may be read before it is
// counted, on its own or in a burst, and no entry stays on the list for it.
func TestGateReadsTornCounters(t *testing.T) {
	w := newWire()
	w.look()
	w.hand(100, 0)
	w.s.bytesSent += 126
	w.look()
	w.look()
	if w.g.n != 1 {
		t.Fatal("half a count strikes off a datagram")
	}
	w.s.packetsSent++
	w.look()
	if w.g.n != 0 {
		t.Fatal("a packet counted in two looks is forgotten")
	}
	for burst := 1; burst <= 5; burst++ {
		for seen := range burst {
			for range burst {
				w.hand(1100, 2)
			}
			w.s.packetsSent += uint64(seen)
			w.s.bytesSent += uint64(seen+1) * 1126
			w.look()
			if w.g.n != burst-seen {
				t.Fatalf("%d of %d counted, %d left", seen, burst, w.g.n)
			}
			w.s.packetsSent += uint64(burst - seen)
			w.s.bytesSent += uint64(burst-seen-1) * 1126
			w.look()
			if w.g.n != 0 {
				t.Fatalf("a burst of %d, of which %d were counted with the bytes of one more: %d left", burst, seen, w.g.n)
			}
		}
	}
	w.hand(100, 0)
	w.hand(1100, 2)
	w.sent(1200) // with an acknowledgement and something of a stream
	w.sent(45)
	if w.g.n != 1 || w.g.paid {
		t.Errorf("what a packet is larger pays for another: %d left", w.g.n)
	}
}

// torn is a connection that sends packets of 1126 bytes between the readings of
// its counters.
type torn struct {
	bursts  []int // at each look
	packets int
}

func (c *torn) ConnectionStats() (s quic.ConnectionStats) {
	s.BytesSent = uint64(c.packets) * 1126
	if len(c.bursts) > 0 {
		c.packets += c.bursts[0]
		c.bursts = c.bursts[1:]
	}
	s.PacketsSent = uint64(c.packets)
	return s
}

func TestQUICStatsAreNotTorn(t *testing.T) {
	for _, bursts := range [][]int{{}, {9}, {0, 9}, {1, 1}, {3, 0, 5}} {
		c := &torn{bursts: bursts}
		if s := quicStats(c); s.bytesSent != s.packetsSent*1126 {
			t.Errorf("%v: %d packets of %d bytes", bursts, s.packetsSent, s.bytesSent)
		}
	}
	c := &torn{bursts: []int{2, 2, 2, 2, 2, 2, 2, 2}}
	if s := quicStats(c); s.bytesSent < s.packetsSent*1126 {
		t.Errorf("%d packets of %d bytes only", s.packetsSent, s.bytesSent)
	}
}

func TestGateOpens(t *testing.T) {
	w := newWire()
	w.look()
	// 5 ms of 40,960 bytes per 50 ms.
	for i := range 4 {
		if !w.g.open(2) {
			t.Fatalf("closed to video after %d packets", i)
		}
		w.hand(1100, 2)
	}
	if w.g.open(2) || !w.g.open(1) || !w.g.open(0) {
		t.Error("with 4,400 bytes unsent: want closed to video, open to the others")
	}
	for w.g.n < gateLimit {
		w.hand(60, 0)
	}
	if w.g.open(0) {
		t.Error("open to audio with 16 datagrams unsent")
	}
	w.g.refused()
	if !w.g.open(0) {
		t.Error("closed though the latest was taken back")
	}

	slow := newWire()
	slow.s.cwnd, slow.s.rtt = 2560, time.Second
	slow.s.minRTT = slow.s.rtt
	slow.look()
	slow.hand(1100, 2)
	if !slow.g.open(2) {
		t.Error("two packets of video always fit")
	}
	slow.hand(1100, 2)
	if slow.g.open(2) {
		t.Error("a third does not on a slow path")
	}
}

func TestGateForgetsWhatQUICDropped(t *testing.T) {
	w := newWire()
	w.look()
	for range gateLimit {
		w.hand(1100, 2)
	}
	w.now = w.now.Add(10 * time.Second)
	w.look()
	if w.g.n != gateLimit {
		t.Error("forgotten though the peer is silent: a black hole must not fill quic-go's queue")
	}
	w.s.packetsReceived++
	w.look()
	if w.g.n != 0 {
		t.Errorf("%d datagrams of which nothing is heard are still on the list", w.g.n)
	}
}

func TestGateLeavesRoomForLostControl(t *testing.T) {
	w := newWire()
	w.look()
	w.g.controlUntil = w.now.Add(afterControl)
	w.s.packetsLost++
	w.look()
	if w.g.open(2) || !w.g.open(0) {
		t.Error("after a loss that may concern control: want closed to video only")
	}
	w.sent(300)
	w.now = w.now.Add(5 * time.Millisecond)
	w.look()
	if !w.g.open(2) {
		t.Error("still closed after a packet without video went out")
	}
	w.now = w.now.Add(2 * afterControl)
	w.s.packetsLost++
	w.look()
	if !w.g.open(2) {
		t.Error("closed long after the control write")
	}
}

// TestGateLeavesRoomOnALossyPath: where packets get lost video takes a part of
// the window, spread over the round trip, and speech finds room at once.
func TestGateLeavesRoomOnALossyPath(t *testing.T) {
	w := newWire()
	w.s.rtt, w.s.minRTT, w.s.cwnd = 100*time.Millisecond, 100*time.Millisecond, 8000
	w.s.packetsLost++
	w.look()
	burst, packets := 0, 0
	for range 1000 { // 10 s
		w.now = w.now.Add(10 * time.Millisecond)
		w.look()
		n := 0
		for w.g.open(2) {
			n++
			w.hand(1100, 2)
			w.sent(1126)
			w.look()
		}
		burst, packets = max(burst, n), packets+n
		if !w.g.open(0) {
			t.Fatal("speech does not fit")
		}
		w.s.packetsLost++ // it goes on losing some
	}
	// 8,000 bytes less 2,667 for speech per 0.1 s.
	if packets < 430 || packets > 500 || burst > 2 {
		t.Errorf("%d packets in 10 s, at most %d at once; want about 470, one or two at once", packets, burst)
	}
}

func TestGatePacesVideoOnACongestedPath(t *testing.T) {
	w := newWire()
	w.look()
	w.s.rtt = 400 * time.Millisecond
	w.s.cwnd = 4000
	share := func() (packets int) {
		for range 1000 { // 10 s
			w.now = w.now.Add(10 * time.Millisecond)
			w.look()
			if w.g.open(2) {
				packets++
				w.hand(1100, 2)
				w.sent(1126)
			}
		}
		return packets
	}
	// 4,000 bytes per 0.4 s, times 90/400: 2,250 bytes a second.
	if n := share(); n < 15 || n > 30 {
		t.Errorf("%d packets in 10 s, want about 20", n)
	}
	w.s.rtt = w.s.minRTT
	w.look()
	if w.g.pacing {
		t.Error("paced on a free path")
	}
}
