package transporttest

import (
	"io"
	"slices"
	"testing"
	"time"

	"github.com/earshotrtc/earshot/transport"
)

func deadlinePassed(e *env) {
	client, server := e.connect()
	b := e.barrier(client, server)
	in := e.sink(server, 1)
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	for i := range uint64(9) {
		p := transport.Packet{Flow: 1, Class: transport.Class(i % 3), Payload: rtp(50, i), Deadline: past}
		if i%2 == 0 {
			p.Deadline = future
		}
		e.send(client, p)
		b.pass()
	}
	for _, want := range []uint64{0, 2, 4, 6, 8} {
		if n := await(e, "a packet in time", in.c); n != want {
			e.Errorf("packet %d, want %d", n, want)
		}
	}
	// 1, 3, 5, 7 were of classes 1, 0, 2, 1.
	st := client.Stats()
	if n := st.Dropped[transport.DropExpired]; n != 4 {
		e.Errorf("%d packets dropped as expired, want 4", n)
	}
	if st.DroppedByClass != [transport.NumClasses]uint64{1, 2, 1} {
		e.Errorf("dropped by class: %v", st.DroppedByClass)
	}
}

// backlog fills the queue of s with video, which waits while a control write
// is blocked. It returns how many packets the queue holds.
func (e *env) backlog(s transport.Session) (queueLen int, unblocked chan error) {
	unblocked = e.blockControl(s)
	e.eventually("the queue is full", func() bool {
		depth := s.Stats().QueueDepth[2]
		if depth == queueLen && depth > 0 {
			return true
		}
		queueLen = depth
		e.send(s, transport.Packet{Flow: 59, Class: 2, Payload: rtp(20, 0)})
		return s.Stats().QueueDepth[2] == depth && depth > 8
	})
	return s.Stats().QueueDepth[2], unblocked
}

func queueFull(e *env) {
	client, server := e.connect()
	e.openControl(client, server)
	audio, video := e.sink(server, 1), e.sink(server, 2)
	queueLen, _ := e.backlog(client)
	base := client.Stats()
	const extra = 20
	for i := range queueLen + extra {
		e.send(client, transport.Packet{Flow: 2, Class: 2, Payload: rtp(40, uint64(i))})
	}
	st := client.Stats()
	if n := st.Dropped[transport.DropQueueFull] - base.Dropped[transport.DropQueueFull]; n != uint64(queueLen+extra) {
		e.Errorf("%d dropped as queue full, want %d", n, queueLen+extra)
	}
	if n := st.DroppedByClass[2] - base.DroppedByClass[2]; n != uint64(queueLen+extra) {
		e.Errorf("%d dropped of class 2, want %d", n, queueLen+extra)
	}
	if st.QueueDepth != [transport.NumClasses]int{2: queueLen} {
		e.Errorf("queue depth %v, want all of class 2", st.QueueDepth)
	}
	// Audio is not held up by any of this, and costs video.
	const voices = 10
	for i := range uint64(voices) {
		e.send(client, transport.Packet{Flow: 1, Class: 0, Payload: rtp(40, i)})
		if n := await(e, "audio", audio.c); n != i {
			e.Fatalf("audio packet %d, want %d", n, i)
		}
	}
	if got := video.got(); len(got) != 0 {
		e.Errorf("video was sent while control bytes were unsent: %v", got)
	}
	left := client.Stats().QueueDepth[2]
	if left < queueLen-voices {
		e.Errorf("%d video packets left of %d after %d of audio", left, queueLen, voices)
	}
	// The newest survive, in order.
	go io.Copy(io.Discard, server.Control())
	last := uint64(queueLen + extra - 1)
	var got []uint64
	for late := time.Now().Add(patience); len(got) == 0 || got[len(got)-1] < last; {
		select {
		case n := <-video.c:
			got = append(got, n)
		case <-time.After(patience / 20): // the very last may be one that got lost
			e.send(client, transport.Packet{Flow: 2, Class: 2, Payload: rtp(40, last+1)})
			if time.Now().After(late) {
				e.Fatalf("waited in vain: video, once the control bytes are sent; up to %v came", got)
			}
		}
	}
	// A burst may overflow the receiver: some may be missing.
	if oldest := uint64(queueLen + extra - left); !slices.IsSorted(got) || got[0] < oldest || len(got) > left {
		e.Errorf("%d packets of video came, from %d on, sorted %v; want at most %d, from %d on", len(got), got[0], slices.IsSorted(got), left, oldest)
	}
}

func lowerClassFirst(e *env) {
	client, server := e.connect()
	e.openControl(client, server)
	in, b := e.sink(server, 1), e.barrier(client, server)
	queueLen, _ := e.backlog(client)
	for i := range queueLen {
		e.send(client, transport.Packet{Flow: 1, Class: 2, Payload: rtp(40, uint64(i))})
	}
	go io.Copy(io.Discard, server.Control())
	// The first video packet shows that the queue is draining; what is sent
	// now must not come behind all the rest of it.
	await(e, "video", in.c)
	const audio = 1 << 32
	e.send(client, transport.Packet{Flow: 1, Class: 0, Payload: rtp(40, audio)})
	e.send(client, transport.Packet{Flow: 1, Class: 2, Payload: rtp(40, audio+1)})
	e.eventually("the queue is empty", func() bool { return client.Stats().QueueDepth == [transport.NumClasses]int{} })
	b.pass()
	got := in.got()
	voice, video := slices.Index(got, audio), slices.Index(got, audio+1)
	// A burst may overflow the receiver: then there is nothing to compare.
	if voice >= 0 && video >= 0 && voice > video {
		e.Error("video sent after audio came before it")
	}
}

func queueClosed(e *env) {
	client, server := e.connect()
	e.openControl(client, server)
	queueLen, _ := e.backlog(client)
	client.Close()
	st := client.Stats()
	if n := st.Dropped[transport.DropClosed]; n < uint64(queueLen) {
		e.Errorf("%d dropped as closed, want at least the %d in the queue", n, queueLen)
	}
	if st.QueueDepth != [transport.NumClasses]int{} {
		e.Errorf("queue depth %v after Close", st.QueueDepth)
	}
}

func sendAllocations(e *env) {
	if raceEnabled {
		e.Skip("the race detector allocates")
	}
	client, server := e.connect()
	e.openControl(client, server)
	e.backlog(client) // so that nothing but Send runs
	for _, size := range []int{100, transport.MaxPacketSize} {
		p := transport.Packet{Flow: 1, Class: 2, Payload: rtp(size, 1), Deadline: time.Now().Add(time.Hour)}
		if n := testing.AllocsPerRun(1000, func() { client.Send(p) }); n != 0 {
			e.Errorf("Send of %d bytes makes %v allocations", size, n)
		}
	}
}
