package simnet

import (
	"container/heap"
	"errors"
	"net"
	"sync"
	"time"
)

// maxUnderWay bounds the bytes under way in one direction of a Relay.
const maxUnderWay = 32 << 20

// relayDirection is one direction of a Relay: the packets of all clients that
// are under way, and the goroutine that sends them when they are due.
type relayDirection struct {
	r    *Relay
	send func(*packet) error
	wake chan struct{} // something is due sooner than it was

	counters counters // of all its links

	mu     sync.Mutex // guards the links too
	flight flight
	seq    uint64
	bytes  int // in flight
}

func (d *relayDirection) init(r *Relay, send func(*packet) error) {
	d.r, d.send, d.wake = r, send, make(chan struct{}, 1)
}

// set changes a link's settings.
func (d *relayDirection) set(k *link, l Link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k.set(d.r.now(), l)
}

// take puts a packet through a client's link; p is copied.
func (d *relayDirection) take(c *relayClient, k *link, now time.Duration, p []byte) {
	if first := d.admit(c, k, now, p); first {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

// admit reports whether the packet is now the next to leave.
func (d *relayDirection) admit(c *relayClient, k *link, now time.Duration, p []byte) (first bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := k.admit(now, len(p))
	for _, at := range v.at[:v.copies] {
		if d.bytes+len(p) > maxUnderWay {
			d.counters.underWay.Add(-1)
			d.counters.dropped[DropQueue].Add(1)
			continue
		}
		pk := d.r.pool.Get().(*packet)
		pk.data = append(pk.data[:0], p...)
		pk.client, pk.at, pk.seq = c, at, d.seq
		d.seq++
		d.bytes += len(p)
		heap.Push(&d.flight, pk)
		first = first || d.flight[0] == pk
	}
	return first
}

// run sends what is due until the relay is closed.
func (d *relayDirection) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var pk *packet
	var err error
	for {
		var wait time.Duration
		if pk, wait = d.next(pk, err); pk != nil {
			err = d.send(pk)
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-d.wake:
		case <-d.r.done:
			return
		}
	}
}

// next counts the packet that was sent, if any, and returns the one that is
// due, or else how long to wait.
func (d *relayDirection) next(sent *packet, err error) (*packet, time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if sent != nil {
		d.finish(sent, err)
	}
	if len(d.flight) == 0 {
		return nil, time.Hour
	}
	if wait := d.flight[0].at - d.r.now(); wait > 0 {
		return nil, wait
	}
	pk := heap.Pop(&d.flight).(*packet)
	d.bytes -= len(pk.data)
	return pk, 0
}

// finish counts a packet that was sent, or not, and takes its memory back. It
// is called with the lock held.
func (d *relayDirection) finish(pk *packet, err error) {
	d.counters.underWay.Add(-1)
	switch {
	case err == nil:
		d.counters.delivered.Add(1)
		d.counters.deliveredBytes.Add(uint64(len(pk.data)))
	case errors.Is(err, net.ErrClosed):
		d.counters.dropped[DropClosed].Add(1)
	default:
		d.counters.dropped[DropSend].Add(1)
	}
	pk.client = nil
	d.r.pool.Put(pk)
}

// drain loses what is still under way.
func (d *relayDirection) drain() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, pk := range d.flight {
		d.finish(pk, net.ErrClosed)
	}
	d.flight, d.bytes = nil, 0
}

// snapshot is of one moment: no packet is between two of its counts.
func (d *relayDirection) snapshot() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := link{counters: &d.counters}
	return k.snapshot(0)
}

// addQueue adds what waits for one client's line.
func (d *relayDirection) addQueue(s *Stats, k *link) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := k.snapshot(d.r.now())
	s.QueueBytes += q.QueueBytes
	s.QueueTime = max(s.QueueTime, q.QueueTime)
}
