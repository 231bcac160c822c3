package transport

import (
	"sync"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
)

// A buffer is one packet on its way, as a datagram: flow identifier, packet. Or
// it is a bundle of several, with a flowLen of 0.
// Buffers are pooled in two sizes, as audio is a tenth of video and an idle
// session should hold neither; what is larger than both is made for the
// occasion.
type buffer struct {
	b        []byte
	flowLen  int // how much of b is the flow identifier
	packets  int
	rtp      int // bytes of RTP in it
	rtcp     int // packets that are RTCP, and
	rtcpSize int // their bytes
	class    Class
	deadline time.Time
	next     *buffer
	pool     *sync.Pool
}

const (
	smallBuffer = 256
	largeBuffer = MaxPacketSize + roq.MaxFlowIDLen + 42 // 1200
)

var smallBuffers, largeBuffers sync.Pool

func getBuffer(n int) *buffer {
	pool, size := &smallBuffers, smallBuffer
	if n > smallBuffer {
		pool, size = &largeBuffers, largeBuffer
	}
	if n > largeBuffer {
		return &buffer{b: make([]byte, 0, n)}
	}
	if b, ok := pool.Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, size), pool: pool}
}

func (b *buffer) release() {
	if b.next != nil {
		panic("transport: buffer released while queued")
	}
	if b.pool == nil {
		return
	}
	b.b = b.b[:0]
	b.deadline, b.flowLen = time.Time{}, 0
	b.rtp, b.rtcp, b.rtcpSize = 0, 0, 0
	b.pool.Put(b)
}

// A fifo is a queue of buffers linked through themselves, so that an empty
// one holds no memory.
type fifo struct {
	head, tail *buffer
	n          int
}

func (f *fifo) push(b *buffer) {
	if f.tail == nil {
		f.head = b
	} else {
		f.tail.next = b
	}
	f.tail = b
	f.n++
}

func (f *fifo) pop() *buffer {
	b := f.head
	if b == nil {
		return nil
	}
	f.head = b.next
	if f.head == nil {
		f.tail = nil
	}
	b.next = nil
	f.n--
	return b
}

// A sendQueue holds what waits to be sent: a FIFO per class under one bound.
type sendQueue struct {
	class [NumClasses]fifo
	n     int
	limit int
}

// push queues b. If the queue is full it makes room first, and returns the
// oldest packet of the highest class, b's own class included; that may be b.
func (q *sendQueue) push(b *buffer) (evicted *buffer) {
	if q.n >= q.limit {
		c := Class(NumClasses - 1)
		for c > b.class && q.class[c].n == 0 {
			c--
		}
		if q.class[c].n == 0 {
			return b // alone in the highest class
		}
		evicted = q.class[c].pop()
		q.n--
	}
	q.class[b.class].push(b)
	q.n++
	return evicted
}

func (q *sendQueue) pop(c Class) *buffer {
	b := q.class[c].pop()
	if b != nil {
		q.n--
	}
	return b
}

// expired reports whether the oldest packet of a class is past its deadline.
func (q *sendQueue) expired(c Class, now time.Time) bool {
	b := q.class[c].head
	return b != nil && b.late(now)
}

func (b *buffer) late(now time.Time) bool {
	return !b.deadline.IsZero() && !now.Before(b.deadline)
}
